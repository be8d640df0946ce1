//! Ingress: sockets, buffers, sessions in flight.
#![forbid(unsafe_code)]
