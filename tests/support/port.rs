//! Ports that no other test takes, in this process or in another.

use std::fs::File;
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which the kernel serves those who ask for any port.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// The lock files of the ports that this process has taken, kept to its end.
static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port of 127.0.0.1 that nobody listens on and that no other test will be given.
pub fn free_port() -> u16 {
    let folder = std::env::temp_dir().join("portcullis-test-ports");
    std::fs::create_dir_all(&folder).expect("a folder for locks");
    let start = (std::process::id() % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let port = FIRST + (start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT);
        let file = File::options().create(true).append(true).open(folder.join(port.to_string())).expect("a lock file");
        if file.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            HELD.lock().expect("no test panics here").push(file);
            return port;
        }
    }
    panic!("all {COUNT} ports are taken");
}
