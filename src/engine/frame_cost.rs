//! What a message costs of a client's turn.

use tautline_protocol::ArchivedControlMessage;

use crate::{limits::FRAMES_A_TURN, state::Step};

/// How many frames a message counts for: some take as long as many others.
pub(super) fn cost_of(step: &Step<'_>) -> usize {
    use ArchivedControlMessage::{Input, Logs, Ping, Spawn, Stats, Status};

    match step {
        Step::Request { message: Spawn(_) | Logs(_) | Stats(_), .. } => FRAMES_A_TURN,
        Step::Request { message: Status(_), .. } => FRAMES_A_TURN / 4,
        Step::Request { message: Input(_) | Ping(_), .. } => 1,
        _ => 2,
    }
}
