//! Schedules as cron reads them, and the names of time zones.

/// Whether a schedule can be read.
///
/// # Errors
/// The fault, in the words of the reader that kube-apiserver uses.
pub(super) fn parse(spec: &str) -> Result<(), String> {
    let mut spec = spec;
    if spec.starts_with("TZ=") || spec.starts_with("CRON_TZ=") {
        let Some((zone, rest)) = spec.split_once(' ') else {
            return Err("invalid schedule format: runtime error: slice bounds out of range [:-1]".to_owned());
        };
        let zone = zone.split_once('=').map_or("", |(_, zone)| zone);
        if !zone.is_empty() && zone != "Local" && !is_zone(zone) {
            return Err(format!("provided bad location {zone}: unknown time zone {zone}"));
        }
        spec = rest.trim();
    }
    if spec.starts_with('@') {
        return describe(spec);
    }
    let fields: Vec<&str> = spec.split_whitespace().collect();
    if fields.len() != 5 {
        return Err(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
    }
    for (field, bounds) in fields.iter().zip(&FIELDS) {
        for range in field.split(',').filter(|range| !range.is_empty()) {
            bounds.check(range)?;
        }
    }
    Ok(())
}

/// Whether there is a time zone of this name.
pub(super) fn is_zone(name: &str) -> bool {
    ZONES.lines().any(|zone| zone == name)
}

/// What a field may hold.
struct Bounds {
    least: i64,
    most: i64,
    names: &'static [&'static str],
}

impl Bounds {
    fn check(&self, expression: &str) -> Result<(), String> {
        let mut parts = expression.split('/');
        let (range, step, more) = (parts.next().unwrap_or(""), parts.next(), parts.next());
        let limits: Vec<&str> = range.splitn(4, '-').collect();
        let (start, mut end) = match limits.as_slice() {
            ["*" | "?", ..] => (self.least, self.most),
            [only] => (self.number(only)?, self.number(only)?),
            [first, last] => (self.number(first)?, self.number(last)?),
            [first, ..] => {
                self.number(first)?;
                return Err(format!("too many hyphens: {expression}"));
            }
            [] => (self.least, self.most),
        };
        let step = match (step, more) {
            (None, _) => 1,
            (Some(step), None) => {
                let step = integer(step)?;
                if limits.len() == 1 {
                    end = self.most;
                }
                step
            }
            _ => return Err(format!("too many slashes: {expression}")),
        };
        if start < self.least {
            return Err(format!("beginning of range ({start}) below minimum ({}): {expression}", self.least));
        }
        if end > self.most {
            return Err(format!("end of range ({end}) above maximum ({}): {expression}", self.most));
        }
        if start > end {
            return Err(format!("beginning of range ({start}) beyond end of range ({end}): {expression}"));
        }
        if step == 0 {
            return Err(format!("step of range should be a positive number: {expression}"));
        }
        Ok(())
    }

    fn number(&self, text: &str) -> Result<i64, String> {
        let lower = text.to_lowercase();
        match self.names.iter().position(|name| *name == lower) {
            Some(place) => Ok(self.least + i64::try_from(place).unwrap_or(0)),
            None => integer(text),
        }
    }
}

fn integer(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let fault = |what: &str| format!("failed to parse int from {text}: strconv.Atoi: parsing {}: {what}", quoted(text));
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(fault("invalid syntax"));
    }
    match text.parse::<i64>() {
        Err(_) => Err(fault("value out of range")),
        Ok(number) if number < 0 => Err(format!("negative number ({number}) not allowed: {text}")),
        Ok(number) => Ok(number),
    }
}

/// `@daily` and its like.
fn describe(spec: &str) -> Result<(), String> {
    match (spec, spec.strip_prefix("@every ")) {
        ("@yearly" | "@annually" | "@monthly" | "@weekly" | "@daily" | "@midnight" | "@hourly", _) => Ok(()),
        (_, Some(duration)) => check_duration(duration).map_err(|cause| format!("failed to parse duration {spec}: {cause}")),
        _ => Err(format!("unrecognized descriptor: {spec}")),
    }
}

/// A duration as Go writes it: `1h30m`.
fn check_duration(text: &str) -> Result<(), String> {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return Ok(());
    }
    if rest.is_empty() {
        return Err(format!("time: invalid duration {}", quoted(text)));
    }
    while !rest.is_empty() {
        let end = rest.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        if number.matches('.').count() > 1 || !number.contains(|character: char| character.is_ascii_digit()) {
            return Err(format!("time: invalid duration {}", quoted(text)));
        }
        let end = after.find(|character: char| character.is_ascii_digit() || character == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        match unit {
            "" => return Err(format!("time: missing unit in duration {}", quoted(text))),
            "ns" | "us" | "\u{b5}s" | "\u{3bc}s" | "ms" | "s" | "m" | "h" => {}
            _ => return Err(format!("time: unknown unit {} in duration {}", quoted(unit), quoted(text))),
        }
        rest = after;
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    crate::api::error::quoted(text)
}

const FIELDS: [Bounds; 5] = [
    Bounds { least: 0, most: 59, names: &[] },
    Bounds { least: 0, most: 23, names: &[] },
    Bounds { least: 1, most: 31, names: &[] },
    Bounds { least: 1, most: 12, names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"] },
    Bounds { least: 0, most: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];

/// The names of the time zone database.
const ZONES: &str = include_str!("zones.txt");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules() {
        for (spec, expected) in [
            ("* * * * *", ""),
            ("*/5 1-3,7 1 jan-mar MON", ""),
            ("@daily", ""),
            ("@every 1h30m", ""),
            ("CRON_TZ=Europe/Berlin * * * * *", ""),
            ("5/15 * * * ?", ""),
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("61 * * * *", "end of range (61) above maximum (59): 61"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("a * * * *", "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("1/2/3 * * * *", "too many slashes: 1/2/3"),
            ("@often", "unrecognized descriptor: @often"),
            ("@every x", "failed to parse duration @every x: time: invalid duration \"x\""),
            ("@every 5", "failed to parse duration @every 5: time: missing unit in duration \"5\""),
            ("TZ=Nowhere * * * * *", "provided bad location Nowhere: unknown time zone Nowhere"),
            ("TZ=UTC", "invalid schedule format: runtime error: slice bounds out of range [:-1]"),
        ] {
            assert_eq!(parse(spec).err().unwrap_or_default(), expected, "{spec}");
        }
    }

    #[test]
    fn zones() {
        assert!(is_zone("Europe/Berlin") && is_zone("UTC") && is_zone("Etc/GMT+1"));
        assert!(!is_zone("Mars/Base") && !is_zone(""));
    }
}
