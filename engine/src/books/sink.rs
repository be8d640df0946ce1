//! Where reports go.

use mizan_wire::orders::OrderReport;

/// Takes the reports of a book, in order, while a command is executed.
///
/// The book is compiled anew for each sink, so that what a sink does with a report is inlined where it is made.
pub trait ReportSink {
    /// The next report.
    fn report(&mut self, report: &OrderReport);

    /// Whether the command may look at one more level or order that it does not trade with. Nobody bounds that unless
    /// the sink does.
    #[inline]
    fn look(&mut self) -> bool {
        true
    }
}

impl ReportSink for Vec<OrderReport> {
    #[inline]
    fn report(&mut self, report: &OrderReport) {
        self.push(*report);
    }
}
