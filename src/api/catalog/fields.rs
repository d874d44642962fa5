//! Where the selectable fields of a kind stand in its stored objects, and what an absent one counts as.

use smallvec::SmallVec;

/// The selectable fields of a kind, compiled.
#[derive(Debug, Default)]
pub struct Fields {
    /// What is to be found in a stored object; each path once.
    paths: Vec<Path>,
    /// The selectable names.
    names: Vec<Name>,
    /// The path whose value wakes watchers besides name and namespace.
    trigger: Option<usize>,
}

#[derive(Debug)]
struct Path {
    segments: Vec<String>,
}

#[derive(Debug)]
struct Name {
    name: String,
    /// Tried in order; the first that is not empty counts.
    paths: SmallVec<[usize; 2]>,
    default: String,
}

impl Fields {
    /// Reads the catalogue's notation: `NAME[<PATH[|PATH]][=DEFAULT]`, by commas.
    pub(super) fn parse(text: &str) -> Self {
        let mut fields = Self::default();
        for word in text.split(',').filter(|word| !word.is_empty()) {
            fields.add(word);
        }
        fields.trigger = fields.paths.iter().position(|path| path.segments == TRIGGER);
        fields
    }

    /// The selectable names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| name.name.as_str())
    }

    /// How many paths are to be found.
    pub(in crate::api) fn len(&self) -> usize {
        self.paths.len()
    }

    /// The paths, by number: the names of nested members.
    pub(in crate::api) fn paths(&self) -> impl Iterator<Item = &[String]> {
        self.paths.iter().map(|path| path.segments.as_slice())
    }

    /// The path that is a trigger.
    pub(in crate::api) fn trigger(&self) -> Option<usize> {
        self.trigger
    }

    /// The value of a selectable name, given the values by path; `None` for names that cannot be selected.
    pub(in crate::api) fn value<'a>(&'a self, name: &str, of: impl Fn(usize) -> Option<&'a str>) -> Option<&'a str> {
        let name = self.names.iter().find(|known| known.name == name)?;
        let found = name.paths.iter().filter_map(|&path| of(path)).find(|value| !value.is_empty());
        Some(found.unwrap_or(&name.default))
    }

    /// Whether a selectable name is exactly the trigger's path.
    pub(in crate::api) fn is_trigger(&self, name: &str) -> bool {
        let Some(known) = self.names.iter().find(|known| known.name == name) else { return false };
        self.trigger.is_some()
            && known.paths.len() == 1
            && self.trigger == known.paths.first().copied()
            && known.default.is_empty()
    }

    fn add(&mut self, word: &str) {
        let (word, default) = word.split_once('=').unwrap_or((word, ""));
        let (name, paths) = word.split_once('<').unwrap_or((word, word));
        let paths = paths.split('|').filter(|path| *path != "-").map(|path| self.path(path)).collect();
        self.names.push(Name { name: name.to_owned(), paths, default: default.to_owned() });
    }

    fn path(&mut self, path: &str) -> usize {
        let segments: Vec<String> = path.split('.').map(str::to_owned).collect();
        if let Some(at) = self.paths.iter().position(|known| known.segments == segments) {
            return at;
        }
        self.paths.push(Path { segments });
        self.paths.len() - 1
    }
}

const TRIGGER: [&str; 2] = ["spec", "nodeName"];
