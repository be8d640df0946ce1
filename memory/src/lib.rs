//! Prefetch and pre-touched arenas: the few things about memory that safe Rust cannot say.
#![forbid(unsafe_code)]
