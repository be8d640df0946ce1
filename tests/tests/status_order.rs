//! The order of statuses, proved by one table per operation, asked of the engine and of the model.
//!
//! Each walk begins with an event in which everything is wrong that can be wrong at once. Every row takes away the one
//! fault that the row before it was told of, and the answer moves on to the next status of the table. The rows'
//! language is described in `ledger_cases/script.rs`.

mod ledger_cases {
    pub(crate) mod record;
    pub(crate) mod reply;
    pub(crate) mod requests;
    pub(crate) mod script;
    pub(crate) mod subject;
}

use ledger_cases::record::table;
use ledger_cases::requests::small_genesis;
use ledger_cases::script::{Reached, run};
use ledger_cases::subject::EngineSubject;
use mizan_model::Model;
use mizan_wire::{Genesis, Operation};
use std::collections::BTreeSet;

const ACCOUNTS: &str = "
    clock 1000
    account id=1 flags=imported timestamp=5 ledger=1 code=1 user_data_128=7 user_data_64=8 user_data_32=9 -> created

    with account id=0 flags=linked      # a chain that breaks before the walk's event ends it
    walk account id=0 reserved=1 flags=imported|debits_limited|credits_limited|reserved debits_pending=1 debits_posted=1 credits_pending=1 credits_posted=1 -> linked_event_failed
    with account id=0                   # an ordinary event makes the request an ordinary one
    fix                                                -> imported_event_not_expected
    alone
    fix                                                -> imported_event_timestamp_out_of_range
    fix timestamp=2^63                                 -> imported_event_timestamp_out_of_range
    fix timestamp=2^63-1                               -> imported_event_timestamp_must_not_advance
    fix timestamp=5                                    -> reserved_field
    fix reserved=0                                     -> reserved_flag
    fix flags=imported|debits_limited|credits_limited  -> id_must_not_be_zero
    fix id=max                                         -> id_must_not_be_int_max
    fix id=max-2^113+1                                 -> id_reserved
    fix id=1                                           -> exists_with_different_flags
    fix flags=imported                                 -> exists_with_different_user_data_128
    fix user_data_128=7                                -> exists_with_different_user_data_64
    fix user_data_64=8                                 -> exists_with_different_user_data_32
    fix user_data_32=9                                 -> exists_with_different_ledger
    fix ledger=1                                       -> exists_with_different_code
    fix code=1                                         -> exists
    fix id=2 flags=imported|debits_limited|credits_limited ledger=0 code=0 -> flags_are_mutually_exclusive
    fix flags=imported|debits_limited                  -> debits_pending_must_be_zero
    fix debits_pending=0                               -> debits_posted_must_be_zero
    fix debits_posted=0                                -> credits_pending_must_be_zero
    fix credits_pending=0                              -> credits_posted_must_be_zero
    fix credits_posted=0                               -> ledger_must_not_be_zero
    fix ledger=2                                       -> code_must_not_be_zero
    fix code=1                                         -> imported_event_timestamp_must_not_regress
    fix timestamp=6                                    -> ledgers_full      # this node has one ledger
    fix ledger=1                                       -> created

    with account flags=imported         # an imported event makes the request an imported one
    walk account timestamp=1 reserved=1 flags=reserved -> imported_event_expected
    alone
    fix                                                -> timestamp_must_be_zero
    fix timestamp=0                                    -> reserved_field

    with account id=0
    walk account flags=linked|imported                 -> linked_event_chain_open
    fix flags=imported                                 -> imported_event_not_expected

    # The last event of an open chain is told so, even if the chain had broken before.
    account id=30 flags=linked ledger=1 code=1         -> linked_event_failed
    & id=31 flags=linked ledger=0                      -> ledger_must_not_be_zero
    & id=32 flags=linked ledger=1 code=1               -> linked_event_failed
    & id=33 flags=linked ledger=1 code=1               -> linked_event_chain_open

    # What was undone is free again, and the chain's end is where an event is not linked.
    account id=30 flags=linked ledger=1 code=1         -> created
    & id=31 ledger=1 code=1                            -> created
    & id=32 ledger=0                                   -> ledger_must_not_be_zero
";

const ACCOUNTS_FULL: &str = "
    clock 1000
    account id=1 ledger=1 code=1 -> created
    walk account id=0 flags=debits_limited|credits_limited debits_pending=1 -> id_must_not_be_zero
    fix id=1                                           -> exists_with_different_flags
    fix flags=none                                     -> exists_with_different_ledger
    fix ledger=1 code=1                                -> exists
    fix id=2 flags=debits_limited|credits_limited      -> accounts_full
";

const TRANSFERS: &str = "
    clock 1000
    account id=1 ledger=1 code=1                       -> created
    & id=2 ledger=1 code=1                             -> created
    & id=3 ledger=2 code=1                             -> created
    & id=6 ledger=1 code=1 flags=closed                -> created
    & id=7 ledger=1 code=1 flags=closed                -> created
    & id=20 ledger=1 code=1                            -> created
    & id=21 ledger=1 code=1                            -> created
    & id=22 ledger=1 code=1                            -> created
    & id=23 ledger=1 code=1                            -> created
    & id=24 ledger=1 code=1 flags=debits_limited       -> created
    & id=25 ledger=1 code=1 flags=credits_limited      -> created
    & id=26 ledger=1 code=1                            -> created
    & id=27 ledger=1 code=1                            -> created
    clock 2000
    transfer id=100 dr=1 cr=2 amount=7 ledger=1 code=1 flags=pending timeout=9 user_data_128=1 user_data_64=2 user_data_32=3 -> created
    & id=110 dr=20 cr=21 amount=2^126 ledger=1 code=1 flags=pending -> created
    & id=111 dr=20 cr=21 amount=2^126 ledger=1 code=1  -> created
    & id=112 dr=22 cr=23 amount=2^126 ledger=1 code=1  -> created
    & id=113 dr=26 cr=27 amount=2^127 ledger=1 code=1  -> created
    & id=101 dr=1 cr=99 amount=1 ledger=1 code=1       -> credit_account_not_found
    clock 5000
    account id=8 ledger=1 code=1 flags=closed          -> created
    & id=9 ledger=1 code=1 flags=closed                -> created
    clock 9000

    with transfer flags=linked
    walk transfer flags=imported|closing_debit|closing_credit|reserved pending_id=5 timeout=1 amount=max -> linked_event_failed
    with transfer
    fix                                                -> imported_event_not_expected
    alone
    fix                                                -> imported_event_timestamp_out_of_range
    fix timestamp=2^63                                 -> imported_event_timestamp_out_of_range
    fix timestamp=2^63-1                               -> imported_event_timestamp_must_not_advance
    fix timestamp=5                                    -> reserved_flag
    fix flags=imported|closing_debit|closing_credit    -> id_must_not_be_zero
    fix id=max                                         -> id_must_not_be_int_max
    fix id=max-2^113+1                                 -> id_reserved
    fix id=100                                         -> exists_with_different_flags
    fix id=101                                         -> id_already_failed
    fix id=102                                         -> debit_account_id_must_not_be_zero
    fix dr=max                                         -> debit_account_id_must_not_be_int_max
    fix dr=77                                          -> credit_account_id_must_not_be_zero
    fix cr=max                                         -> credit_account_id_must_not_be_int_max
    fix cr=77                                          -> accounts_must_be_different
    fix cr=78                                          -> pending_id_must_be_zero
    fix pending_id=0                                   -> timeout_reserved_for_pending_transfer
    fix timeout=0                                      -> closing_transfer_must_be_pending
    fix flags=imported|pending timeout=1               -> ledger_must_not_be_zero
    fix ledger=9                                       -> code_must_not_be_zero
    fix code=1                                         -> debit_account_not_found
    fix id=103 dr=8                                    -> credit_account_not_found
    fix id=104 cr=3                                    -> accounts_must_have_the_same_ledger
    fix cr=9                                           -> transfer_must_have_the_same_ledger_as_accounts
    fix ledger=1                                       -> imported_event_timestamp_must_not_regress
    fix timestamp=5000                                 -> imported_event_timestamp_must_not_regress   # that of account 8
    fix timestamp=2500                                 -> imported_event_timestamp_must_postdate_debit_account
    fix dr=6                                           -> imported_event_timestamp_must_postdate_credit_account
    fix cr=7                                           -> imported_event_timeout_must_be_zero
    fix timeout=0                                      -> debit_account_already_closed
    fix id=105 dr=1                                    -> credit_account_already_closed
    clock 9000000000000000000
    fix id=106 flags=pending timestamp=0 timeout=2^32-1 dr=20 cr=21 -> holds_full    # this node has two holds
    transfer id=200 flags=void pending_id=100          -> pending_transfer_expired
    tick
    fix                                                -> overflows_debits_pending
    fix dr=22                                          -> overflows_credits_pending
    fix cr=23                                          -> overflows_debits_posted
    fix amount=2^127 dr=20 cr=27                       -> overflows_credits_posted
    fix cr=21                                          -> overflows_debits
    fix dr=24                                          -> overflows_credits
    fix cr=25                                          -> overflows_timeout
    fix timeout=0                                      -> exceeds_credits
    fix id=107 dr=1                                    -> exceeds_debits
    fix id=108 cr=2                                    -> created

    with transfer flags=imported
    walk transfer timestamp=1 flags=reserved           -> imported_event_expected
    alone
    fix                                                -> timestamp_must_be_zero
    fix timestamp=0                                    -> reserved_flag

    with transfer
    walk transfer flags=linked|imported                -> linked_event_chain_open
    fix flags=imported                                 -> imported_event_not_expected

    # The culprit's id is burnt although its chain was undone; the ids of its victims are not.
    transfer id=300 flags=linked dr=1 cr=2 amount=1 ledger=1 code=1  -> linked_event_failed
    & id=301 flags=linked dr=24 cr=2 amount=1 ledger=1 code=1        -> exceeds_credits
    & id=302 flags=linked dr=1 cr=2 amount=1 ledger=1 code=1         -> linked_event_failed
    & id=303 flags=linked dr=1 cr=2 amount=1 ledger=1 code=1         -> linked_event_chain_open
    transfer id=300 flags=linked dr=1 cr=2 amount=1 ledger=1 code=1  -> created
    & id=302 dr=1 cr=2 amount=1 ledger=1 code=1                      -> created
    & id=301 dr=1 cr=2 amount=1 ledger=1 code=1                      -> id_already_failed
";

const TRANSFERS_FULL: &str = "
    clock 1000
    account id=1 ledger=1 code=1                       -> created
    & id=2 ledger=1 code=1                             -> created
    transfer id=10 dr=1 cr=2 amount=7 ledger=1 code=1  -> created
    & id=11 dr=1 cr=9 amount=7 ledger=1 code=1         -> credit_account_not_found
    walk transfer                                      -> id_must_not_be_zero
    fix id=10                                          -> exists_with_different_debit_account_id
    fix dr=1 cr=2 amount=7 ledger=1 code=1             -> exists
    fix id=11                                          -> id_already_failed
    fix id=12 flags=post pending_id=99 dr=0 cr=0 code=0 -> transfers_full    # it would spend the id
    fix flags=none                                     -> transfers_full
    fix pending_id=0 dr=1 cr=2 code=1                  -> transfers_full
    # The end of a hold has its own place, so what is wrong with it comes before.
    walk transfer id=12 flags=post|void                -> flags_are_mutually_exclusive
";

/// A hold needs two places, and its end none.
const TRANSFERS_NEARLY_FULL: &str = "
    clock 1000
    account id=1 ledger=1 code=1                       -> created
    & id=2 ledger=1 code=1                             -> created
    & id=6 ledger=1 code=1                             -> created
    transfer id=10 dr=1 cr=2 amount=7 ledger=1 code=1 flags=pending -> created
    & id=11 dr=1 cr=6 amount=7 ledger=1 code=1 flags=pending|closing_credit -> created
    & id=12 dr=1 cr=2 amount=7 ledger=1 code=1 flags=pending -> transfers_full
    & id=12 dr=1 cr=2 amount=7 ledger=1 code=1         -> created
    & id=13 dr=1 cr=2 amount=7 ledger=1 code=1         -> transfers_full
    & id=14 flags=post pending_id=11 amount=max        -> transfers_full    # credit_account_already_closed would spend the id
    & id=15 flags=post pending_id=99 amount=max        -> transfers_full
    & id=16 flags=void|linked pending_id=10            -> linked_event_failed
    & id=17 dr=1 cr=2 amount=7 ledger=1 code=1         -> transfers_full
    & id=14 flags=void pending_id=11                   -> created
    & id=15 flags=post pending_id=10 amount=max        -> created
    & id=18 flags=void pending_id=10                   -> pending_transfer_already_posted
";

const POST_AND_VOID: &str = "
    clock 1000
    account id=1 ledger=1 code=1                       -> created
    & id=2 ledger=1 code=1                             -> created
    & id=5 ledger=1 code=1                             -> created
    & id=6 ledger=1 code=1                             -> created
    clock 2000
    transfer id=10 dr=1 cr=2 amount=100 ledger=1 code=1 -> created
    & id=11 dr=1 cr=2 amount=100 ledger=1 code=1 flags=pending -> created
    & id=12 flags=post pending_id=11 amount=max        -> created
    & id=13 dr=1 cr=2 amount=100 ledger=1 code=1 flags=pending -> created
    & id=14 flags=void pending_id=13                   -> created
    & id=15 dr=1 cr=2 amount=100 ledger=1 code=1 flags=pending timeout=1 -> created
    & id=17 dr=5 cr=6 amount=100 ledger=1 code=1 flags=pending -> created
    & id=20 dr=5 cr=6 amount=100 ledger=1 code=1 flags=pending -> created
    & id=18 dr=5 cr=1 amount=0 ledger=1 code=1 flags=pending|closing_debit -> created
    & id=19 dr=1 cr=6 amount=0 ledger=1 code=1 flags=pending|closing_credit -> created
    clock 2000000000
    tick
    transfer id=16 dr=1 cr=2 amount=100 ledger=1 code=1 flags=pending timeout=1 -> created
    clock 4000000000

    walk transfer id=30 flags=post|void|imported timestamp=5 timeout=1 dr=77 cr=78 ledger=9 code=9 amount=max -> flags_are_mutually_exclusive
    fix flags=post|pending|imported                    -> flags_are_mutually_exclusive
    fix flags=post|balancing_debit|imported            -> flags_are_mutually_exclusive
    fix flags=void|balancing_credit|imported           -> flags_are_mutually_exclusive
    fix flags=void|closing_debit|imported              -> flags_are_mutually_exclusive
    fix flags=post|closing_credit|imported             -> flags_are_mutually_exclusive
    fix flags=void|imported                            -> pending_id_must_not_be_zero
    fix pending_id=max                                 -> pending_id_must_not_be_int_max
    fix pending_id=30                                  -> pending_id_must_be_different
    fix pending_id=31                                  -> timeout_reserved_for_pending_transfer
    fix timeout=0                                      -> pending_transfer_not_found
    fix id=32 pending_id=10                            -> pending_transfer_not_pending
    fix pending_id=11                                  -> pending_transfer_has_different_debit_account_id
    fix dr=1                                           -> pending_transfer_has_different_credit_account_id
    fix cr=0                                           -> pending_transfer_has_different_ledger
    fix ledger=0                                       -> pending_transfer_has_different_code
    fix code=1                                         -> exceeds_pending_transfer_amount
    fix amount=99                                      -> pending_transfer_has_different_amount
    fix amount=0                                       -> pending_transfer_already_posted
    fix pending_id=13                                  -> pending_transfer_already_voided
    fix pending_id=15                                  -> pending_transfer_expired    # released by the tick
    fix pending_id=16                                  -> pending_transfer_expired    # due, and not yet released
    fix pending_id=17 dr=5 flags=post|imported amount=max -> imported_event_timestamp_must_not_regress
    fix timestamp=1000                                 -> imported_event_timestamp_must_not_regress
    fix timestamp=3000000000                           -> debit_account_already_closed
    transfer id=41 flags=void pending_id=20            -> created    # closed accounts refuse no void
    transfer id=42 flags=void pending_id=18            -> created    # opens account 5 again
    clock 6000000000
    fix id=33 timestamp=5000000000                     -> credit_account_already_closed
    transfer id=43 flags=void pending_id=19            -> created
    clock 8000000000
    fix id=34 timestamp=7000000000                     -> created

    # A post takes at most what was reserved, and less if it says so.
    transfer id=50 dr=1 cr=2 amount=10 ledger=1 code=1 flags=pending -> created
    & id=51 flags=post pending_id=50 amount=11         -> exceeds_pending_transfer_amount
    & id=52 flags=post pending_id=50 amount=4          -> created
    & id=53 flags=post pending_id=50 amount=4          -> pending_transfer_already_posted
    & id=54 flags=void pending_id=50                   -> pending_transfer_already_posted
";

const EXISTING_TRANSFERS: &str = "
    clock 1000
    account id=1 ledger=1 code=1                       -> created
    & id=2 ledger=1 code=1                             -> created
    transfer id=100 dr=1 cr=2 amount=7 ledger=1 code=1 flags=pending timeout=9 user_data_128=1 user_data_64=2 user_data_32=3 -> created
    walk transfer id=100 flags=post|void pending_id=5 timeout=1 amount=max -> exists_with_different_flags
    fix flags=pending                                  -> exists_with_different_pending_id
    fix pending_id=0                                   -> exists_with_different_timeout
    fix timeout=9                                      -> exists_with_different_debit_account_id
    fix dr=1                                           -> exists_with_different_credit_account_id
    fix cr=2                                           -> exists_with_different_amount
    fix amount=7                                       -> exists_with_different_user_data_128
    fix user_data_128=1                                -> exists_with_different_user_data_64
    fix user_data_64=2                                 -> exists_with_different_user_data_32
    fix user_data_32=3                                 -> exists_with_different_ledger
    fix ledger=1                                       -> exists_with_different_code
    fix code=1                                         -> exists

    # A post that said everything itself.
    transfer id=101 flags=post pending_id=100 amount=4 user_data_128=7 user_data_64=8 user_data_32=9 -> created
    walk transfer id=101 flags=void pending_id=5 timeout=1 dr=77 cr=78 amount=max ledger=9 code=9 -> exists_with_different_flags
    fix flags=post                                     -> exists_with_different_pending_id
    fix pending_id=100                                 -> exists_with_different_timeout
    fix timeout=0                                      -> exists_with_different_debit_account_id
    fix dr=1                                           -> exists_with_different_credit_account_id
    fix cr=0                                           -> exists_with_different_amount    # max means all, which was 7
    fix amount=5                                       -> exists_with_different_amount
    fix amount=4                                       -> exists_with_different_user_data_128
    fix user_data_128=7                                -> exists_with_different_user_data_64
    fix user_data_64=8                                 -> exists_with_different_user_data_32
    fix user_data_32=9                                 -> exists_with_different_ledger
    fix ledger=0                                       -> exists_with_different_code
    fix code=1                                         -> exists

    # A void that took over what it left out.
    transfer id=110 dr=1 cr=2 amount=7 ledger=1 code=1 flags=pending user_data_128=1 user_data_64=2 user_data_32=3 -> created
    transfer id=111 flags=void pending_id=110          -> created
    walk transfer id=111 flags=void pending_id=110 dr=77 cr=78 amount=8 user_data_128=4 user_data_64=5 user_data_32=6 ledger=9 code=9 -> exists_with_different_debit_account_id
    fix dr=0                                           -> exists_with_different_credit_account_id
    fix cr=2                                           -> exists_with_different_amount
    fix amount=0                                       -> exists_with_different_user_data_128
    fix user_data_128=0                                -> exists_with_different_user_data_64
    fix user_data_64=2                                 -> exists_with_different_user_data_32
    fix user_data_32=0                                 -> exists_with_different_ledger
    fix ledger=1                                       -> exists_with_different_code
    fix code=0                                         -> exists
    fix amount=7                                       -> exists

    # A balancing transfer is stored with what it could get; asking for more is the same request, for less is not.
    transfer id=120 dr=2 cr=1 amount=100 flags=balancing_debit ledger=1 code=1 -> created
    walk transfer id=120 dr=2 cr=1 amount=3 flags=balancing_debit ledger=1 code=1 -> exists_with_different_amount
    fix amount=4                                       -> exists
    fix amount=100                                     -> exists
";

const LEDGERS: &str = "
    clock 1000
    ledger ledger=1 scale=2 currency=EUR name=euro     -> created
    account id=1 ledger=7 code=1                       -> created     # takes the second and last place
    walk ledger timestamp=1 reserved=1 ledger=0 scale=39 -> timestamp_must_be_zero
    fix timestamp=0                                    -> reserved_field
    fix reserved=0 reserved_2=1                        -> reserved_field
    fix reserved_2=0 reserved_3=1                      -> reserved_field
    fix reserved_3=0                                   -> ledger_must_not_be_zero
    fix ledger=1                                       -> exists_with_different_scale
    fix scale=2                                        -> exists_with_different_currency
    fix currency=EUR                                   -> exists_with_different_name
    fix name=euro                                      -> exists
    fix ledger=2 scale=39 currency=E$ name=\u{7}       -> scale_too_large
    fix scale=38                                       -> currency_invalid
    fix currency=                                      -> currency_invalid
    fix currency=\u{e9}                                -> currency_invalid
    fix currency=E-u.R9                                -> name_invalid
    fix name=                                          -> name_invalid
    fix name=a\u{9b}                                   -> name_invalid
    fix name=caf\u{e9}                                 -> registry_full
    fix ledger=7                                       -> created
";

const CODES: &str = "
    clock 1000
    code code=1 class=1 name=cash                      -> created
    walk code timestamp=1 reserved=1 code=0            -> timestamp_must_be_zero
    fix timestamp=0                                    -> reserved_field
    fix reserved=0 reserved_2=1                        -> reserved_field
    fix reserved_2=0                                   -> code_must_not_be_zero
    fix code=1                                         -> exists_with_different_class
    fix class=1                                        -> exists_with_different_name
    fix name=cash                                      -> exists
    fix code=2 class=0 name=                           -> class_invalid
    fix class=6                                        -> class_invalid
    fix class=5                                        -> name_invalid
    fix name=rent                                      -> registry_full
";

/// The last value that is right, and the first that is wrong.
const BOUNDARIES: &str = "
    clock 1000
    account id=1 ledger=1 code=1                       -> created
    & id=2 ledger=1 code=1                             -> created
    & id=3 ledger=1 code=1 flags=debits_limited        -> created
    & id=4 ledger=1 code=1 flags=credits_limited       -> created
    & id=5 ledger=1 code=1                             -> created
    & id=6 ledger=1 code=1                             -> created

    # Funds are what was credited, and holds count.
    transfer id=1 dr=1 cr=3 amount=10 ledger=1 code=1  -> created
    & id=2 dr=3 cr=2 amount=4 ledger=1 code=1 flags=pending -> created
    & id=3 dr=3 cr=2 amount=7 ledger=1 code=1          -> exceeds_credits
    & id=4 dr=3 cr=2 amount=6 ledger=1 code=1          -> created
    & id=5 dr=3 cr=2 amount=1 ledger=1 code=1          -> exceeds_credits
    & id=6 dr=3 cr=2 amount=0 ledger=1 code=1          -> created
    & id=7 dr=4 cr=2 amount=10 ledger=1 code=1         -> created
    & id=8 dr=1 cr=4 amount=10 ledger=1 code=1 flags=pending -> created
    & id=9 dr=1 cr=4 amount=1 ledger=1 code=1          -> exceeds_debits

    # A balance can be as large as a number can be.
    transfer id=20 dr=5 cr=6 amount=max-1 ledger=1 code=1 -> created
    & id=21 dr=5 cr=6 amount=2 ledger=1 code=1         -> overflows_debits_posted
    & id=22 dr=5 cr=6 amount=1 ledger=1 code=1 flags=pending -> created
    & id=23 dr=5 cr=6 amount=1 ledger=1 code=1 flags=pending -> overflows_debits
    & id=24 dr=1 cr=6 amount=1 ledger=1 code=1         -> overflows_credits
    & id=25 flags=post pending_id=22 amount=max        -> created
    & id=26 dr=5 cr=6 amount=0 ledger=1 code=1         -> created

    # A hold is good until the nanosecond before its time.
    clock 1000000000
    transfer id=30 dr=1 cr=2 amount=1 ledger=1 code=1 flags=pending timeout=1 -> created
    & id=31 dr=1 cr=2 amount=1 ledger=1 code=1 flags=pending timeout=1 -> created
    clock 1999999999
    transfer id=32 flags=post pending_id=30 amount=max -> created
    & id=33 flags=post pending_id=31 amount=max        -> created
    clock 3000000000
    transfer id=34 dr=1 cr=2 amount=1 ledger=1 code=1 flags=pending timeout=1 -> created
    clock 4000000000
    transfer id=35 flags=void pending_id=34            -> pending_transfer_expired
    tick
    transfer id=36 flags=void pending_id=34            -> pending_transfer_expired

    # Time ends at 2^63-1.
    clock 9223372035854775807
    transfer id=40 dr=1 cr=2 amount=1 ledger=1 code=1 flags=pending timeout=1 -> created
    & id=41 dr=1 cr=2 amount=1 ledger=1 code=1 flags=pending timeout=1 -> overflows_timeout
";

/// Runs a table on both, and gives what it reached.
fn both(genesis: &Genesis, script: &str) -> Reached {
    let reached = run::<Model>(genesis, script);
    assert_eq!(run::<EngineSubject>(genesis, script), reached);
    reached
}

fn accounts() -> Reached {
    both(&Genesis { ledger_count_max: 1, ..small_genesis() }, ACCOUNTS)
}

fn accounts_full() -> Reached {
    both(&Genesis { account_count_max: 1, ..small_genesis() }, ACCOUNTS_FULL)
}

fn transfers() -> Reached {
    both(&Genesis { hold_count_max: 2, ..small_genesis() }, TRANSFERS)
}

fn transfers_full() -> Reached {
    let genesis = Genesis { transfer_count_max: 2, hold_count_max: 2, ..small_genesis() };
    both(&genesis, TRANSFERS_FULL)
}

fn transfers_nearly_full() -> Reached {
    let genesis = Genesis { transfer_count_max: 5, hold_count_max: 3, ..small_genesis() };
    both(&genesis, TRANSFERS_NEARLY_FULL)
}

fn post_and_void() -> Reached {
    both(&small_genesis(), POST_AND_VOID)
}

fn existing_transfers() -> Reached {
    both(&small_genesis(), EXISTING_TRANSFERS)
}

fn ledgers() -> Reached {
    both(&Genesis { ledger_count_max: 2, ..small_genesis() }, LEDGERS)
}

fn codes() -> Reached {
    both(&Genesis { code_count_max: 1, ..small_genesis() }, CODES)
}

#[test]
fn an_account_is_told_the_first_status_that_applies() {
    accounts();
}

#[test]
fn an_account_that_does_not_fit_is_told_so_before_anything_else_about_itself() {
    accounts_full();
}

#[test]
fn a_transfer_is_told_the_first_status_that_applies() {
    transfers();
}

#[test]
fn a_transfer_that_does_not_fit_is_told_so_before_anything_else_about_itself() {
    transfers_full();
    transfers_nearly_full();
}

#[test]
fn a_post_or_void_is_told_the_first_status_that_applies() {
    post_and_void();
}

#[test]
fn a_repeated_transfer_is_told_the_first_difference() {
    existing_transfers();
}

#[test]
fn limits_hold_to_the_last_unit_and_the_last_nanosecond() {
    both(&small_genesis(), BOUNDARIES);
}

#[test]
fn a_ledger_is_told_the_first_status_that_applies() {
    ledgers();
}

#[test]
fn a_code_is_told_the_first_status_that_applies() {
    codes();
}

#[test]
fn every_status_of_the_tables_is_reached_by_a_row() {
    let tables = [
        accounts,
        accounts_full,
        transfers,
        transfers_full,
        transfers_nearly_full,
        post_and_void,
        existing_transfers,
        ledgers,
        codes,
    ];
    let reached: Reached = tables.iter().flat_map(|table| table()).collect();
    let statuses = |operations: &[Operation]| -> BTreeSet<u32> {
        let of = |operation: &Operation| {
            let number = operation.number();
            reached.iter().filter(move |(found, _)| *found == number).map(|(_, status)| *status)
        };
        operations.iter().flat_map(of).collect()
    };
    let registry = [Operation::CreateLedgers, Operation::CreateCodes];
    for operations in [&[Operation::CreateAccounts][..], &[Operation::CreateTransfers], &registry] {
        let reached = statuses(operations);
        // Orders are needed for that: `engine/tests/trading.rs` has them.
        let all = table(operations[0]).into_iter();
        for (number, name) in all.filter(|(_, name)| *name != "account_has_open_orders") {
            assert!(reached.contains(&number), "{}: {name} is not reached", operations[0].name());
        }
    }
}
