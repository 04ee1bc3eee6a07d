//! Output that is shown again, without what it did beside showing: a bell rings once, a clipboard
//! is written once, and the terminal's own history is not erased for a `clear` of yesterday.

/// Operating system commands that act beyond the screen: the clipboard, and notifications of
/// several terminals.
const ACTING: [&[u8]; 4] = [b"52", b"9", b"99", b"777"];

/// The output, as it is to be shown again. What is cut off at its end is left as it is: live output
/// goes on with it.
pub(super) fn without_side_effects(output: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(output.len());
    let mut rest = output;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, 0x07 | 0x1b)) {
        kept.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let (len, is_kept) = match rest {
            [0x07, ..] => (1, false),
            [0x1b, b']', inside @ ..] => command(inside),
            [0x1b, b'[', inside @ ..] => sequence(inside),
            [0x1b, b'P' | b'X' | b'^' | b'_', inside @ ..] => (2 + string(inside), true),
            _ => (1, true),
        };
        if is_kept {
            kept.extend_from_slice(&rest[..len]);
        }
        rest = &rest[len..];
    }
    kept.extend_from_slice(rest);
    kept
}

/// How long an operating system command is, and whether it only shows something.
fn command(inside: &[u8]) -> (usize, bool) {
    let number = inside.split(|byte| !byte.is_ascii_digit()).next().unwrap_or_default();
    let end = inside.iter().position(|byte| matches!(byte, 0x07 | 0x1b | 0x18 | 0x1a));
    match end.map(|end| (end, &inside[end..])) {
        Some((end, [0x1b, b'\\', ..])) => (2 + end + 2, !ACTING.contains(&number)),
        Some((end, [0x07, ..])) => (2 + end + 1, !ACTING.contains(&number)),
        // Given up in the middle, or not over yet.
        Some((end, [_, _, ..])) => (2 + end, true),
        _ => (2 + inside.len(), true),
    }
}

/// How long a control sequence is, and whether it leaves the terminal's history alone.
fn sequence(inside: &[u8]) -> (usize, bool) {
    let end = inside.iter().position(|byte| !(0x20..=0x3f).contains(byte));
    match end {
        Some(end) if inside[end].is_ascii_graphic() => (2 + end + 1, &inside[..=end] != b"3J"),
        // Given up in the middle.
        Some(end) => (2 + end, true),
        None => (2 + inside.len(), true),
    }
}

/// How long a string is that a terminal draws from, or ignores.
fn string(inside: &[u8]) -> usize {
    let end = inside.windows(2).position(|pair| pair == b"\x1b\\");
    end.map_or(inside.len(), |end| end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_left_out_and_what_shows_is_kept() {
        for (output, kept) in [
            (&b"a\x07b"[..], &b"ab"[..]),
            (b"\x1b[H\x1b[2J\x1b[3Jx", b"\x1b[H\x1b[2Jx"),
            (b"\x1b]52;c;aGVsbG8=\x07after", b"after"),
            (b"\x1b]52;c;aGVsbG8=\x1b\\after", b"after"),
            (b"\x1b]9;note\x07\x1b]777;notify;a;b\x1b\\", b""),
            (b"\x1b]2;title\x07x\x07", b"\x1b]2;title\x07x"),
            (
                b"\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\",
                b"\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\",
            ),
            (b"\x1bPq#0\x07;\x1b\\x\x07", b"\x1bPq#0\x07;\x1b\\x"),
            (b"\x1b[31mred\x1b[m\x1b(B", b"\x1b[31mred\x1b[m\x1b(B"),
            (b"\x1b[\x1b[3Jx", b"\x1b[x"),
        ] {
            assert_eq!(without_side_effects(output), kept, "{:?}", String::from_utf8_lossy(output));
        }
    }

    #[test]
    fn what_goes_on_live_is_left_as_it_is() {
        for output in
            [&b"x\x1b"[..], b"x\x1b[", b"x\x1b[3", b"x\x1b]52;c;aG", b"x\x1b]52\x1b", b"\x1bP1"]
        {
            assert_eq!(without_side_effects(output), output);
        }
    }

    #[test]
    fn no_bytes_are_made_up_whatever_comes() {
        let mut random = fastrand::Rng::with_seed(7);
        let alphabet = b"\x1b\x07\x18][P\\3J52;9ax";
        for _ in 0..20_000 {
            let output: Vec<u8> =
                (0..random.usize(..24)).map(|_| alphabet[random.usize(..alphabet.len())]).collect();
            let kept = without_side_effects(&output);
            let mut left = output.iter();
            assert!(kept.iter().all(|byte| left.any(|it| it == byte)), "{output:?} -> {kept:?}");
        }
    }
}
