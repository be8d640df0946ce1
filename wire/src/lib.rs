//! Records, operations, statuses, limits and the codecs of the native protocol.
#![forbid(unsafe_code)]
