//! Scripted exchanges between state machines.

mod exchanges;
mod losses;
mod net;
