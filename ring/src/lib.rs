//! The lock-free ring: span claims, cursors, gates, poisoning.
#![forbid(unsafe_code)]
