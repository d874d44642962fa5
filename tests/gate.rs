//! The outer ring: the real binary, real TLS, real sockets, real clients, on both stores. One binary, so that it links once.
#![allow(unreachable_pub, missing_docs, reason = "nobody depends on a test")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "gate/badinput.rs"]
mod badinput;
#[path = "gate/commands.rs"]
mod commands;
#[path = "gate/disk.rs"]
mod disk;
#[path = "gate/health.rs"]
mod health;
#[path = "gate/hostile.rs"]
mod hostile;
#[path = "gate/house.rs"]
mod house;
#[path = "gate/identity.rs"]
mod identity;
#[path = "gate/kubectl.rs"]
mod kubectl;
#[path = "gate/mission.rs"]
mod mission;
mod support;
#[path = "gate/testing.rs"]
mod testing;
#[path = "gate/transcript.rs"]
mod transcript;
#[path = "gate/transport.rs"]
mod transport;
#[path = "gate/websocket.rs"]
mod websocket;
