//! What the peers can say: one documented struct per message, two enums, one envelope.

#[macro_use]
mod schema;
mod control;
mod engine;
mod parts;

use rkyv::{Archive, Serialize, with::AsBox};

pub use control::*;
pub use engine::*;
pub use parts::*;
pub(crate) use schema::Layout;
pub use schema::{Body, BodySchema, Field, Invalid, Subject};

use crate::header::{Class, Kind};

/// The root of every archive: 16 bytes at the end of the payload, frozen.
#[derive(Archive, Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Envelope<M> {
    /// In a request, the sender's choice; in a reply or stream item, that of the request; in a
    /// push, 0. The table in `docs/wire-format.md` says which kind is which.
    pub id: u64,
    /// What is said.
    pub message: M,
}

const _: () = {
    assert!(size_of::<ArchivedEnvelope<ControlMessage<'_>>>() == crate::limits::ROOT_SIZE);
    assert!(size_of::<ArchivedEnvelope<EngineMessage<'_>>>() == crate::limits::ROOT_SIZE);
    assert!(align_of::<ArchivedEnvelope<ControlMessage<'_>>>() == 8);
    assert!(align_of::<ArchivedEnvelope<EngineMessage<'_>>>() == 8);
};

/// A vocabulary: [`ControlMessage`] or [`EngineMessage`], and no other.
pub trait Vocabulary: Copy + sealed::Sealed {
    /// The class of its kinds.
    const CLASS: Class;

    /// The schema of every body, in tag order.
    const SCHEMA: &'static [(u8, BodySchema)];

    /// The wire's tag for this message.
    fn tag(&self) -> u8;

    /// Bytes of all its byte strings, those written elsewhere included.
    fn bytes_len(&self) -> usize;

    /// Bytes of those of its byte strings that the caller writes itself.
    fn bytes_ahead(&self) -> usize;

    /// Size and alignment of its archived body.
    fn body_schema(&self) -> BodySchema;

    /// Writes the message's archive, under `id`, from position `start` on; `out` has exactly the
    /// bytes that remain of it.
    fn write_archive(self, id: u64, out: &mut [u8], start: usize);

    /// The kind of its frames.
    fn kind(&self) -> Kind {
        Kind::new(Self::CLASS, self.tag())
    }

    /// Length of its one legal archive.
    fn archive_size(&self) -> usize {
        Layout::archive_size(self.bytes_len(), self.body_schema().size)
    }
}

/// Whether a client's message is answered, and so which ids it may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Its id is not 0, and one final frame answers it.
    Answered,
    /// Answered if its id is not 0; with id 0 only an `Error` comes back, with id 0.
    Either,
    /// Not answered when all is well; its id only comes back in an `Error`.
    OneWay,
}

impl ControlMessage<'_> {
    /// The role of the message with that tag; `None` for a tag nobody defined.
    pub const fn role(tag: u8) -> Option<Role> {
        match tag {
            3 | 4 | 8 => Some(Role::Either),
            6 | 7 | 10 | 12 | 22 | 30 | 31 => Some(Role::OneWay),
            1..=31 => Some(Role::Answered),
            _ => None,
        }
    }
}

/// The archived side of a [`Vocabulary`].
pub(crate) trait ArchivedVocabulary {
    /// Places the archive's parts where the one legal layout has them; see [`Layout`].
    fn lay_out(&self, layout: &mut Layout);
}

mod sealed {
    #[expect(unnameable_types, reason = "nobody else may implement it")]
    pub trait Sealed {}
}

/// Declares a vocabulary: an enum of boxed bodies with wire tags.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident / $archived:ident, $class:expr;
     $($(#[$variant_doc:meta])* $variant:ident($body:ty) = $tag:literal,)+) => {
        $(#[$doc])*
        ///
        /// Exhaustive on purpose: a new message breaks the build wherever it must be handled.
        /// Bodies are boxed: with inline bodies, an old peer that met a newer enum with a larger
        /// variant validated and read `Ping(7)` as 0.
        #[derive(Archive, Clone, Copy, Debug, Eq, PartialEq, Serialize)]
        #[repr(u8)]
        pub enum $name<'a> {
            $($(#[$variant_doc])* $variant(#[rkyv(with = AsBox)] $body) = $tag,)+
        }

        impl<'a> Vocabulary for $name<'a> {
            const CLASS: Class = $class;
            const SCHEMA: &'static [(u8, BodySchema)] =
                &[$(($tag, <$body as Body>::SCHEMA),)+];

            fn tag(&self) -> u8 {
                match self { $(Self::$variant(_) => $tag,)+ }
            }

            fn bytes_len(&self) -> usize {
                match self { $(Self::$variant(body) => body.bytes_len(),)+ }
            }

            fn bytes_ahead(&self) -> usize {
                match self { $(Self::$variant(body) => body.bytes_ahead(),)+ }
            }

            fn body_schema(&self) -> BodySchema {
                match self { $(Self::$variant(_) => <$body as Body>::SCHEMA,)+ }
            }

            fn write_archive(self, id: u64, out: &mut [u8], start: usize) {
                crate::encode::write_archive(&Envelope { id, message: self }, out, start);
            }
        }

        impl sealed::Sealed for $name<'_> {}

        impl core::fmt::Debug for $archived<'_> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self { $(Self::$variant(body) => body.get().fmt(f),)+ }
            }
        }

        impl ArchivedVocabulary for $archived<'_> {
            fn lay_out(&self, layout: &mut Layout) {
                match self { $(Self::$variant(body) => body.get().lay_out(layout),)+ }
            }
        }

        impl $name<'_> {
            /// The message's name, for documents and traces; `None` for a tag nobody defined.
            pub const fn name_of(tag: u8) -> Option<&'static str> {
                match tag {
                    $($tag => Some(stringify!($variant)),)+
                    _ => None,
                }
            }
        }
    };
}

vocabulary! {
    /// Everything a client can say to the engine.
    ControlMessage / ArchivedControlMessage, Class::Control;
    /// Start a child in a new session, and attach to it if asked.
    Spawn(Spawn<'a>) = 1,
    /// Join a session.
    Attach(Attach<'a>) = 2,
    /// Leave a session.
    Detach(Detach) = 3,
    /// Change an attachment's terms.
    Adjust(Adjust) = 4,
    /// End somebody else's attachment or connection.
    Kick(Kick<'a>) = 5,
    /// Type bytes.
    Input(Input<'a>) = 6,
    /// Type named keys.
    Keys(Keys<'a>) = 7,
    /// Tell or set a window size.
    Resize(Resize<'a>) = 8,
    /// Send a signal, past any queued input.
    Signal(Signal<'a>) = 9,
    /// Output up to an offset was consumed for good.
    Consumed(Consumed) = 10,
    /// Ask for a sign of life.
    Ping(Ping<'a>) = 11,
    /// Answer the engine's `Ping`.
    Pong(Pong<'a>) = 12,
    /// End a session's child.
    Stop(Stop<'a>) = 13,
    /// End a session's child and start it again.
    Restart(Restart<'a>) = 14,
    /// Forget a session.
    Remove(Remove<'a>) = 15,
    /// Give a session another name.
    Rename(Rename<'a>) = 16,
    /// List the sessions' names.
    List(List) = 17,
    /// Describe a session, or all.
    Status(StatusRequest<'a>) = 18,
    /// Read a session's log.
    Logs(Logs<'a>) = 19,
    /// Read a session's screen.
    Screen(ScreenRequest<'a>) = 20,
    /// Wait for something to happen in a session.
    Wait(Wait<'a>) = 21,
    /// Give up a pending request.
    Cancel(Cancel) = 22,
    /// Receive events.
    Subscribe(Subscribe<'a>) = 23,
    /// Read counters, limits and histograms.
    Stats(StatsRequest<'a>) = 24,
    /// Read the configuration.
    ConfigGet(ConfigGet<'a>) = 25,
    /// Change the configuration.
    Configure(Configure<'a>) = 26,
    /// Load a plugin.
    LoadPlugin(LoadPlugin<'a>) = 27,
    /// Present a capability token.
    Present(Present<'a>) = 28,
    /// Drain and stop the engine.
    Shutdown(Shutdown) = 29,
    /// End this connection in order.
    Disconnect(Disconnect) = 30,
    /// A piece of an archive too large for one frame.
    Part(Part<'a>) = 31,
}

vocabulary! {
    /// Everything the engine can say to a client.
    EngineMessage / ArchivedEngineMessage, Class::Engine;
    /// A session was made.
    Spawned(Spawned<'a>) = 1,
    /// An attachment was made; its stream begins.
    Attached(Attached) = 2,
    /// A new child runs under an attachment.
    Started(Started) = 3,
    /// An attachment's terms changed.
    Adjusted(Adjusted) = 4,
    /// An attachment ended.
    Detached(Detached) = 5,
    /// The child printed.
    Output(Output<'a>) = 6,
    /// Input up to an offset was written to the PTY.
    InputApplied(InputApplied) = 7,
    /// Output is missing.
    Gap(Gap) = 8,
    /// A subscriber fell behind.
    Lagged(Lagged) = 9,
    /// A piece of a snapshot.
    Snapshot(Snapshot<'a>) = 10,
    /// The session's window has another size.
    Resized(Resized) = 11,
    /// The child ended.
    Exited(Exited) = 12,
    /// Ask for a sign of life.
    Ping(Ping<'a>) = 13,
    /// Answer a `Ping`.
    Pong(Pong<'a>) = 14,
    /// The sessions' names.
    Sessions(Sessions<'a>) = 15,
    /// One session, described.
    Status(Status<'a>) = 16,
    /// A piece of a session's log.
    LogChunk(LogChunk<'a>) = 17,
    /// A session's screen.
    Screen(Screen<'a>) = 18,
    /// How a `Wait` ended.
    WaitDone(WaitDone<'a>) = 19,
    /// Something happened.
    Event(Event<'a>) = 20,
    /// Counters, limits or a histogram.
    Stats(Stats<'a>) = 21,
    /// The configuration.
    Config(Config<'a>) = 22,
    /// A request is complete.
    Done(Done) = 23,
    /// A request was refused or failed.
    Error(ErrorReply<'a>) = 24,
    /// The connection ends, and why.
    Goodbye(Goodbye<'a>) = 25,
    /// A piece of an archive too large for one frame.
    Part(Part<'a>) = 26,
}
