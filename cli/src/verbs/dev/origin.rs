//! Whether `mizan dev` made a directory: what it writes is play money, and nothing takes it out of a ledger again.
//!
//! The log tells: the first thing that anybody asked of the node are exactly the ledgers of `dev`. A directory of which
//! nothing was asked yet is one that `dev` formatted and did not come to furnish if it has the limits of `dev`.

use super::{ledgers, limits};
use crate::error::CliError;
use crate::exit;
use crate::files::node_error;
use mizan_node::offline;
use mizan_wire::Operation;
use std::path::Path;
use zerocopy::IntoBytes;

/// Reads the files and changes nothing.
///
/// # Errors
/// The directory was made by something else, or cannot be read.
pub(super) fn check(data: &Path) -> Result<(), CliError> {
    let mut is_own = None;
    let read = offline::for_each_log_entry(
        data,
        &mut |_, header, body| {
            let operation = Operation::from_number(header.operation);
            if !operation.is_some_and(Operation::is_for_clients) {
                return Ok(());
            }
            let is_first_of_dev = operation == Some(Operation::CreateLedgers);
            is_own = Some(is_first_of_dev && body == ledgers().as_bytes());
            // Nothing behind it matters.
            Err("the first request is found".into())
        },
        &mut |_| (),
    );
    match (is_own, read) {
        (Some(true), _) => Ok(()),
        (Some(false), _) => Err(foreign(data)),
        (None, Err(error)) => Err(node_error(&error)),
        (None, Ok(_)) if has_own_limits(data)? => Ok(()),
        (None, Ok(_)) => Err(foreign(data)),
    }
}

fn has_own_limits(data: &Path) -> Result<bool, CliError> {
    let found = offline::genesis(data).map_err(|error| node_error(&error))?;
    let own = limits(data);
    let trading = own.trading.map_or(0, |trading| trading.order_count_max);
    Ok(found.account_count_max == own.account_count_max
        && found.transfer_count_max == own.transfer_count_max
        && found.hold_count_max == own.hold_count_max
        && found.order_count_max == trading)
}

fn foreign(data: &Path) -> CliError {
    let data = data.display();
    CliError::failed(
        exit::STATE,
        format!(
            "{data} was not made by `mizan dev`, which would write play money into it for ever; nothing was changed. `mizan start --data {data}` runs the node that is there; give `dev` another --data, or none for a scratch directory"
        ),
    )
}
