//! The book that everybody writes first: ordered maps of queues, and a hash map from orders to where they stand.
//!
//! It does only what this flow needs: limit and immediate orders, cancels, and amends.

use crate::Matcher;
use crate::flow::Message;
use mizan_engine::books::ReportSink;
use mizan_wire::orders::{
    BookCommand, CancelReason, NewOrder, OrderReject, OrderReport, ReportKind, Side, TimeInForce,
};
use std::collections::{BTreeMap, HashMap, VecDeque};

#[derive(Clone, Copy)]
struct Resting {
    number: u64,
    owner: u32,
    open: u64,
}

#[derive(Clone, Copy)]
struct Place {
    side: Side,
    price: u64,
    total: u64,
    filled: u64,
}

#[derive(Default)]
pub(crate) struct PlainBook {
    bids: BTreeMap<u64, VecDeque<Resting>>,
    asks: BTreeMap<u64, VecDeque<Resting>>,
    places: HashMap<u64, Place>,
    number_last: u64,
}

impl PlainBook {
    fn side(&mut self, side: Side) -> &mut BTreeMap<u64, VecDeque<Resting>> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    fn take_out(&mut self, number: u64) -> Option<(Place, u64)> {
        let place = self.places.remove(&number)?;
        let levels = self.side(place.side);
        let queue = levels.get_mut(&place.price)?;
        let index = queue.iter().position(|resting| resting.number == number)?;
        let open = queue.remove(index)?.open;
        if queue.is_empty() {
            levels.remove(&place.price);
        }
        Some((place, open))
    }

    /// Trades as far as the price allows; gives what is left.
    fn take<S: ReportSink>(
        &mut self,
        taker: &Resting,
        side: Side,
        price: u64,
        sink: &mut S,
    ) -> u64 {
        let mut open = taker.open;
        while open > 0 {
            let levels = match side {
                Side::Buy => &mut self.asks,
                Side::Sell => &mut self.bids,
            };
            let mut entry = match side {
                Side::Buy => levels.first_entry(),
                Side::Sell => levels.last_entry(),
            };
            let Some(best) = entry.as_mut() else { break };
            let best_price = *best.key();
            let is_within = match side {
                Side::Buy => best_price <= price,
                Side::Sell => best_price >= price,
            };
            if !is_within {
                break;
            }
            let queue = best.get_mut();
            while let Some(maker) = queue.front_mut().filter(|_| open > 0) {
                let quantity = open.min(maker.open);
                open -= quantity;
                maker.open -= quantity;
                sink.report(&OrderReport {
                    number: maker.number,
                    counterparty: taker.number,
                    price: best_price,
                    quantity,
                    open: maker.open,
                    owner: maker.owner,
                    counterparty_owner: taker.owner,
                    kind: ReportKind::Trade as u8,
                    ..OrderReport::default()
                });
                if maker.open == 0 {
                    self.places.remove(&maker.number);
                    queue.pop_front();
                } else if let Some(place) = self.places.get_mut(&maker.number) {
                    place.filled += quantity;
                }
            }
            if queue.is_empty()
                && let Some(entry) = entry
            {
                entry.remove();
            }
        }
        open
    }

    fn rest(&mut self, resting: Resting, place: Place) {
        self.side(place.side).entry(place.price).or_default().push_back(resting);
        self.places.insert(resting.number, place);
    }

    fn submit<S: ReportSink>(&mut self, new: &NewOrder, sink: &mut S) {
        self.number_last += 1;
        let taker = Resting { number: self.number_last, owner: new.owner, open: new.quantity };
        sink.report(&report(ReportKind::Accepted, taker.number, new.quantity));
        let open = self.take(&taker, new.side, new.price, sink);
        if open == 0 {
            return;
        }
        if new.time_in_force == TimeInForce::ImmediateOrCancel {
            sink.report(&report(ReportKind::Cancelled, taker.number, open));
            return;
        }
        let filled = new.quantity - open;
        let place = Place { side: new.side, price: new.price, total: new.quantity, filled };
        self.rest(Resting { open, ..taker }, place);
    }

    fn amend<S: ReportSink>(&mut self, message: &Message, sink: &mut S) {
        let (number, total) = (message.number, u64::from(message.quantity));
        let Some(place) = self.places.get(&number).copied() else {
            sink.report(&OrderReport::rejected(
                OrderReject::OrderUnknown,
                number,
                message.owner,
                0,
            ));
            return;
        };
        if message.price == place.price && total <= place.total && total > place.filled {
            let lost = place.total - total;
            let queue = self.side(place.side).get_mut(&place.price);
            let found = queue.and_then(|queue| queue.iter_mut().find(|one| one.number == number));
            if let Some(resting) = found {
                resting.open -= lost;
            }
            self.places.insert(number, Place { total, ..place });
            sink.report(&report(ReportKind::Reduced, number, lost));
            return;
        }
        self.take_out(number);
        if total <= place.filled {
            sink.report(&report(ReportKind::Cancelled, number, place.total - place.filled));
            return;
        }
        sink.report(&report(ReportKind::Replaced, number, total));
        let taker = Resting { number, owner: message.owner, open: total - place.filled };
        let open = self.take(&taker, place.side, message.price, sink);
        if open > 0 {
            let place = Place { price: message.price, total, filled: total - open, ..place };
            self.rest(Resting { open, ..taker }, place);
        }
    }
}

fn report(kind: ReportKind, number: u64, quantity: u64) -> OrderReport {
    OrderReport { number, quantity, kind: kind as u8, ..OrderReport::default() }
}

impl Matcher for PlainBook {
    fn look_ahead(&self, _: &Message) {}

    fn execute<S: ReportSink>(&mut self, message: &Message, sink: &mut S) {
        match message.command() {
            BookCommand::Submit(new) => self.submit(&new, sink),
            BookCommand::Amend(_) => self.amend(message, sink),
            BookCommand::Cancel(cancel) => {
                let number = cancel.handle.number;
                match self.take_out(number) {
                    Some((_, open)) => {
                        let cancelled = report(ReportKind::Cancelled, number, open);
                        let reason = CancelReason::Requested as u16;
                        sink.report(&OrderReport { reason, ..cancelled });
                    }
                    None => {
                        let reason = OrderReject::OrderUnknown;
                        sink.report(&OrderReport::rejected(reason, number, cancel.owner, 0));
                    }
                }
            }
            _ => unreachable!("invariant: the flow has no other commands"),
        }
    }
}
