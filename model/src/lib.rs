//! The slow, obvious second implementation of the ledger: the oracle.
#![forbid(unsafe_code)]
