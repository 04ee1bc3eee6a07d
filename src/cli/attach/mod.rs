//! Being attached: a session's output on this terminal, this terminal's input in the session.
//!
//! Three futures of one task, none of which waits for another: `output` shows, `typing` sends,
//! `window` follows the terminal's size. The first that ends says why.

mod gap;
mod leaving;
mod outage;
mod output;
mod replay;
mod typing;
mod window;

use std::{cell::Cell, cell::RefCell, ops::Range, rc::Rc};

use tokio::sync::Notify;

pub(crate) use leaving::{EndingSignals, Leave, exit_status, give_back};
pub(crate) use output::line_start;

use gap::Gaps;

use super::{
    context::{Context, own_variables},
    failure::{Failure, Outcome},
    keys::{DetachKeys, ReplyFilter},
    terminal::{RawMode, Tty},
    text::child_env::{Variables, session_variables},
};
use crate::{
    AttachOptions, Client, Events, Input,
    protocol::{AttachFlags, Delivery, View, WindowSize},
};

/// How to be attached.
#[derive(Clone, Debug)]
pub(crate) struct AttachHow {
    /// What detaches.
    pub(crate) keys: DetachKeys,
    /// Type nothing, and leave the size alone.
    pub(crate) is_read_only: bool,
    /// Detach everybody else.
    pub(crate) is_alone: bool,
    /// How output comes.
    pub(crate) delivery: Delivery,
    /// What the session takes over of our environment.
    pub(crate) env: Variables,
    /// Say nothing about how it ended: the program was run, and has said what it had to.
    pub(crate) is_silent: bool,
}

impl AttachHow {
    /// As the configuration says, where the command line does not.
    pub(crate) fn new(context: &Context, keys: Option<DetachKeys>) -> Self {
        let settings = &context.config.settings;
        Self {
            keys: keys.unwrap_or_else(|| settings.detach_keys.clone()),
            is_read_only: false,
            is_alone: false,
            delivery: Delivery::Lossless,
            env: session_variables(&own_variables(), &settings.update_environment),
            is_silent: false,
        }
    }

    /// What is asked of the engine, for a terminal of that size.
    pub(crate) fn options(&self, size: WindowSize, view: View, from: u64) -> AttachOptions {
        let mut options = AttachOptions::default();
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        options.flags = flag(self.is_read_only, AttachFlags::READ_ONLY)
            | flag(self.is_alone, AttachFlags::DETACH_OTHERS);
        options.env = self.env.clone();
        options.delivery = self.delivery;
        options.view = view;
        options.output_from = from;
        if !self.is_read_only {
            options.size = size;
        }
        options
    }
}

/// What the three futures tell each other.
#[derive(Debug, Default)]
struct Stage {
    /// Drops the terminal's replies while a replay is painted.
    filter: RefCell<Option<ReplyFilter>>,
    /// The replay was painted.
    replayed: Notify,
    /// The child printed something new.
    printed: Notify,
    /// Bytes that were typed and may not have reached the child.
    waiting: Cell<usize>,
    /// Output that was never shown.
    gaps: RefCell<Gaps>,
    /// Bytes that were typed and given up: what may have arrived of them, and what did not.
    given_up: Cell<(u64, u64)>,
    /// A line was too long, and what came behind it was not typed.
    line_dropped: Notify,
}

impl Stage {
    /// Bytes were typed and given up, the first `unknown` of which may have arrived.
    fn note_given_up(&self, unknown: u64, bytes: &[u8]) {
        let (known, undelivered) = self.given_up.get();
        let count = bytes.len() as u64 - unknown;
        self.given_up.set((known + unknown, undelivered + count));
    }
}

/// What output is shown with.
struct Show<'a> {
    client: &'a Client,
    name: &'a str,
    tty: &'a Tty,
    stage: &'a Stage,
    input: &'a Input,
}

impl Show<'_> {
    /// Bytes that were typed and wait.
    fn held(&self) -> u64 {
        self.stage.waiting.get() as u64 + self.input.unwritten()
    }
}

/// An attachment that is not shown yet.
#[derive(Debug)]
pub(crate) struct Attached {
    client: Client,
    name: String,
    input: Input,
    events: Events,
    replay: Option<Range<u64>>,
    has_size: bool,
}

impl Attached {
    /// Shows what comes.
    pub(crate) fn new(client: &Client, name: String, input: Input, events: Events) -> Self {
        Self { client: client.clone(), name, input, events, replay: None, has_size: false }
    }

    /// Paints these output offsets first, on an empty screen.
    #[must_use]
    pub(crate) fn with_replay(self, replay: Range<u64>) -> Self {
        Self { replay: Some(replay), ..self }
    }

    /// The session had this size before: nothing told its programs to draw themselves anew.
    #[must_use]
    pub(crate) fn with_old_size(self, has_size: bool) -> Self {
        Self { has_size, ..self }
    }

    /// Shows it on the terminal until it ends or is left, and gives the terminal back.
    pub(crate) async fn show(self, context: &Context, tty: Rc<Tty>, how: AttachHow) -> Outcome {
        let Self { client, name, input, mut events, replay, has_size } = self;
        let failed = |error: &std::io::Error| Failure::system("use the terminal", error);
        let mut signals = EndingSignals::listen().map_err(|error| failed(&error))?;
        let window = window::Signals::listen().map_err(|error| failed(&error))?;
        let stage = Stage::default();
        if replay.is_some() {
            *stage.filter.borrow_mut() = Some(ReplyFilter::new());
        }
        let typist = (!how.is_read_only).then_some(&input);
        let show = Show { client: &client, name: &name, tty: &tty, stage: &stage, input: &input };
        let raw = RawMode::begin(&tty).map_err(|error| failed(&error))?;
        tty.show(KEEP_TITLE).await.map_err(|error| failed(&error))?;
        let leave = tokio::select! {
            biased;
            leave = signals.wait() => leave,
            leave = typing::run(&tty, typist, how.keys, &stage) => leave,
            leave = output::run(&show, &mut events, replay) => leave,
            leave = window::run(&tty, typist, &raw, window, &stage, has_size) => leave,
        };
        if matches!(leave, Leave::Left | Leave::Signal(_) | Leave::TerminalGone) {
            leaving::detach(&input, &mut events, &stage).await;
        }
        let is_mid_line = tty.is_mid_line();
        drop(raw);
        if let (Leave::Exited(exit), true) = (&leave, how.is_silent) {
            return Ok(exit_status(*exit));
        }
        let (unknown, undelivered) = stage.given_up.get();
        let unwritten = stage.waiting.get() as u64 + input.unwritten() + undelivered;
        let outcome = leave.conclude(context, &name, is_mid_line, (unknown, unwritten));
        let missing = stage.gaps.borrow().total();
        if missing > 0 {
            context.note(&format!("[{missing} bytes of output were not shown: too slow for them]"));
        }
        outcome
    }
}

/// The window's title is put aside, and comes back when the terminal is given back.
const KEEP_TITLE: &[u8] = b"\x1b[22;0t";

/// Opens the terminal to attach.
pub(crate) fn open_terminal() -> Result<Rc<Tty>, Failure> {
    let opened = Tty::open().map_err(|error| Failure::system("open the terminal", &error));
    opened.map(Rc::new)
}
