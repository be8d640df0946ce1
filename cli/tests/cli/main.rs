//! The command line against a real node in the same process: what people see, and what scripts see.

mod export;
mod hostile;
mod import;
mod names;
mod node;
mod orders;
mod rights;
mod simulation;
mod verbs;
