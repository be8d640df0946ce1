//! The hash of names is part of the interface: these vectors never change.

use mizan_client::names::{account_id, transfer_id};

#[test]
fn the_golden_vectors_of_names_come_out() {
    assert_eq!(
        format!("{:032x}", account_id(1, "alice").unwrap()),
        "2e23e137ccd62d42bb44171ccb3cdc3f"
    );
    assert_eq!(
        format!("{:032x}", account_id(840, "alice").unwrap()),
        "a1cfc6427fa3b2d0eb3d64f66d40c7af"
    );
    assert_eq!(format!("{:032x}", account_id(1, "").unwrap()), "4d5b096996251c2bc6c498e1d655e228");
    assert_eq!(
        format!("{:032x}", account_id(u32::MAX, "ميزان").unwrap()),
        "ebc11f36a8b29a2a5c62f87920359346"
    );
    assert_eq!(
        format!("{:032x}", transfer_id("invoice-2024-000017").unwrap()),
        "6ac40815e063a87b57cae92f7ab2e8cc"
    );
    assert_eq!(format!("{:032x}", transfer_id("").unwrap()), "e07706f93bfa545d63f98c19d2b785b8");
}
