//! The `Accept` header as kube-apiserver reads it (contract 1.5): its clauses, in the order in which they are tried.

use smallvec::SmallVec;

/// The encodings of answers, in the order in which a wildcard finds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum Media {
    Json,
    Yaml,
    Protobuf,
}

/// One clause of the header.
#[derive(Debug)]
pub struct Clause<'a> {
    kind: &'a str,
    subtype: &'a str,
    quality: f32,
    parameters: SmallVec<[(&'a str, &'a str); 4]>,
}

/// What a client takes where answers are never transformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untransformed {
    /// The encoding.
    pub media: Media,
    /// Indentation was asked for with the media type.
    pub pretty: bool,
}

impl Media {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Json, Self::Yaml, Self::Protobuf];

    /// The Content-Type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }

    /// Whether there are streams of it.
    pub fn streams(self) -> bool {
        self != Self::Yaml
    }
}

impl<'a> Clause<'a> {
    /// The clauses of a header, best first. Of very many the first ones are read.
    pub fn all(header: &'a str) -> Vec<Self> {
        let mut clauses: Vec<Self> = header.split(',').filter_map(clause).take(CLAUSES).collect();
        // The order of Go's insertion sort: "before" is no order of everything with everything.
        for last in 1..clauses.len() {
            let mut at = last;
            while at > 0 && clauses[at].goes_before(&clauses[at - 1]) {
                clauses.swap(at, at - 1);
                at -= 1;
            }
        }
        clauses
    }

    /// Whether this encoding is meant.
    pub fn takes(&self, media: Media) -> bool {
        match (self.kind, self.subtype) {
            ("*", "*") | ("application", "*") => true,
            (kind, subtype) => media.name().strip_prefix(kind).and_then(|rest| rest.strip_prefix('/')) == Some(subtype),
        }
    }

    /// A parameter; empty when it is not there.
    pub fn parameter(&self, name: &str) -> &'a str {
        self.parameters.iter().rev().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// Whether a transformation is asked for.
    pub fn transforms(&self) -> bool {
        self.parameters.iter().any(|(name, _)| matches!(*name, "as" | "g" | "v"))
    }

    /// Whether the parameters that are no transformation can be met.
    pub fn fits(&self, media: Media) -> bool {
        let stream = self.parameter("stream");
        let streams = stream.is_empty() || (stream == "watch" && media.streams());
        streams && self.parameter("sv").is_empty()
    }

    fn goes_before(&self, other: &Self) -> bool {
        self.quality > other.quality || (self.kind != "*" && other.kind == "*") || (self.subtype != "*" && other.subtype == "*")
    }
}

impl Untransformed {
    /// What the header takes; `None` when nothing will do.
    pub fn of(header: &str) -> Option<Self> {
        if header.is_empty() {
            return Some(Self { media: Media::Json, pretty: false });
        }
        Clause::all(header).iter().filter(|clause| !clause.transforms()).find_map(|clause| {
            let media = Media::ALL.into_iter().find(|media| clause.takes(*media) && clause.fits(*media))?;
            Some(Self { media, pretty: clause.parameter("pretty") == "1" })
        })
    }
}

/// `None` for what is no media type.
fn clause(text: &str) -> Option<Clause<'_>> {
    let (name, rest) = text.split_once(';').unwrap_or((text, ""));
    let (kind, subtype) = match name.split_once('/').unwrap_or((name, "")) {
        (kind, "") if trim(kind) == "*" => ("*", "*"),
        (_, subtype) if subtype.is_empty() || subtype.contains('/') => return None,
        (kind, subtype) => (trim(kind), trim(subtype)),
    };
    let mut clause = Clause { kind, subtype, quality: 1.0, parameters: SmallVec::new() };
    for part in rest.split(';') {
        let Some((name, value)) = part.split_once('=') else { continue };
        if value.is_empty() || value.contains('=') {
            continue;
        }
        match trim(name) {
            "q" => clause.quality = value.parse().unwrap_or_default(),
            name => clause.parameters.push((name, trim(value))),
        }
    }
    Some(clause)
}

fn trim(text: &str) -> &str {
    text.trim_matches(' ')
}

/// As many clauses are read; a header has no more in earnest.
const CLAUSES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_are_tried_as_go_tries_them() {
        for (header, order) in [
            ("a/b", "a/b"),
            ("a/b;q=0.5,c/d", "c/d a/b"),
            ("a/b, c/d;q=1", "a/b c/d"),
            ("*/*, a/b;q=0.1", "a/b */*"),
            ("a/*, a/b", "a/b a/*"),
            ("*", "*/*"),
            ("text, a/b/c, a/b", "a/b"),
            ("a/b;q=x,c/d;q=0.1", "c/d a/b"),
        ] {
            let clauses = Clause::all(header);
            let found: Vec<String> = clauses.iter().map(|clause| format!("{}/{}", clause.kind, clause.subtype)).collect();
            assert_eq!(found.join(" "), order, "{header}");
        }
    }

    #[test]
    fn what_is_never_transformed() {
        use Media::{Json, Protobuf, Yaml};
        for (header, wanted) in [
            ("", Some((Json, false))),
            ("*/*", Some((Json, false))),
            ("application/*;pretty=1", Some((Json, true))),
            ("application/yaml", Some((Yaml, false))),
            ("application/vnd.kubernetes.protobuf,application/json", Some((Protobuf, false))),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Some((Json, false))),
            ("application/json;as=Table;v=v1;g=meta.k8s.io", None),
            ("application/vnd.kubernetes.protobuf;stream=watch", Some((Protobuf, false))),
            ("application/yaml;stream=watch", None),
            ("Application/JSON", None),
            ("text/html", None),
        ] {
            let wanted = wanted.map(|(media, pretty)| Untransformed { media, pretty });
            assert_eq!(Untransformed::of(header), wanted, "{header}");
        }
    }
}
