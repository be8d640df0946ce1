//! The naive order book: the oracle of the engine's books.
//!
//! It keeps its orders in plain vectors, sorts them whenever one is added, and looks at all of them whenever it needs
//! one. Whether a fill-or-kill order can be filled it finds out by trying on a copy of the book. It was written from
//! the rules and shares nothing with the engine but the records of `mizan_wire::orders`.
//!
//! Its orders have no places: the slot of every report is `SLOT_NONE`, and orders are found by their numbers.

mod book;
mod checks;
mod commands;
mod matching;

pub use book::{ModelBook, ModelOrder};
