//! Whole runs against a little ledger, which is right or wrong in ways that are asked for.

mod ledger;
mod mixes;
mod open_loop;
mod page;
mod runs;
