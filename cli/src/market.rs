//! Instruments as people name them, and prices and quantities as people write them.
//!
//! * An instrument is `BASE/QUOTE`, which must be exactly one; `BASE`, if it trades against one quote only; or a number.
//! * A price is money per unit of the base, a multiple of the tick; a quantity is units of the base, a multiple of the
//!   lot. Both are exact: nothing rounds on the way to ticks and lots.
//! * An instrument whose tick has no finite decimal has prices in ticks.
//!
//! What is absent: any opinion on what is allowed. Steps, bands and maxima are the node's to check.

use crate::error::CliError;
use crate::money::{self, DecimalMark, MoneyError};
use crate::names::{self, Ledger};
use mizan_client::Client;
use mizan_wire::amount::{AmountError, format_amount};
use mizan_wire::orders::OrderReject;
use mizan_wire::trading::{CreateInstrument, InstrumentStatus, OrderStatus};
use mizan_wire::{CreateLedger, Status};

/// Decimal places that a tick may have.
const TICK_SCALE_MAX: u8 = 18;
/// Decimal places of an average beyond those of the price.
const AVERAGE_EXTRA_SCALE: u8 = 4;

/// What a node without room for order books says to whoever would trade.
pub(crate) const NO_TRADING: &str = "this node has no order books: they are made room for at format, with `mizan format --data DIR --trading`";

/// A status that names why something was refused, and words that fit the case.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u32,
    pub(crate) text: String,
}

impl Refusal {
    pub(crate) fn new(status: impl Status, text: impl Into<String>) -> Self {
        Self { status: status.number(), text: text.into() }
    }
}

/// Why a typed price or quantity is none.
#[derive(Debug)]
pub(crate) enum Typed {
    /// The node would refuse it by name.
    Refused(Refusal),
    /// It is no number.
    Wrong(CliError),
}

impl From<Typed> for CliError {
    fn from(typed: Typed) -> Self {
        match typed {
            Typed::Refused(refusal) => refusal.into(),
            Typed::Wrong(error) => error,
        }
    }
}

impl From<Refusal> for CliError {
    fn from(refusal: Refusal) -> Self {
        let (name, _) = describe(refusal.status);
        let text = format!("{} ({name}, {})", refusal.text, refusal.status);
        Self::failed(crate::exit::of_refusal(refusal.status), text)
    }
}

/// Name and meaning of a status of trading; numbers of a later release have neither.
pub(crate) fn describe(status: u32) -> (String, &'static str) {
    let pair = |name: &'static str, meaning| (name.to_owned(), meaning);
    let order = OrderStatus::from_number(status).map(|known| pair(known.name(), known.meaning()));
    let reject =
        || OrderReject::from_number(status).map(|known| pair(known.name(), known.meaning()));
    let instrument =
        || InstrumentStatus::from_number(status).map(|known| pair(known.name(), known.meaning()));
    order.or_else(reject).or_else(instrument).unwrap_or_else(|| {
        let meaning = "This release does not know the status; use a later one.";
        (format!("status {status}"), meaning)
    })
}

/// Everything that can be traded.
pub(crate) struct Markets {
    pub(crate) ledgers: Vec<CreateLedger>,
    pub(crate) all: Vec<Market>,
    /// Whether the node has room for instruments at all.
    pub(crate) has_trading: bool,
}

impl Markets {
    /// Asks the node.
    ///
    /// # Errors
    /// The node cannot be asked.
    pub(crate) fn read(client: &mut Client) -> Result<Self, CliError> {
        let (ledgers, instruments) = (client.ledgers()?, client.get_instruments()?);
        let market = |record: &CreateInstrument| Market::new(record, &ledgers);
        let all: Vec<Market> = instruments.iter().map(market).collect();
        let has_trading = !all.is_empty() || client.engine_status()?.has_trading();
        Ok(Self { ledgers, all, has_trading })
    }

    /// The instrument that someone typed.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub(crate) fn find(&self, text: &str) -> Result<&Market, CliError> {
        let is_meant = |market: &&Market| match names::parse_number(text) {
            Some(number) => u128::from(market.record.id) == number,
            None => market.name() == text || market.base.currency == text,
        };
        let found: Vec<&Market> = self.all.iter().filter(is_meant).collect();
        match found.as_slice() {
            [market] => Ok(market),
            [] if !self.has_trading => {
                Err(Refusal::new(InstrumentStatus::TradingNotEnabled, NO_TRADING).into())
            }
            [] => {
                let known: Vec<String> = self.all.iter().map(Market::name).collect();
                let hint = if known.is_empty() {
                    "there is none yet; `mizan instrument create` makes one".to_owned()
                } else {
                    format!("there are {}", known.join(", "))
                };
                let text = format!("there is no instrument {text}: {hint}");
                Err(Refusal::new(OrderStatus::InstrumentUnknown, text).into())
            }
            several => {
                let names: Vec<String> = several
                    .iter()
                    .map(|market| format!("{} ({})", market.name(), market.record.id))
                    .collect();
                let names = names.join(", ");
                Err(CliError::Usage(format!(
                    "several instruments are called {text}: write BASE/QUOTE or a number, of {names}"
                )))
            }
        }
    }

    /// The instrument with this number.
    pub(crate) fn numbered(&self, id: u32) -> Option<&Market> {
        self.all.iter().find(|market| market.record.id == id)
    }
}

/// A number of decimal places, and how many units of the last one a tick has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Tick {
    unit: u128,
    scale: u8,
}

/// An instrument with its two ledgers.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    pub(crate) record: CreateInstrument,
    pub(crate) base: Ledger,
    pub(crate) quote: Ledger,
    /// `None` if a tick has no finite decimal.
    tick: Option<Tick>,
}

impl Market {
    pub(crate) fn new(record: &CreateInstrument, ledgers: &[CreateLedger]) -> Self {
        let base = Ledger::of_number(ledgers, record.base_ledger);
        let quote = Ledger::of_number(ledgers, record.quote_ledger);
        let tick = tick(record, base.scale, quote.scale);
        Self { record: *record, base, quote, tick }
    }

    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.base.currency, self.quote.currency)
    }

    /// Ticks of a typed price.
    ///
    /// # Errors
    /// It is no number, or no multiple of a tick.
    pub(crate) fn ticks(&self, text: &str, mark: Option<DecimalMark>) -> Result<u64, Typed> {
        let Tick { unit, scale } = self.tick.unwrap_or(Tick { unit: 1, scale: 0 });
        let off = || {
            let what = format!("price {text} is no multiple of {}", self.price_with_unit(1));
            Typed::Refused(Refusal::new(OrderReject::PriceOffTick, what))
        };
        let found = parse("price", text, (scale, mark), off)?;
        if found % unit != 0 {
            return Err(off());
        }
        u64::try_from(found / unit).map_err(|_| too_large("price", text))
    }

    /// Lots of a typed quantity.
    ///
    /// # Errors
    /// It is no number, or no multiple of a lot.
    pub(crate) fn lots(&self, text: &str, mark: Option<DecimalMark>) -> Result<u64, Typed> {
        let off = || {
            let what = format!("quantity {text} is no multiple of {}", self.quantity_with_unit(1));
            Typed::Refused(Refusal::new(OrderReject::QuantityOffLot, what))
        };
        let found = parse("quantity", text, (self.base.scale, mark), off)?;
        let lot = u128::from(self.record.base_per_lot).max(1);
        if found % lot != 0 {
            return Err(off());
        }
        u64::try_from(found / lot).map_err(|_| too_large("quantity", text))
    }

    /// A price without its currency.
    pub(crate) fn price(&self, ticks: u64) -> String {
        match self.tick {
            Some(tick) => match tick.unit.checked_mul(ticks.into()) {
                Some(value) => format_amount(value, tick.scale),
                None => format!("{ticks} ticks"),
            },
            None => ticks.to_string(),
        }
    }

    /// A price with its currency.
    pub(crate) fn price_with_unit(&self, ticks: u64) -> String {
        let unit = if self.tick.is_some() { self.quote.currency.as_str() } else { "ticks" };
        format!("{} {unit}", self.price(ticks))
    }

    /// A quantity without its unit.
    pub(crate) fn quantity(&self, lots: u64) -> String {
        let units = u128::from(lots) * u128::from(self.record.base_per_lot);
        format_amount(units, self.base.scale)
    }

    /// A quantity with its unit.
    pub(crate) fn quantity_with_unit(&self, lots: u64) -> String {
        format!("{} {}", self.quantity(lots), self.base.currency)
    }

    /// Ticks times lots as money, without its currency.
    pub(crate) fn money(&self, notional: u128) -> String {
        match notional.checked_mul(self.record.quote_per_tick_lot.into()) {
            Some(amount) => format_amount(amount, self.quote.scale),
            None => format!("{notional} ticks x lots"),
        }
    }

    /// The average price of so many lots; to the nearest of four places more than a price has. `None` without fills.
    pub(crate) fn average(&self, notional: u128, lots: u64) -> Option<String> {
        let Tick { unit, scale } = self.tick.unwrap_or(Tick { unit: 1, scale: 0 });
        let lots = u128::from(lots);
        if lots == 0 {
            return None;
        }
        let whole = (notional / lots).checked_mul(unit)?;
        let (rest, mut scale) = ((notional % lots).checked_mul(unit)?, scale);
        let (mut value, mut rest) = (whole.checked_add(rest / lots)?, rest % lots);
        for _ in 0..AVERAGE_EXTRA_SCALE {
            if rest == 0 {
                break;
            }
            value = value.checked_mul(10)?.checked_add(rest * 10 / lots)?;
            rest = rest * 10 % lots;
            scale += 1;
        }
        let value = value.checked_add(u128::from(rest * 2 > lots))?;
        Some(format_amount(value, scale))
    }
}

/// One tick as a decimal: quote units of a tick times a lot, per lot, in units of both ledgers.
fn tick(record: &CreateInstrument, base_scale: u8, quote_scale: u8) -> Option<Tick> {
    // tick = quote_per_tick_lot * 10^base_scale / (base_per_lot * 10^quote_scale)
    let scales = [base_scale, quote_scale].map(|scale| 10u128.checked_pow(scale.into()));
    let [Some(base), Some(quote)] = scales else { return None };
    let [above, below] = reduced(base, quote);
    let [money, lot] = reduced(record.quote_per_tick_lot.into(), record.base_per_lot.into());
    let [money, below] = reduced(money, below);
    let [above, lot] = reduced(above, lot);
    let (above, below) = (money.checked_mul(above)?, lot.checked_mul(below)?);
    (0..=TICK_SCALE_MAX).find_map(|scale| {
        let raised = above.checked_mul(10u128.pow(scale.into()))?;
        // A node may claim an instrument whose ticks are worth nothing.
        let fits = below != 0
            && raised != 0
            && raised % below == 0
            && scale >= quote_scale.min(TICK_SCALE_MAX);
        fits.then(|| Tick { unit: raised / below, scale })
    })
}

/// Both without their greatest common divisor.
fn reduced(one: u128, other: u128) -> [u128; 2] {
    let (mut larger, mut smaller) = (one, other);
    while smaller != 0 {
        (larger, smaller) = (smaller, larger % smaller);
    }
    // Only two zeros have no divisor, and they stay what they are.
    [one, other].map(|number| number.checked_div(larger).unwrap_or(number))
}

fn too_large(what: &str, text: &str) -> Typed {
    Typed::Wrong(CliError::Usage(format!("{what} {text} is larger than any book counts")))
}

/// A decimal text as a whole number of 10^-scale; `off` makes the refusal of one with more places.
fn parse(
    what: &str,
    text: &str,
    (scale, mark): (u8, Option<DecimalMark>),
    off: impl Fn() -> Typed,
) -> Result<u128, Typed> {
    money::parse(text, scale, mark).map_err(|error| match error {
        MoneyError::Amount { source: AmountError::TooPrecise { .. }, .. } => off(),
        error => Typed::Wrong(CliError::Usage(error.said_of(what))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledgers(base_scale: u8, quote_scale: u8) -> Vec<CreateLedger> {
        vec![
            CreateLedger::new(1, base_scale, "ACME", "shares").expect("fits"),
            CreateLedger::new(2, quote_scale, "USD", "dollars").expect("fits"),
        ]
    }

    fn market(base_scale: u8, quote_scale: u8, per_tick_lot: u64, per_lot: u64) -> Market {
        let record = CreateInstrument {
            id: 7,
            base_ledger: 1,
            quote_ledger: 2,
            quote_per_tick_lot: per_tick_lot,
            base_per_lot: per_lot,
            ..CreateInstrument::default()
        };
        Market::new(&record, &ledgers(base_scale, quote_scale))
    }

    #[test]
    fn a_price_is_a_multiple_of_the_tick_and_is_written_with_the_currencys_places() {
        let market = market(0, 2, 10, 1);
        assert_eq!(market.ticks("189.90", None).expect("a price"), 1_899);
        assert_eq!(market.ticks("1,190", None).expect("a price"), 11_900);
        assert_eq!(market.price(1_899), "189.90");
        assert_eq!(market.price_with_unit(1), "0.10 USD");
        for text in ["189.95", "189.999"] {
            let Err(Typed::Refused(refusal)) = market.ticks(text, None) else { panic!("{text}") };
            assert_eq!(refusal.status, OrderReject::PriceOffTick.number());
            assert!(refusal.text.contains("0.10 USD"), "{}", refusal.text);
        }
        for text in ["", "x", "-1", "1,5", "1e5", "99999999999999999999999999"] {
            assert!(matches!(market.ticks(text, None), Err(Typed::Wrong(_))), "{text}");
        }
    }

    #[test]
    fn a_quantity_is_a_multiple_of_the_lot() {
        // One lot is 0.001 of a base with 8 places, one tick 0.50.
        let market = market(8, 2, 5, 100_000);
        assert_eq!(market.lots("1.5", None).expect("a quantity"), 1_500);
        assert_eq!(market.quantity_with_unit(1_500), "1.50000000 ACME");
        for text in ["0.0005", "0.000000001"] {
            let Err(Typed::Refused(refusal)) = market.lots(text, None) else { panic!("{text}") };
            assert_eq!(refusal.status, OrderReject::QuantityOffLot.number());
            assert!(refusal.text.contains("0.00100000 ACME"), "{}", refusal.text);
        }
        // 5 quote units per tick and lot of 0.001: a tick is 50.00 per whole unit.
        assert_eq!(market.price_with_unit(3), "150.00 USD");
        assert_eq!(market.money(3 * 1_500), "225.00");
    }

    #[test]
    fn a_tick_may_be_finer_than_the_smallest_unit_of_money() {
        // One lot is 100 shares, so a cent per tick and lot is 0.0001 per share.
        let market = market(0, 2, 1, 100);
        assert_eq!(market.price(12_345), "1.2345");
        assert_eq!(market.ticks("1.2345", None).expect("a price"), 12_345);
        assert_eq!(market.lots("300", None).expect("a quantity"), 3);
        assert!(market.lots("50", None).is_err());
    }

    #[test]
    fn a_tick_without_a_finite_decimal_is_counted_in_ticks() {
        let market = market(0, 2, 1, 3);
        assert_eq!(market.price_with_unit(5), "5 ticks");
        assert_eq!(market.ticks("5", None).expect("ticks"), 5);
        assert!(market.ticks("5.5", None).is_err());
    }

    #[test]
    fn every_price_that_is_written_is_read_as_the_same_number_of_ticks() {
        for (base_scale, quote_scale, per_tick_lot, per_lot) in
            [(0, 2, 1, 1), (0, 0, 5, 1), (8, 2, 1, 1_000), (2, 8, 125, 10), (6, 6, 3, 1_000_000)]
        {
            let market = market(base_scale, quote_scale, per_tick_lot, per_lot);
            for number in [1, 2, 9, 10, 99, 12_345, 1 << 40] {
                let price = market.price(number);
                assert_eq!(market.ticks(&price, None).expect("its own text"), number, "{price}");
                let quantity = market.quantity(number);
                assert_eq!(
                    market.lots(&quantity, None).expect("its own text"),
                    number,
                    "{quantity}"
                );
            }
        }
    }

    #[test]
    fn an_average_is_exact_where_it_can_be_and_else_rounded() {
        let market = market(0, 2, 1, 1);
        assert_eq!(market.average(6 * 18_990 + 4 * 19_000, 10).as_deref(), Some("189.94"));
        assert_eq!(market.average(1 + 1 + 2, 3).as_deref(), Some("0.013333"));
        assert_eq!(market.average(5, 3).as_deref(), Some("0.016667"));
        assert_eq!(market.average(0, 0), None);
    }

    #[test]
    fn an_instrument_is_found_by_base_by_pair_or_by_number() {
        let mut ledgers = ledgers(0, 2);
        ledgers.push(CreateLedger::new(3, 2, "EUR", "euro").expect("fits"));
        let of = |id, quote_ledger| CreateInstrument {
            id,
            base_ledger: 1,
            quote_ledger,
            quote_per_tick_lot: 1,
            base_per_lot: 1,
            ..CreateInstrument::default()
        };
        let records = [of(7, 2), of(8, 3)];
        let all = records.iter().map(|record| Market::new(record, &ledgers)).collect();
        let mut markets = Markets { ledgers, all, has_trading: true };
        let found = |markets: &Markets, text: &str| markets.find(text).map(|found| found.record.id);
        assert_eq!(found(&markets, "ACME/EUR").expect("one"), 8);
        assert_eq!(found(&markets, "7").expect("one"), 7);
        let error = found(&markets, "ACME").expect_err("two").to_string();
        assert!(error.contains("ACME/USD (7), ACME/EUR (8)"), "{error}");
        markets.all.pop();
        assert_eq!(found(&markets, "ACME").expect("one"), 7);
        let error = found(&markets, "acme").expect_err("none").to_string();
        assert!(
            error.contains("instrument_unknown, 1406") && error.contains("ACME/USD"),
            "{error}"
        );
    }
}
