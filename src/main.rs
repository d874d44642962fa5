//! The `portcullis` command: arguments, then the library.

fn main() {}
