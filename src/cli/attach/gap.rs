//! Where output goes on after some of it left the log: not in the middle of a line or a sequence.

/// What is missing, and what of the output behind it is left out with it.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// Missing since something was shown last; `None` while output is whole.
    missing: Option<u64>,
    total: u64,
}

impl Gaps {
    /// So much left the log before it could be shown.
    pub(super) fn handle_gap(&mut self, missing: u64) {
        *self.missing.get_or_insert(0) += missing;
    }

    /// What of the next output can be shown, and how much is missing before it.
    pub(super) fn take<'a>(&mut self, output: &'a [u8]) -> (Option<u64>, &'a [u8]) {
        let Some(missing) = &mut self.missing else { return (None, output) };
        let begin = output.iter().position(|byte| matches!(byte, b'\n' | 0x1b));
        // The newline itself belongs to the line that is not whole.
        let begin = begin.map(|at| at + usize::from(output[at] == b'\n'));
        *missing += begin.unwrap_or(output.len()) as u64;
        let Some(begin) = begin else { return (None, &[]) };
        let missing = self.missing.take();
        self.total += missing.unwrap_or(0);
        (missing, &output[begin..])
    }

    /// All that was never shown.
    pub(super) fn total(&self) -> u64 {
        self.total + self.missing.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_output_is_shown_as_it_is() {
        let mut gaps = Gaps::default();
        assert_eq!(gaps.take(b"all\x1b[m"), (None, &b"all\x1b[m"[..]));
        assert_eq!(gaps.total(), 0);
    }

    #[test]
    fn behind_a_gap_output_goes_on_with_a_line_or_a_sequence() {
        let mut gaps = Gaps::default();
        gaps.handle_gap(100);
        assert_eq!(gaps.take(b"8;5;126mno line"), (None, &b""[..]));
        assert_eq!(gaps.total(), 115);
        gaps.handle_gap(5);
        assert_eq!(gaps.take(b"rest\nline"), (Some(125), &b"line"[..]));
        assert_eq!(gaps.take(b"more"), (None, &b"more"[..]));
        gaps.handle_gap(1);
        assert_eq!(gaps.take(b"ab\x1b[mc"), (Some(3), &b"\x1b[mc"[..]));
        assert_eq!(gaps.total(), 128);
    }
}
