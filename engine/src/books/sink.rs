//! Where reports go.

use mizan_wire::orders::OrderReport;

/// Takes the reports of a book, in order, while a command is executed.
///
/// The book is compiled anew for each sink, so that what a sink does with a report is inlined where it is made.
pub trait ReportSink {
    /// The next report.
    fn report(&mut self, report: &OrderReport);
}

impl ReportSink for Vec<OrderReport> {
    #[inline]
    fn report(&mut self, report: &OrderReport) {
        self.push(*report);
    }
}
