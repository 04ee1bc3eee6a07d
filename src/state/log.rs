//! The session log: the tail of a session's output, by absolute offset.
//!
//! ```text
//! offset 0          start                     end
//! |  gone            |  held: in the ring      |  not printed yet
//! ```
//!
//! The PTY is read straight into the ring; frames are written straight from it. Offsets never go
//! back, also not when the child is restarted.

/// Most bytes one read of the PTY may bring: what a turn of the reader costs the others.
pub const READ_TURN: usize = 64 * 1024;

/// Bounded tail of a session's output.
///
/// Invariant: `start <= end`, and `end - start <= memory.len()`.
///
/// Holds at least `size` bytes once so many were printed: the memory is one [`READ_TURN`] larger,
/// so making room for a read that brings little never costs held bytes.
pub struct SessionLog<M = Box<[u8]>> {
    memory: M,
    start: u64,
    end: u64,
}

/// Bytes of a log, for one who reads it piece by piece.
#[derive(Debug, Eq, PartialEq)]
pub struct LogPiece<'a> {
    /// The offset of the first byte.
    pub offset: u64,
    /// Whether what came before it was lost.
    pub is_after_gap: bool,
    /// The bytes; none if everything that was still wanted was lost.
    pub bytes: (&'a [u8], &'a [u8]),
}

impl SessionLog {
    /// An empty log that will hold `size` bytes, in one allocation.
    pub fn new(size: usize) -> Self {
        Self::with_memory(vec![0; size + READ_TURN].into_boxed_slice())
    }
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> SessionLog<M> {
    /// An empty log in memory of the caller's choosing: a mapping that outlives the process, say.
    ///
    /// # Panics
    ///
    /// If the memory is no larger than [`READ_TURN`].
    pub fn with_memory(memory: M) -> Self {
        assert!(memory.as_ref().len() > READ_TURN, "a log holds more than one turn of the reader");
        Self { memory, start: 0, end: 0 }
    }

    /// The oldest offset held.
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// The offset of what will be printed next.
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// Bytes held at the least, once so many were printed.
    pub fn size(&self) -> usize {
        self.capacity() - READ_TURN
    }

    /// Contiguous room for up to `want` bytes at `end`, at most [`READ_TURN`]; the oldest bytes
    /// make way for it.
    pub fn spare(&mut self, want: usize) -> &mut [u8] {
        let capacity = self.capacity();
        let at = self.index(self.end);
        let room = want.min(READ_TURN).min(capacity - at);
        let start_allowed = (self.end + room as u64).saturating_sub(capacity as u64);
        self.start = self.start.max(start_allowed);
        &mut self.memory.as_mut()[at..at + room]
    }

    /// Reports that the first `count` bytes of [`spare`](Self::spare) were filled.
    pub fn advance(&mut self, count: usize) {
        self.end += count as u64;
        assert!(self.end - self.start <= self.capacity() as u64, "filled more than was spare");
    }

    /// Up to `len_max` bytes from `from` on, in at most two pieces.
    ///
    /// # Panics
    ///
    /// If `from` is not held: callers clamp to [`start`](Self::start) and report the gap.
    pub fn read(&self, from: u64, len_max: usize) -> (&[u8], &[u8]) {
        assert!((self.start..=self.end).contains(&from), "offset {from} is not held");
        let len = usize::try_from(self.end - from).map_or(len_max, |held| held.min(len_max));
        let at = self.index(from);
        let first = len.min(self.capacity() - at);
        let memory = self.memory.as_ref();
        (&memory[at..at + first], &memory[..len - first])
    }

    /// The next bytes for somebody who reads up to `end` and got as far as `from`; `None` at the
    /// end.
    ///
    /// What has left the log meanwhile is skipped and said so, also if nothing follows it.
    pub fn next_piece(&self, from: u64, end: u64, len_max: usize) -> Option<LogPiece<'_>> {
        if from >= end {
            return None;
        }
        let offset = from.max(self.start).min(end);
        let is_after_gap = offset > from;
        if offset == end {
            return Some(LogPiece { offset, is_after_gap, bytes: (&[], &[]) });
        }
        let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
        Some(LogPiece { offset, is_after_gap, bytes: self.read(offset, len_max.min(left)) })
    }

    /// The offset at which the last `lines` lines begin, within the bytes from `oldest` on.
    ///
    /// A line ends with a newline; what follows the last newline counts as a line if there is any.
    pub fn lines_from_end(&self, lines: usize, oldest: u64) -> u64 {
        if lines == 0 {
            return self.end;
        }
        let oldest = oldest.max(self.start);
        let (first, second) = self.read(oldest, usize::MAX);
        let mut bytes = first.iter().chain(second).rev().peekable();
        // A newline at the very end closes the last line instead of opening an empty one.
        let mut offset = self.end;
        if bytes.next_if(|&&byte| byte == b'\n').is_some() {
            offset -= 1;
        }
        let mut wanted = lines;
        for &byte in bytes {
            if byte == b'\n' {
                wanted = wanted.saturating_sub(1);
                if wanted == 0 {
                    return offset;
                }
            }
            offset -= 1;
        }
        oldest
    }

    fn capacity(&self) -> usize {
        self.memory.as_ref().len()
    }

    fn index(&self, offset: u64) -> usize {
        (offset % self.capacity() as u64) as usize
    }
}

impl<M> std::fmt::Debug for SessionLog<M> {
    /// The offsets only: what a child printed does not belong in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionLog").field("start", &self.start).field("end", &self.end).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(log: &mut SessionLog, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let spare = log.spare(bytes.len());
            let count = spare.len();
            spare.copy_from_slice(&bytes[..count]);
            log.advance(count);
            bytes = &bytes[count..];
        }
    }

    fn text(log: &SessionLog, from: u64, len_max: usize) -> Vec<u8> {
        let (first, second) = log.read(from, len_max);
        [first, second].concat()
    }

    /// Every byte is a function of its offset, so any read can be checked.
    fn pattern(range: std::ops::Range<u64>) -> Vec<u8> {
        range.map(|offset| (offset.wrapping_mul(2_654_435_761) >> 7) as u8).collect()
    }

    #[test]
    fn every_held_offset_reads_back_what_was_printed_there() {
        let size = 4096;
        let mut log = SessionLog::new(size);
        let mut seed = 7_u64;
        while log.end() < 1_000_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
            let count = (seed >> 33) % 9_000;
            let end = log.end();
            print(&mut log, &pattern(end..end + count));
            assert!(log.end() - log.start() >= log.end().min(size as u64), "holds its size");
            let from = log.start() + (seed >> 17) % (log.end() - log.start() + 1);
            let to = log.end().min(from + 777);
            assert_eq!(text(&log, from, 777), pattern(from..to));
        }
    }

    #[test]
    fn making_room_that_is_not_used_costs_no_held_bytes() {
        let mut log = SessionLog::new(1000);
        print(&mut log, &pattern(0..200_000));
        for _ in 0..1000 {
            log.spare(READ_TURN);
        }
        assert!(log.end() - log.start() >= 1000);
        assert_eq!(text(&log, 199_000, 2000), pattern(199_000..200_000));
    }

    #[test]
    fn a_reader_is_told_of_every_gap_also_of_one_at_the_end() {
        let mut log = SessionLog::new(1000);
        print(&mut log, &pattern(0..1000));
        let end = log.end();
        let piece = log.next_piece(0, end, 300).unwrap();
        assert_eq!((piece.offset, piece.is_after_gap, piece.bytes.0.len()), (0, false, 300));
        assert_eq!(log.next_piece(end, end, 300), None);
        print(&mut log, &pattern(1000..66_000));
        print(&mut log, &pattern(66_000..66_900));
        let start = log.start();
        assert!((300..1000).contains(&start), "{start}");
        let piece = log.next_piece(300, end, 2000).unwrap();
        assert_eq!((piece.offset, piece.is_after_gap), (start, true));
        assert_eq!(piece.bytes.0.len() + piece.bytes.1.len(), (end - start) as usize);
        print(&mut log, &pattern(66_900..200_000));
        let nothing = LogPiece { offset: end, is_after_gap: true, bytes: (&[], &[]) };
        assert_eq!(log.next_piece(300, end, 2000), Some(nothing));
        assert_eq!(log.next_piece(end, end, 2000), None);
    }

    #[test]
    fn the_last_lines_begin_after_the_right_newline() {
        let mut log = SessionLog::new(1000);
        print(&mut log, b"one\ntwo\nthree\n");
        let tail = |log: &SessionLog, lines| text(log, log.lines_from_end(lines, 0), 100);
        assert_eq!(tail(&log, 0), b"");
        assert_eq!(tail(&log, 1), b"three\n");
        assert_eq!(tail(&log, 2), b"two\nthree\n");
        assert_eq!(tail(&log, 9), b"one\ntwo\nthree\n");
        print(&mut log, b"prompt$ ");
        assert_eq!(tail(&log, 1), b"prompt$ ");
        assert_eq!(tail(&log, 2), b"three\nprompt$ ");
    }

    #[test]
    #[should_panic(expected = "offset 3 is not held")]
    fn reading_what_was_never_printed_is_our_own_bug() {
        SessionLog::new(1000).read(3, 1);
    }
}
