//! Addresses and networks in the fields of objects, read as Go's lenient reader does, and their faults in kube-apiserver's words.
//!
//! Knows the form of addresses, not whose they are.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::field::Field;
use crate::api::error::FieldError;

/// Texts that stood in an object before: they may stay.
pub(super) type Known<'v> = HashSet<&'v str>;

/// What is not as it should be about a text that is an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    Zeros,
    Mapped,
}

/// A network: an address and how many of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    bits: u8,
    flaw: Flaw,
}

impl Network {
    /// Reads `10.0.0.0/8`; leading zeros and host bits are tolerated.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let (mut ip, mut flaw) = lenient(address)?;
        let zeros = bits.len() > 1 && bits.starts_with('0');
        let mut count = decimal(bits)?;
        if flaw == Flaw::Mapped {
            // The bits count from the front of the long form.
            match count.checked_sub(96) {
                Some(short) => count = short,
                None => ip = IpAddr::V6(address.parse().ok()?),
            }
        }
        if zeros {
            flaw = Flaw::Zeros;
        }
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let bits = u8::try_from(count).ok().filter(|bits| *bits <= most)?;
        Some(Self { address: ip, bits, flaw })
    }

    /// Whether it is of IPv6.
    pub(super) fn is_six(self) -> bool {
        self.address.is_ipv6()
    }

    /// Whether all of `other` lies in it, and it is larger.
    pub(super) fn strictly_contains(self, other: Self) -> bool {
        self.is_six() == other.is_six() && self.bits < other.bits && mask(other.first(), self.bits) == self.first()
    }

    /// The address with nothing behind the prefix.
    fn first(self) -> IpAddr {
        mask(self.address, self.bits)
    }

    fn canonical(self) -> String {
        format!("{}/{}", self.first(), self.bits)
    }
}

/// The faults of an address in a field that is older than the strict rules. What stood there before may stay.
pub(super) fn legacy(field: &Field<'_, '_>, known: &Known<'_>, errors: &mut Vec<FieldError>) {
    match lenient(field.text()) {
        None => errors.push(field.invalid(NO_ADDRESS)),
        Some((_, flaw)) if !known.contains(field.text()) => errors.extend(flaw_of(flaw).map(|fault| field.invalid(fault))),
        Some(_) => {}
    }
}

/// The faults of a text that must be an address in its canonical form.
pub(super) fn strict(text: &str) -> Vec<String> {
    match lenient(text) {
        None => vec![NO_ADDRESS.to_owned()],
        Some((_, flaw @ (Flaw::Zeros | Flaw::Mapped))) => flaw_of(flaw).map(str::to_owned).into_iter().collect(),
        Some((ip, Flaw::None)) if ip.to_string() != text => vec![format!("must be in canonical form (\"{ip}\")")],
        Some(_) => Vec::new(),
    }
}

/// The faults of a network in a field that is older than the strict rules.
pub(super) fn legacy_network(field: &Field<'_, '_>, text: &str, known: &Known<'_>, errors: &mut Vec<FieldError>) {
    let fault = match Network::read(text) {
        None => Some(NO_NETWORK),
        Some(network) if !known.contains(text) => flaw_of_network(network),
        Some(_) => None,
    };
    errors.extend(fault.map(|fault| FieldError::invalid_text(field.to_string(), text, fault)));
}

/// The faults of a network that must be in its canonical form.
pub(super) fn strict_network(field: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let Some(network) = Network::read(field.text()) else { return errors.push(field.invalid(NO_NETWORK)) };
    match flaw_of_network(network) {
        Some(fault) => errors.push(field.invalid(fault)),
        None if network.canonical() != field.text() => {
            errors.push(field.invalid(&format!("must be in canonical form (\"{}\")", network.canonical())));
        }
        None => {}
    }
}

/// The faults of an address that stands for an endpoint: it must not be one of a host's own.
pub(super) fn endpoint(field: &Field<'_, '_>, errors: &mut Vec<FieldError>) {
    let Some((ip, _)) = lenient(field.text()) else { return errors.push(field.invalid("must be a valid IP address")) };
    let (local, multicast) = match ip {
        IpAddr::V4(ip) => (ip.is_link_local(), ip.octets().starts_with(&[224, 0, 0])),
        IpAddr::V6(ip) => (ip.is_unicast_link_local(), ip.segments()[0] & 0xff0f == 0xff02),
    };
    if ip.is_unspecified() {
        errors.push(field.invalid(&format!("may not be unspecified ({})", field.text())));
    }
    for (applies, fault) in [
        (ip.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (multicast, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
    ] {
        if applies {
            errors.push(field.invalid(fault));
        }
    }
}

/// Whether a text is an address, of whatever form.
pub(super) fn is_address(text: &str) -> bool {
    lenient(text).is_some()
}

/// Whether an address is of IPv6; an IPv4 address in the long form is none.
pub(super) fn is_six(text: &str) -> bool {
    lenient(text).is_some_and(|(ip, _)| ip.is_ipv6())
}

/// What a client should know of an address that is taken.
pub(super) fn warn(field: &Field<'_, '_>, warnings: &mut Vec<String>) {
    let text = field.text();
    match lenient(text) {
        Some((ip, Flaw::Zeros | Flaw::Mapped)) => warnings.push(format!(
            "{field}: non-standard IP address \"{text}\" will be considered invalid in a future Kubernetes release: use \"{ip}\""
        )),
        Some((ip @ IpAddr::V6(_), _)) if ip.to_string() != text => {
            warnings.push(format!("{field}: IPv6 address \"{text}\" should be in RFC 5952 canonical format (\"{ip}\")"));
        }
        _ => {}
    }
}

/// What a client should know of a network that is taken.
pub(super) fn warn_network(field: &Field<'_, '_>, warnings: &mut Vec<String>) {
    let text = field.text();
    let Some(network) = Network::read(text) else { return };
    let (canonical, before) = (network.canonical(), warnings.len());
    if network.first() != network.address {
        let single = format!("{}/{}", network.address, if network.is_six() { 128 } else { 32 });
        warnings.push(format!(
            "{field}: CIDR value \"{text}\" is ambiguous in this context (should be \"{canonical}\" or \"{single}\"?)"
        ));
    }
    if network.flaw != Flaw::None {
        warnings.push(format!(
            "{field}: non-standard CIDR value \"{text}\" will be considered invalid in a future Kubernetes release: use \
             \"{canonical}\""
        ));
    }
    if warnings.len() == before && network.is_six() && canonical != text {
        warnings.push(format!("{field}: IPv6 CIDR value \"{text}\" should be in RFC 5952 canonical format (\"{canonical}\")"));
    }
}

/// Reads an address as Go's `ParseIPSloppy`: parts of IPv4 may begin with zeros.
fn lenient(text: &str) -> Option<(IpAddr, Flaw)> {
    if text.contains(':') {
        let six: Ipv6Addr = text.parse().ok()?;
        return Some(six.to_ipv4_mapped().map_or((IpAddr::V6(six), Flaw::None), |four| (IpAddr::V4(four), Flaw::Mapped)));
    }
    let (mut octets, mut parts, mut flaw) = ([0_u8; 4], text.split('.'), Flaw::None);
    for octet in &mut octets {
        let part = parts.next()?;
        *octet = u8::try_from(decimal(part)?).ok()?;
        if part.len() > 1 && part.starts_with('0') {
            flaw = Flaw::Zeros;
        }
    }
    parts.next().is_none().then_some((IpAddr::V4(Ipv4Addr::from(octets)), flaw))
}

/// A number of digits alone; none is so large that it matters.
fn decimal(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = text.trim_start_matches('0');
    if digits.is_empty() { Some(0) } else { digits.parse().ok() }
}

fn mask(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            IpAddr::V4(Ipv4Addr::from(u32::from(ip) & u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0)))
        }
        IpAddr::V6(ip) => {
            IpAddr::V6(Ipv6Addr::from(u128::from(ip) & u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0)))
        }
    }
}

fn flaw_of(flaw: Flaw) -> Option<&'static str> {
    match flaw {
        Flaw::None => None,
        Flaw::Zeros => Some("must not have leading 0s"),
        Flaw::Mapped => Some("must not be an IPv4-mapped IPv6 address"),
    }
}

fn flaw_of_network(network: Network) -> Option<&'static str> {
    match network.flaw {
        Flaw::Zeros => Some("must not have leading 0s in IP or prefix length"),
        Flaw::Mapped => Some("must not have an IPv4-mapped IPv6 address"),
        Flaw::None if network.first() != network.address => Some("must not have bits set beyond the prefix length"),
        Flaw::None => None,
    }
}

const NO_ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const NO_NETWORK: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn addresses_in_their_one_form() {
        for (text, expected) in [
            ("10.0.0.1", ""),
            ("fd00::1", ""),
            ("010.0.0.1", "must not have leading 0s"),
            ("::ffff:10.0.0.1", "must not be an IPv4-mapped IPv6 address"),
            ("FD00::1", "must be in canonical form (\"fd00::1\")"),
            ("fd00:0:0::1", "must be in canonical form (\"fd00::1\")"),
            ("10.0.0.256", NO_ADDRESS),
            ("10.0.0", NO_ADDRESS),
            ("10.0.0.1.2", NO_ADDRESS),
            ("10.0.0.+1", NO_ADDRESS),
            ("fe80::1%eth0", NO_ADDRESS),
            ("", NO_ADDRESS),
        ] {
            assert_eq!(strict(text).join("; "), expected, "{text}");
        }
    }

    #[test]
    fn networks() {
        for (text, lax, exact) in [
            ("10.0.0.0/8", "", ""),
            ("fd00::/64", "", ""),
            ("10.0.0.1/8", "must not have bits set beyond the prefix length", "must not have bits set beyond the prefix length"),
            ("10.0.0.0/08", "must not have leading 0s in IP or prefix length", "must not have leading 0s in IP or prefix length"),
            ("FD00::/64", "", "must be in canonical form (\"fd00::/64\")"),
            ("::ffff:10.0.0.0/104", "must not have an IPv4-mapped IPv6 address", "must not have an IPv4-mapped IPv6 address"),
            ("10.0.0.0/33", NO_NETWORK, NO_NETWORK),
            ("10.0.0.0", NO_NETWORK, NO_NETWORK),
            ("10.0.0.0/+8", NO_NETWORK, NO_NETWORK),
            ("0.0.0.0/0", "", ""),
            ("::/0", "", ""),
        ] {
            let value = Value::from(text);
            let field = Field::new(&value, "x");
            let (mut one, mut other) = (Vec::new(), Vec::new());
            legacy_network(&field, text, &Known::new(), &mut one);
            strict_network(&field, &mut other);
            for (errors, expected) in [(one, lax), (other, exact)] {
                let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
                let wanted: Vec<String> = Some(expected)
                    .filter(|expected| !expected.is_empty())
                    .map(|expected| format!("x: Invalid value: \"{text}\": {expected}"))
                    .into_iter()
                    .collect();
                assert_eq!(told, wanted, "{text}");
            }
        }
    }

    #[test]
    fn networks_in_networks() {
        let read = |text| Network::read(text).expect("a network");
        for (outer, inner, expected) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.0.0.0/8", "10.0.0.0/8", false),
            ("10.0.0.0/8", "11.0.0.0/16", false),
            ("10.0.0.0/8", "fd00::/16", false),
            ("0.0.0.0/0", "10.0.0.0/8", true),
        ] {
            assert_eq!(read(outer).strictly_contains(read(inner)), expected, "{outer} {inner}");
        }
    }

    #[test]
    fn what_stood_there_may_stay() {
        let value = Value::from("010.0.0.1");
        let field = Field::new(&value, "x");
        let mut errors = Vec::new();
        legacy(&field, &Known::from(["010.0.0.1"]), &mut errors);
        assert!(errors.is_empty());
        legacy(&field, &Known::new(), &mut errors);
        assert_eq!(errors[0].to_string(), "x: Invalid value: \"010.0.0.1\": must not have leading 0s");
    }

    #[test]
    fn warnings() {
        for (text, expected) in [
            ("10.0.0.1", ""),
            ("FD00::1", "x: IPv6 address \"FD00::1\" should be in RFC 5952 canonical format (\"fd00::1\")"),
            (
                "010.0.0.1",
                "x: non-standard IP address \"010.0.0.1\" will be considered invalid in a future Kubernetes release: use \
                 \"10.0.0.1\"",
            ),
        ] {
            let value = Value::from(text);
            let mut warnings = Vec::new();
            warn(&Field::new(&value, "x"), &mut warnings);
            assert_eq!(warnings.join("; "), expected);
        }
        let value = Value::from("10.0.0.1/8");
        let mut warnings = Vec::new();
        warn_network(&Field::new(&value, "x"), &mut warnings);
        let expected = "x: CIDR value \"10.0.0.1/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \"10.0.0.1/32\"?)";
        assert_eq!(warnings, [expected]);
    }
}
