//! Ages as kubectl prints them.

use jiff::Timestamp;
use serde_json::Value;

/// How long ago a moment was: `5d3h`, `<unknown>` when there is none.
pub(super) fn since(moment: &Value, now: Timestamp) -> String {
    match moment.as_str().and_then(|text| text.parse::<Timestamp>().ok()) {
        Some(moment) => human(now.duration_since(moment).as_secs()),
        None => "<unknown>".to_owned(),
    }
}

/// The seconds between two moments.
pub(super) fn between(from: &Value, to: &Value) -> Option<i64> {
    let moment = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
    Some(moment(to)?.duration_since(moment(from)?).as_secs())
}

/// A length of time in at most two units.
pub(super) fn human(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

fn two(large: i64, unit: &str, small: i64, part: &str) -> String {
    if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{part}") }
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn in_two_units_at_most() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (599, "9m59s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_100, "3h5m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (691_200, "8d"),
            (63_072_000, "2y"),
            (63_158_400, "2y1d"),
            (252_288_000, "8y"),
        ] {
            assert_eq!(human(seconds), text, "{seconds}");
        }
    }
}
