//! The one binary of Mizan.
#![forbid(unsafe_code)]
