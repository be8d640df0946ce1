//! What `mizan bench --workload orders` does otherwise: its flags, the room of its node, and its rows.

use crate::args::{BenchArgs, BenchWorkload};
use crate::error::CliError;
use crate::files::count_text;
use crate::verbs::bench::load_error;
use mizan_loadgen::{BenchOptions, BenchReport, IdOrder, Mix, OrderOptions, OrderRoom};
use mizan_node::{FormatOptions, TradingLimits};

/// Room of the scratch node beyond what the run needs.
const SPARE: u64 = 1_000;
/// Bytes of a session's stored replies: a reply to a full batch of orders has 512 KiB.
const WINDOW_BYTES: u32 = 64 << 20;
/// Reports that the scratch node keeps: nobody reads them, and they are written as on any node.
const REPORTS: u64 = 1 << 20;

/// What the flags say of orders; `None` for transfers.
pub(super) fn options(args: &BenchArgs) -> Result<Option<OrderOptions>, CliError> {
    let usage = |text: &str| Err(CliError::Usage(text.to_owned()));
    if args.workload == BenchWorkload::Transfers {
        return match args.instruments {
            None => Ok(None),
            Some(_) => usage("--instruments needs --workload orders"),
        };
    }
    if args.mix != Mix::default() || args.ids != IdOrder::default() {
        return usage("--mix and --ids are for transfers: the flow of orders has a mix of its own");
    }
    if args.null {
        return usage("--null has no order books: leave the workload at transfers");
    }
    let default = OrderOptions::default();
    Ok(Some(OrderOptions { instruments: args.instruments.unwrap_or(default.instruments) }))
}

/// Gives the scratch node the room that the run takes.
pub(super) fn make_room(
    limits: &mut FormatOptions,
    options: &BenchOptions,
    orders: OrderOptions,
) -> Result<(), CliError> {
    let room = OrderRoom::of(options, orders).map_err(load_error)?;
    limits.account_count_max = room.accounts + SPARE;
    limits.transfer_count_max = room.transfers + SPARE;
    limits.hold_count_max = SPARE;
    limits.ledger_count_max = room.ledgers + SPARE as u32;
    limits.window_bytes = WINDOW_BYTES;
    limits.trading = Some(TradingLimits {
        instrument_count_max: room.instruments,
        order_count_max: room.orders,
        open_order_count_max: room.open_orders,
        book_level_count_max: room.levels,
        report_count_max: REPORTS,
    });
    Ok(())
}

/// The rows that only orders have; none for transfers.
pub(super) fn rows(report: &BenchReport) -> Vec<(&'static str, String)> {
    let Some(orders) = &report.orders else { return Vec::new() };
    let mix = format!(
        "{} new, {} amends, {} cancels",
        count_text(orders.submits),
        count_text(orders.amends),
        count_text(orders.cancels)
    );
    let compared = format!(
        "{} orders, {} of them open",
        count_text(orders.orders_compared),
        count_text(orders.orders_open)
    );
    vec![
        ("messages", mix),
        ("came after the order had been filled", count_text(orders.ended_before)),
        ("lots traded", count_text(orders.lots_traded)),
        ("transfers posted by trades", count_text(orders.transfers_posted)),
        ("instruments", count_text(orders.instruments.into())),
        ("read back and compared", compared),
    ]
}
