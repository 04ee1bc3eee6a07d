//! Input that a terminal did not take yet, in order, and the window sizes between it.
//!
//! ```text
//! written          sizes[0].at                 sizes[1].at = pushed
//! |  pieces: whose bytes, and how many  |  ...  |
//! ```
//!
//! Everything is by absolute position, so a size costs nothing of the bytes around it. A byte that
//! came alone costs nine; sizes have a bound of their own.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tautline_protocol::WindowSize;

use super::LedgerId;
use crate::limits::{INPUT_WINDOW, SIZES_QUEUED_MAX};

/// What is to be done next with a terminal.
#[derive(Debug, Eq, PartialEq)]
pub enum Due<'a> {
    /// Write some of these bytes, and tell with [`WriteQueue::handle_written`] how many.
    Input(&'a [u8]),
    /// Give the terminal this size; it is off the queue.
    Size(WindowSize),
}

/// Bytes of one ledger that were written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Written {
    /// Whose they are.
    pub ledger: LedgerId,
    /// How many.
    pub count: usize,
    /// When the first of them were understood, to a microsecond.
    pub decoded: Instant,
}

/// Input and sizes in the order they came.
///
/// Bounded by what pushes into it: the input windows granted, and [`SIZES_QUEUED_MAX`].
#[derive(Debug, Default)]
pub struct WriteQueue {
    bytes: VecDeque<u8>,
    /// Position of the first of `bytes`.
    written: u64,
    pieces: VecDeque<Piece>,
    /// Whose bytes are queued; a piece names its place here. At most as many as a session has
    /// ledgers.
    owners: Vec<Owner>,
    sizes: VecDeque<(u64, WindowSize)>,
    /// What the times of pieces count from.
    since: Option<Instant>,
}

/// Adjacent bytes of one ledger: as small as can be, because each may be of one byte.
#[derive(Clone, Copy, Debug)]
struct Piece {
    owner: u16,
    len: u16,
    decoded_us: u32,
}

const _: () = assert!(size_of::<Piece>() == 8);

#[derive(Clone, Copy, Debug)]
struct Owner {
    ledger: LedgerId,
    queued: usize,
}

impl WriteQueue {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.sizes.is_empty()
    }

    /// Puts input behind everything that is queued.
    pub fn push_input(&mut self, ledger: LedgerId, bytes: &[u8], decoded: Instant) {
        let since = *self.since.get_or_insert(decoded);
        let decoded_us = decoded.saturating_duration_since(since).as_micros();
        let decoded_us = u32::try_from(decoded_us).unwrap_or(u32::MAX);
        let owner = self.owner_of(ledger);
        self.owners[usize::from(owner)].queued += bytes.len();
        self.bytes.extend(bytes);
        let mut left = bytes.len();
        if let Some(last) = self.pieces.back_mut().filter(|last| last.owner == owner) {
            let joined = left.min(usize::from(u16::MAX - last.len));
            last.len += joined as u16;
            left -= joined;
        }
        while left > 0 {
            let len = left.min(usize::from(u16::MAX));
            self.pieces.push_back(Piece { owner, len: len as u16, decoded_us });
            left -= len;
        }
    }

    /// Puts a size behind the input that is queued.
    ///
    /// Of several in a row the last wins. Of more than there is room for, the newest wins, and the
    /// input between is written under the size before: a size may come late, never early.
    pub fn push_size(&mut self, size: WindowSize) {
        let at = self.written + self.bytes.len() as u64;
        let is_full = self.sizes.len() == SIZES_QUEUED_MAX;
        match self.sizes.back_mut() {
            Some(last) if last.0 == at || is_full => *last = (at, size),
            _ => self.sizes.push_back((at, size)),
        }
    }

    /// What to do next, if anything.
    pub fn poll(&mut self) -> Option<Due<'_>> {
        let mut most = usize::MAX;
        if let Some(&(at, size)) = self.sizes.front() {
            if at == self.written {
                self.sizes.pop_front();
                return Some(Due::Size(size));
            }
            most = (at - self.written) as usize;
        }
        let (bytes, _) = self.bytes.as_slices();
        (!bytes.is_empty()).then(|| Due::Input(&bytes[..bytes.len().min(most)]))
    }

    /// The first `count` bytes of what [`poll`](Self::poll) showed were written; tells whose they
    /// were.
    pub fn handle_written(&mut self, count: usize, mut tell: impl FnMut(Written)) {
        self.bytes.drain(..count);
        self.written += count as u64;
        let mut left = count;
        while left > 0 {
            let since = self.since.expect("it is set while bytes are queued");
            let piece = self.pieces.front_mut().expect("every byte is in a piece");
            let count = left.min(usize::from(piece.len));
            piece.len -= count as u16;
            left -= count;
            let (owner, decoded_us) = (usize::from(piece.owner), u64::from(piece.decoded_us));
            if piece.len == 0 {
                self.pieces.pop_front();
            }
            self.owners[owner].queued -= count;
            let decoded = since + Duration::from_micros(decoded_us);
            tell(Written { ledger: self.owners[owner].ledger, count, decoded });
        }
        if self.bytes.is_empty() {
            self.handle_drained();
        }
    }

    /// Whose the byte is that is to be written next.
    pub fn next_ledger(&self) -> Option<LedgerId> {
        self.pieces.front().map(|piece| self.owners[usize::from(piece.owner)].ledger)
    }

    /// Forgets what is queued of one ledger, because the rest of it was refused. What others typed
    /// and the sizes keep their order.
    pub fn drop_input(&mut self, ledger: LedgerId) {
        let Some(owner) = self.owners.iter().position(|owner| owner.ledger == ledger) else {
            return;
        };
        self.owners[owner].queued = 0;
        let is_kept = |piece: &Piece| usize::from(piece.owner) != owner;
        self.move_sizes(is_kept);
        let mut pieces = self.pieces.iter().map(|piece| (is_kept(piece), piece.len));
        let mut piece = (true, 0);
        self.bytes.retain(|_| {
            if piece.1 == 0 {
                piece = pieces.next().expect("every byte is in a piece");
            }
            piece.1 -= 1;
            piece.0
        });
        self.pieces.retain(is_kept);
        if self.bytes.is_empty() {
            self.handle_drained();
        }
    }

    /// Puts each size where it will be once only the pieces that are kept are there.
    fn move_sizes(&mut self, is_kept: impl Fn(&Piece) -> bool) {
        let mut sizes = self.sizes.iter_mut().map(|(at, _)| at).peekable();
        let (mut from, mut dropped) = (self.written, 0);
        for piece in &self.pieces {
            let end = from + u64::from(piece.len);
            let is_kept = is_kept(piece);
            while let Some(at) = sizes.next_if(|at| **at < end) {
                *at -= dropped + if is_kept { 0 } else { *at - from };
            }
            dropped += if is_kept { 0 } else { end - from };
            from = end;
        }
        sizes.for_each(|at| *at -= dropped);
    }

    /// Forgets everything: the terminal is gone.
    pub fn clear(&mut self) {
        self.written += self.bytes.len() as u64;
        self.bytes.clear();
        self.pieces.clear();
        self.sizes.clear();
        self.handle_drained();
    }

    /// Gives back what a burst needed, and keeps what a paste does.
    fn handle_drained(&mut self) {
        self.owners.clear();
        self.since = None;
        self.bytes.shrink_to(INPUT_WINDOW as usize);
        self.pieces.shrink_to(PIECES_KEPT);
    }

    fn owner_of(&mut self, ledger: LedgerId) -> u16 {
        let known = self.owners.iter().position(|owner| owner.ledger == ledger);
        let free = || self.owners.iter().position(|owner| owner.queued == 0);
        let place = known.or_else(free).unwrap_or(self.owners.len());
        let owner = Owner { ledger, queued: 0 };
        if place == self.owners.len() {
            self.owners.push(owner);
        } else if known.is_none() {
            self.owners[place] = owner;
        }
        u16::try_from(place).expect("a session has fewer ledgers")
    }
}

/// Pieces that room is kept for.
const PIECES_KEPT: usize = 1024;

const _: () = assert!(crate::limits::LEDGERS_MAX < u16::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: LedgerId = LedgerId::of(1);
    const BOB: LedgerId = LedgerId::of(2);

    fn size(cols: u16) -> WindowSize {
        WindowSize::cells(cols, 24)
    }

    /// Everything in order, written `most` bytes at a time: sizes as `#cols`, bytes as they are.
    fn drained(queue: &mut WriteQueue, most: usize) -> (String, Vec<(LedgerId, usize)>) {
        let (mut text, mut told) = (String::new(), Vec::new());
        loop {
            let count = match queue.poll() {
                None => return (text, told),
                Some(Due::Size(size)) => {
                    text += &format!("#{}", size.cols);
                    continue;
                }
                Some(Due::Input(bytes)) => {
                    let count = bytes.len().min(most);
                    text += std::str::from_utf8(&bytes[..count]).unwrap();
                    count
                }
            };
            queue.handle_written(count, |written| told.push((written.ledger, written.count)));
        }
    }

    #[test]
    fn sizes_and_input_keep_their_order_however_little_is_written() {
        let now = Instant::now();
        for most in 1..10 {
            let mut queue = WriteQueue::default();
            queue.push_input(ALICE, b"one", now);
            queue.push_size(size(1));
            queue.push_size(size(2));
            queue.push_input(BOB, b"two", now);
            queue.push_input(ALICE, b"three", now);
            queue.push_size(size(3));
            let (text, told) = drained(&mut queue, most);
            assert_eq!(text, "one#2twothree#3");
            let count_of = |wanted| {
                told.iter().filter(|(ledger, _)| *ledger == wanted).map(|told| told.1).sum()
            };
            let (alice, bob): (usize, usize) = (count_of(ALICE), count_of(BOB));
            assert_eq!((alice, bob), (8, 3));
            assert!(queue.is_empty());
        }
    }

    #[test]
    fn more_sizes_than_there_is_room_for_come_late_and_never_early() {
        let now = Instant::now();
        let mut queue = WriteQueue::default();
        for number in 0..1000 {
            queue.push_input(ALICE, b".", now);
            queue.push_size(size(number));
        }
        assert_eq!(queue.sizes.len(), SIZES_QUEUED_MAX);
        assert_eq!(queue.pieces.len(), 1, "sizes do not cut input up");
        let (text, _) = drained(&mut queue, usize::MAX);
        let mut bytes = 0;
        for part in text.split_inclusive('.') {
            let told = part.trim_end_matches('.').strip_prefix('#');
            if let Some(number) = told.map(|number| number.parse::<usize>().unwrap()) {
                assert!(number < bytes, "size {number} before its byte");
            }
            bytes += part.matches('.').count();
        }
        assert!(text.ends_with(".#999"), "the newest wins");
        assert_eq!(bytes, 1000);
    }

    #[test]
    fn a_byte_that_came_alone_costs_nine() {
        let now = Instant::now();
        let mut queue = WriteQueue::default();
        for _ in 0..10_000 {
            queue.push_input(ALICE, b"a", now);
            queue.push_input(BOB, b"b", now);
        }
        assert_eq!(queue.owners.len(), 2);
        assert!(queue.pieces.capacity() * size_of::<Piece>() <= 2 * 8 * 20_000);
        let (text, told) = drained(&mut queue, usize::MAX);
        assert_eq!(text, "ab".repeat(10_000));
        assert!(told.chunks(2).all(|pair| pair == [(ALICE, 1), (BOB, 1)]));
        assert!(queue.pieces.capacity() <= 2 * PIECES_KEPT, "it is given back");
    }

    #[test]
    fn a_long_paste_is_told_in_full_and_with_its_own_time() {
        let begun = Instant::now();
        let later = begun + Duration::from_millis(7);
        let mut queue = WriteQueue::default();
        queue.push_input(ALICE, b"x", begun);
        queue.push_input(BOB, &[b'y'; 200_000], later);
        let mut told = Vec::new();
        while let Some(Due::Input(bytes)) = queue.poll() {
            let count = bytes.len();
            queue.handle_written(count, |written| told.push(written));
        }
        assert_eq!(told[0], Written { ledger: ALICE, count: 1, decoded: begun });
        let bobs = &told[1..];
        assert!(bobs.iter().all(|written| written.ledger == BOB && written.decoded == later));
        assert_eq!(bobs.iter().map(|written| written.count).sum::<usize>(), 200_000);
    }

    #[test]
    fn what_was_refused_is_dropped_from_among_input_and_sizes() {
        let now = Instant::now();
        for most in 1..10 {
            let mut queue = WriteQueue::default();
            queue.push_input(ALICE, b"one", now);
            queue.push_size(size(1));
            queue.push_input(BOB, b"two", now);
            queue.push_size(size(2));
            queue.push_input(BOB, b"four", now);
            queue.push_size(size(3));
            queue.push_input(ALICE, b"three", now);
            queue.push_size(size(4));
            queue.handle_written(1, |_| {});
            assert_eq!(queue.next_ledger(), Some(ALICE));
            queue.drop_input(ALICE);
            assert_eq!(queue.next_ledger(), Some(BOB));
            queue.drop_input(LedgerId::of(3));
            let (text, told) = drained(&mut queue, most);
            assert_eq!(text, "#1two#2four#3#4");
            assert!(told.iter().all(|(ledger, _)| *ledger == BOB));
            queue.push_input(ALICE, b"again", now);
            assert_eq!(drained(&mut queue, most).0, "again");
        }
    }

    #[test]
    fn nothing_is_left_of_a_terminal_that_is_gone() {
        let mut queue = WriteQueue::default();
        queue.push_input(ALICE, b"abc", Instant::now());
        queue.push_size(size(9));
        queue.clear();
        assert!(queue.is_empty());
        assert_eq!(queue.poll(), None);
    }
}
