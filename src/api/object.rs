//! Bytes and their index: an object as the view keeps it.

use bytes::Bytes;
use serde_json::Value;

use crate::store::{Item, Revision, Trigger};

use super::catalog::Kind;

/// An object: its JSON as clients read it, kept once, and the little that selectors, triggers and lists need to know.
///
/// The bytes begin `{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"7",`, so that a list item is a slice of them.
#[derive(Debug)]
pub struct Object {
    bytes: Bytes,
    revision: Revision,
}

/// Forms of one event, made once for all watchers of it.
#[derive(Debug, Default)]
pub struct Frames {}

impl Object {
    /// Reads a stored value: JSON in our form is indexed by a scan; anything else (protobuf, another version) is decoded, defaulted and
    /// normalised first. The resourceVersion is put in place.
    ///
    /// # Errors
    /// What cannot be decoded, in words.
    pub fn from_stored(_kind: &Kind, _value: &Bytes, _revision: Revision) -> Result<Self, String> {
        todo!()
    }

    /// Stands for a stored value that cannot be read: reads of it, and lists over it, answer 500.
    pub fn undecodable(_name: &[u8], _value: &Bytes, _revision: Revision, _cause: &str) -> Self {
        todo!()
    }

    /// The value to store: [`crate::schema::write`] of the object without its resourceVersion.
    pub fn to_stored(_value: &Value) -> Bytes {
        todo!()
    }

    /// The whole JSON, without a newline.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The JSON as an item of a list of built-ins: without kind and apiVersion, and without its opening brace.
    pub fn item(&self) -> Bytes {
        todo!()
    }

    /// The JSON of `metadata`, with its braces.
    pub fn metadata(&self) -> Bytes {
        todo!()
    }

    /// `metadata.name`
    pub fn name(&self) -> &str {
        todo!()
    }

    /// `metadata.namespace`, empty at the cluster's scope.
    pub fn namespace(&self) -> &str {
        todo!()
    }

    /// `metadata.uid`
    pub fn uid(&self) -> &str {
        todo!()
    }

    /// The value of a label.
    pub fn label(&self, _key: &str) -> Option<&str> {
        todo!()
    }

    /// The value of a selectable field by its selector name (`spec.nodeName`), "" when absent; `None` for fields the kind does not index.
    pub fn field(&self, _name: &str) -> Option<&str> {
        todo!()
    }

    /// When it was last changed: its resourceVersion.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The object parsed whole, with its resourceVersion. For writes only.
    pub fn value(&self) -> Value {
        todo!()
    }

    /// The same object with another resourceVersion: what a DELETED event carries.
    #[must_use]
    pub fn at(&self, _revision: Revision) -> Self {
        todo!()
    }
}

impl Item for Object {
    type Forms = Frames;

    fn weight(&self) -> usize {
        self.bytes.len()
    }

    fn triggers(&self, _each: &mut dyn FnMut(Trigger<'_>)) {
        todo!()
    }
}
