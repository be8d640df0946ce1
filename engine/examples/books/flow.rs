//! The messages: about two million for a million new orders, of which 15 % are immediate-or-cancel; of the others 20 %
//! are modified and 95 % cancelled, 2 % of those twice. Lives end after up to 40,000 further orders, so that some
//! tens of thousands rest at any time. Compiled into the comparison with other books, too (`bench/peers`).

use mizan_engine::books::Book;
use mizan_wire::orders::{
    AmendOrder, BookCommand, CancelOrder, NewOrder, OrderHandle, OrderKind, OrderReport, SLOT_NONE,
    SelfTrade, Side, TimeInForce,
};

const NEW_ORDERS: usize = 1_000_000;
const LIFE_MAX: u64 = 40_000;
const MID: u64 = 100_000;
const OWNERS: u64 = 1_000;

/// How the middle of the market moves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scenario {
    /// Not at all.
    Static,
    /// Up and down by 500 ticks, 20 times.
    Swinging,
    /// Down by 30 % within 20,000 orders, and back within 100,000; twice.
    FlashCrash,
    /// A random walk.
    Drifting,
    /// Not at all, but prices lie within 20,000 ticks on each side: every level is thin.
    Wide,
}

impl Scenario {
    pub(crate) const ALL: [Self; 5] =
        [Self::Static, Self::Swinging, Self::FlashCrash, Self::Drifting, Self::Wide];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Swinging => "swinging",
            Self::FlashCrash => "flash-crash",
            Self::Drifting => "drifting",
            Self::Wide => "wide",
        }
    }

    fn middle(self, order: u64, before: u64, random: &mut Random) -> u64 {
        match self {
            Self::Static | Self::Wide => MID,
            Self::Swinging => {
                let phase = order % 50_000;
                MID - 250 + phase.min(50_000 - phase) / 50
            }
            Self::FlashCrash => {
                let phase = order % 500_000;
                let depth = match phase {
                    200_000..220_000 => (phase - 200_000) * 3 / 2,
                    220_000..320_000 => (320_000 - phase) * 3 / 10,
                    _ => 0,
                };
                MID - depth
            }
            Self::Drifting => before + random.below(3) - 1,
        }
    }
}

/// What modified orders get.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Amends {
    /// Half of them fewer lots in their place, the others another price.
    Any,
    /// Another price, or more lots: nobody keeps a place in time, so that a book without amends may cancel and enter anew.
    LosingTheirPlace,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verb {
    New,
    Immediate,
    Amend,
    Cancel,
}

/// One message, as compact as a gateway would hand it over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) number: u64,
    pub(crate) price: u64,
    pub(crate) quantity: u32,
    pub(crate) owner: u32,
    pub(crate) slot: u32,
    side: Side,
    verb: Verb,
}

const _: () = assert!(size_of::<Message>() == 32);

impl Message {
    #[inline]
    pub(crate) fn command(&self) -> BookCommand {
        let handle = OrderHandle { number: self.number, slot: self.slot };
        match self.verb {
            Verb::New | Verb::Immediate => BookCommand::Submit(NewOrder {
                budget: 0,
                price: self.price,
                stop_price: 0,
                quantity: self.quantity.into(),
                expires_ns: 0,
                owner: self.owner,
                tag: 0,
                side: self.side,
                kind: OrderKind::Limit,
                time_in_force: match self.verb {
                    Verb::New => TimeInForce::GoodTillCancelled,
                    _ => TimeInForce::ImmediateOrCancel,
                },
                self_trade: SelfTrade::Allow,
                is_post_only: false,
            }),
            Verb::Amend => BookCommand::Amend(AmendOrder {
                handle,
                owner: self.owner,
                price: self.price,
                stop_price: 0,
                quantity: self.quantity.into(),
            }),
            Verb::Cancel => BookCommand::Cancel(CancelOrder { handle, owner: self.owner }),
        }
    }
}

pub(crate) struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * u128::from(bound)) >> 64) as u64
    }

    fn is_one_of_hundred(&mut self, chances: u64) -> bool {
        self.below(100) < chances
    }

    /// Small numbers are common, large ones rare: half of them are below 8 ticks, 1 in 16 above 60.
    fn offset(&mut self, scenario: Scenario) -> u64 {
        match scenario {
            Scenario::Wide => self.below(20_000),
            _ => {
                let doublings = self.below(1 << 6).trailing_zeros().min(5);
                self.below(8 << doublings)
            }
        }
    }
}

/// Makes the messages; `book` is a fresh one, which tells where orders will stand.
pub(crate) fn make_messages(scenario: Scenario, amends: Amends, mut book: Book) -> Vec<Message> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut messages: Vec<Message> = Vec::with_capacity(NEW_ORDERS * 2 + NEW_ORDERS / 8);
    // Messages that are due with a later order: a wheel of lists.
    let mut later: Vec<Vec<Message>> = vec![Vec::new(); LIFE_MAX as usize + 1];
    let mut reports: Vec<OrderReport> = Vec::new();
    let mut middle = MID;
    for order in 0..NEW_ORDERS as u64 {
        middle = scenario.middle(order, middle, &mut random);
        let mut message = new_message(scenario, order, middle, &mut random);
        reports.clear();
        book.apply(&message.command(), &mut reports);
        messages.push(message);
        if message.verb == Verb::New {
            assert_eq!(reports[0].number, message.number, "every order is accepted");
            message.slot = reports[0].slot;
            plan_life(&message, order, amends, &mut later, &mut random);
        }
        let due = std::mem::take(&mut later[(order % (LIFE_MAX + 1)) as usize]);
        for message in due {
            reports.clear();
            book.apply(&message.command(), &mut reports);
            messages.push(message);
        }
    }
    messages
}

fn new_message(scenario: Scenario, order: u64, middle: u64, random: &mut Random) -> Message {
    let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
    let is_immediate = random.is_one_of_hundred(15);
    let offset = random.offset(scenario);
    // An immediate order reaches for the other side, and 1 in 20 of the others does, too.
    let crosses = is_immediate || random.is_one_of_hundred(5);
    let price = match (side, crosses) {
        (Side::Buy, false) => middle - 1 - offset,
        (Side::Sell, false) => middle + 1 + offset,
        (Side::Buy, true) => middle + offset.min(20),
        (Side::Sell, true) => middle - offset.min(20),
    };
    Message {
        number: order + 1,
        price,
        quantity: 1 + random.below(100) as u32,
        owner: random.below(OWNERS) as u32,
        slot: SLOT_NONE,
        side,
        verb: if is_immediate { Verb::Immediate } else { Verb::New },
    }
}

/// Decides when an order is modified and cancelled.
fn plan_life(
    message: &Message,
    order: u64,
    amends: Amends,
    later: &mut [Vec<Message>],
    random: &mut Random,
) {
    let wheel = LIFE_MAX + 1;
    let end = 2 + random.below(LIFE_MAX - 4);
    if random.is_one_of_hundred(20) {
        let at = order + 1 + random.below(end - 1);
        let is_smaller = random.below(2) == 0;
        let mut amended = Message { verb: Verb::Amend, ..*message };
        if is_smaller && amends == Amends::Any {
            amended.quantity = (message.quantity / 2).max(1);
        } else {
            amended.price = message.price - 5 + random.below(11);
        }
        if amends == Amends::LosingTheirPlace && amended.price == message.price {
            amended.quantity += 1;
        }
        later[(at % wheel) as usize].push(amended);
    }
    if random.is_one_of_hundred(95) {
        let cancel = Message { verb: Verb::Cancel, ..*message };
        let at = ((order + end) % wheel) as usize;
        later[at].push(cancel);
        if random.is_one_of_hundred(2) {
            later[at].push(cancel);
        }
    }
}
