//! Whether there is room: how many requests run at once, and how many watches one identity may keep.
//!
//! Knows who asks and what is asked, not whether they may.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::HashMap;
use http::StatusCode;
use parking_lot::Mutex;

use crate::identity::Identity;
use crate::request::{Attributes, Target, Verb};
use crate::status::Plain;

/// How much there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Requests that change nothing, at once. kube-apiserver's default: 400.
    pub read_only: u32,
    /// Requests that change something, at once. kube-apiserver's default: 200.
    pub mutating: u32,
    /// Watches and other long-running requests, at once, of everybody together: 100,000.
    pub long_running: u32,
    /// Of these, those of one identity: 20,000.
    pub long_running_each: u32,
}

/// The rooms, and who is in them.
#[derive(Debug)]
pub struct Limits {
    settings: Settings,
    read_only: AtomicU32,
    mutating: AtomicU32,
    long_running: AtomicU32,
    holders: Mutex<HashMap<Box<str>, u32, foldhash::fast::RandomState>>,
}

/// A request's place. It is free again when this is dropped.
#[derive(Debug)]
pub struct Slot {
    limits: Arc<Limits>,
    place: Place,
}

/// How a request is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Not at all: health.
    Exempt,
    /// It changes nothing.
    ReadOnly,
    /// It may change something.
    Mutating,
    /// It lasts: a watch, a log, a tunnel.
    LongRunning,
}

#[derive(Debug)]
enum Place {
    Exempt,
    ReadOnly,
    Mutating,
    LongRunning(Box<str>),
}

impl Default for Settings {
    fn default() -> Self {
        Self { read_only: 400, mutating: 200, long_running: 100_000, long_running_each: 20_000 }
    }
}

impl Kind {
    /// As kube-apiserver counts: get, list and watch change nothing; watches, proxies, logs and tunnels last.
    pub fn of(attributes: &Attributes) -> Self {
        match &attributes.target {
            Target::Path(path) if crate::health::asks(path) => return Self::Exempt,
            Target::Path(path) if path.starts_with("/debug/pprof/") => return Self::LongRunning,
            Target::Resource(resource) if LASTING.contains(&resource.subresource.as_str()) => return Self::LongRunning,
            Target::Path(_) | Target::Resource(_) => {}
        }
        match attributes.verb {
            Verb::Watch | Verb::Proxy => Self::LongRunning,
            Verb::Get | Verb::List | Verb::Head | Verb::Options => Self::ReadOnly,
            _ => Self::Mutating,
        }
    }
}

impl Limits {
    /// Empty rooms.
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            settings,
            read_only: AtomicU32::new(0),
            mutating: AtomicU32::new(0),
            long_running: AtomicU32::new(0),
            holders: Mutex::default(),
        })
    }

    /// Takes a place for a request of `identity`.
    ///
    /// Members of `system:masters` find an eighth more room than others, so that a full server can still be put right.
    ///
    /// # Errors
    /// 429 when there is none, in kube-apiserver's words.
    pub fn enter(self: &Arc<Self>, kind: Kind, identity: &Identity) -> Result<Slot, Plain> {
        let (room, limit) = match kind {
            Kind::Exempt => return Ok(self.slot(Place::Exempt)),
            Kind::ReadOnly => (&self.read_only, self.settings.read_only),
            Kind::Mutating => (&self.mutating, self.settings.mutating),
            Kind::LongRunning => (&self.long_running, self.settings.long_running),
        };
        let inside = room.fetch_add(1, Ordering::Relaxed);
        if inside >= limit && !(identity.is_in("system:masters") && inside < limit + limit / 8 + 1) {
            room.fetch_sub(1, Ordering::Relaxed);
            return Err(full());
        }
        match kind {
            Kind::ReadOnly => Ok(self.slot(Place::ReadOnly)),
            Kind::Mutating => Ok(self.slot(Place::Mutating)),
            Kind::LongRunning if self.register(identity.user()) => Ok(self.slot(Place::LongRunning(identity.user().into()))),
            Kind::Exempt | Kind::LongRunning => {
                room.fetch_sub(1, Ordering::Relaxed);
                Err(full())
            }
        }
    }

    /// Mutating and read-only requests in flight, in this order.
    pub fn in_flight(&self) -> (u32, u32) {
        (self.mutating.load(Ordering::Relaxed), self.read_only.load(Ordering::Relaxed))
    }

    /// Long-running requests open.
    pub fn long_running(&self) -> u32 {
        self.long_running.load(Ordering::Relaxed)
    }

    fn slot(self: &Arc<Self>, place: Place) -> Slot {
        Slot { limits: self.clone(), place }
    }

    fn register(&self, user: &str) -> bool {
        let mut holders = self.holders.lock();
        match holders.get_mut(user) {
            Some(count) if *count >= self.settings.long_running_each => return false,
            Some(count) => *count += 1,
            None => _ = holders.insert(user.into(), 1),
        }
        true
    }

    fn leave(&self, user: &str) {
        let mut holders = self.holders.lock();
        if let Some(count) = holders.get_mut(user) {
            *count -= 1;
            if *count == 0 {
                holders.remove(user);
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let room = match &self.place {
            Place::Exempt => return,
            Place::ReadOnly => &self.limits.read_only,
            Place::Mutating => &self.limits.mutating,
            Place::LongRunning(user) => {
                self.limits.leave(user);
                &self.limits.long_running
            }
        };
        room.fetch_sub(1, Ordering::Relaxed);
    }
}

fn full() -> Plain {
    Plain::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests, please try again later.").retry_after(1)
}

const LASTING: [&str; 5] = ["attach", "exec", "proxy", "log", "portforward"];

#[cfg(test)]
mod tests {
    use http::{Method, Uri};

    use super::*;
    use crate::identity::Caller;

    fn who(user: &str, groups: &[&str]) -> Arc<Identity> {
        Caller::sample(user, groups).real().clone()
    }

    #[test]
    fn requests_are_counted_as_kubernetes_counts_them() {
        for (method, uri, kind) in [
            ("GET", "/readyz", Kind::Exempt),
            ("GET", "/livez/ping", Kind::Exempt),
            ("GET", "/metrics", Kind::ReadOnly),
            ("HEAD", "/api/v1/pods", Kind::ReadOnly),
            ("GET", "/api/v1/pods", Kind::ReadOnly),
            ("GET", "/api/v1/pods?watch=true", Kind::LongRunning),
            ("GET", "/api/v1/namespaces/a/pods/b/log", Kind::LongRunning),
            ("POST", "/api/v1/namespaces/a/pods/b/exec", Kind::LongRunning),
            ("POST", "/api/v1/namespaces/a/pods", Kind::Mutating),
            ("PATCH", "/api/v1/namespaces/a/pods/b/status", Kind::Mutating),
            ("DELETE", "/api/v1/namespaces/a/pods", Kind::Mutating),
        ] {
            let attributes = Attributes::parse(&Method::from_bytes(method.as_bytes()).unwrap(), &uri.parse::<Uri>().unwrap());
            assert_eq!(Kind::of(&attributes), kind, "{method} {uri}");
        }
    }

    #[test]
    fn a_place_is_free_again_when_it_is_left() {
        let limits = Limits::new(Settings { read_only: 2, mutating: 1, ..Settings::default() });
        let jane = who("jane", &["system:authenticated"]);
        let one = limits.enter(Kind::ReadOnly, &jane).unwrap();
        let two = limits.enter(Kind::ReadOnly, &jane).unwrap();
        let full = limits.enter(Kind::ReadOnly, &jane).unwrap_err();
        assert_eq!((full.code.as_u16(), full.retry_after), (429, Some(1)));
        let write = limits.enter(Kind::Mutating, &jane).unwrap();
        limits.enter(Kind::Exempt, &jane).unwrap();
        assert_eq!(limits.in_flight(), (1, 2));
        let root = limits.enter(Kind::ReadOnly, &who("root", &["system:masters"])).unwrap();
        drop((one, root));
        let again = limits.enter(Kind::ReadOnly, &jane).unwrap();
        drop((two, write, again));
        assert_eq!(limits.in_flight(), (0, 0));
    }

    #[test]
    fn watches_are_bounded_for_each_and_for_all() {
        let limits = Limits::new(Settings { long_running: 3, long_running_each: 2, ..Settings::default() });
        let (jane, joe) = (who("jane", &[]), who("joe", &[]));
        let janes = [(), ()].map(|()| limits.enter(Kind::LongRunning, &jane).unwrap());
        assert!(limits.enter(Kind::LongRunning, &jane).is_err());
        let joes = limits.enter(Kind::LongRunning, &joe).unwrap();
        assert!(limits.enter(Kind::LongRunning, &joe).is_err());
        assert_eq!(limits.long_running(), 3);
        drop((janes, joes));
        assert_eq!(limits.long_running(), 0);
        assert!(limits.holders.lock().is_empty());
    }
}
