//! Which ledger a line belongs to: one for the whole file, or that of the line's own currency.

use crate::args::ImportArgs;
use crate::error::CliError;
use crate::names::{self, Ledger};
use crate::verbs::create::{Wish, register};
use mizan_client::Client;

/// The ledgers that lines may belong to.
#[derive(Clone, Debug)]
pub(super) struct Ledgers {
    all: Vec<Ledger>,
    /// Whether all lines belong to the first one.
    is_one: bool,
    /// Whether the registry has another ledger of which only the case of the letters differs from the chosen one's.
    has_twin: bool,
}

impl Ledgers {
    /// Asks the node; registers nothing.
    ///
    /// # Errors
    /// There is no such ledger, or it has another scale.
    pub(super) fn choose(client: &mut Client, args: &ImportArgs) -> Result<Self, CliError> {
        let registered = client.ledgers()?;
        let Some(currency) = &args.currency else {
            let all = registered.iter().map(Ledger::from).collect();
            return Ok(Self { all, is_one: false, has_twin: false });
        };
        let found = names::resolve_ledger(&registered, currency);
        let ledger = match (found, args.create_ledger) {
            (Ok(ledger), _) => ledger,
            (Err(CliError::Problem(_)), true) => new_ledger(args)?,
            (Err(error), _) => return Err(error),
        };
        if let Some(scale) = args.scale.filter(|scale| *scale != ledger.scale) {
            let text = format!(
                "{} has {} decimal places, not {scale}; leave --scale away, or register another ledger",
                ledger.currency, ledger.scale
            );
            // A ledger that is asked for and is there as another one is no slip of the pen.
            let is_wish = args.create_ledger;
            return Err(if is_wish { CliError::Problem(text) } else { CliError::Usage(text) });
        }
        let is_twin = |other: Ledger| {
            other.currency != ledger.currency
                && other.currency.eq_ignore_ascii_case(&ledger.currency)
        };
        let has_twin = registered.iter().map(Ledger::from).any(is_twin);
        Ok(Self { all: vec![ledger], is_one: true, has_twin })
    }

    /// Registers the ledger that was chosen, if it is to be made.
    pub(super) fn create(
        &mut self,
        client: &mut Client,
        args: &ImportArgs,
    ) -> Result<(), CliError> {
        if args.create_ledger {
            let (currency, number) = wish(args)?;
            // clap lets --create-ledger pass only together with --scale.
            let scale = args.scale.unwrap_or(0);
            let (record, _) = register(client, &Wish { number, scale, currency, name: None })?;
            self.all = vec![Ledger::from(&record)];
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn of(all: &[(&str, u8)]) -> Self {
        let ledger = |(number, (currency, scale)): (u32, &(&str, u8))| Ledger {
            number,
            scale: *scale,
            currency: (*currency).to_owned(),
            is_registered: true,
        };
        let is_one = all.len() == 1;
        Self { all: (1..).zip(all).map(ledger).collect(), is_one, has_twin: false }
    }

    /// All of them; a row names one by its place.
    pub(super) fn all(&self) -> &[Ledger] {
        &self.all
    }

    /// The one ledger of the whole file.
    pub(super) fn one(&self) -> Option<&Ledger> {
        self.all.first().filter(|_| self.is_one)
    }

    /// The place of the ledger that a line without a currency belongs to.
    pub(super) fn default(&self) -> Result<usize, String> {
        if self.is_one { Ok(0) } else { Err("the line has no currency".to_owned()) }
    }

    /// The place of the ledger of a line's own currency. Cost: grows with the number of ledgers.
    pub(super) fn find(&self, text: &str) -> Result<usize, String> {
        let (currency, number) = match text.split_once(':') {
            Some((currency, number)) => (currency, names::parse_number(number)),
            None => (text, names::parse_number(text)),
        };
        let fits = |ledger: &Ledger, is_exact: bool| match (number, text.contains(':')) {
            (Some(number), false) => u128::from(ledger.number) == number,
            (None, true) => false,
            (number, _) => {
                let same_number = number.is_none_or(|number| u128::from(ledger.number) == number);
                let same = if is_exact {
                    ledger.currency == currency
                } else {
                    ledger.currency.eq_ignore_ascii_case(currency)
                };
                same && same_number
            }
        };
        let matching = |is_exact: bool| {
            let fits = |place: &usize| fits(&self.all[*place], is_exact);
            (0..self.all.len()).filter(fits).collect::<Vec<_>>()
        };
        let exact = matching(true);
        // `eur` is `EUR`, as providers write it, unless both are registered.
        let found = if exact.is_empty() && !self.has_twin { matching(false) } else { exact };
        match (found.as_slice(), self.one()) {
            ([place], _) => Ok(*place),
            ([], Some(ledger)) => {
                Err(format!("the currency is {text}, and not {}", ledger.currency))
            }
            ([], None) => Err(format!("no ledger has the currency {text}")),
            _ => {
                Err(format!("several ledgers have the currency {text}: choose one with --currency"))
            }
        }
    }
}

/// A ledger that is not there yet.
fn new_ledger(args: &ImportArgs) -> Result<Ledger, CliError> {
    let (currency, number) = wish(args)?;
    let (number, scale) = (number.unwrap_or(0), args.scale.unwrap_or(0));
    Ok(Ledger { number, scale, currency: currency.to_owned(), is_registered: false })
}

/// Currency and number of the ledger that is to be made.
fn wish(args: &ImportArgs) -> Result<(&str, Option<u32>), CliError> {
    let text = args.currency.as_deref().unwrap_or_default();
    let (currency, number) = match text.split_once(':') {
        Some((currency, number)) => {
            let parsed = number.parse::<u32>().ok().filter(|number| *number != 0);
            let text = || CliError::Usage(format!("`{number}` is not the number of a ledger"));
            (currency, Some(parsed.ok_or_else(text)?))
        }
        None => (text, None),
    };
    if names::is_number(currency) {
        let text = "--create-ledger needs a currency: write --currency USD or --currency USD:7";
        return Err(CliError::Usage(text.to_owned()));
    }
    Ok((currency, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(number: u32, currency: &str) -> Ledger {
        Ledger { number, scale: 2, currency: currency.to_owned(), is_registered: true }
    }

    #[test]
    fn a_line_goes_to_the_ledger_of_its_currency_whatever_the_case_unless_that_is_in_doubt() {
        let all = ["USD", "EUR", "EUR", "usd"].iter().zip(1..);
        let all = all.map(|(currency, number)| ledger(number, currency)).collect();
        let ledgers = Ledgers { all, is_one: false, has_twin: false };
        assert_eq!(ledgers.find("USD"), Ok(0));
        assert_eq!(ledgers.find("usd"), Ok(3));
        assert_eq!(ledgers.find("eur:3"), Ok(2));
        assert_eq!(ledgers.find("3"), Ok(2));
        for text in ["EUR", "Usd", "JPY", "EUR:1", "EUR:x", "", "9"] {
            assert!(ledgers.find(text).is_err(), "{text}");
        }
        assert!(ledgers.default().is_err());
    }

    #[test]
    fn where_one_ledger_is_chosen_every_line_must_have_its_currency() {
        let mut ledgers = Ledgers { all: vec![ledger(7, "EUR")], is_one: true, has_twin: false };
        for text in ["EUR", "eur", "EUR:7", "7"] {
            assert_eq!(ledgers.find(text), Ok(0), "{text}");
        }
        let error = ledgers.find("USD").expect_err("another");
        assert_eq!(error, "the currency is USD, and not EUR");
        ledgers.has_twin = true;
        assert!(ledgers.find("eur").is_err());
        assert_eq!(ledgers.default(), Ok(0));
    }
}
