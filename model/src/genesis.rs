//! What a genesis record may say.

use crate::error::GenesisError;
use crate::limits::{
    CODE_COUNT_MAX, INSTRUMENT_COUNT_MAX, LEDGER_COUNT_MAX, RECORD_COUNT_MAX, REPORT_COUNT_MAX,
    SESSION_COUNT_MAX, WINDOW_BYTES_MIN, WINDOW_BYTES_TRADING_MIN, WINDOW_REQUESTS_MAX,
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
    range("digest_interval", genesis.digest_interval.into(), 1, u32::MAX.into())?;
    check_trading(genesis)
}

/// All of the room for trading, or none.
fn check_trading(genesis: &Genesis) -> Result<(), GenesisError> {
    let instruments = genesis.instrument_count_max.into();
    range("instrument_count_max", instruments, 0, INSTRUMENT_COUNT_MAX)?;
    let (min, max) = if instruments == 0 { (0, 0) } else { (1, u64::MAX) };
    range("order_count_max", genesis.order_count_max, min, max.min(RECORD_COUNT_MAX))?;
    range("report_count_max", genesis.report_count_max, min, max.min(REPORT_COUNT_MAX))?;
    let open = genesis.open_order_count_max.into();
    range("open_order_count_max", open, min, max.min(RECORD_COUNT_MAX))?;
    let levels = genesis.book_level_count_max.into();
    range("book_level_count_max", levels, min, max.min(RECORD_COUNT_MAX))?;
    let window_min = if instruments == 0 { 0 } else { WINDOW_BYTES_TRADING_MIN.into() };
    range("window_bytes", genesis.window_bytes.into(), window_min, u32::MAX.into())
}

fn range(field: &'static str, found: u64, min: u64, max: u64) -> Result<(), GenesisError> {
    if (min..=max).contains(&found) {
        return Ok(());
    }
    Err(GenesisError::OutOfRange { field, found, min, max })
}
