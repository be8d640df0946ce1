//! A node of a cluster: a standby that follows, or the primary that the others follow.
//!
//! The way of a frame: the pipeline's `journal_stage` appends it and tells `state`; `replication` reads it back from the
//! files and sends it through `links`; on the other node `replication` hands it to `worker`, which makes it durable,
//! and keeps it in `pending` until it is committed, when the engine applies it. The acknowledgement comes back the same
//! way and moves the commit in `state`, up to which the front answers.
//!
//! All decisions are `mizan_replica`'s; here are sockets, threads and files. `record` says who a node is, `recovery` what
//! it learns from its log, `admin` and `operator` what an operator may ask.
//!
//! Invariants: the role follows from the log and the epochs, never from an option; a fenced primary answers nothing and
//! starts again from its files; nothing is applied on a standby that is not committed.

mod admin;
mod alarms;
mod figures;
mod format;
mod guests;
mod held;
mod links;
mod node;
mod operator;
mod pace;
mod pending;
mod record;
mod recovery;
mod replication;
mod rounds;
mod standby;
mod state;
mod status;
mod streams;
mod worker;

pub use admin::{AdminReply, AdminRequest, AskError, JoinInfo, ask};
pub use format::{change_secret, format_first, format_join};
pub use node::{CATCH_UP_RATE, ClusterNode, ClusterOptions, RunEnd};
pub use record::{ClusterRecord, policy_from_name, policy_name};
pub(crate) use state::ClusterState;
pub use status::{AlarmView, ClusterStatus, PeerView};

pub use mizan_replica::{Policy, Secret, Standing};
