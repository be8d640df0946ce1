//! Scripted exchanges between state machines.

mod backlog;
mod clocks;
mod exchanges;
mod losses;
mod net;
