//! One client in one session: its terms, its credit, its hold on the child.

use std::time::{Duration, Instant};

use tautline_protocol::{
    AdjustCause, AttachFlags, AttachTerms, Delivery, DetachReason, UNCHANGED_FLAGS, WindowSize,
};

use super::{ACK_DELAY, Cursor};
use crate::state::SessionLog;

/// Which client: random, chosen by it, the same over its reconnects.
pub type ClientId = [u8; 16];

/// Which attachment of a session; never used again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AttachmentId(pub u64);

/// One client in one session.
#[derive(Debug)]
pub struct Attachment<H> {
    pub(super) id: AttachmentId,
    pub(super) client: ClientId,
    /// The id of the request that opened the stream: every item carries it.
    pub(super) request: u64,
    /// The client's own number for the attachment.
    pub(super) number: u32,
    pub(super) handle: H,
    pub(super) flags: u32,
    pub(super) delivery: Delivery,
    pub(super) window: u32,
    /// The largest window there can be: the log would not hold more.
    pub(super) window_max: u32,
    pub(super) input_window: u32,
    pub(super) pause_limit: Option<Duration>,
    pub(super) size: WindowSize,
    /// When the size was told, by the session's count.
    pub(super) size_told: u64,
    /// The first offset that was not consumed for good.
    pub(super) consumed: u64,
    /// Output before this was printed before the attachment was made.
    pub(super) live_from: u64,
    pub(super) cursor: Cursor,
    /// How far output was sent on a connection that was lost: so much may have been consumed.
    pub(super) sent_before: u64,
    /// The epoch it begins in, if that is not the one that runs, and the last mark of its input
    /// there.
    pub(super) begins_in: Option<(u64, u64)>,
    pub(super) held_since: Option<Instant>,
    pub(super) ack_at: Option<Instant>,
    pub(super) is_ack_due: bool,
    /// The input that comes next is to be acknowledged as soon as it is written.
    pub(super) is_ack_wanted: bool,
    /// Input up to here is to be acknowledged as soon as it is written.
    pub(super) ack_wanted_to: u64,
    pub(super) terms_number: u64,
    pub(super) adjust_cause: AdjustCause,
    pub(super) ended: Option<DetachReason>,
    /// Input was refused: what else was in flight is dropped until it goes on where it must.
    pub(super) is_refusing: bool,
    /// How often input did not fit the terminal's line.
    pub(super) lines_full: u64,
}

impl<H> Attachment<H> {
    pub(super) fn new(
        id: AttachmentId,
        client: ClientId,
        request: u64,
        terms: &AttachTerms,
        handle: H,
    ) -> Self {
        // Snapshots are not made yet: who asks for the newest screen reads the log at its pace.
        let delivery = match Delivery::from_wire(terms.delivery) {
            Some(Delivery::Screen) | None => Delivery::Log,
            Some(delivery) => delivery,
        };
        Self {
            id,
            client,
            request,
            number: terms.attachment,
            handle,
            flags: terms.flags & GRANTED,
            delivery,
            window: terms.window,
            window_max: 0,
            input_window: 0,
            pause_limit: pause_limit(terms.pause_limit_ms),
            size: WindowSize::default(),
            size_told: 0,
            consumed: 0,
            live_from: 0,
            cursor: Cursor::default(),
            sent_before: 0,
            begins_in: None,
            held_since: None,
            ack_at: None,
            is_ack_due: false,
            is_ack_wanted: false,
            ack_wanted_to: 0,
            terms_number: 0,
            adjust_cause: AdjustCause::Asked,
            ended: None,
            is_refusing: false,
            lines_full: 0,
        }
    }

    pub(super) fn start(&mut self, cursor: Cursor, end: u64, log_size: u32, input_window: u32) {
        self.consumed = cursor.output;
        self.cursor = cursor;
        self.live_from = end;
        self.window_max = log_size;
        self.window = self.window.min(log_size);
        self.input_window = input_window;
    }

    /// Which attachment it is.
    pub const fn id(&self) -> AttachmentId {
        self.id
    }

    /// Whose it is.
    pub const fn client(&self) -> ClientId {
        self.client
    }

    /// The id every item of its stream carries.
    pub const fn request(&self) -> u64 {
        self.request
    }

    /// The client's number for it.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The caller's handle.
    pub const fn handle(&self) -> &H {
        &self.handle
    }

    /// Flags granted.
    pub const fn flags(&self) -> u32 {
        self.flags
    }

    /// Delivery granted.
    pub const fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// Output it may be sent ahead of what it consumed.
    pub const fn window(&self) -> u32 {
        self.window
    }

    /// Input it may send ahead of what was written.
    pub const fn input_window(&self) -> u32 {
        self.input_window
    }

    /// Its pause limit in milliseconds, as on the wire.
    pub fn pause_limit_ms(&self) -> u32 {
        self.pause_limit
            .map_or(u32::MAX, |limit| u32::try_from(limit.as_millis()).unwrap_or(u32::MAX))
    }

    /// What it has been told.
    pub const fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The next output offset it is sent.
    pub const fn output_offset(&self) -> u64 {
        self.cursor.output
    }

    /// Why it ended, if it did.
    pub const fn ended(&self) -> Option<DetachReason> {
        self.ended
    }

    /// Whether it may type and resize.
    pub const fn is_writable(&self) -> bool {
        self.flags & AttachFlags::READ_ONLY == 0
    }

    /// Changes its terms on request; 0 and `None` leave what they stand for.
    pub fn handle_adjust(
        &mut self,
        flags: u32,
        window: u32,
        pause_limit_ms: u32,
        delivery: Option<Delivery>,
    ) {
        if flags != UNCHANGED_FLAGS {
            self.flags = flags & GRANTED;
        }
        if window != 0 {
            self.window = window.min(self.window_max);
        }
        if pause_limit_ms != 0 {
            self.pause_limit = pause_limit(pause_limit_ms);
        }
        if let Some(delivery) = delivery {
            if self.delivery == Delivery::None {
                // What went by unseen is not owed: output comes from here on.
                self.consumed = self.cursor.output;
            }
            self.delivery = if delivery == Delivery::Screen { Delivery::Log } else { delivery };
        }
        self.tell_terms(AdjustCause::Asked);
    }

    /// The first reason counts; but who leaves, or is made to, does not wait for the last output of
    /// a child that ended.
    pub(super) fn end(&mut self, reason: DetachReason) {
        if self.ended.is_none_or(|ended| ended == DetachReason::Ended) {
            self.ended = Some(reason);
        }
    }

    /// Asks that the input that is handled next is acknowledged as soon as it is written.
    pub fn handle_ack_wanted(&mut self) {
        self.is_ack_wanted = true;
    }

    /// Input up to `end` is in our hands, or was before.
    pub(super) fn note_input(&mut self, end: u64) {
        if std::mem::take(&mut self.is_ack_wanted) {
            self.ack_wanted_to = self.ack_wanted_to.max(end);
        }
    }

    /// Input did not fit the terminal's line, and what was in flight is no fault.
    pub(super) const fn note_line_full(&mut self) {
        self.lines_full += 1;
        self.is_refusing = true;
        // What was to be acknowledged at once never will be.
        self.ack_wanted_to = 0;
    }

    /// Whether nobody can have gone on behind a line that was too long, because it was not told.
    pub(super) const fn is_line_full_untold(&self) -> bool {
        self.cursor.lines_full_told != self.lines_full
    }

    /// Which child input is for now, counted in `Started` told on this attachment.
    ///
    /// Not simply the number of starts since it was made: what was forgotten is never told.
    pub(super) fn turn(&self, turns_done: u64, turns_dropped: u64) -> u16 {
        let untold = turns_done - self.cursor.turns_told.max(turns_dropped);
        (self.cursor.starts_told + untold) as u16
    }

    /// How many bytes the child may print before it must wait for this subscriber; `None` if it
    /// never has to.
    pub(super) fn budget(&self, end: u64) -> Option<u64> {
        if self.delivery != Delivery::Lossless || self.ended.is_some() {
            return None;
        }
        Some((self.consumed + u64::from(self.window)).saturating_sub(end))
    }

    /// The same once the child has ended: so much that nothing unsent leaves a log of that size.
    pub(super) fn last_budget(&self, end: u64, log_size: u64) -> Option<u64> {
        self.budget(end)?;
        Some((self.cursor.output + log_size).saturating_sub(end))
    }

    /// Output grew: does this subscriber hold the child now?
    pub(super) fn note_hold(&mut self, end: u64, now: Instant) {
        match self.budget(end) {
            Some(0) => self.held_since = self.held_since.or(Some(now)),
            _ => self.held_since = None,
        }
    }

    pub(super) fn note_consumed(&mut self, offset: u64, end: u64) {
        self.consumed = self.consumed.max(offset);
        if self.budget(end) != Some(0) {
            self.held_since = None;
        }
    }

    pub(super) fn note_applied(&mut self, now: Instant) {
        if self.ack_at.is_none() {
            self.ack_at = Some(now + ACK_DELAY);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let hold_end = match (self.held_since, self.pause_limit) {
            (Some(since), Some(limit)) => Some(since + limit),
            _ => None,
        };
        hold_end.into_iter().chain(self.ack_at).min()
    }

    pub(super) fn handle_timeout(&mut self, log: &SessionLog, now: Instant) {
        if self.ack_at.is_some_and(|at| now >= at) {
            self.ack_at = None;
            self.is_ack_due = true;
        }
        self.note_hold(log.end(), now);
        if let (Some(since), Some(limit)) = (self.held_since, self.pause_limit)
            && now >= since + limit
        {
            self.delivery = Delivery::Log;
            self.held_since = None;
            self.tell_terms(AdjustCause::Demoted);
        }
    }

    pub(super) fn commit(&mut self, cursor: Cursor) {
        if cursor.applied_told != self.cursor.applied_told {
            self.ack_at = None;
            self.is_ack_due = false;
        }
        // Nobody can consume what is missing: a gap counts as consumed.
        self.consumed = self.consumed.max(cursor.gap_end);
        self.cursor = cursor;
    }

    fn tell_terms(&mut self, cause: AdjustCause) {
        self.terms_number += 1;
        self.adjust_cause = cause;
    }
}

/// Flags that can be granted today; roles are asked for, but not given out yet.
const GRANTED: u32 = AttachFlags::READ_ONLY | AttachFlags::OWNER;

/// How long a lossless subscriber may hold the child unless it says otherwise.
const PAUSE_LIMIT_DEFAULT: Duration = Duration::from_secs(2);

/// On the wire, 0 stands for our choice and `u32::MAX` for ever.
const fn pause_limit(milliseconds: u32) -> Option<Duration> {
    match milliseconds {
        0 => Some(PAUSE_LIMIT_DEFAULT),
        u32::MAX => None,
        milliseconds => Some(Duration::from_millis(milliseconds as u64)),
    }
}
