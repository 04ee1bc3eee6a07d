//! Where a control sequence that a terminal sends begins and ends.

/// Longest sequence that is taken for one; what is longer is passed on as it comes.
const SEQUENCE_MAX: usize = 64;

/// What bytes begin with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Begins {
    /// A whole unit of so many bytes: a control sequence, or a single byte.
    Unit(usize),
    /// The beginning of a control sequence whose end is not there yet.
    Part,
}

/// The unit that `bytes` begin with: a control sequence (`ESC [` ... letter), or one byte.
///
/// A lone escape at the end is a [`Begins::Part`] too: more may come.
pub(super) fn first_unit(bytes: &[u8]) -> Begins {
    if bytes.first() != Some(&0x1b) {
        return Begins::Unit(1);
    }
    match bytes.get(1) {
        None => Begins::Part,
        Some(b'[') => control_sequence(bytes),
        Some(_) => Begins::Unit(1),
    }
}

fn control_sequence(bytes: &[u8]) -> Begins {
    for (at, byte) in bytes.iter().enumerate().skip(2).take(SEQUENCE_MAX) {
        match byte {
            0x20..=0x3f => {}
            0x40..=0x7e => return Begins::Unit(at + 1),
            // Not a sequence after all.
            _ => return Begins::Unit(1),
        }
    }
    if bytes.len() < SEQUENCE_MAX { Begins::Part } else { Begins::Unit(1) }
}

/// A control sequence taken apart: `ESC [`, a private mark, parameters, intermediates, a letter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct ControlSequence<'a> {
    /// `?`, `>`, `=` or `<`, if there is one.
    pub(super) mark: Option<u8>,
    /// Digits, `;` and `:`.
    pub(super) parameters: &'a [u8],
    /// Bytes before the last: `$` and the like.
    pub(super) intermediates: &'a [u8],
    /// The last byte.
    pub(super) letter: u8,
}

impl<'a> ControlSequence<'a> {
    /// Takes a unit apart; `None` if it is no control sequence.
    pub(super) fn of(unit: &'a [u8]) -> Option<Self> {
        let inside = unit.strip_prefix(b"\x1b[")?;
        let (&letter, inside) = inside.split_last()?;
        let mark = inside.first().copied().filter(|byte| (b'<'..=b'?').contains(byte));
        let inside = &inside[usize::from(mark.is_some())..];
        let end = inside.iter().position(|byte| *byte < b'0').unwrap_or(inside.len());
        let (parameters, intermediates) = inside.split_at(end);
        Some(Self { mark, parameters, intermediates, letter })
    }

    /// The parameters, each split into its parts; an empty one is 0.
    pub(super) fn numbers(&self) -> Vec<Vec<u32>> {
        let number = |digits: &[u8]| {
            digits.iter().fold(0_u32, |value, digit| {
                value.saturating_mul(10).saturating_add(u32::from(digit.saturating_sub(b'0')))
            })
        };
        let parts = |parameter: &[u8]| parameter.split(|byte| *byte == b':').map(number).collect();
        self.parameters.split(|byte| *byte == b';').map(parts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_end_where_the_sequence_does() {
        for (bytes, begins) in [
            (&b"abc"[..], Begins::Unit(1)),
            (b"\x1b", Begins::Part),
            (b"\x1b[", Begins::Part),
            (b"\x1b[92;5", Begins::Part),
            (b"\x1b[92;5ux", Begins::Unit(7)),
            (b"\x1b[A", Begins::Unit(3)),
            (b"\x1bOA", Begins::Unit(1)),
            (b"\x1b\x1b[A", Begins::Unit(1)),
            (b"\x1b[\x1c", Begins::Unit(1)),
            (b"\x1b[1;1\xff", Begins::Unit(1)),
        ] {
            assert_eq!(first_unit(bytes), begins, "{bytes:?}");
        }
        let long = [b"\x1b[".as_slice(), &[b'1'; 100]].concat();
        assert_eq!(first_unit(&long), Begins::Unit(1));
    }

    #[test]
    fn sequences_come_apart() {
        let sequence = ControlSequence::of(b"\x1b[?2004;1$y").unwrap();
        assert_eq!((sequence.mark, sequence.letter), (Some(b'?'), b'y'));
        assert_eq!(sequence.intermediates, b"$");
        assert_eq!(sequence.numbers(), [vec![2004], vec![1]]);
        let sequence = ControlSequence::of(b"\x1b[92::92;5:1u").unwrap();
        assert_eq!(sequence.numbers(), [vec![92, 0, 92], vec![5, 1]]);
        assert_eq!(ControlSequence::of(b"\x1b"), None);
        assert_eq!(ControlSequence::of(b"x"), None);
    }
}
