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
/// Batches that a client may be told to keep in flight at the most; a node's window is smaller.
pub const IN_FLIGHT_MAX: u32 = 1 << 20;
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
/// In a closed loop a look at the clock holds for so many events, which is a few microseconds: each look costs as much as
/// a fifth of a request.
pub const CLOCK_EVENTS_MAX: u32 = 16;
/// Pause between two reports of progress.
pub const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// How long a request of the run may stay unanswered: crash tests restart the node meanwhile.
pub const REQUEST_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// The longest run that may be asked for: its intended times are counted in 64 bits of nanoseconds.
pub const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Events per second that may be asked for at the most.
pub const RATE_MAX: u64 = 1_000_000_000;
/// Transfers of a chain; a batch's last chain may be shorter.
pub const CHAIN_LENGTH: usize = 4;
/// One of so many chains fails, as a whole and on purpose.
pub const CHAIN_FAILS_EVERY: u64 = 8;
/// Of so many holds one is posted in part, one is voided, one stays open, and the others are posted.
pub const HOLD_CYCLE: u64 = 8;
/// Time-ordered ids give each millisecond of their time so many ids.
pub const IDS_PER_MILLISECOND: u64 = 1_000;
/// The first width of the timeline's slots; it doubles whenever a run fills them all.
pub const TIMELINE_SLOT_FIRST: Duration = Duration::from_millis(10);
/// Slots of a timeline at the most.
pub const TIMELINE_SLOTS_MAX: usize = 256;
/// Timer slack of a driver that keeps a schedule: the kernel's default is 50 us, which would count as latency.
pub const TIMER_SLACK_NS: u64 = 1_000;
/// Bytes of frames that the raw measurement sends over and over.
pub const LOOPBACK_FRAMES_SIZE: usize = 4 * 1024 * 1024;
/// Bytes that the raw measurement moves at the most; more would not change its rate.
pub const LOOPBACK_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Bytes that the raw measurement's receiver reads at once.
pub const LOOPBACK_READ_SIZE: usize = 256 * 1024;
/// Looks at the sockets in vain before the raw receiver blocks, as a server does whose being woken would cost its clients.
pub const LOOPBACK_IDLE_ROUNDS_MAX: u32 = 1_000;
/// How long the raw measurement may stand still before it is given up.
pub const LOOPBACK_PATIENCE: Duration = Duration::from_secs(10);

/// Instruments of an order workload unless told otherwise.
pub const INSTRUMENTS_DEFAULT: u32 = 1;
/// Instruments of an order workload at the most.
pub const INSTRUMENTS_MAX: u32 = 1_000;
/// With fewer traders in a book most orders would meet their own.
pub const TRADERS_PER_INSTRUMENT_MIN: u64 = 4;
/// Batches of new orders in a cycle of the order flow; also: one order of so many takes instead of resting.
pub const ORDERS_PER_CYCLE: u64 = 10;
/// Batches of amends in a cycle.
pub const AMENDS_PER_CYCLE: u64 = 2;
/// Batches of cancels in a cycle: all orders that do not take.
pub const CANCELS_PER_CYCLE: u64 = 9;
/// About so many orders rest in all books together, or one cycle of orders if that is more.
pub const OPEN_ORDERS_AIM: u64 = 16_384;
/// Requests in flight per client that a cancel of several clients allows for at the most.
pub const ORDER_IN_FLIGHT_LAG_MAX: u32 = 16;
/// Prices lie around this, in ticks.
pub const PRICE_MIDDLE: u64 = 10_000;
/// Prices are 1 to this many ticks away from the middle.
pub const ORDER_DISTANCE_MAX: u64 = 40;
/// Orders are for 1 to this many lots.
pub const ORDER_QUANTITY_MAX: u64 = 10;
/// Price levels that a book of the flow needs, and some more.
pub const ORDER_LEVELS_MAX: u32 = 256;
/// Quote units of one tick times one lot.
pub const QUOTE_PER_TICK_LOT: u64 = 10;
/// What takers pay, in basis points of the money.
pub const TAKER_FEE_BPS: i16 = 10;
/// Each account of a trader begins with so much, which no run can spend.
pub const TRADER_FUNDS: u128 = 1 << 60;
