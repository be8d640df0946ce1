//! A run of orders from its first account to its report.

use crate::orders::{OrderFigures, OrderFlow, OrderOptions, OrderTally, check, market};
use crate::report::BenchReport;
use crate::run::{Measured, connect, measure, report};
use crate::tally::Truth;
use crate::{BenchOptions, LoadError, Observer, Workload};
use mizan_client::Client;
use mizan_wire::trading::OrderResult;

/// As [`crate::run()`], for an order workload.
pub(crate) fn run(
    options: &BenchOptions,
    orders: OrderOptions,
    observer: &dyn Observer,
) -> Result<BenchReport, LoadError> {
    orders.check(options)?;
    let mut client = connect(options)?;
    let options = &within_window(&client, options)?;
    let flow = OrderFlow::new(options, orders);
    let workload = Workload::new(options);
    let opening = market::open(&mut client, options, &flow, observer)?;
    let transfers_before = transfer_count(&mut client)?;
    let truth = Truth { options, workload: &workload, opening: &[], orders: Some(&flow) };
    let measured = measure(truth, observer)?;
    let transfers_posted = transfer_count(&mut client)?.saturating_sub(transfers_before);
    let Measured { tally, duration, .. } = &measured;
    let told = (&tally.orders, &tally.unknown_batches[..]);
    let found = check::check(&mut client, options, &flow, opening, told, observer)?;
    client.close().map_err(LoadError::client("a session could not be closed"))?;
    let OrderTally { submits, amends, cancels, ended_before, .. } = tally.orders;
    let messages = submits + amends + cancels;
    let figures = OrderFigures {
        messages_per_s: messages as f64 / duration.as_secs_f64(),
        messages,
        submits,
        amends,
        cancels,
        ended_before,
        lots_traded: found.lots_bought,
        transfers_posted,
        instruments: orders.instruments,
        orders_compared: found.orders,
        orders_open: found.open,
    };
    let request_bytes = submits * 128 + (amends + cancels) * 64;
    let executed = tally.orders.executed();
    Ok(BenchReport {
        acknowledged: executed,
        transfers_per_s: transfers_posted as f64 / duration.as_secs_f64(),
        mix: "submit=10,amend=2,cancel=9".to_owned(),
        accounts: flow.account_count(),
        orders: Some(figures),
        ..report(options, &measured, executed, request_bytes)
    })
}

/// Replies to orders are larger than those to transfers, and the node keeps them within its window.
fn within_window(client: &Client, options: &BenchOptions) -> Result<BenchOptions, LoadError> {
    let limits = client.limits();
    let reply_size = u64::from(options.batch) * size_of::<OrderResult>() as u64;
    let fits = u64::from(limits.window_bytes) / reply_size;
    if client.events_max() < options.batch || fits == 0 {
        let text = format!(
            "the node's window does not hold the reply to {} orders; lower the batch",
            options.batch
        );
        return Err(LoadError::Options(text));
    }
    let in_flight = options.in_flight.min(u32::try_from(fits).unwrap_or(u32::MAX));
    Ok(BenchOptions { in_flight, ..options.clone() })
}

fn transfer_count(client: &mut Client) -> Result<u64, LoadError> {
    let status = client.engine_status();
    let failed = LoadError::client("the node's counts could not be read");
    status.map(|status| status.transfer_count).map_err(failed)
}
