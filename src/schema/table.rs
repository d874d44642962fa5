//! The table of types: what is known of every type, as data.
//!
//! Built-in types come from `types.txt`; a CustomResourceDefinition compiles into a table of the same form. Says what is, does
//! nothing.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};

use super::wire::Wire;

/// A closed set of types: every reference in it stays in it.
#[derive(Debug, Default)]
pub struct Table {
    types: Vec<Type>,
    names: HashMap<Box<str>, Id>,
    kinds: HashMap<Gvk, Id>,
    everywhere: HashMap<Box<str>, Id>,
}

/// A type within its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(pub u32);

/// Group, version and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gvk {
    /// Empty for the core group.
    pub group: Box<str>,
    /// `v1`
    pub version: Box<str>,
    /// `Pod`
    pub kind: Box<str>,
}

/// One type.
#[derive(Debug)]
pub struct Type {
    /// The OpenAPI name without `io.k8s.`: `api.core.v1.Pod`.
    pub name: Box<str>,
    /// What its JSON looks like.
    pub form: Form,
    /// Server-side apply owns it as a whole.
    pub atomic: bool,
    /// At most one member besides the discriminator may be set.
    pub union: bool,
}

/// What the JSON of a type looks like.
#[derive(Debug)]
pub enum Form {
    /// An object of known members.
    Struct(Struct),
    /// A form of its own.
    Special(Special),
}

/// Types with a form of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// RFC 3339, in seconds.
    Time,
    /// RFC 3339, with six digits.
    MicroTime,
    /// `100m`; a number is accepted.
    Quantity,
    /// An int32 or a string.
    IntOrString,
    /// Any JSON: an object of some other kind.
    RawExtension,
    /// Any JSON: a set of fields.
    FieldsV1,
    /// Any JSON value.
    Any,
    /// A schema or a list of schemas.
    SchemaOrArray,
    /// A boolean or a schema.
    SchemaOrBool,
    /// A schema or a list of strings.
    SchemaOrStrings,
}

/// The members of an object.
#[derive(Debug, Default)]
pub struct Struct {
    fields: Vec<Field>,
    /// Members that are written even when the object lacks them.
    pub(super) always: Vec<u16>,
    /// The protobuf message, in the order of numbers.
    pub(super) wire: Vec<Wire>,
    /// The message of an object without members: value fields are always written.
    pub(super) blank: Box<[u8]>,
}

/// One member of an object.
#[derive(Debug)]
pub struct Field {
    /// The JSON name.
    pub name: Box<str>,
    /// What its value is.
    pub shape: Shape,
    /// Protobuf field numbers, from outer to inner where JSON inlines a struct. Empty for `apiVersion` and `kind`.
    pub numbers: Vec<u32>,
    /// Its zero is a value. Without it zero and absent are one.
    pub pointer: bool,
    /// When JSON leaves it out.
    pub omit: Omit,
    /// OpenAPI calls it required.
    pub required: bool,
    /// How server-side apply merges it, where it is a list. `None` on a list is atomic.
    pub list: Option<ListType>,
    /// Whether server-side apply owns the map or struct as a whole, where the field says so itself.
    pub map: Option<MapType>,
    /// How a strategic merge patch merges it.
    pub patch: Patch,
    /// The key by which a strategic merge patch finds list items.
    pub merge_key: Option<Box<str>>,
    /// OpenAPI's default.
    pub default: Option<Value>,
    /// All allowed values (of the items, where it is a list); empty when it is no closed set.
    pub values: Vec<Box<str>>,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Text.
    String,
    /// Base64 text.
    Bytes,
    /// true or false.
    Bool,
    /// A 32-bit integer.
    Int32,
    /// A 64-bit integer.
    Int64,
    /// A number.
    Double,
    /// A value of another type.
    Ref(Id),
    /// A list.
    List(Box<Self>),
    /// A map from strings.
    Map(Box<Self>),
}

/// When JSON leaves a member out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Omit {
    /// Never: it is written as null, "", 0, false or {}.
    Never,
    /// When Go calls it empty.
    Empty,
    /// When it is the zero of its type.
    Zero,
}

/// How server-side apply merges a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListType {
    /// Owned as a whole.
    Atomic,
    /// Items are scalars, each owned by itself.
    Set,
    /// Items are objects, each known by these members.
    Map(Vec<Box<str>>),
}

/// How server-side apply merges a map or struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapType {
    /// Owned as a whole.
    Atomic,
    /// Each member is owned by itself.
    Granular,
}

/// The strategies of a strategic merge patch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// `merge`: list items are merged (by the merge key, where they are objects), not replaced.
    pub merge: bool,
    /// `retainKeys`: members that the patch does not name in `$retainKeys` go.
    pub retain_keys: bool,
    /// `replace`: said, though it is the rule.
    pub replace: bool,
}

impl Table {
    /// The type of an id of this table.
    pub fn get(&self, id: Id) -> &Type {
        &self.types[id.0 as usize]
    }

    /// The type of an OpenAPI name without `io.k8s.`.
    pub fn find(&self, name: &str) -> Option<Id> {
        self.names.get(name).copied()
    }

    /// The type of a kind.
    pub fn kind(&self, gvk: &Gvk) -> Option<Id> {
        self.kinds.get(gvk).or_else(|| self.everywhere.get(&gvk.kind)).copied()
    }

    /// All kinds, in no order. Those that every group serves (`DeleteOptions`, `WatchEvent`) are not among them.
    pub fn kinds(&self) -> impl Iterator<Item = (&Gvk, Id)> {
        self.kinds.iter().map(|(gvk, id)| (gvk, *id))
    }

    /// All types.
    pub fn types(&self) -> impl Iterator<Item = (Id, &Type)> {
        (0..).map(Id).zip(&self.types)
    }

    /// The struct behind a shape, where it is one.
    pub fn members(&self, shape: &Shape) -> Option<&Struct> {
        match shape {
            Shape::Ref(id) => self.get(*id).members(),
            _ => None,
        }
    }

    /// The special form behind a shape, where it is one.
    pub fn special(&self, shape: &Shape) -> Option<Special> {
        match shape {
            Shape::Ref(id) => match self.get(*id).form {
                Form::Special(special) => Some(special),
                Form::Struct(_) => None,
            },
            _ => None,
        }
    }

    /// Whether server-side apply owns the value of a field as a whole, where it is a map or a struct.
    pub fn atomic(&self, field: &Field) -> bool {
        match (field.map, &field.shape) {
            (Some(said), _) => said == MapType::Atomic,
            (None, Shape::Ref(id)) => self.get(*id).atomic,
            (None, _) => false,
        }
    }

    /// The type of a schema within a CustomResourceDefinition.
    pub(super) fn json_schema(&self) -> Option<&Type> {
        self.find(JSON_SCHEMA).map(|id| self.get(id))
    }

    /// Its shape.
    pub(super) fn json_schema_shape(&self) -> Option<Shape> {
        self.find(JSON_SCHEMA).map(Shape::Ref)
    }

    /// The zero of a shape as JSON: what Go has where a list or map holds null.
    pub(super) fn zero(&self, shape: &Shape) -> Value {
        match shape {
            Shape::String | Shape::Bytes => Value::String(String::new()),
            Shape::Bool => Value::Bool(false),
            Shape::Int32 | Shape::Int64 | Shape::Double => Value::from(0),
            Shape::List(_) | Shape::Map(_) => Value::Null,
            Shape::Ref(id) => match self.get(*id).form {
                Form::Struct(_) => Value::Object(Map::new()),
                Form::Special(Special::Quantity) => Value::from("0"),
                Form::Special(Special::IntOrString) => Value::from(0),
                Form::Special(_) => Value::Null,
            },
        }
    }

    /// A shape as Go prints its type: `map[string]string`.
    pub(super) fn go_type(&self, shape: &Shape) -> Cow<'_, str> {
        match shape {
            Shape::String => "string".into(),
            Shape::Bytes => "[]uint8".into(),
            Shape::Bool => "bool".into(),
            Shape::Int32 => "int32".into(),
            Shape::Int64 => "int64".into(),
            Shape::Double => "float64".into(),
            Shape::Ref(id) => self.get(*id).go_name().into(),
            Shape::List(item) => format!("[]{}", self.go_type(item)).into(),
            Shape::Map(item) => format!("map[string]{}", self.go_type(item)).into(),
        }
    }

    /// A table of these types. Their references are already resolved: the id of a type is its place. Fields are sorted, what is
    /// derived
    /// from them is made.
    pub(super) fn new(types: Vec<(Type, Option<Served>)>) -> Self {
        let mut table = Self::default();
        for (mut kind, served) in types {
            let id = Id(u32::try_from(table.types.len()).unwrap_or(u32::MAX));
            table.names.insert(kind.name.clone(), id);
            match served {
                Some(Served::As(gvk)) => drop(table.kinds.insert(gvk, id)),
                Some(Served::Everywhere(kind)) => drop(table.everywhere.insert(kind, id)),
                None => {}
            }
            if let Form::Struct(members) = &mut kind.form {
                members.fields.sort_by(|a, b| a.name.cmp(&b.name));
                members.wire = super::wire::message(&members.fields);
            }
            table.types.push(kind);
        }
        let always: Vec<_> = table.types.iter().map(|kind| kind.members().map(|members| table.always(members))).collect();
        for (kind, always) in table.types.iter_mut().zip(always) {
            if let (Form::Struct(members), Some(always)) = (&mut kind.form, always) {
                members.always = always;
            }
        }
        for place in 0..table.types.len() {
            table.make_blank(place);
        }
        table
    }

    /// A struct that is no pointer never holds itself, so that this ends.
    fn make_blank(&mut self, place: usize) {
        let Form::Struct(members) = &self.types[place].form else { return };
        if !members.blank.is_empty() || members.wire.is_empty() {
            return;
        }
        let value = |field: &Field| match field.shape {
            Shape::Ref(id) if !field.pointer => Some(id.0 as usize),
            _ => None,
        };
        for inner in members.fields.iter().filter_map(value).collect::<Vec<_>>() {
            self.make_blank(inner);
        }
        let blank = super::protobuf::blank(self, &self.types[place]);
        if let Form::Struct(members) = &mut self.types[place].form {
            members.blank = blank.into();
        }
    }

    fn always(&self, members: &Struct) -> Vec<u16> {
        (0..).zip(&members.fields).filter(|(_, field)| self.written_when_absent(field)).map(|(index, _)| index).collect()
    }

    /// Go leaves out what is empty, and a struct that is no pointer never is: not even `Quantity`, `IntOrString`, `RawExtension`.
    fn written_when_absent(&self, field: &Field) -> bool {
        match field.omit {
            Omit::Never => true,
            Omit::Zero => false,
            Omit::Empty => {
                !field.pointer && matches!(field.shape, Shape::Ref(_)) && self.special(&field.shape) != Some(Special::Any)
            }
        }
    }
}

/// Where a type is served.
pub(super) enum Served {
    /// As one kind.
    As(Gvk),
    /// In every group, under this name.
    Everywhere(Box<str>),
}

impl Gvk {
    /// From its parts.
    pub fn new(group: &str, version: &str, kind: &str) -> Self {
        Self { group: group.into(), version: version.into(), kind: kind.into() }
    }

    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }
}

impl Type {
    /// Its members, where it is a struct.
    pub fn members(&self) -> Option<&Struct> {
        match &self.form {
            Form::Struct(members) => Some(members),
            Form::Special(_) => None,
        }
    }

    /// A member by its JSON name; `None` also where the type is no struct.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.members()?.field(name)
    }

    /// The name as Go prints it in errors: `v1.PodSpec`.
    pub fn go_name(&self) -> &str {
        let package = self.name.rfind('.').and_then(|last| self.name[..last].rfind('.'));
        package.map_or(&self.name, |dot| &self.name[dot + 1..])
    }

    /// The name without its package: `PodSpec`.
    pub fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }
}

impl Struct {
    pub(super) fn new(fields: Vec<Field>) -> Self {
        Self { fields, always: Vec::new(), wire: Vec::new(), blank: Box::default() }
    }

    /// The members, sorted by name.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// A member by its JSON name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.place(name).map(|place| &self.fields[place])
    }

    /// The place of a member in [`Struct::fields`].
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.fields.binary_search_by(|field| (*field.name).cmp(name)).ok()
    }

    /// The same, where members mostly come in order: looked for from `next` on first.
    pub(super) fn place_from(&self, next: usize, name: &str) -> Option<usize> {
        let ahead = self.fields.get(next..)?;
        for (more, field) in ahead.iter().take(AHEAD).enumerate() {
            if field.name.len() == name.len() && *field.name == *name {
                return Some(next + more);
            }
        }
        self.place(name)
    }
}

impl Shape {
    /// The shape of the items, where it is a list or a map.
    pub fn item(&self) -> Option<&Self> {
        match self {
            Self::List(item) | Self::Map(item) => Some(item),
            _ => None,
        }
    }
}

/// Members looked at one by one before the search begins.
const AHEAD: usize = 6;

const JSON_SCHEMA: &str = "apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
