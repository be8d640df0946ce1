//! The flag that says how amounts are written.

use crate::money::DecimalMark;
use clap::Args;

/// How amounts, prices and quantities are written.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct DecimalArgs {
    /// The decimal mark of what is typed or read, `.` or `,`; the other one separates thousands
    /// [default: a point; what could be meant either way is refused]
    #[arg(long, value_name = "MARK")]
    pub decimal: Option<DecimalMark>,
}
