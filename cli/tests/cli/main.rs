//! The command line against a real node in the same process: what people see, and what scripts see.

mod import;
mod node;
mod simulation;
mod verbs;
