//! How the members of a type stand in its protobuf message.

use super::table::Field;

/// A member of a protobuf message.
#[derive(Debug)]
pub(super) enum Wire {
    /// A field, by its place among the fields of the type.
    Field { number: u32, field: u16 },
    /// A struct whose members JSON inlines.
    Inlined { number: u32, members: Vec<Self> },
}

impl Wire {
    pub(super) fn number(&self) -> u32 {
        match self {
            Self::Field { number, .. } | Self::Inlined { number, .. } => *number,
        }
    }
}

/// The members of the message, in the order of their numbers.
pub(super) fn message(fields: &[Field]) -> Vec<Wire> {
    let mut message = Vec::new();
    for (place, field) in (0..).zip(fields) {
        place_member(&mut message, &field.numbers, place);
    }
    sort(&mut message);
    message
}

fn place_member(message: &mut Vec<Wire>, numbers: &[u32], field: u16) {
    match *numbers {
        [] => {}
        [number] => message.push(Wire::Field { number, field }),
        [number, ref inner @ ..] => {
            let at = message.iter().position(|member| member.number() == number).unwrap_or_else(|| {
                message.push(Wire::Inlined { number, members: Vec::new() });
                message.len() - 1
            });
            if let Wire::Inlined { members, .. } = &mut message[at] {
                place_member(members, inner, field);
            }
        }
    }
}

fn sort(message: &mut [Wire]) {
    message.sort_by_key(Wire::number);
    for member in message {
        if let Wire::Inlined { members, .. } = member {
            sort(members);
        }
    }
}
