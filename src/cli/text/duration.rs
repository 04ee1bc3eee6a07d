//! Durations as people write them: `250ms`, `2s`, `1m`; a bare number is seconds.

use std::time::Duration;

/// Units by name, in nanoseconds. `ms` stands before `m` and `s`, which it ends and begins with.
const UNITS: [(&str, u128); 5] = [
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The longest that makes sense anywhere: it still fits a `u32` of milliseconds.
const DURATION_MAX: Duration = Duration::from_secs(49 * 24 * 3600);

/// Reads a duration.
///
/// # Errors
///
/// In words, for the person who wrote it.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let explain = || format!("\"{text}\" is no duration; write 250ms, 2s, 1m, or seconds as 1.5");
    let (number, unit) = split_unit(text);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    let has_digits = !whole.is_empty() || !fraction.is_empty();
    if !has_digits || number.ends_with('.') || !is_number(whole) || !is_number(fraction) {
        return Err(explain());
    }
    if whole.len() > 12 || fraction.len() > 12 {
        return Err(format!("\"{text}\" is longer or finer than anything here is timed"));
    }
    let digits = |digits: &str| digits.parse::<u128>().unwrap_or(0);
    let scale = 10_u128.pow(fraction.len() as u32);
    let nanos = digits(whole) * unit + digits(fraction) * unit / scale;
    let duration = u64::try_from(nanos).map(Duration::from_nanos);
    let fits = duration.ok().filter(|duration| *duration <= DURATION_MAX);
    fits.ok_or_else(|| format!("\"{text}\" is longer than 49 days"))
}

fn split_unit(text: &str) -> (&str, u128) {
    let found = UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)));
    found.unwrap_or((text, 1_000_000_000))
}

/// A duration as [`parse_duration`] reads it: exactly, in the largest unit that can say it.
pub(crate) fn write_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let units = ["h", "m", "s", "ms", "us"];
    let fits = |name: &&&str| {
        let (_, unit) = split_unit(name);
        nanos.is_multiple_of(unit)
    };
    match units.iter().find(fits) {
        Some(name) if nanos > 0 => format!("{}{name}", nanos / split_unit(name).1),
        _ => format!("{}s", duration.as_secs_f64()),
    }
}

/// A duration as people read it: three digits and a unit.
pub(crate) fn show_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let (unit, name) = match nanos {
        0..1_000 => return format!("{nanos} ns"),
        1_000..1_000_000 => (1e3, "us"),
        1_000_000..1_000_000_000 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    let value = nanos as f64 / unit;
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.decimals$} {name}")
}

/// An age as people read it: `7s`, `12m`, `5h`, `3d`.
pub(crate) fn show_age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3_600 => format!("{}m", seconds / 60),
        seconds @ 3_600..172_800 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_bare_seconds_are_read() {
        for (text, nanos) in [
            ("250ms", 250_000_000),
            ("2s", 2_000_000_000),
            ("1m", 60_000_000_000),
            ("1h", 3_600_000_000_000),
            ("100us", 100_000),
            ("0", 0),
            ("3", 3_000_000_000),
            ("0.5", 500_000_000),
            (".5", 500_000_000),
            ("1.5s", 1_500_000_000),
            ("0.25m", 15_000_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "s", "ms", "-1", "1 s", "1x", "1.", ".", "1..2", "1e3", "+1", "٣", "1ss"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        for text in ["9999999999999", "50000h", "1.1234567890123"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["0s", "100us", "250ms", "5s", "90s", "2m", "3h", "0.000000001s"] {
            assert_eq!(write_duration(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn durations_are_shown_with_three_digits() {
        for (nanos, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_234, "1.23 us"),
            (12_345, "12.3 us"),
            (123_456, "123 us"),
            (1_500_000, "1.50 ms"),
            (2_000_000_000, "2.00 s"),
        ] {
            assert_eq!(show_duration(Duration::from_nanos(nanos)), text);
        }
        assert_eq!(show_age(Duration::from_secs(59)), "59s");
        assert_eq!(show_age(Duration::from_secs(3_599)), "59m");
        assert_eq!(show_age(Duration::from_secs(90_000)), "25h");
        assert_eq!(show_age(Duration::from_secs(200_000)), "2d");
    }
}
