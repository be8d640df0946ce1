//! Scripted exchanges between state machines.

mod asking;
mod backlog;
mod clocks;
mod copies;
mod exchanges;
mod losses;
mod net;
mod outlook;
mod standing;
