//! Scripted exchanges between state machines.

mod clocks;
mod exchanges;
mod losses;
mod net;
