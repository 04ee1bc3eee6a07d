//! How often each kind of event happened: a simulation that is fast because nothing happens in it
//! finds nothing.

use crate::hostile::CRIMES;

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Cut,
    /// The same, and the engine does not notice.
    SilentCut,
    /// Attached again after a cut, and the engine knows who it is.
    Resume,
    /// Attached again to a session that does not know it any more.
    ResumeExpired,
    /// Nothing is kept any more of somebody who stayed away.
    GraceOver,
    /// There is no such session any more, or it is another one.
    SessionGone,
    /// The engine knows the client's id, and another secret.
    NewId,
    HeartbeatLost,
    /// A client gave up.
    GaveUp,
    EngineDeath,
    /// What a call typed was written.
    CallWritten,
    CallStopped,
    /// A call that nobody waited for any more.
    CallForgotten,
    /// Input was given up that may have been written.
    Unknown,
    /// Input was given up that was not written.
    Undelivered,
    /// Input was sent again after a loss.
    Replay,
    /// The end of a child was told again.
    ExitAgain,
    /// Detached because somebody wanted the session alone.
    Kicked,
    /// The same, while it was away.
    KickedAway,
    Detach,
    /// Attached again after a detach.
    Return,
    Gap,
    /// The reader of a terminal found that it may read nothing.
    Hold,
    Demotion,
    /// A child's end was noticed and more output came.
    OutputAfterExit,
    Restart,
    /// A stream went on behind ends that the session had forgotten.
    TurnsDropped,
    EpochChanged,
    /// A frame of output was begun, and its rest had to wait.
    PartialFrame,
    /// The terminal is full, with input behind it.
    BlockedInput,
    /// A client filled its window and has more to type.
    FullWindow,
    /// Input came that was accepted before, all of it or how it begins.
    DuplicateInput,
    /// Input came for a child that was replaced, or behind input that was refused.
    StaleInput,
    RefusedInput,
    /// A connection made way for a newer one of its client.
    TakenOver,
    /// Nothing was read while there was no room for an answer.
    Pause,
}

/// How often each happened.
#[derive(Clone, Debug)]
pub(crate) struct Census {
    events: [u64; EVENTS.len()],
    crimes: [u64; CRIMES.len()],
}

impl Default for Census {
    fn default() -> Self {
        Self { events: [0; EVENTS.len()], crimes: [0; CRIMES.len()] }
    }
}

impl Census {
    pub(crate) fn count(&mut self, event: Event) {
        self.events[event as usize] += 1;
    }

    pub(crate) fn count_crime(&mut self, crime: usize) {
        self.crimes[crime] += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let ours = self.events.iter_mut().chain(&mut self.crimes);
        for (sum, count) in ours.zip(other.events.iter().chain(&other.crimes)) {
            *sum += count;
        }
    }

    pub(crate) fn print(&self) {
        for (event, count) in EVENTS.iter().zip(self.events) {
            println!("{count:>10}  {event:?}");
        }
        for (crime, count) in CRIMES.iter().zip(self.crimes) {
            println!("{count:>10}  crime: {crime:?}");
        }
    }
}

const EVENTS: [Event; 36] = [
    Event::Cut,
    Event::SilentCut,
    Event::Resume,
    Event::ResumeExpired,
    Event::GraceOver,
    Event::SessionGone,
    Event::NewId,
    Event::HeartbeatLost,
    Event::GaveUp,
    Event::EngineDeath,
    Event::CallWritten,
    Event::CallStopped,
    Event::CallForgotten,
    Event::Unknown,
    Event::Undelivered,
    Event::Replay,
    Event::ExitAgain,
    Event::Kicked,
    Event::KickedAway,
    Event::Detach,
    Event::Return,
    Event::Gap,
    Event::Hold,
    Event::Demotion,
    Event::OutputAfterExit,
    Event::Restart,
    Event::TurnsDropped,
    Event::EpochChanged,
    Event::PartialFrame,
    Event::BlockedInput,
    Event::FullWindow,
    Event::DuplicateInput,
    Event::StaleInput,
    Event::RefusedInput,
    Event::TakenOver,
    Event::Pause,
];

const _: () = assert!(EVENTS.len() == Event::Pause as usize + 1);
