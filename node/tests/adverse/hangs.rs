//! A disk that hangs: its sync returns no error, it does not return at all. The node says so while it lasts, however it
//! writes its journal and whichever thread waits, and no longer.

use crate::common::{Running, Switch, account, complete, formatted, local, transfer, wait_until};
use crate::direct::{direct, formatted_direct};
use crate::said;
use mizan_journal::FileStorage;
use mizan_journal::fault::FaultStorage;
use mizan_node::{Layout, NodeOptions};
use mizan_wire::{CREATED, Operation};
use std::path::Path;
use std::sync::Arc;
use zerocopy::IntoBytes;

fn started(data: &Path, files: FileStorage, layout: Layout, inline_commit: bool) -> Running {
    let switch = Arc::new(Switch::default());
    let options = NodeOptions { layout: Some(layout), inline_commit, ..local(data) };
    Running::start_on(FaultStorage::new(files, Arc::clone(&switch)), &options, switch)
}

/// One write waits for a sync that does not return, and then it returns.
fn tells_of_a_disk_that_hangs(node: Running, what: &str) {
    let mut client = node.client();
    client.create_accounts(&[account(1), account(2)]).unwrap();
    assert!(!node.shows("disk_hangs"), "{what}");
    wait_until(&format!("{what}: it is ready"), || node.page("/readyz").0 == 200);
    node.switch.hold_syncs(true);
    client.submit(Operation::CreateTransfers, transfer(1).as_bytes()).unwrap();
    client.flush();
    wait_until(&format!("{what}: the sync waits"), || node.switch.sync_waits());
    wait_until(&format!("{what}: it is not ready, and says why"), || {
        let (code, body) = node.page("/readyz");
        assert!(code == 503 || code == 200);
        code == 503 && body.contains("disk_hangs: entries wait for the disk")
    });
    wait_until(&format!("{what}: the alarm is shown"), || node.shows("disk_hangs"));
    let (code, body) = node.page("/livez");
    assert_eq!(code, 200, "{what}: a restart makes no disk faster: {body}");
    node.switch.hold_syncs(false);
    complete(&mut client, 1);
    wait_until(&format!("{what}: it is ready again"), || node.page("/readyz").0 == 200);
    wait_until(&format!("{what}: the alarm is over"), || !node.shows("disk_hangs"));
    assert_eq!(client.create_transfers(&[transfer(2)]).unwrap()[0].status, CREATED);
    node.stop().unwrap();
}

#[test]
fn a_disk_that_hangs_makes_a_node_unready_until_it_goes_on_however_it_writes() {
    said::listen();
    let layouts = [(Layout::Fused, true), (Layout::Fused, false), (Layout::Split, false)];
    std::thread::scope(|scope| {
        for (layout, inline_commit) in layouts {
            scope.spawn(move || {
                let directory = formatted();
                let files = FileStorage::new(directory.path());
                let node = started(directory.path(), files, layout, inline_commit);
                tells_of_a_disk_that_hangs(node, &format!("mmap, {layout:?}, {inline_commit}"));
            });
            scope.spawn(move || {
                let Some(directory) = formatted_direct() else { return };
                let node = started(directory.path(), direct(&directory), layout, inline_commit);
                tells_of_a_disk_that_hangs(node, &format!("direct, {layout:?}, {inline_commit}"));
            });
        }
    });
    wait_until("its beginning and its end are logged", || {
        let (begins, ends) = said::of_alarm("disk_hangs");
        begins > 0 && ends > 0
    });
}
