//! Events written as text: `id=1 ledger=1 code=1 flags=linked|closed`.
//!
//! Numbers are decimal, `max`, or a power of two such as `2^127`, each with `+n` or `-n` behind it. A mistake in a text
//! panics with the word: the texts are part of the test.

use mizan_wire::{
    Account, AccountFlags as A, CREATED, CreateAccountStatus, CreateCode, CreateLedger,
    CreateTransferStatus, Operation, RegistryStatus, Status, Transfer, TransferFlags as F,
    write_name,
};
use zerocopy::{FromZeros, IntoBytes};

/// An event of one of the four creates.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Record {
    Account(Account),
    Transfer(Transfer),
    Ledger(CreateLedger),
    Code(CreateCode),
}

impl Record {
    /// An event of the kind with all fields zero.
    pub(crate) fn zeroed(kind: &str) -> Self {
        match kind {
            "account" => Self::Account(Account::default()),
            "transfer" => Self::Transfer(Transfer::default()),
            "ledger" => Self::Ledger(CreateLedger::new_zeroed()),
            "code" => Self::Code(CreateCode::new_zeroed()),
            _ => panic!("no record is called {kind:?}"),
        }
    }

    pub(crate) fn operation(&self) -> Operation {
        match self {
            Self::Account(_) => Operation::CreateAccounts,
            Self::Transfer(_) => Operation::CreateTransfers,
            Self::Ledger(_) => Operation::CreateLedgers,
            Self::Code(_) => Operation::CreateCodes,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Account(account) => account.as_bytes(),
            Self::Transfer(transfer) => transfer.as_bytes(),
            Self::Ledger(ledger) => ledger.as_bytes(),
            Self::Code(code) => code.as_bytes(),
        }
    }

    /// Changes the fields that the text names.
    pub(crate) fn set_all(&mut self, text: &str) {
        for word in text.split_whitespace() {
            let (field, value) =
                word.split_once('=').unwrap_or_else(|| panic!("{word:?} is no field=value"));
            match self {
                Self::Account(account) => set_account(account, field, value),
                Self::Transfer(transfer) => set_transfer(transfer, field, value),
                Self::Ledger(ledger) => set_ledger(ledger, field, value),
                Self::Code(code) => set_code(code, field, value),
            }
        }
    }
}

fn set_account(account: &mut Account, field: &str, value: &str) {
    match field {
        "id" => account.id = number(value),
        "debits_pending" => account.debits_pending = number(value),
        "debits_posted" => account.debits_posted = number(value),
        "credits_pending" => account.credits_pending = number(value),
        "credits_posted" => account.credits_posted = number(value),
        "user_data_128" => account.user_data_128 = number(value),
        "user_data_64" => account.user_data_64 = narrow(value),
        "user_data_32" => account.user_data_32 = narrow(value),
        "reserved" => account.reserved = narrow(value),
        "ledger" => account.ledger = narrow(value),
        "code" => account.code = narrow(value),
        "flags" => account.flags = flags(value, &ACCOUNT_FLAGS),
        "timestamp" => account.timestamp = narrow(value),
        _ => panic!("an account has no field {field:?}"),
    }
}

fn set_transfer(transfer: &mut Transfer, field: &str, value: &str) {
    match field {
        "id" => transfer.id = number(value),
        "dr" => transfer.debit_account_id = number(value),
        "cr" => transfer.credit_account_id = number(value),
        "amount" => transfer.amount = number(value),
        "pending_id" => transfer.pending_id = number(value),
        "user_data_128" => transfer.user_data_128 = number(value),
        "user_data_64" => transfer.user_data_64 = narrow(value),
        "user_data_32" => transfer.user_data_32 = narrow(value),
        "timeout" => transfer.timeout = narrow(value),
        "ledger" => transfer.ledger = narrow(value),
        "code" => transfer.code = narrow(value),
        "flags" => transfer.flags = flags(value, &TRANSFER_FLAGS),
        "timestamp" => transfer.timestamp = narrow(value),
        _ => panic!("a transfer has no field {field:?}"),
    }
}

fn set_ledger(ledger: &mut CreateLedger, field: &str, value: &str) {
    match field {
        "ledger" => ledger.ledger = narrow(value),
        "scale" => ledger.scale = narrow(value),
        "reserved" => ledger.reserved = [narrow(value); 3],
        "reserved_2" => ledger.reserved_2 = [narrow(value); 12],
        "reserved_3" => ledger.reserved_3 = [narrow(value); 24],
        "currency" => ledger.currency = write_name(value).expect("the currency fits"),
        "name" => ledger.name = write_name(value).expect("the name fits"),
        "timestamp" => ledger.timestamp = narrow(value),
        _ => panic!("a ledger has no field {field:?}"),
    }
}

fn set_code(code: &mut CreateCode, field: &str, value: &str) {
    match field {
        "code" => code.code = narrow(value),
        "class" => code.class = narrow(value),
        "reserved" => code.reserved = [narrow(value); 29],
        "reserved_2" => code.reserved_2 = [narrow(value); 24],
        "name" => code.name = write_name(value).expect("the name fits"),
        "timestamp" => code.timestamp = narrow(value),
        _ => panic!("a code has no field {field:?}"),
    }
}

const ACCOUNT_FLAGS: [(&str, u16); 6] = [
    ("linked", A::LINKED),
    ("debits_limited", A::DEBITS_MUST_NOT_EXCEED_CREDITS),
    ("credits_limited", A::CREDITS_MUST_NOT_EXCEED_DEBITS),
    ("history", A::HISTORY),
    ("imported", A::IMPORTED),
    ("closed", A::CLOSED),
];

const TRANSFER_FLAGS: [(&str, u16); 9] = [
    ("linked", F::LINKED),
    ("pending", F::PENDING),
    ("post", F::POST_PENDING),
    ("void", F::VOID_PENDING),
    ("balancing_debit", F::BALANCING_DEBIT),
    ("balancing_credit", F::BALANCING_CREDIT),
    ("closing_debit", F::CLOSING_DEBIT),
    ("closing_credit", F::CLOSING_CREDIT),
    ("imported", F::IMPORTED),
];

fn flags(text: &str, names: &[(&str, u16)]) -> u16 {
    let bit = |word: &str| match word {
        "none" => 0,
        "reserved" => 1 << 15,
        _ => {
            let found = names.iter().find(|(name, _)| *name == word);
            found.unwrap_or_else(|| panic!("no flag is called {word:?}")).1
        }
    };
    text.split('|').map(bit).sum()
}

/// A number as the texts write it.
pub(crate) fn number(text: &str) -> u128 {
    if let Some((base, offset)) = text.split_once('+') {
        return number(base) + number(offset);
    }
    if let Some((base, offset)) = text.split_once('-') {
        return number(base) - number(offset);
    }
    if text == "max" {
        return u128::MAX;
    }
    if let Some(exponent) = text.strip_prefix("2^") {
        return 1 << exponent.parse::<u32>().expect("an exponent");
    }
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

fn narrow<N: TryFrom<u128>>(text: &str) -> N {
    N::try_from(number(text)).unwrap_or_else(|_| panic!("{text:?} does not fit its field"))
}

/// The status's number from the name that it has in the operation's table.
pub(crate) fn status_number(operation: Operation, name: &str) -> u32 {
    let row = table(operation).into_iter().find(|(_, found)| *found == name);
    row.unwrap_or_else(|| panic!("{} has no status {name:?}", operation.name())).0
}

/// The status's name in the operation's table, and its place in the order of precedence.
pub(crate) fn status_place(operation: Operation, number: u32) -> (usize, &'static str) {
    let table = table(operation);
    let place = table.iter().position(|(found, _)| *found == number);
    let place = place.unwrap_or_else(|| panic!("{} has no {number}", operation.name()));
    (place, table[place].1)
}

/// Number and name of every status of an operation, in the order of precedence.
pub(crate) fn table(operation: Operation) -> Vec<(u32, &'static str)> {
    match operation {
        Operation::CreateAccounts => rows::<CreateAccountStatus>(),
        Operation::CreateTransfers => rows::<CreateTransferStatus>(),
        _ => rows::<RegistryStatus>(),
    }
}

fn rows<S: Status>() -> Vec<(u32, &'static str)> {
    let rows = S::PRECEDENCE.iter().map(|status| (status.number(), status.name()));
    assert!(rows.clone().any(|(number, _)| number == CREATED), "a table without success");
    rows.collect()
}
