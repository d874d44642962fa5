//! The log over a real etcd: what every log promises, and what is left of it when etcd is killed, stopped, compacted, full, set back,
//! or shows other certificates.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(unreachable_pub, missing_docs, reason = "nobody depends on a test")]

#[path = "store/conformance.rs"]
mod conformance;
#[path = "store/crash.rs"]
mod crash;
#[path = "store/ground.rs"]
mod ground;
#[path = "store/history.rs"]
mod history;
#[path = "store/limits.rs"]
mod limits;
#[path = "store/relay.rs"]
mod relay;
#[path = "store/replica.rs"]
mod replica;
#[path = "store/trust.rs"]
mod trust;
#[path = "store/view.rs"]
mod view;

mod support;
