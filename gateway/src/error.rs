//! What can go wrong with the gateway itself. What clients do wrong is a status on the wire instead.

use std::net::SocketAddr;
use thiserror::Error;

/// Why a gateway could not be opened, or not go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The address is not to be had.
    #[error("cannot listen on {address}: {source}; choose another address, or stop what uses it")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Waiting for sockets failed.
    #[error("waiting for sockets failed while {doing}: {source}")]
    Wait {
        /// What the gateway was about to do.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A value of the configuration is outside its limits.
    #[error("gateway option {option} is {value}, but must be {least} to {most}")]
    Option {
        /// The field of [`crate::GatewayConfig`].
        option: &'static str,
        /// What it was set to.
        value: usize,
        /// Smallest value allowed.
        least: usize,
        /// Largest value allowed.
        most: usize,
    },
}
