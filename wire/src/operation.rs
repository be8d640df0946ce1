//! What a request asks for.

use crate::limits::{EVENTS_MAX, SESSIONS_PER_REQUEST_MAX};

/// An operation; numbers below 256 are those of the field's established ledger protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
#[repr(u16)]
pub enum Operation {
    /// Accounts by id. Read.
    LookupAccounts = 140,
    /// Transfers by id. Read.
    LookupTransfers = 141,
    /// Opens accounts.
    CreateAccounts = 146,
    /// Moves or reserves money.
    CreateTransfers = 147,
    /// Gives ledgers a scale, a currency and a name.
    CreateLedgers = 256,
    /// Gives account codes a class and a name.
    CreateCodes = 257,
    /// All registered ledgers. Read.
    GetLedgers = 258,
    /// All registered codes. Read.
    GetCodes = 259,
    /// Sums of all balances, one row per ledger. Read.
    TrialBalance = 260,
    /// Opens or resumes a session; made by the gateway from a hello.
    Register = 261,
    /// Ends a session and forgets its stored replies.
    CloseSession = 262,
    /// Counters, limits and digest of the engine. Read.
    GetEngineStatus = 263,
    /// Gives instruments a book and terms.
    CreateInstruments = 264,
    /// Enters orders, which reserve, match and settle.
    SubmitOrders = 265,
    /// Gives open orders new terms.
    AmendOrders = 266,
    /// Ends open orders.
    CancelOrders = 267,
    /// Ends all orders that meet some conditions.
    MassCancelOrders = 268,
    /// Halts and resumes instruments.
    SetTradingStates = 269,
    /// Ends the orders of the day.
    CloseTradingSessions = 270,
    /// All instruments. Read.
    GetInstruments = 271,
    /// Orders by account and client id. Read.
    GetOrders = 272,
    /// The open orders of an account. Read.
    GetOpenOrders = 273,
    /// The private reports of an account, from a number on. Read.
    GetExecutionReports = 274,
    /// The price levels of one side of a book. Read.
    GetDepth = 275,
    /// The sessions that are open, from a number on. Read.
    GetSessions = 370,
    /// Ends sessions of others, and forgets their stored replies.
    CloseSessions = 371,
    /// Lets time pass: performs what is due. Internal.
    Tick = 512,
    /// Compares the state's digest at an earlier sequence. Internal.
    Digest = 513,
    /// The first entry of a log: everything that can change a result. Internal.
    Genesis = 514,
    /// Fills the end of the ring; never journaled. Internal.
    Padding = 515,
    /// Sessions have lost their connection. Internal.
    ConnectionLost = 518,
}

impl Operation {
    /// All operations, in the order of their numbers.
    pub const ALL: [Self; 31] = [
        Self::LookupAccounts,
        Self::LookupTransfers,
        Self::CreateAccounts,
        Self::CreateTransfers,
        Self::CreateLedgers,
        Self::CreateCodes,
        Self::GetLedgers,
        Self::GetCodes,
        Self::TrialBalance,
        Self::Register,
        Self::CloseSession,
        Self::GetEngineStatus,
        Self::CreateInstruments,
        Self::SubmitOrders,
        Self::AmendOrders,
        Self::CancelOrders,
        Self::MassCancelOrders,
        Self::SetTradingStates,
        Self::CloseTradingSessions,
        Self::GetInstruments,
        Self::GetOrders,
        Self::GetOpenOrders,
        Self::GetExecutionReports,
        Self::GetDepth,
        Self::GetSessions,
        Self::CloseSessions,
        Self::Tick,
        Self::Digest,
        Self::Genesis,
        Self::Padding,
        Self::ConnectionLost,
    ];

    /// Operations by their numbers: every stage asks for each request.
    const BY_NUMBER: [Option<Self>; Self::ConnectionLost as usize + 1] = {
        let mut known = [None; Self::ConnectionLost as usize + 1];
        let mut index = 0;
        while index < Self::ALL.len() {
            known[Self::ALL[index] as usize] = Some(Self::ALL[index]);
            index += 1;
        }
        known
    };

    /// The operation with this number, if there is one. Cost: one look into a table of 1 KB.
    #[inline]
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        static KNOWN: [Option<Operation>; Operation::BY_NUMBER.len()] = Operation::BY_NUMBER;
        KNOWN.get(usize::from(number)).copied().flatten()
    }

    /// The operation's number on the wire and in the journal.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The operation's name, as documents and tools write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LookupAccounts => "lookup_accounts",
            Self::LookupTransfers => "lookup_transfers",
            Self::CreateAccounts => "create_accounts",
            Self::CreateTransfers => "create_transfers",
            Self::CreateLedgers => "create_ledgers",
            Self::CreateCodes => "create_codes",
            Self::GetLedgers => "get_ledgers",
            Self::GetCodes => "get_codes",
            Self::TrialBalance => "trial_balance",
            Self::Register => "register",
            Self::CloseSession => "close_session",
            Self::GetEngineStatus => "get_engine_status",
            Self::CreateInstruments => "create_instruments",
            Self::SubmitOrders => "submit_orders",
            Self::AmendOrders => "amend_orders",
            Self::CancelOrders => "cancel_orders",
            Self::MassCancelOrders => "mass_cancel_orders",
            Self::SetTradingStates => "set_trading_states",
            Self::CloseTradingSessions => "close_trading_sessions",
            Self::GetInstruments => "get_instruments",
            Self::GetOrders => "get_orders",
            Self::GetOpenOrders => "get_open_orders",
            Self::GetExecutionReports => "get_execution_reports",
            Self::GetDepth => "get_depth",
            Self::Tick => "tick",
            Self::Digest => "digest",
            Self::Genesis => "genesis",
            Self::Padding => "padding",
            Self::GetSessions => "get_sessions",
            Self::CloseSessions => "close_sessions",
            Self::ConnectionLost => "connection_lost",
        }
    }

    /// Whether the operation only looks: it passes the ring, but is neither journaled nor stored.
    #[must_use]
    pub const fn is_read(self) -> bool {
        matches!(
            self,
            Self::LookupAccounts
                | Self::LookupTransfers
                | Self::GetLedgers
                | Self::GetCodes
                | Self::TrialBalance
                | Self::GetEngineStatus
                | Self::GetInstruments
                | Self::GetOrders
                | Self::GetOpenOrders
                | Self::GetExecutionReports
                | Self::GetDepth
                | Self::GetSessions
        )
    }

    /// Whether a client may send it in a request frame.
    #[must_use]
    pub const fn is_for_clients(self) -> bool {
        !matches!(
            self,
            Self::Register
                | Self::Tick
                | Self::Digest
                | Self::Genesis
                | Self::Padding
                | Self::ConnectionLost
        )
    }

    /// Whether its reply is compact: results that are not "created at its own number".
    #[must_use]
    pub const fn is_create(self) -> bool {
        matches!(
            self,
            Self::CreateAccounts
                | Self::CreateTransfers
                | Self::CreateLedgers
                | Self::CreateCodes
                | Self::CreateInstruments
                | Self::CloseSessions
        )
    }

    /// Whether it changes order books; its reply has an `OrderResult` for every event.
    #[must_use]
    pub const fn is_trading(self) -> bool {
        matches!(
            self,
            Self::SubmitOrders
                | Self::AmendOrders
                | Self::CancelOrders
                | Self::MassCancelOrders
                | Self::SetTradingStates
                | Self::CloseTradingSessions
        )
    }

    /// Bytes of one event in a client's request; 0 where there are none.
    #[must_use]
    pub const fn event_size(self) -> usize {
        match self {
            Self::LookupAccounts | Self::LookupTransfers => 16,
            Self::CreateAccounts
            | Self::CreateTransfers
            | Self::CreateLedgers
            | Self::CreateCodes
            | Self::SubmitOrders => 128,
            Self::CreateInstruments => 256,
            Self::AmendOrders | Self::CancelOrders | Self::MassCancelOrders => 64,
            Self::GetOrders | Self::GetOpenOrders | Self::GetExecutionReports => 32,
            Self::CloseSessions | Self::ConnectionLost => 32,
            Self::SetTradingStates
            | Self::CloseTradingSessions
            | Self::GetDepth
            | Self::GetSessions => 16,
            _ => 0,
        }
    }

    /// Bytes of one record in the reply; 0 where there are none.
    #[must_use]
    pub const fn result_size(self) -> usize {
        match self {
            Self::LookupAccounts
            | Self::LookupTransfers
            | Self::GetLedgers
            | Self::GetCodes
            | Self::GetExecutionReports => 128,
            Self::CreateAccounts
            | Self::CreateTransfers
            | Self::CreateLedgers
            | Self::CreateCodes
            | Self::CreateInstruments
            | Self::CloseSessions => 16,
            Self::TrialBalance
            | Self::GetEngineStatus
            | Self::GetInstruments
            | Self::GetOrders
            | Self::GetOpenOrders => 256,
            Self::GetDepth => 32,
            Self::GetSessions => 64,
            _ if self.is_trading() => 64,
            _ => 0,
        }
    }

    /// Smallest and largest number of events in a client's request.
    #[must_use]
    pub const fn event_count_range(self) -> (u32, u32) {
        match self {
            Self::GetOpenOrders
            | Self::GetExecutionReports
            | Self::GetDepth
            | Self::GetSessions => (1, 1),
            Self::CloseSessions | Self::ConnectionLost => (1, SESSIONS_PER_REQUEST_MAX),
            // Events, or their answers, of 256 bytes.
            Self::CreateInstruments | Self::GetOrders => (1, EVENTS_MAX / 2),
            _ if self.event_size() == 0 => (0, 0),
            _ => (1, EVENTS_MAX),
        }
    }
}
