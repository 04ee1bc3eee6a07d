//! Who clients are: the secret that proves a client id, and the one connection each may have.
//!
//! A client id alone is no proof: it is shown to others. Whoever is back under one shows the secret
//! it chose at first, or was given. What is kept of a client that was lost is kept in its sessions;
//! here is only what tells it from somebody else.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tautline_protocol::{ClientHello, Refusal};

use super::client_handle::ClientHandle;
use crate::{limits::IDENTITIES_MAX, state::ClientId};

/// The identities an engine knows.
#[derive(Debug, Default)]
pub(super) struct Identities(Mutex<BTreeMap<ClientId, Identity>>);

#[derive(Debug)]
struct Identity {
    secret: [u8; 16],
    uid: u32,
    /// Its live connections, one for each purpose.
    connections: Vec<(u8, Arc<ClientHandle>)>,
    /// Until when something may be kept that it could come back for, if anything was ever lost.
    until: Option<Instant>,
}

/// A client that is who it says.
#[derive(Debug)]
pub(super) struct Proven {
    /// The secret it shows when it comes back.
    pub(super) secret: [u8; 16],
    /// Its connection for the same purpose, which this one takes the place of.
    pub(super) older: Option<Arc<ClientHandle>>,
}

impl Identities {
    /// Judges who says hello on the connection of that number, and nothing else.
    ///
    /// A hello may be read after that of a connection which was accepted later: its client went on
    /// without waiting. It takes the place of nobody then.
    pub(super) fn prove(
        &self,
        hello: &ClientHello,
        uid: u32,
        number: u64,
    ) -> Result<Proven, Refusal> {
        let identities = self.0.lock();
        let now = Instant::now();
        let known = identities.get(&hello.client_id).filter(|known| known.is_kept(now));
        let Some(known) = known else {
            // A client may choose its secret itself: then no answer that is lost takes it along.
            let is_chosen = hello.resume_secret != [0; 16];
            let secret = if is_chosen { hello.resume_secret } else { crate::sys::random_bytes() };
            return Ok(Proven { secret, older: None });
        };
        if known.uid != uid || !is_equal(&known.secret, &hello.resume_secret) {
            return Err(Refusal::ResumeSecret);
        }
        let other = known.connections.iter().find(|(purpose, _)| *purpose == hello.purpose);
        let other = other.map(|(_, handle)| Arc::clone(handle));
        if other.as_ref().is_some_and(|other| other.number > number) {
            return Err(Refusal::Timeout);
        }
        Ok(Proven { secret: known.secret, older: other })
    }

    /// A client that was proven is welcomed: it has this connection for that purpose from now on.
    /// Returns a client that had to be forgotten for it, of which nothing is to be kept.
    pub(super) fn join(
        &self,
        hello: &ClientHello,
        uid: u32,
        secret: [u8; 16],
        handle: &Arc<ClientHandle>,
    ) -> Option<ClientId> {
        let mut identities = self.0.lock();
        let is_full = identities.len() >= IDENTITIES_MAX;
        let forgotten = if is_full { make_room(&mut identities) } else { None };
        let now = Instant::now();
        let fresh = || Identity { secret, uid, connections: Vec::new(), until: None };
        let identity = identities.entry(hello.client_id).or_insert_with(fresh);
        if !identity.is_kept(now) {
            *identity = fresh();
        }
        identity.connections.retain(|(purpose, _)| *purpose != hello.purpose);
        identity.connections.push((hello.purpose, Arc::clone(handle)));
        forgotten
    }

    /// A connection is gone. Its client may come back for `grace`; for zero, nothing of it is kept
    /// that it could come back for.
    pub(super) fn leave(&self, client: ClientId, handle: &Arc<ClientHandle>, grace: Duration) {
        let mut identities = self.0.lock();
        let Some(identity) = identities.get_mut(&client) else { return };
        let before = identity.connections.len();
        identity.connections.retain(|(_, known)| !Arc::ptr_eq(known, handle));
        // One that was taken over left nothing behind.
        if identity.connections.len() == before {
            return;
        }
        let now = Instant::now();
        let until = (!grace.is_zero()).then(|| now + grace);
        // A connection that died before it asked for anything leaves what the one before it left.
        identity.until = identity.until.max(until);
        if !identity.is_kept(now) {
            identities.remove(&client);
        }
    }
}

impl Identity {
    fn is_kept(&self, now: Instant) -> bool {
        !self.connections.is_empty() || self.until.is_some_and(|until| now < until)
    }
}

/// Forgets whoever stayed away for too long; if that is nobody, whoever is away longest.
fn make_room(identities: &mut BTreeMap<ClientId, Identity>) -> Option<ClientId> {
    let now = Instant::now();
    identities.retain(|_, identity| identity.is_kept(now));
    if identities.len() < IDENTITIES_MAX {
        return None;
    }
    let away = identities.iter().filter(|(_, identity)| identity.connections.is_empty());
    let away = away.filter_map(|(id, identity)| Some((identity.until?, *id)));
    let (_, longest) = away.min()?;
    identities.remove(&longest);
    Some(longest)
}

/// Compares in a time that tells nothing about where they differ.
fn is_equal(a: &[u8; 16], b: &[u8; 16]) -> bool {
    let differing = a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a ^ b));
    std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(60);

    /// The number of a connection that is newer than any other.
    const NEXT: u64 = 1_000;

    fn hello(id: u8, secret: [u8; 16]) -> ClientHello {
        ClientHello { client_id: [id; 16], resume_secret: secret, ..ClientHello::default() }
    }

    fn joined(identities: &Identities, id: u8) -> ([u8; 16], Arc<ClientHandle>) {
        let hello = hello(id, [0; 16]);
        let proven = identities.prove(&hello, 0, NEXT).unwrap();
        let handle = Arc::new(ClientHandle::new(id.into()));
        identities.join(&hello, 0, proven.secret, &handle);
        (proven.secret, handle)
    }

    #[test]
    fn who_is_back_shows_the_secret_and_takes_the_place_of_the_connection_it_had() {
        let identities = Identities::default();
        let (secret, older) = joined(&identities, 1);
        let proven = identities.prove(&hello(1, secret), 0, NEXT).unwrap();
        assert_eq!(proven.secret, secret, "it stays the same: an answer may have been lost");
        assert!(Arc::ptr_eq(&proven.older.unwrap(), &older));
    }

    #[test]
    fn a_hello_that_is_read_late_takes_the_place_of_nobody() {
        let identities = Identities::default();
        let (secret, _) = joined(&identities, 5);
        let late = identities.prove(&hello(5, secret), 0, 4);
        assert_eq!(late.map(|_| ()), Err(Refusal::Timeout));
        assert!(identities.prove(&hello(5, secret), 0, 6).unwrap().older.is_some());
    }

    #[test]
    fn a_client_may_choose_its_secret_itself() {
        let identities = Identities::default();
        let proven = identities.prove(&hello(1, [5; 16]), 0, NEXT).unwrap();
        assert_eq!(proven.secret, [5; 16]);
    }

    #[test]
    fn a_secret_that_is_wrong_missing_or_shown_by_another_user_proves_nothing() {
        let identities = Identities::default();
        let (secret, _) = joined(&identities, 1);
        let mut wrong = secret;
        wrong[15] ^= 1;
        for (secret, uid) in [(wrong, 0), ([0; 16], 0), (secret, 1)] {
            let refused = identities.prove(&hello(1, secret), uid, NEXT);
            assert_eq!(refused.map(|_| ()), Err(Refusal::ResumeSecret));
        }
    }

    #[test]
    fn an_admin_connection_and_another_one_live_side_by_side() {
        let identities = Identities::default();
        let (secret, _) = joined(&identities, 1);
        let admin = ClientHello { purpose: 1, ..hello(1, secret) };
        assert!(identities.prove(&admin, 0, NEXT).unwrap().older.is_none());
    }

    #[test]
    fn who_left_something_may_come_back_and_who_did_not_is_forgotten() {
        let identities = Identities::default();
        let (secret, handle) = joined(&identities, 1);
        identities.leave([1; 16], &handle, GRACE);
        let refused = identities.prove(&hello(1, [9; 16]), 0, NEXT);
        assert_eq!(refused.map(|_| ()), Err(Refusal::ResumeSecret));
        assert_eq!(identities.prove(&hello(1, secret), 0, NEXT).unwrap().secret, secret);
        let (_, other) = joined(&identities, 2);
        identities.leave([2; 16], &other, Duration::ZERO);
        assert_eq!(identities.0.lock().len(), 1);
        assert!(identities.prove(&hello(2, [9; 16]), 0, NEXT).is_ok(), "it is a new client");
    }

    #[test]
    fn a_connection_that_died_at_once_leaves_what_the_one_before_it_left() {
        let identities = Identities::default();
        let (secret, first) = joined(&identities, 1);
        identities.leave([1; 16], &first, GRACE);
        let second = Arc::new(ClientHandle::new(78));
        identities.join(&hello(1, secret), 0, secret, &second);
        identities.leave([1; 16], &second, Duration::ZERO);
        let refused = identities.prove(&hello(1, [9; 16]), 0, NEXT);
        assert_eq!(refused.map(|_| ()), Err(Refusal::ResumeSecret));
        assert_eq!(identities.prove(&hello(1, secret), 0, NEXT).unwrap().secret, secret);
    }

    #[test]
    fn a_connection_that_was_taken_over_takes_nothing_with_it() {
        let identities = Identities::default();
        let (secret, older) = joined(&identities, 1);
        let newer = Arc::new(ClientHandle::new(77));
        identities.join(&hello(1, secret), 0, secret, &newer);
        identities.leave([1; 16], &older, Duration::ZERO);
        let proven = identities.prove(&hello(1, secret), 0, NEXT).unwrap();
        assert!(Arc::ptr_eq(&proven.older.unwrap(), &newer));
    }

    #[test]
    fn only_so_many_are_kept_and_whoever_is_connected_is() {
        let identities = Identities::default();
        let (secret, _handle) = joined(&identities, 1);
        for number in 0..2 * IDENTITIES_MAX as u64 {
            let mut id = [7; 16];
            id[..8].copy_from_slice(&number.to_be_bytes());
            let hello = ClientHello { client_id: id, ..ClientHello::default() };
            let handle = Arc::new(ClientHandle::new(number));
            identities.join(&hello, 0, [3; 16], &handle);
            identities.leave(id, &handle, GRACE);
        }
        assert!(identities.0.lock().len() <= IDENTITIES_MAX);
        assert!(identities.prove(&hello(1, secret), 0, NEXT).unwrap().older.is_some());
    }
}
