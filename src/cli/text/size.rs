//! Sizes in bytes as people write them: `64k`, `1m`, `2g`; a bare number is bytes.

/// Units by name, the largest first.
const UNITS: [(&str, u64); 3] = [("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)];

/// Reads a size; none if it is none.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let unit = UNITS.iter().find_map(|(name, unit)| Some((lower.strip_suffix(name)?, *unit)));
    let (digits, unit) = unit.unwrap_or((&lower, 1));
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| is_number)?.checked_mul(unit)
}

/// A size as [`parse_size`] reads it: exactly, in the largest unit that can say it.
pub(crate) fn show_size(size: u64) -> String {
    let fits = |(_, unit): &&(&str, u64)| size > 0 && size.is_multiple_of(*unit);
    match UNITS.iter().find(fits) {
        Some((name, unit)) => format!("{}{name}", size / unit),
        None => size.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_again() {
        for (size, text) in
            [(0, "0"), (8_128, "8128"), (65_536, "64k"), (1 << 20, "1m"), (3 << 30, "3g")]
        {
            assert_eq!(show_size(size), text);
            assert_eq!(parse_size(text), Some(size));
        }
        assert_eq!(parse_size("2M"), Some(2 << 20));
        for text in ["", "k", "-1", "+64k", "1.5m", "1t", " 1", "99999999999999999999g"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
