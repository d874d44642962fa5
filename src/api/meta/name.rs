//! The forms of names, labels and keys, and the words in which a wrong one is refused.

/// Faults of a DNS-1123 subdomain: most names.
pub(crate) fn subdomain(value: &str) -> Vec<String> {
    let mut faults = too_long(value, 253);
    if value.is_empty() || !value.split('.').all(is_label) {
        faults.push(format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end \
             with an alphanumeric character (e.g. 'example.com', regex used for validation is '{LABEL}(\\.{LABEL})*')"
        ));
    }
    faults
}

/// Faults of a DNS-1123 label: namespaces, services, containers.
pub(crate) fn label(value: &str) -> Vec<String> {
    let mut faults = too_long(value, 63);
    if !is_label(value) {
        faults.push(format!(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an \
             alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{LABEL}')"
        ));
    }
    faults
}

/// Faults of a subdomain whose first label is a star.
pub(crate) fn wildcard(value: &str) -> Vec<String> {
    let mut faults = too_long(value, 253);
    if !value.strip_prefix("*.").is_some_and(|rest| rest.split('.').all(is_label)) {
        faults.push(format!(
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case \
             alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for \
             validation is '\\*\\.{LABEL}(\\.{LABEL})*')"
        ));
    }
    faults
}

/// Faults of a DNS-1035 label: versions.
pub(crate) fn label_1035(value: &str) -> Vec<String> {
    let mut faults = too_long(value, 63);
    if !is_label(value) || !value.starts_with(|first: char| first.is_ascii_lowercase()) {
        faults.push(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end \
             with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
                .to_owned(),
        );
    }
    faults
}

/// Faults of an identifier of C.
pub(crate) fn c_identifier(value: &str) -> Vec<String> {
    let mut bytes = value.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if first && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Vec::new();
    }
    vec![
        "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. \
         'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')"
            .to_owned(),
    ]
}

/// Faults of a name that is only a segment of a path: RBAC's.
pub(crate) fn segment(value: &str) -> Vec<String> {
    match value {
        "." => vec!["may not be '.'".to_owned()],
        ".." => vec!["may not be '..'".to_owned()],
        other => ['/', '%']
            .into_iter()
            .filter(|forbidden| other.contains(*forbidden))
            .map(|forbidden| format!("may not contain '{forbidden}'"))
            .collect(),
    }
}

/// Faults of a qualified name: the keys of labels and annotations, finalizers.
pub(crate) fn qualified(value: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let parts: Vec<&str> = value.split('/').collect();
    let name = match parts.as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                faults.push("prefix part must be non-empty".to_owned());
            } else {
                faults.extend(subdomain(prefix).into_iter().map(|fault| format!("prefix part {fault}")));
            }
            *name
        }
        _ => {
            return vec![format!(
                "a qualified name {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                QUALIFIED.replace("{RE}", QUALIFIED_FORM)
            )];
        }
    };
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        faults.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_word(name) || name.is_empty() {
        faults.push(format!("name part {}", QUALIFIED.replace("{RE}", QUALIFIED_FORM)));
    }
    faults
}

/// Faults of a label's value.
pub(crate) fn label_value(value: &str) -> Vec<String> {
    let mut faults = too_long(value, 63);
    if !value.is_empty() && !is_word(value) {
        faults.push(format!(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end \
             with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
             '({QUALIFIED_FORM})?')"
        ));
    }
    faults
}

/// Faults of a key of a ConfigMap or Secret.
pub(crate) fn config_key(value: &str) -> Vec<String> {
    let mut faults = too_long(value, 253);
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        faults.push(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or \
             'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
                .to_owned(),
        );
        return faults;
    }
    match value {
        "." => faults.push("must not be '.'".to_owned()),
        ".." => faults.push("must not be '..'".to_owned()),
        other if other.starts_with("..") => faults.push("must not start with '..'".to_owned()),
        _ => {}
    }
    faults
}

/// Faults of a subdomain in which underscores are borne: where resolvers search.
pub(crate) fn searched(value: &str) -> Vec<String> {
    let mut faults = too_long(value, 253);
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.strip_prefix('_').unwrap_or(label).as_bytes();
        bytes.first().is_some_and(|byte| word(*byte))
            && bytes.last().is_some_and(|byte| word(*byte))
            && bytes.iter().all(|byte| word(*byte) || matches!(byte, b'-' | b'_'))
    };
    if value.is_empty() || !value.split('.').all(label) {
        let form = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
        faults.push(format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start \
             and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{form}(\\.{form})*')"
        ));
    }
    faults
}

/// Faults of the name of a header of HTTP.
pub(crate) fn header(value: &str) -> Vec<String> {
    let sound = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if sound {
        return Vec::new();
    }
    let fault = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for \
                 validation is '[-A-Za-z0-9]+')";
    vec![fault.to_owned()]
}

/// Faults of the name of an environment variable.
pub(crate) fn variable(value: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if value.is_empty() || !value.bytes().all(|byte| (0x20..=0x7e).contains(&byte) && byte != b'=') {
        faults
            .push("a valid environment variable name must consist only of printable ASCII characters other than '='".to_owned());
    }
    faults
}

/// Faults of the name of a container's or service's port.
pub(crate) fn port(value: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if value.len() > 15 {
        faults.push("must be no more than 15 bytes".to_owned());
    }
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if value.is_empty() || !value.bytes().all(word) {
        faults.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !value.bytes().any(|byte| byte.is_ascii_lowercase()) {
        faults.push("must contain at least one letter (a-z)".to_owned());
    }
    if value.contains("--") {
        faults.push("must not contain consecutive hyphens".to_owned());
    }
    if value.starts_with('-') || value.ends_with('-') {
        faults.push("must not begin or end with a hyphen".to_owned());
    }
    faults
}

fn too_long(value: &str, most: usize) -> Vec<String> {
    if value.len() > most { vec![format!("must be no more than {most} bytes")] } else { Vec::new() }
}

fn is_label(value: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = value.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
}

fn is_word(value: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = value.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const QUALIFIED_FORM: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const QUALIFIED: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
                         character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{RE}')";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        type Form = fn(&str) -> Vec<String>;
        let rows: &[(Form, &str, bool)] = &[
            (subdomain, "a", true),
            (subdomain, "a.b-c.0", true),
            (subdomain, "", false),
            (subdomain, "A", false),
            (subdomain, "a..b", false),
            (subdomain, "-a", false),
            (label, "a-b", true),
            (label, "a.b", false),
            (wildcard, "*.a.b", true),
            (wildcard, "*", false),
            (wildcard, "a.*.b", false),
            (segment, "system:node", true),
            (segment, "..", false),
            (segment, "a/b", false),
            (qualified, "example.com/Name_1.x", true),
            (qualified, "name", true),
            (qualified, "/name", false),
            (qualified, "a/b/c", false),
            (qualified, "-bad", false),
            (qualified, "a/", false),
            (label_value, "", true),
            (label_value, "x y", false),
            (config_key, "..data", false),
            (config_key, "k/4", false),
            (config_key, "k.4", true),
            (variable, "A=B", false),
            (variable, "a.b", true),
            (port, "http", true),
            (port, "80", false),
        ];
        for (form, value, good) in rows {
            assert_eq!(form(value).is_empty(), *good, "{value:?}");
        }
        assert!(!subdomain(&"a".repeat(254)).is_empty());
        assert!(!label(&"a".repeat(64)).is_empty());
    }
}
