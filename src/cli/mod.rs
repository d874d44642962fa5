//! The commands: one file each, each a thin layer over a room.

pub mod pki;
