//! The check of the record that fixes everything that can change a result.

use crate::error::GenesisError;
use crate::limits::{
    ACCOUNT_COUNT_MAX, CODE_COUNT_MAX, LEDGER_COUNT_MAX, SESSION_COUNT_MAX, TRANSFER_COUNT_MAX,
    WINDOW_BYTES_MIN, WINDOW_BYTES_TRADING_MIN, WINDOW_REQUESTS_MAX,
};
use crate::trading::limits::{
    INSTRUMENT_COUNT_MAX, OPEN_ORDER_COUNT_MAX, ORDER_COUNT_MAX, REPORT_COUNT_MAX,
};
use mizan_wire::{Genesis, SEMANTICS_VERSION};

/// Checks a genesis record without making a state of it.
///
/// # Errors
/// The first field that is out of range.
pub fn check_genesis(genesis: &Genesis) -> Result<(), GenesisError> {
    if genesis.semantics_version != SEMANTICS_VERSION {
        return Err(GenesisError::SemanticsVersion {
            found: genesis.semantics_version,
            expected: SEMANTICS_VERSION,
        });
    }
    let transfers = genesis.transfer_count_max;
    let ranges = [
        ("account_count_max", genesis.account_count_max, 1, ACCOUNT_COUNT_MAX),
        ("transfer_count_max", transfers, 1, TRANSFER_COUNT_MAX),
        ("hold_count_max", genesis.hold_count_max, 1, transfers),
        ("ledger_count_max", genesis.ledger_count_max.into(), 1, LEDGER_COUNT_MAX.into()),
        ("code_count_max", genesis.code_count_max.into(), 1, CODE_COUNT_MAX.into()),
        ("session_count_max", genesis.session_count_max.into(), 1, SESSION_COUNT_MAX.into()),
        ("window_requests", genesis.window_requests.into(), 1, WINDOW_REQUESTS_MAX.into()),
        ("window_bytes", genesis.window_bytes.into(), WINDOW_BYTES_MIN.into(), u32::MAX.into()),
        ("instrument_count_max", genesis.instrument_count_max.into(), 0, INSTRUMENT_COUNT_MAX),
        ("digest_interval", genesis.digest_interval.into(), 1, u32::MAX.into()),
    ];
    for (field, found, min, max) in ranges {
        if !(min..=max).contains(&found) {
            return Err(GenesisError::OutOfRange { field, found, min, max });
        }
    }
    check_trading(genesis)?;
    if genesis.reserved != [0; 2] {
        return Err(GenesisError::ReservedNotZero);
    }
    Ok(())
}

/// A node without trading has none of its room, one with trading has some of each.
fn check_trading(genesis: &Genesis) -> Result<(), GenesisError> {
    let (min, window_min) = match genesis.has_trading() {
        true => (1, u64::from(WINDOW_BYTES_TRADING_MIN)),
        false => (0, 0),
    };
    let limit = |max: u64| if genesis.has_trading() { max } else { 0 };
    let ranges = [
        ("order_count_max", genesis.order_count_max, min, limit(ORDER_COUNT_MAX)),
        ("report_count_max", genesis.report_count_max, min, limit(REPORT_COUNT_MAX)),
        (
            "open_order_count_max",
            genesis.open_order_count_max.into(),
            min,
            limit(OPEN_ORDER_COUNT_MAX),
        ),
        (
            "book_level_count_max",
            genesis.book_level_count_max.into(),
            min,
            limit(OPEN_ORDER_COUNT_MAX),
        ),
        ("window_bytes", genesis.window_bytes.into(), window_min, u32::MAX.into()),
    ];
    for (field, found, min, max) in ranges {
        if !(min..=max).contains(&found) {
            return Err(GenesisError::OutOfRange { field, found, min, max });
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small state for tests.
    pub(crate) fn small_genesis() -> Genesis {
        Genesis {
            cluster: 7,
            hash_seed: 11,
            account_count_max: 64,
            transfer_count_max: 256,
            hold_count_max: 16,
            session_idle_ns: 1_000,
            semantics_version: SEMANTICS_VERSION,
            digest_interval: 4,
            ledger_count_max: 4,
            code_count_max: 4,
            session_count_max: 2,
            window_requests: 3,
            window_bytes: WINDOW_BYTES_MIN,
            ..Genesis::default()
        }
    }

    #[test]
    fn every_field_outside_its_range_is_named() {
        assert_eq!(check_genesis(&small_genesis()), Ok(()));
        let field_of = |change: fn(&mut Genesis)| {
            let mut genesis = small_genesis();
            change(&mut genesis);
            match check_genesis(&genesis) {
                Err(GenesisError::OutOfRange { field, .. }) => field,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(field_of(|genesis| genesis.account_count_max = 0), "account_count_max");
        assert_eq!(
            field_of(|genesis| genesis.account_count_max = (1 << 31) + 1),
            "account_count_max"
        );
        assert_eq!(field_of(|genesis| genesis.transfer_count_max = 0), "transfer_count_max");
        assert_eq!(field_of(|genesis| genesis.hold_count_max = 257), "hold_count_max");
        assert_eq!(field_of(|genesis| genesis.ledger_count_max = 4_001), "ledger_count_max");
        assert_eq!(field_of(|genesis| genesis.code_count_max = 8_001), "code_count_max");
        assert_eq!(field_of(|genesis| genesis.session_count_max = 65_536), "session_count_max");
        assert_eq!(field_of(|genesis| genesis.window_requests = 65_537), "window_requests");
        assert_eq!(field_of(|genesis| genesis.window_bytes = 8_189 * 16 - 1), "window_bytes");
        assert_eq!(field_of(|genesis| genesis.digest_interval = 0), "digest_interval");
    }

    #[test]
    fn another_semantics_version_or_a_used_reserved_field_is_refused() {
        for found in [SEMANTICS_VERSION - 1, SEMANTICS_VERSION + 1] {
            let version = Genesis { semantics_version: found, ..small_genesis() };
            let expected = GenesisError::SemanticsVersion { found, expected: SEMANTICS_VERSION };
            assert_eq!(check_genesis(&version), Err(expected));
        }
        let reserved = Genesis { reserved: [0, 1], ..small_genesis() };
        assert_eq!(check_genesis(&reserved), Err(GenesisError::ReservedNotZero));
    }
}
