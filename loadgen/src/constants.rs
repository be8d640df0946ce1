//! Every limit and default of the load generator, in one place.

use std::time::Duration;

/// Accounts of a run unless told otherwise.
pub const ACCOUNTS_DEFAULT: u64 = 10_000;
/// Transfers of a run unless told otherwise.
pub const TRANSFERS_DEFAULT: u64 = 1_000_000;
/// Batches that a client keeps in flight unless told otherwise.
pub const IN_FLIGHT_DEFAULT: u32 = 2;
/// Accounts of a run at the most: they are drawn with 32 bits.
pub const ACCOUNTS_MAX: u64 = 1 << 32;
/// Clients of a run at the most.
pub const CLIENTS_MAX: u32 = 1_024;
/// Amounts are drawn from 1 to this, in the smallest unit.
pub const AMOUNT_MAX: u64 = 1_000;

/// The shortest latency that a histogram tells apart from none.
pub const LATENCY_US_MIN: u64 = 1;
/// The longest latency that a histogram keeps; longer ones count as this.
pub const LATENCY_US_MAX: u64 = 100_000_000;
/// Decimal digits of a latency that a histogram keeps.
pub const LATENCY_DIGITS: u8 = 3;

/// The longest wait of a driver that has several clients: their own timers are not known to it.
pub const DRIVER_WAIT_MAX: Duration = Duration::from_millis(5);
/// Pause between two reports of progress.
pub const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// How long a request of the run may stay unanswered: crash tests restart the node meanwhile.
pub const REQUEST_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
