//! Limits an operator may choose, with their defaults: what happens there, what it costs, why.
//!
//! What the wire fixes is in [`protocol::limits`](crate::protocol::limits).

/// Clients served at once; one more is refused with `AtCapacity`.
///
/// Each costs a receive and a send buffer of 8 KiB and its task: 64 of them about 1.2 MiB.
pub const CLIENTS_LIMIT: u32 = 64;

/// Connections that have not been welcomed; for one more, the oldest is refused with `AtCapacity`.
///
/// Whoever means it says hello at once, so silent ones keep nobody out, however many. Large enough
/// for any rush of honest ones: at worst 18 MiB of buffers, for five seconds.
pub const HANDSHAKES_LIMIT: usize = 1024;

/// Attachments one connection may have; one more is refused with `LimitReached`.
pub const ATTACHMENTS_LIMIT: u32 = 64;

/// Answered requests one connection may have pending; one more is refused with `LimitReached`.
pub const REQUESTS_LIMIT: usize = 64;

/// Sessions an engine hosts; one more is refused with `LimitReached`.
///
/// Each costs its log (1 MiB by default, touched only as far as it was printed) and four
/// descriptors.
pub const SESSIONS_LIMIT: usize = 1024;

/// Sessions kept whose child has ended and that nobody is attached to; the oldest is forgotten.
///
/// Each costs its log, 1 MiB by default as far as it was printed.
pub const EXITED_LIMIT: usize = 64;

/// Input one client may send ahead of what was written to the PTY, in bytes.
///
/// What it is granted we can hold, so a connection is always read, whatever a child does.
pub const INPUT_WINDOW: u32 = 64 * 1024;

/// Output a session log holds, in bytes.
pub const LOG_SIZE: usize = 1024 * 1024;

/// Commands on their way to a PTY writer. It always takes them, also when the child does not read,
/// so this only bounds a burst within one turn of the runtime.
pub const PTY_COMMANDS_MAX: usize = 64;

/// Window sizes that wait in a PTY writer's queue, each in its place between input; with one more,
/// the newest of them is replaced.
///
/// Bounds what a client costs that resizes between keystrokes while the child does not read.
pub const SIZES_QUEUED_MAX: usize = 64;

/// Input that travels inside a command; more travels in a block.
pub const INPUT_INLINE: usize = 64;

/// Blocks kept for input that does not fit a command; more are allocated and freed.
pub const INPUT_BLOCKS_KEPT: usize = 32;

/// Frames of one attachment in one vectored write.
pub const BATCH_FRAMES: usize = 8;

/// How long to stop accepting when descriptors have run out: no spinning, and soon back.
pub const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// How long to let a change around the socket settle before looking whether it is still there.
///
/// Whoever sweeps a directory removes it after its files, and must not find it filled again in
/// between; and a storm of changes costs ten looks a second at most.
pub const SOCKET_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// How often to look for the socket where changes are not told, and how often to try to make it
/// again where that failed.
///
/// A look is a dozen system calls at most; a client that finds no socket waits a little longer.
pub const SOCKET_RETRY: std::time::Duration = std::time::Duration::from_secs(2);

/// What a client at the client limit is told to wait before it tries again.
pub const RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

/// How long children may take to end when the engine shuts down, before they are killed.
pub const SHUTDOWN_GRACE: std::time::Duration = std::time::Duration::from_millis(400);

/// How long the slot kept for administration is lent.
pub const ADMIN_TIME: std::time::Duration = std::time::Duration::from_secs(10);

/// How long a session outlives the client that owns it.
pub const OWNER_GRACE: std::time::Duration = std::time::Duration::from_secs(30);

/// Sessions any engine may host: more names of full length would not fit one `Sessions` answer.
pub const SESSIONS_MAX: usize = 4000;

/// Output a session log may hold at its maker's choice, in bytes: what a client may pin per
/// session.
pub const LOG_SIZE_LIMIT: usize = 64 * 1024 * 1024;

/// Clients whose input one session keeps count of; one more is refused with `LimitReached`.
///
/// Each may have its input window queued, also after it left: at most 16 MiB a session, or nine
/// times that if every byte was typed by another client than the one before.
pub const LEDGERS_MAX: usize = 256;

/// How long input marks and attachments of a client are kept whose connection was lost.
///
/// Long enough for any reconnecting with backoff, and for a forwarded socket to be set up again;
/// each attachment costs about 300 bytes meanwhile, and holds its child no longer than its pause
/// limit.
pub const RESUME_GRACE: std::time::Duration = std::time::Duration::from_secs(60);

/// The longest that is kept for a client that was lost, whatever is configured.
pub const RESUME_GRACE_MAX: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// Client ids an engine knows the secrets of, unless more clients are connected; for one more,
/// whoever is away longest is forgotten and cannot come back.
///
/// About 150 bytes each.
pub const IDENTITIES_MAX: usize = 4096;

/// Frames one client may have handled before others get their turn.
pub const FRAMES_A_TURN: usize = 64;

/// Of so many times that a client's bytes are taken in, one is timed: reading the clock and
/// counting cost as much as understanding a small message does.
pub const DECODES_A_SAMPLE: u32 = 16;

/// How long to wait before trying again when there is no descriptor to wait with.
pub const DESCRIPTOR_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// Newest bytes of a log that a terminal model is fed to read a screen.
///
/// They are copied under the session's lock and parsed elsewhere. Measured for a MiB of numbered
/// lines: 21 us to copy (p99 about 0.1 ms), and 14 ms for all of `taut screen` that an empty one
/// does not take.
pub const SCREEN_LOG_MAX: usize = 1024 * 1024;

/// Events of one attachment that the blocking client's user was given and has not dropped, in the
/// channel or out of it; the next one waits.
///
/// Each costs a place in the channel and one in the order of drops, together about 100 bytes; the
/// output in them is bounded by the attachment's window. Enough for a window of full frames many
/// times over, so the window is what a burst of output meets first.
pub const DELIVERED_EVENTS_MAX: usize = 256;

/// Bytes of buffers an attachment of the blocking client keeps for its next events; more are freed.
///
/// As much as the default window, so that output which fills it goes through kept buffers.
pub const DELIVERED_BUFFERS_SIZE: usize = 256 * 1024;
