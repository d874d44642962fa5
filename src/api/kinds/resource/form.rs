//! The forms of the names of drivers, pools, devices and their attributes, and the bounds of lists.

use std::collections::HashSet;

use crate::api::error::FieldError;
use crate::api::kinds::field::Field;
use crate::api::meta::name;

/// Whether a list has no more than `most` items; one that has is told, and not looked into.
pub(super) fn fits(list: &Field<'_, '_>, most: usize, errors: &mut Vec<FieldError>) -> bool {
    list.at_most(most, errors);
    list.len() <= most
}

/// The items whose text comes a second time.
pub(super) fn unique(list: &Field<'_, '_>, key: impl Fn(&Field<'_, '_>) -> String, errors: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for item in list.items() {
        let key = key(&item);
        if seen.contains(&key) {
            errors.push(FieldError::duplicate(item.to_string(), &key.into()));
        } else {
            seen.insert(key);
        }
    }
}

/// The faults of a driver's name.
pub(super) fn driver(field: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if !field.require(errors).is_empty() {
        domain(field, field.text(), errors);
    }
}

/// The faults of a domain that stands in a field.
fn domain(field: &Field<'_, '_>, text: &str, errors: &mut Vec<FieldError>) {
    if text.len() > 63 {
        errors.push(FieldError::too_long(field.to_string(), 63));
    }
    errors.extend(name::subdomain(&text.to_lowercase()).iter().map(|fault| field.invalid_text(text, fault)));
}

/// The faults of a pool's name.
pub(super) fn pool(field: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if field.require(errors).is_empty() {
        return;
    }
    field.at_most_bytes(253, errors);
    for part in field.text().split('/') {
        errors.extend(name::subdomain(part).iter().map(|fault| field.invalid_text(part, fault)));
    }
}

/// The faults of a name of one label, which must be there.
pub(super) fn label(field: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    errors.extend(name::label(field.text()).iter().map(|fault| field.invalid(fault)));
}

/// The same with another fault when it is not there.
pub(super) fn required_label(field: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    if !field.require(errors).is_empty() {
        label(field, errors);
    }
}

/// The faults of a name with a domain or without.
pub(super) fn qualified(field: &Field<'_, '_>, text: &str, errors: &mut Vec<FieldError>) {
    match text.split('/').collect::<Vec<_>>().as_slice() {
        [own] => identifier(field, own, errors),
        [prefix, own] => {
            if prefix.is_empty() {
                errors.push(field.invalid_text("", "the domain must not be empty"));
            } else {
                domain(field, prefix, errors);
            }
            if own.is_empty() {
                errors.push(field.invalid_text("", "the name must not be empty"));
            } else {
                identifier(field, own, errors);
            }
        }
        _ => {}
    }
}

/// The same with a domain.
pub(super) fn fully_qualified(field: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    qualified(field, field.text(), errors);
    if !field.text().contains('/') {
        errors.push(field.invalid("a fully qualified name must be a domain and a name separated by a slash"));
    }
}

fn identifier(field: &Field<'_, '_>, text: &str, errors: &mut Vec<FieldError>) {
    if text.len() > 32 {
        errors.push(FieldError::too_long(field.to_string(), 32));
    }
    errors.extend(name::c_identifier(text).iter().map(|fault| field.invalid_text(text, fault)));
}

/// The faults of a UID, if it is there.
pub(super) fn uid(field: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let text = field.text();
    if field.is_absent() {
        return;
    }
    if let Some(fault) = uid_fault(text) {
        errors.push(field.invalid(&format!("error validating uid: {fault}")));
    } else if text.len() != 36 || text.to_lowercase() != text {
        let form = "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters";
        errors.push(field.invalid(form));
    }
}

fn uid_fault(text: &str) -> Option<String> {
    let core = match text.len() {
        45 => match text.get(..9).filter(|prefix| prefix.eq_ignore_ascii_case("urn:uuid:")) {
            Some(_) => &text[9..],
            None => return Some(format!("invalid urn prefix: \"{}\"", text.get(..9).unwrap_or(""))),
        },
        38 => match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            Some(core) => core,
            None => return Some("invalid bracketed UUID format".to_owned()),
        },
        36 | 32 => text,
        length => return Some(format!("invalid UUID length: {length}")),
    };
    let hex = |(index, byte): (usize, u8)| match index {
        8 | 13 | 18 | 23 if core.len() == 36 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    (!core.bytes().enumerate().all(hex)).then(|| "invalid UUID format".to_owned())
}

/// A key of a map in a path, shortened in the middle when it is long.
pub(super) fn shortened(key: &str, most: usize) -> String {
    let most = most.max(16);
    if key.len() <= most {
        return key.to_owned();
    }
    let remaining = most - 3;
    let (head, tail) = (key.floor_char_boundary(remaining.div_ceil(2)), key.ceil_char_boundary(key.len() - remaining / 2));
    format!("{}...{}", &key[..head], &key[tail..])
}
