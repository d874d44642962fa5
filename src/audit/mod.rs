//! What is written down: one line for every request.
//!
//! Lines are JSON objects. They are handed to a thread of their own through a bounded buffer: a slow sink loses lines (they are counted),
//! it never slows a request.

mod line;

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::metrics::Counter;

pub use line::Line;

/// Where the access lines go. Clones share the sink; dropping the last one writes what is left.
#[derive(Clone, Debug)]
pub struct Log(Option<Arc<Writer>>);

/// Whatever takes the bytes: standard output, a file.
pub type Sink = Box<dyn Write + Send>;

struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    lost: Counter,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    ready: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    closed: bool,
}

impl Log {
    /// No lines at all.
    pub fn off() -> Self {
        Self(None)
    }

    /// Lines to `sink`; those that find the buffer full are counted in `lost`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn to(sink: Sink, lost: Counter) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let reader = shared.clone();
        let thread = std::thread::Builder::new().name("access".to_owned()).spawn(move || write(&reader, sink))?;
        Ok(Self(Some(Arc::new(Writer { shared, thread: Some(thread), lost }))))
    }

    /// Whether lines are written.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Hands over one line.
    pub fn write(&self, line: &Line<'_>) {
        let Some(writer) = &self.0 else { return };
        let mut state = writer.shared.state.lock();
        if state.lines.len() >= BUFFER {
            drop(state);
            writer.lost.inc();
            return;
        }
        let idle = state.lines.is_empty();
        line.append(&mut state.lines);
        drop(state);
        if idle {
            writer.shared.ready.notify_one();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.ready.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

fn write(shared: &Shared, mut sink: Sink) {
    let mut lines = Vec::new();
    loop {
        let mut state = shared.state.lock();
        while state.lines.is_empty() && !state.closed {
            shared.ready.wait(&mut state);
        }
        if state.lines.is_empty() {
            return;
        }
        std::mem::swap(&mut lines, &mut state.lines);
        drop(state);
        // A sink that fails (a closed pipe) loses its lines; requests go on.
        let _ = sink.write_all(&lines).and_then(|()| sink.flush());
        lines.clear();
        lines.shrink_to(KEPT);
        // Meanwhile nobody has to wake this thread, which costs more than to write a line.
        std::thread::sleep(PAUSE);
    }
}

const PAUSE: Duration = Duration::from_millis(5);

// Some thousands of lines: a tenth of a second of a busy server.
const BUFFER: usize = 1 << 20;

const KEPT: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::metrics::Metrics;

    #[derive(Clone, Default)]
    struct Shelf(Arc<Mutex<Vec<u8>>>);

    impl Write for Shelf {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn line(uri: &str) -> Line<'_> {
        Line {
            id: "3f2a",
            address: SocketAddr::from(([10, 0, 0, 1], 5000)),
            user: "evil\n\u{1b}[31m\"user\"",
            impersonated: Some("jane"),
            verb: "get",
            method: "GET",
            uri,
            agent: "kubectl/v1.36",
            reason: Some("ceiling kubelet: no-secrets"),
            code: 200,
            sent: 17,
            took: Duration::from_micros(1_234),
            complete: true,
        }
    }

    #[test]
    fn a_line_is_one_json_object_whatever_the_client_sends() {
        let shelf = Shelf::default();
        let log = Log::to(Box::new(shelf.clone()), Metrics::new().access_lines_lost()).unwrap();
        let long = "/x".repeat(5_000);
        log.write(&line("/api/v1/pods?limit=5"));
        log.write(&line(&long));
        drop(log);
        let written = String::from_utf8(shelf.0.lock().clone()).unwrap();
        let lines = written.lines().collect::<Vec<_>>();
        assert_eq!(lines.len(), 2, "{written}");
        assert!(!written.contains('\u{1b}') && lines[1].len() < 2_000);
        let first: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
        assert_eq!(first["user"], "evil\n\u{1b}[31m\"user\"");
        assert_eq!(first["uri"], "/api/v1/pods?limit=5");
        assert_eq!(first["address"], "10.0.0.1:5000");
        assert_eq!(first["impersonated"], "jane");
        assert_eq!(first["reason"], "ceiling kubelet: no-secrets");
        assert_eq!((first["code"].as_u64(), first["sent"].as_u64()), (Some(200), Some(17)));
        assert_eq!(first["milliseconds"].as_f64(), Some(1.234));
        assert!(first["time"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn a_sink_that_stands_still_loses_lines_but_stops_nobody() {
        struct Stuck(std::sync::mpsc::Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let (release, stuck) = std::sync::mpsc::channel();
        let lost = Metrics::new().access_lines_lost();
        let log = Log::to(Box::new(Stuck(stuck)), lost.clone()).unwrap();
        for _ in 0..20_000 {
            log.write(&line("/"));
        }
        assert!(lost.value() > 0);
        drop(release);
    }
}
