//! Who clients are: what the engine's own `Identities` do, around the same hello.

use std::time::{Duration, Instant};

use tautline::{
    protocol::{ClientHello, Refusal},
    state::ClientId,
};

#[derive(Debug, Default)]
pub(super) struct Identities(Vec<Identity>);

#[derive(Debug)]
struct Identity {
    client: ClientId,
    secret: [u8; 16],
    /// The wire of its live connection.
    connection: Option<usize>,
    /// Until when something may be kept that it could come back for.
    until: Option<Instant>,
}

impl Identities {
    /// The wire of the older connection of who says hello over a wire, if it proves to be who it
    /// says. One that is read after a newer one comes too late.
    pub(super) fn prove(
        &self,
        hello: &ClientHello,
        wire: usize,
        now: Instant,
    ) -> Result<Option<usize>, Refusal> {
        match self.0.iter().find(|known| known.client == hello.client_id && known.is_kept(now)) {
            Some(known) if known.secret != hello.resume_secret => Err(Refusal::ResumeSecret),
            Some(known) if known.connection.is_some_and(|other| other > wire) => {
                Err(Refusal::Timeout)
            }
            Some(known) => Ok(known.connection),
            None => Ok(None),
        }
    }

    /// A client that was proven is welcomed; returns the secret it shows when it comes back.
    pub(super) fn join(
        &mut self,
        client: ClientId,
        wire: usize,
        chosen: [u8; 16],
        now: Instant,
    ) -> [u8; 16] {
        self.0.retain(|known| known.client != client || known.is_kept(now));
        if let Some(known) = self.0.iter_mut().find(|known| known.client == client) {
            known.connection = Some(wire);
            return known.secret;
        }
        self.0.push(Identity { client, secret: chosen, connection: Some(wire), until: None });
        chosen
    }

    /// A connection is gone; what it left is kept for `grace`.
    pub(super) fn leave(&mut self, wire: usize, grace: Duration, now: Instant) {
        let Some(at) = self.0.iter().position(|known| known.connection == Some(wire)) else {
            return;
        };
        let identity = &mut self.0[at];
        identity.connection = None;
        identity.until = identity.until.max((!grace.is_zero()).then(|| now + grace));
        if !identity.is_kept(now) {
            self.0.swap_remove(at);
        }
    }
}

impl Identity {
    fn is_kept(&self, now: Instant) -> bool {
        self.connection.is_some() || self.until.is_some_and(|until| now < until)
    }
}
