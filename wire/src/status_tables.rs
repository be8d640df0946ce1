//! The statuses, each table in its order of precedence: the first that applies is the answer.
//!
//! Numbers below 1,000 are those of the field's established ledger model; ours begin at 1,000. Numbers are never
//! given twice and never change.

use crate::status::Status;

macro_rules! statuses {
    ($(#[$doc:meta])* $table:ident, $scope:literal; $($name:ident = $number:literal, $text:literal, $meaning:literal;)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
        #[repr(u32)]
        pub enum $table {
            $(#[doc = $meaning] $name = $number,)*
        }

        impl Status for $table {
            const SCOPE: &'static str = $scope;
            const PRECEDENCE: &'static [Self] = &[$(Self::$name,)*];

            fn number(self) -> u32 {
                self as u32
            }

            fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

pub(crate) use statuses;

statuses! {
    /// What became of an event of `create_accounts`.
    CreateAccountStatus, "create_accounts";
    LinkedEventFailed = 1, "linked_event_failed", "Another event of the same linked chain failed, so this one was undone with it. Look at the event of the chain that has a status of its own.";
    LinkedEventChainOpen = 2, "linked_event_chain_open", "The last event of the batch has the `linked` flag, so its chain has no end. Clear the flag on the chain's last event.";
    ImportedEventExpected = 22, "imported_event_expected", "The batch began with an imported event, and this one is not. Send imported and ordinary events in separate requests.";
    ImportedEventNotExpected = 23, "imported_event_not_expected", "The batch began with an ordinary event, and this one is imported. Send imported and ordinary events in separate requests.";
    TimestampMustBeZero = 3, "timestamp_must_be_zero", "The engine gives the timestamp; leave it at zero unless the event is imported.";
    ImportedEventTimestampOutOfRange = 24, "imported_event_timestamp_out_of_range", "An imported event's timestamp must lie in 1..=2^63-1 nanoseconds.";
    ImportedEventTimestampMustNotAdvance = 25, "imported_event_timestamp_must_not_advance", "An imported event's timestamp must lie in the past of the engine's clock.";
    ReservedField = 4, "reserved_field", "A field that is reserved is not zero. Check the record's layout.";
    ReservedFlag = 5, "reserved_flag", "A flag bit that has no meaning is set. Check the flags.";
    IdMustNotBeZero = 6, "id_must_not_be_zero", "The account's id is zero. Choose another.";
    IdMustNotBeIntMax = 7, "id_must_not_be_int_max", "The account's id is 2^128-1. Choose another.";
    IdReserved = 1100, "id_reserved", "Ids whose top 16 bits are 0xFFFE belong to the engine. Choose another.";
    ExistsWithDifferentFlags = 15, "exists_with_different_flags", "An account with this id exists and its flags differ. An account's flags never change; nothing was changed.";
    ExistsWithDifferentUserData128 = 16, "exists_with_different_user_data_128", "An account with this id exists and its user_data_128 differs. Nothing was changed.";
    ExistsWithDifferentUserData64 = 17, "exists_with_different_user_data_64", "An account with this id exists and its user_data_64 differs. Nothing was changed.";
    ExistsWithDifferentUserData32 = 18, "exists_with_different_user_data_32", "An account with this id exists and its user_data_32 differs. Nothing was changed.";
    ExistsWithDifferentLedger = 19, "exists_with_different_ledger", "An account with this id exists in another ledger. Nothing was changed.";
    ExistsWithDifferentCode = 20, "exists_with_different_code", "An account with this id exists and its code differs. Nothing was changed.";
    Exists = 21, "exists", "The same account exists already: the repetition is recognised and nothing was changed. The result carries the original's timestamp.";
    AccountsFull = 1101, "accounts_full", "The node holds as many accounts as were fixed at format. Format a larger node; nothing was changed.";
    FlagsAreMutuallyExclusive = 8, "flags_are_mutually_exclusive", "An account can limit its debits or its credits, not both.";
    DebitsPendingMustBeZero = 9, "debits_pending_must_be_zero", "A new account starts with zero balances: debits_pending is not zero.";
    DebitsPostedMustBeZero = 10, "debits_posted_must_be_zero", "A new account starts with zero balances: debits_posted is not zero.";
    CreditsPendingMustBeZero = 11, "credits_pending_must_be_zero", "A new account starts with zero balances: credits_pending is not zero.";
    CreditsPostedMustBeZero = 12, "credits_posted_must_be_zero", "A new account starts with zero balances: credits_posted is not zero.";
    LedgerMustNotBeZero = 13, "ledger_must_not_be_zero", "Every account belongs to a ledger other than zero.";
    CodeMustNotBeZero = 14, "code_must_not_be_zero", "Every account has a code other than zero.";
    ImportedEventTimestampMustNotRegress = 26, "imported_event_timestamp_must_not_regress", "An imported account's timestamp must lie above that of every stored account and equal that of no stored transfer.";
    LedgersFull = 1102, "ledgers_full", "The node holds as many ledgers as were fixed at format. Use an existing ledger, or format a larger node.";
    Created = 4_294_967_295, "created", "The account was created; the result carries its timestamp.";
}

statuses! {
    /// What became of an event of `create_transfers`.
    CreateTransferStatus, "create_transfers";
    LinkedEventFailed = 1, "linked_event_failed", "Another event of the same linked chain failed, so this one was undone with it. Look at the event of the chain that has a status of its own.";
    LinkedEventChainOpen = 2, "linked_event_chain_open", "The last event of the batch has the `linked` flag, so its chain has no end. Clear the flag on the chain's last event.";
    ImportedEventExpected = 56, "imported_event_expected", "The batch began with an imported event, and this one is not. Send imported and ordinary events in separate requests.";
    ImportedEventNotExpected = 57, "imported_event_not_expected", "The batch began with an ordinary event, and this one is imported. Send imported and ordinary events in separate requests.";
    TimestampMustBeZero = 3, "timestamp_must_be_zero", "The engine gives the timestamp; leave it at zero unless the event is imported.";
    ImportedEventTimestampOutOfRange = 58, "imported_event_timestamp_out_of_range", "An imported event's timestamp must lie in 1..=2^63-1 nanoseconds.";
    ImportedEventTimestampMustNotAdvance = 59, "imported_event_timestamp_must_not_advance", "An imported event's timestamp must lie in the past of the engine's clock.";
    ReservedFlag = 4, "reserved_flag", "A flag bit that has no meaning is set. Check the flags.";
    IdMustNotBeZero = 5, "id_must_not_be_zero", "The transfer's id is zero. Choose another.";
    IdMustNotBeIntMax = 6, "id_must_not_be_int_max", "The transfer's id is 2^128-1. Choose another.";
    IdReserved = 1100, "id_reserved", "Ids whose top 16 bits are 0xFFFE belong to the engine. Choose another.";
    ExistsWithDifferentFlags = 36, "exists_with_different_flags", "A transfer with this id exists and its flags differ. Nothing moved: use a new id for a new payment.";
    ExistsWithDifferentPendingId = 40, "exists_with_different_pending_id", "A transfer with this id exists for another pending transfer. Nothing moved: use a new id.";
    ExistsWithDifferentTimeout = 44, "exists_with_different_timeout", "A transfer with this id exists and its timeout differs. Nothing moved: use a new id for a new payment.";
    ExistsWithDifferentDebitAccountId = 37, "exists_with_different_debit_account_id", "A transfer with this id exists with another debit account. Nothing moved: use a new id for a new payment.";
    ExistsWithDifferentCreditAccountId = 38, "exists_with_different_credit_account_id", "A transfer with this id exists with another credit account. Nothing moved: use a new id for a new payment.";
    ExistsWithDifferentAmount = 39, "exists_with_different_amount", "A transfer with this id exists with another amount. Nothing moved: use a new id for a new payment.";
    ExistsWithDifferentUserData128 = 41, "exists_with_different_user_data_128", "A transfer with this id exists and its user_data_128 differs. Nothing moved: use a new id for a new payment.";
    ExistsWithDifferentUserData64 = 42, "exists_with_different_user_data_64", "A transfer with this id exists and its user_data_64 differs. Nothing moved: use a new id for a new payment.";
    ExistsWithDifferentUserData32 = 43, "exists_with_different_user_data_32", "A transfer with this id exists and its user_data_32 differs. Nothing moved: use a new id for a new payment.";
    ExistsWithDifferentLedger = 67, "exists_with_different_ledger", "A transfer with this id exists in another ledger. Nothing moved: use a new id for a new payment.";
    ExistsWithDifferentCode = 45, "exists_with_different_code", "A transfer with this id exists with another code. Nothing moved: use a new id for a new payment.";
    Exists = 46, "exists", "The same transfer exists already: the repetition is recognised and nothing moved twice. The result carries the original's timestamp.";
    IdAlreadyFailed = 68, "id_already_failed", "A transfer with this id failed before for a reason that may pass (such as a missing account or funds), and its id is spent. Try again with a new id.";
    TransfersFull = 1103, "transfers_full", "The node holds as many transfers as were fixed at format, the reserved places for the ends of open holds included: holds can still be posted and voided. Format a larger node; nothing moved, and the id is not spent.";
    FlagsAreMutuallyExclusive = 7, "flags_are_mutually_exclusive", "Post and void exclude each other, and both exclude pending, balancing and closing.";
    DebitAccountIdMustNotBeZero = 8, "debit_account_id_must_not_be_zero", "The debit account's id is zero.";
    DebitAccountIdMustNotBeIntMax = 9, "debit_account_id_must_not_be_int_max", "The debit account's id is 2^128-1.";
    CreditAccountIdMustNotBeZero = 10, "credit_account_id_must_not_be_zero", "The credit account's id is zero.";
    CreditAccountIdMustNotBeIntMax = 11, "credit_account_id_must_not_be_int_max", "The credit account's id is 2^128-1.";
    AccountsMustBeDifferent = 12, "accounts_must_be_different", "Debit and credit account are the same account.";
    PendingIdMustBeZero = 13, "pending_id_must_be_zero", "Only a post or a void names a pending transfer.";
    PendingIdMustNotBeZero = 14, "pending_id_must_not_be_zero", "A post or a void must name the pending transfer.";
    PendingIdMustNotBeIntMax = 15, "pending_id_must_not_be_int_max", "The pending transfer's id is 2^128-1.";
    PendingIdMustBeDifferent = 16, "pending_id_must_be_different", "A transfer cannot post or void itself.";
    TimeoutReservedForPendingTransfer = 17, "timeout_reserved_for_pending_transfer", "Only a pending transfer has a timeout.";
    ClosingTransferMustBePending = 64, "closing_transfer_must_be_pending", "A transfer that closes an account must be pending, so that its void can open the account again.";
    LedgerMustNotBeZero = 19, "ledger_must_not_be_zero", "Every transfer belongs to a ledger other than zero.";
    CodeMustNotBeZero = 20, "code_must_not_be_zero", "Every transfer has a code other than zero.";
    DebitAccountNotFound = 21, "debit_account_not_found", "There is no account with the debit account's id. Create it, and use a new transfer id: this one is spent.";
    CreditAccountNotFound = 22, "credit_account_not_found", "There is no account with the credit account's id. Create it, and use a new transfer id: this one is spent.";
    AccountsMustHaveTheSameLedger = 23, "accounts_must_have_the_same_ledger", "The two accounts belong to different ledgers; exchange through two transfers that are linked.";
    TransferMustHaveTheSameLedgerAsAccounts = 24, "transfer_must_have_the_same_ledger_as_accounts", "The transfer names another ledger than its accounts.";
    PendingTransferNotFound = 25, "pending_transfer_not_found", "There is no transfer with this pending_id. Use a new transfer id: this one is spent.";
    PendingTransferNotPending = 26, "pending_transfer_not_pending", "The transfer named by pending_id is not a pending one.";
    PendingTransferHasDifferentDebitAccountId = 27, "pending_transfer_has_different_debit_account_id", "The pending transfer has another debit account; leave the field at zero to take it over.";
    PendingTransferHasDifferentCreditAccountId = 28, "pending_transfer_has_different_credit_account_id", "The pending transfer has another credit account; leave the field at zero to take it over.";
    PendingTransferHasDifferentLedger = 29, "pending_transfer_has_different_ledger", "The pending transfer belongs to another ledger; leave the field at zero to take it over.";
    PendingTransferHasDifferentCode = 30, "pending_transfer_has_different_code", "The pending transfer has another code; leave the field at zero to take it over.";
    ExceedsPendingTransferAmount = 31, "exceeds_pending_transfer_amount", "A post or void cannot take more than was reserved.";
    PendingTransferHasDifferentAmount = 32, "pending_transfer_has_different_amount", "A void gives back the whole reservation; leave the amount at zero.";
    PendingTransferAlreadyPosted = 33, "pending_transfer_already_posted", "The pending transfer was posted before. Nothing moved.";
    PendingTransferAlreadyVoided = 34, "pending_transfer_already_voided", "The pending transfer was voided before. Nothing moved.";
    PendingTransferExpired = 35, "pending_transfer_expired", "The pending transfer's timeout has passed; its reservation is released. Nothing moved.";
    ImportedEventTimestampMustNotRegress = 60, "imported_event_timestamp_must_not_regress", "An imported transfer's timestamp must lie above that of every stored transfer and equal that of no stored account.";
    ImportedEventTimestampMustPostdateDebitAccount = 61, "imported_event_timestamp_must_postdate_debit_account", "An imported transfer must be later than its debit account.";
    ImportedEventTimestampMustPostdateCreditAccount = 62, "imported_event_timestamp_must_postdate_credit_account", "An imported transfer must be later than its credit account.";
    ImportedEventTimeoutMustBeZero = 63, "imported_event_timeout_must_be_zero", "An imported pending transfer cannot expire.";
    DebitAccountAlreadyClosed = 65, "debit_account_already_closed", "The debit account is closed. Void the closing transfer to open it; use a new transfer id: this one is spent.";
    CreditAccountAlreadyClosed = 66, "credit_account_already_closed", "The credit account is closed. Void the closing transfer to open it; use a new transfer id: this one is spent.";
    AccountHasOpenOrders = 1105, "account_has_open_orders", "An account that has open orders, or belongs to an instrument, cannot be closed. Cancel the orders first; use a new transfer id: this one is spent.";
    HoldsFull = 1104, "holds_full", "The node holds as many open pending transfers as were fixed at format. Post or void some, then try again.";
    OverflowsDebitsPending = 47, "overflows_debits_pending", "The debit account's pending debits would exceed 2^128-1.";
    OverflowsCreditsPending = 48, "overflows_credits_pending", "The credit account's pending credits would exceed 2^128-1.";
    OverflowsDebitsPosted = 49, "overflows_debits_posted", "The debit account's posted debits would exceed 2^128-1.";
    OverflowsCreditsPosted = 50, "overflows_credits_posted", "The credit account's posted credits would exceed 2^128-1.";
    OverflowsDebits = 51, "overflows_debits", "The debit account's debits, pending and posted together, would exceed 2^128-1, or 2^127-1 on a node with trading.";
    OverflowsCredits = 52, "overflows_credits", "The credit account's credits, pending and posted together, would exceed 2^128-1, or 2^127-1 on a node with trading.";
    OverflowsTimeout = 53, "overflows_timeout", "The transfer's timestamp plus its timeout would exceed 2^63-1 nanoseconds.";
    ExceedsCredits = 54, "exceeds_credits", "Not enough funds: the debit account's debits would exceed its credits. Use a new transfer id later: this one is spent.";
    ExceedsDebits = 55, "exceeds_debits", "The credit account's credits would exceed its debits. Use a new transfer id later: this one is spent.";
    Created = 4_294_967_295, "created", "The transfer was created; the result carries its timestamp.";
}

impl CreateTransferStatus {
    /// Whether the reason may pass, so that the id is spent: a late repetition must not succeed by surprise.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::DebitAccountNotFound
                | Self::CreditAccountNotFound
                | Self::PendingTransferNotFound
                | Self::ExceedsCredits
                | Self::ExceedsDebits
                | Self::DebitAccountAlreadyClosed
                | Self::CreditAccountAlreadyClosed
                | Self::AccountHasOpenOrders
        )
    }
}

statuses! {
    /// What became of an event of `create_ledgers` or `create_codes`.
    RegistryStatus, "create_ledgers, create_codes";
    TimestampMustBeZero = 1200, "timestamp_must_be_zero", "The engine gives the timestamp; leave it at zero.";
    ReservedField = 1201, "reserved_field", "A field that is reserved is not zero. Check the record's layout.";
    LedgerMustNotBeZero = 1202, "ledger_must_not_be_zero", "Ledger numbers begin at 1; ledger 0 is not usable.";
    CodeMustNotBeZero = 1203, "code_must_not_be_zero", "Codes begin at 1; code 0 is not usable.";
    ExistsWithDifferentScale = 1204, "exists_with_different_scale", "The ledger is registered with another scale, which never changes.";
    ExistsWithDifferentCurrency = 1205, "exists_with_different_currency", "The ledger is registered with another currency, which never changes.";
    ExistsWithDifferentClass = 1206, "exists_with_different_class", "The code is registered with another class, which never changes.";
    ExistsWithDifferentName = 1207, "exists_with_different_name", "The ledger or code is registered with another name, which never changes.";
    Exists = 1208, "exists", "The same ledger or code is registered already. The result carries the original's timestamp.";
    ScaleTooLarge = 1209, "scale_too_large", "A ledger keeps at most 38 decimal places.";
    CurrencyInvalid = 1210, "currency_invalid", "A currency consists of 1 to 12 ASCII letters, digits, `-` or `.`, padded with zeros.";
    ClassInvalid = 1211, "class_invalid", "A class is 1 asset, 2 liability, 3 equity, 4 income or 5 expense.";
    NameInvalid = 1212, "name_invalid", "A name is 1 to 64 bytes of UTF-8 without control characters, padded with zeros.";
    RegistryFull = 1213, "registry_full", "The registry holds as many entries as were fixed at format.";
    Created = 4_294_967_295, "created", "The ledger or code is registered; the result carries its timestamp.";
}

statuses! {
    /// What became of a request, or of a connection, as a whole. Zero is success.
    RequestStatus, "request";
    Ok = 0, "ok", "The request was executed; its results are in the body.";
    BadMagic = 1000, "bad_magic", "The bytes are not a native frame. Is this another protocol's client? The connection is closed.";
    HeaderChecksumMismatch = 1001, "header_checksum_mismatch", "A frame's header does not match its checksum. The connection is closed; reconnect and resend.";
    BodyChecksumMismatch = 1002, "body_checksum_mismatch", "A frame's body does not match its checksum. The connection is closed; reconnect and resend.";
    ProtocolUnsupported = 1003, "protocol_unsupported", "The node does not speak this version of the protocol. Use a client of a matching release.";
    FrameKindUnknown = 1004, "frame_kind_unknown", "The frame's kind is unknown, or not one that a client sends. The connection is closed.";
    FrameSizeInvalid = 1005, "frame_size_invalid", "The frame's size is below its header's or above the limit. The connection is closed.";
    ReservedNotZero = 1006, "reserved_not_zero", "A reserved byte of the frame's header is not zero. The connection is closed.";
    HelloExpected = 1007, "hello_expected", "The first frame on a connection must be a hello. The connection is closed.";
    HelloRepeated = 1008, "hello_repeated", "The connection has said hello before. The connection is closed.";
    ClusterMismatch = 1009, "cluster_mismatch", "The node belongs to another cluster than the client expects. Check the address.";
    AuthMethodUnsupported = 1010, "auth_method_unsupported", "The node does not offer this way of authentication.";
    OperationUnknown = 1011, "operation_unknown", "The operation's number is unknown, or not one that a client may ask for.";
    EventSizeInvalid = 1012, "event_size_invalid", "The events of this operation have another size, or the event version is unknown.";
    EventCountInvalid = 1013, "event_count_invalid", "A request has 1 to 8,189 events (0 where the operation takes none).";
    BodySizeInvalid = 1014, "body_size_invalid", "The body's size is not the number of events times their size.";
    RequestFlagsInvalid = 1015, "request_flags_invalid", "A request flag has no meaning or is not built yet.";
    SessionRequired = 1016, "session_required", "A write needs a session: say hello with a client id and without the read-only flag.";
    SessionUnknown = 1017, "session_unknown", "The session was evicted, closed, or never opened here. Open a new one; look up what became of requests in doubt by their ids.";
    SessionsFull = 1018, "sessions_full", "All places for sessions are taken by clients that are connected or have just been. Try again later; `mizan sessions` lists and closes them.";
    RequestNumberGap = 1019, "request_number_gap", "A write's number must be the last one plus 1. Resend the missing requests first.";
    ReplyDiscarded = 1020, "reply_discarded", "The request was executed, but the client said before that it had its reply. Look up the results by their ids.";
    RequestMismatch = 1021, "request_mismatch", "Another request was executed under the same number. Nothing was changed: a number belongs to one request.";
    WindowFull = 1022, "window_full", "Too many replies are stored for this session. Report the replies received, then send the request again.";
    TooManyInFlight = 1023, "too_many_in_flight", "The connection has more requests in flight than its window allows. Wait for replies.";
    JournalSpaceLow = 1024, "journal_space_low", "The disk has no room for the next journal segment. Nothing was executed; make room, then send it again. Reads go on.";
    Overloaded = 1025, "overloaded", "The node lacks a receive buffer, a descriptor or memory, or the write repeats one that was refused meanwhile. Nothing was executed; send it again.";
    PartialRequestTimeout = 1026, "partial_request_timeout", "A request arrived too slowly to be completed. The connection is closed; reconnect and resend.";
    SlowReader = 1027, "slow_reader", "The client does not read its replies. The connection is closed; reconnect and resend.";
    TooManyConnections = 1028, "too_many_connections", "The node has as many connections as it allows. Close some, or try again later.";
    ShuttingDown = 1029, "shutting_down", "The node is stopping. Reconnect and resend when it is back.";
    SessionTakenOver = 1030, "session_taken_over", "The same client opened its session on another connection; this one is closed.";
    CredentialsRefused = 1031, "credentials_refused", "The credential was not accepted.";
    NotPrimary = 1032, "not_primary", "This node does not take requests now; the hello's reply names the one that does.";
    ClientIdInvalid = 1033, "client_id_invalid", "A session needs a client id other than zero, chosen at random.";
    SequenceNotReached = 1034, "sequence_not_reached", "The read asks for a sequence that this node has not applied yet. Wait, or ask the node that answered before.";
    IdleTimeout = 1035, "idle_timeout", "The connection sent nothing for too long, and is closed. Reconnect when there is something to say; the session goes on.";
    HelloTimeout = 1036, "hello_timeout", "The connection did not say hello in time, and is closed. Reconnect, and send the hello at once.";
    SessionIsOwn = 1037, "session_is_own", "A request does not close the session that it came by: its reply would have no place. Use close_session.";
}
