//! What a genesis record may say.

use crate::error::GenesisError;
use crate::limits::{
    CODE_COUNT_MAX, LEDGER_COUNT_MAX, RECORD_COUNT_MAX, SESSION_COUNT_MAX, WINDOW_BYTES_MIN,
    WINDOW_REQUESTS_MAX,
};
use mizan_wire::{Genesis, SEMANTICS_VERSION};

pub(crate) fn check_genesis(genesis: &Genesis) -> Result<(), GenesisError> {
    if genesis.semantics_version != SEMANTICS_VERSION {
        return Err(GenesisError::SemanticsVersion {
            found: genesis.semantics_version,
            known: SEMANTICS_VERSION,
        });
    }
    if genesis.reserved != [0; 2] {
        return Err(GenesisError::ReservedNotZero);
    }
    range("account_count_max", genesis.account_count_max, 1, RECORD_COUNT_MAX)?;
    range("transfer_count_max", genesis.transfer_count_max, 1, RECORD_COUNT_MAX)?;
    range("hold_count_max", genesis.hold_count_max, 1, genesis.transfer_count_max)?;
    range("ledger_count_max", genesis.ledger_count_max.into(), 1, LEDGER_COUNT_MAX.into())?;
    range("code_count_max", genesis.code_count_max.into(), 1, CODE_COUNT_MAX.into())?;
    range("session_count_max", genesis.session_count_max.into(), 1, SESSION_COUNT_MAX.into())?;
    range("window_requests", genesis.window_requests.into(), 1, WINDOW_REQUESTS_MAX.into())?;
    range("window_bytes", genesis.window_bytes.into(), WINDOW_BYTES_MIN.into(), u32::MAX.into())?;
    range("digest_interval", genesis.digest_interval.into(), 1, u32::MAX.into())
}

fn range(field: &'static str, found: u64, min: u64, max: u64) -> Result<(), GenesisError> {
    if (min..=max).contains(&found) {
        return Ok(());
    }
    Err(GenesisError::OutOfRange { field, found, min, max })
}
