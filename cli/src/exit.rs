//! The exit codes, and which failure gets which.
//!
//! Scripts depend on them: a code keeps its meaning for ever.

use mizan_client::ClientError;
use mizan_wire::orders::OrderReject;
use mizan_wire::trading::{InstrumentStatus, OrderStatus};
use mizan_wire::{CreateAccountStatus, CreateTransferStatus, RegistryStatus, RequestStatus};

/// Done; a repetition with the same content counts as done.
pub const OK: u8 = 0;
/// The command ran and found a problem: a refusal, a bad line, an imbalance, something that does not exist.
pub const PROBLEM: u8 = 1;
/// The command line or the configuration makes no sense.
pub const USAGE: u8 = 2;
/// No node answered, or it did not answer in time.
pub const UNREACHABLE: u8 = 3;
/// The node refused the credentials.
pub const CREDENTIALS: u8 = 4;
/// Files are damaged.
pub const CORRUPT: u8 = 5;
/// The node or the files are not in the state that the command needs.
pub const STATE: u8 = 6;
/// Another version of the protocol or of the files.
pub const VERSION: u8 = 7;
/// No room: disk, memory, sessions, connections, or a limit that was fixed at format.
pub const RESOURCE: u8 = 8;

/// The word for a code, as JSON names it.
#[must_use]
pub const fn name(code: u8) -> &'static str {
    match code {
        OK => "ok",
        USAGE => "usage",
        UNREACHABLE => "unreachable",
        CREDENTIALS => "credentials_refused",
        CORRUPT => "corrupt_files",
        STATE => "wrong_state",
        VERSION => "version",
        RESOURCE => "no_room",
        130.. => "interrupted",
        _ => "problem",
    }
}

/// The codes as every help text shows them.
pub const HELP: &str = "\
Exit codes: 0 ok, 1 problem found, 2 usage, 3 unreachable, 4 credentials refused,
5 corrupt files, 6 wrong state, 7 version, 8 no room.";

/// The code for a request or connection that the node refused as a whole.
#[must_use]
pub fn of_request_status(status: RequestStatus) -> u8 {
    use RequestStatus as S;
    match status {
        S::Ok => OK,
        S::CredentialsRefused | S::AuthMethodUnsupported => CREDENTIALS,
        S::BadMagic
        | S::ProtocolUnsupported
        | S::FrameKindUnknown
        | S::OperationUnknown
        | S::EventSizeInvalid
        | S::RequestFlagsInvalid => VERSION,
        S::SessionsFull
        | S::WindowFull
        | S::TooManyInFlight
        | S::JournalSpaceLow
        | S::Overloaded
        | S::TooManyConnections => RESOURCE,
        S::PartialRequestTimeout | S::SlowReader => UNREACHABLE,
        S::ClusterMismatch
        | S::SessionUnknown
        | S::SessionRequired
        | S::SessionTakenOver
        | S::ShuttingDown
        | S::NotPrimary
        | S::SequenceNotReached
        | S::ReplyDiscarded => STATE,
        _ => PROBLEM,
    }
}

/// The code for an event that the node refused: want of room, which was fixed at format, is told from all else. The
/// numbers from 1100 on mean the same in every table.
#[must_use]
pub const fn of_refusal(status: u32) -> u8 {
    const FULL: [u32; 11] = [
        CreateAccountStatus::AccountsFull as u32,
        CreateAccountStatus::LedgersFull as u32,
        CreateTransferStatus::TransfersFull as u32,
        CreateTransferStatus::HoldsFull as u32,
        RegistryStatus::RegistryFull as u32,
        InstrumentStatus::InstrumentsFull as u32,
        InstrumentStatus::BookSpaceFull as u32,
        OrderStatus::OrdersFull as u32,
        OrderStatus::TransfersFull as u32,
        OrderReject::OrdersFull as u32,
        OrderReject::LevelsFull as u32,
    ];
    let mut index = 0;
    while index < FULL.len() {
        if FULL[index] == status {
            return RESOURCE;
        }
        index += 1;
    }
    PROBLEM
}

/// The code for a failed call of the client.
#[must_use]
pub fn of_client_error(error: &ClientError) -> u8 {
    match error {
        ClientError::RefusedCredentials(_) => CREDENTIALS,
        ClientError::Refused(status) | ClientError::Connection(status, _) => {
            of_request_status(*status)
        }
        ClientError::Unreachable(..) | ClientError::Unknown | ClientError::NotSent => UNREACHABLE,
        ClientError::Protocol(_) | ClientError::VersionMismatch => VERSION,
        // A node that said more than that it does not serve decides; one that is silent may be the primary.
        ClientError::NoneOf(faults) => {
            let codes = || faults.iter().map(of_client_error);
            let telling = codes().find(|code| !matches!(*code, UNREACHABLE | STATE));
            let silent = codes().find(|code| *code == UNREACHABLE);
            telling.or(silent).unwrap_or(STATE)
        }
        ClientError::NotPrimary { .. }
        | ClientError::SessionLost
        | ClientError::ClusterMismatch { .. }
        | ClientError::AcknowledgedWritesLost { .. } => STATE,
        ClientError::TooManyEvents { .. }
        | ClientError::WouldExceedWindow
        | ClientError::Invalid(_) => PROBLEM,
        _ => PROBLEM,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizan_wire::Status;

    #[test]
    fn whatever_is_full_has_the_code_for_want_of_room_and_nothing_else_has() {
        fn check<S: Status>() {
            for status in S::PRECEDENCE {
                let is_full = status.name().ends_with("_full");
                let code = of_refusal(status.number());
                assert_eq!(code == RESOURCE, is_full, "{}: {}", S::SCOPE, status.name());
            }
        }
        check::<CreateAccountStatus>();
        check::<CreateTransferStatus>();
        check::<RegistryStatus>();
        check::<InstrumentStatus>();
        check::<OrderStatus>();
        check::<OrderReject>();
    }

    #[test]
    fn failures_that_call_for_different_action_have_different_codes() {
        let address = "127.0.0.1:1".parse().expect("an address");
        let code = |error: ClientError| of_client_error(&error);
        assert_eq!(code(ClientError::Unreachable(address, "refused".into())), UNREACHABLE);
        assert_eq!(code(ClientError::Unknown), UNREACHABLE);
        let standby = ClientError::NotPrimary { address, primary: None };
        assert_eq!(code(standby.clone()), STATE);
        let silent = ClientError::Unreachable(address, "refused".into());
        assert_eq!(code(ClientError::NoneOf(vec![silent.clone(), standby.clone()])), UNREACHABLE);
        assert_eq!(code(ClientError::NoneOf(vec![standby.clone(), standby.clone()])), STATE);
        let full = ClientError::Refused(RequestStatus::SessionsFull);
        assert_eq!(code(ClientError::NoneOf(vec![silent, standby, full])), RESOURCE);
        let refused = ClientError::RefusedCredentials(RequestStatus::CredentialsRefused);
        assert_eq!(code(refused), CREDENTIALS);
        assert_eq!(code(ClientError::Refused(RequestStatus::SessionsFull)), RESOURCE);
        let stopping = ClientError::Connection(RequestStatus::ShuttingDown, String::new());
        assert_eq!(code(stopping), STATE);
        for elsewhere in [RequestStatus::NotPrimary, RequestStatus::SessionTakenOver] {
            assert_eq!(code(ClientError::Refused(elsewhere)), STATE);
        }
        assert_eq!(code(ClientError::VersionMismatch), VERSION);
        assert_eq!(code(ClientError::ClusterMismatch { expected: 1, found: 2 }), STATE);
    }

    #[test]
    fn only_success_has_the_code_of_success() {
        for status in RequestStatus::PRECEDENCE {
            let is_ok = of_request_status(*status) == OK;
            assert_eq!(is_ok, *status == RequestStatus::Ok, "{}", status.name());
        }
    }
}
