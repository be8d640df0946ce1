//! The command line against a real node in the same process: what people see, and what scripts see.

mod amounts;
mod export;
mod hints;
mod hostile;
mod import;
mod import_files;
mod import_hazards;
mod import_rejects;
mod import_state;
mod import_state_files;
mod names;
mod node;
mod orders;
mod sessions;
mod simulation;
mod verbs;
