//! The account of everything that was typed: where each byte is on its typist's tape, which child
//! it was meant for, whether it was written, and what its typist was told became of it.
//!
//! Bytes are known by their place on the tape, not by their offset on the wire: whatever offsets
//! and ledgers do, no place is written twice. Who sends a frame notes here which places are in it,
//! and the engine's side looks that up when it accepts the frame.

use std::ops::Range;

use crate::{scenario::SESSIONS_MAX, tape::TYPISTS};

/// Pages by session and typist.
#[derive(Debug, Default)]
pub(crate) struct Book([[Page; TYPISTS]; SESSIONS_MAX]);

/// What one typist typed into one session, over all its children.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Whoever typed it shares its id and its marks with somebody else, and is told what became of
    /// the other's bytes: only what is written can be judged.
    pub(crate) is_shared: bool,
    /// How far the tape was typed.
    pub(crate) end: u64,
    /// From where on what was typed was meant for which child.
    epochs: Vec<(u64, u64)>,
    frames: Vec<Sent>,
    written: Places,
    told_written: Places,
    unknown: Places,
    undelivered: Places,
}

/// Where the bytes of a frame, or of several in a row, are on the tape.
#[derive(Debug)]
struct Sent {
    way: Way,
    offsets: Range<u64>,
    from: u64,
}

/// What offsets count in: a stream of a connection, and the children it told to have started.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Way {
    pub(crate) wire: usize,
    pub(crate) stream: u64,
    pub(crate) turn: u16,
}

/// Places on a tape, ascending.
#[derive(Debug, Default)]
struct Places(Vec<Range<u64>>);

impl Places {
    fn add(&mut self, places: Range<u64>) {
        if places.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(last) if last.end == places.start => last.end = places.end,
            _ => {
                assert!(!self.has_any(&places), "nothing is told twice: {places:?}");
                let at = self.0.partition_point(|known| known.end <= places.start);
                self.0.insert(at, places);
            }
        }
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|places| places.end - places.start).sum()
    }

    fn end(&self) -> u64 {
        self.0.last().map_or(0, |last| last.end)
    }

    fn has_all(&self, places: &Range<u64>) -> bool {
        let at = self.0.partition_point(|known| known.end <= places.start);
        let mut next = places.start;
        for known in &self.0[at..] {
            if known.start > next {
                break;
            }
            next = next.max(known.end);
        }
        next >= places.end
    }

    fn has_any(&self, places: &Range<u64>) -> bool {
        let at = self.0.partition_point(|known| known.end <= places.start);
        !places.is_empty() && self.0.get(at).is_some_and(|known| known.start < places.end)
    }
}

impl Book {
    pub(crate) fn page(&mut self, session: usize, typist: usize) -> &mut Page {
        &mut self.0[session][typist]
    }

    /// Nothing is under way any more. What became of hostile input nobody was told.
    pub(crate) fn check_end(&self) {
        let honest = self.0.iter().flat_map(|pages| &pages[..TYPISTS - 1]);
        honest.for_each(Page::check_end);
    }
}

impl Page {
    /// The next `len` bytes of the tape were typed for the child of `epoch`.
    pub(crate) fn type_on(&mut self, len: u64, epoch: u64) {
        if len > 0 && self.epochs.last().is_none_or(|(_, last)| *last != epoch) {
            self.epochs.push((self.end, epoch));
        }
        self.end += len;
    }

    /// A frame was sent that way, with these places of the tape from that offset on.
    pub(crate) fn send(&mut self, way: Way, offset: u64, places: Range<u64>) {
        let len = places.end - places.start;
        if let Some(last) = self.frames.last_mut() {
            let is_next = last.way == way && last.offsets.end == offset;
            if is_next && last.from + (offset - last.offsets.start) == places.start {
                last.offsets.end += len;
                return;
            }
        }
        self.frames.push(Sent { way, offsets: offset..offset + len, from: places.start });
    }

    /// Where the bytes from `offset` on are on the tape that came that way: as many of `len` as
    /// are there in a row.
    pub(crate) fn find(&self, way: Way, offset: u64, len: u64) -> Option<Range<u64>> {
        let mut sent = self.frames.iter().rev();
        let sent = sent.find(|sent| sent.way == way && sent.offsets.contains(&offset))?;
        let from = sent.from + (offset - sent.offsets.start);
        Some(from..from + len.min(sent.offsets.end - offset))
    }

    /// These were written to the terminal of the child of `epoch`.
    pub(crate) fn write(&mut self, places: &Range<u64>, epoch: u64) {
        let at = self.epochs.partition_point(|(from, _)| *from < places.end) - 1;
        let (from, meant) = self.epochs[at];
        assert!(
            meant == epoch && from <= places.start,
            "bytes are written only in the epoch they were typed for: {places:?}, for {meant} from \
             {from} on, in {epoch}"
        );
        if self.is_shared {
            return;
        }
        let next = self.written.end();
        assert!(
            places.start >= next,
            "each byte is written once, in its client's order: {places:?} after {next}"
        );
        assert!(
            !self.undelivered.has_any(places),
            "what was told undelivered, or refused, is never written: {places:?}"
        );
        self.written.add(places.clone());
    }

    /// The typist was told that these are written.
    pub(crate) fn tell_written(&mut self, places: Range<u64>) {
        assert!(
            self.is_shared || self.written.has_all(&places),
            "what is told written was written: {places:?} of {:?}",
            self.written
        );
        self.told_written.add(places);
    }

    /// The typist was told that these may be written.
    pub(crate) fn tell_unknown(&mut self, places: Range<u64>) {
        self.unknown.add(places);
    }

    /// The typist was told that these are not written, and never will be.
    pub(crate) fn tell_undelivered(&mut self, places: Range<u64>) {
        assert!(
            self.is_shared || !self.written.has_any(&places),
            "what is told undelivered, or refused, was not written: {places:?} of {:?}",
            self.written
        );
        self.undelivered.add(places);
    }

    /// What a call told of its bytes is what was told of them one by one.
    pub(crate) fn check_call(&self, written: &Range<u64>, unknown: &Range<u64>, rest: &Range<u64>) {
        let told = [&self.told_written, &self.unknown, &self.undelivered];
        for (places, told) in [written, unknown, rest].into_iter().zip(told) {
            assert!(
                self.is_shared || told.has_all(places),
                "a call and its leftover agree: {written:?} written, {unknown:?} unknown, {rest:?} \
                 undelivered, {self:?}"
            );
        }
    }

    fn check_end(&self) {
        let told = [&self.told_written, &self.unknown, &self.undelivered].map(Places::count);
        assert_eq!(
            told.iter().sum::<u64>(),
            self.end,
            "nothing typed is left unaccounted: written, unknown and undelivered are {told:?}"
        );
    }
}
