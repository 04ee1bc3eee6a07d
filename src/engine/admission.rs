//! Who is let in: the answer to a hello.

use std::sync::{Arc, atomic::Ordering};

use tautline_protocol::{
    ClientHello, CloseReason, EngineHello, Features, Purpose, Refusal, Rights, VERSION,
};

use super::{client_task::Next, identities::Proven, requests::Client, statistics::count};
use crate::{
    limits::{RESUME_GRACE_MAX, RETRY_AFTER},
    state::Heartbeat,
};

impl Client {
    /// Answers a hello: welcome, or why not.
    pub(super) fn handle_hello(&mut self, hello: &ClientHello) -> Next {
        let secret = match self.admit(hello) {
            Ok(secret) => secret,
            Err(refusal) => return Next::Refuse(refusal),
        };
        self.handle.set_client(self.id);
        self.engine.handshakes.end(&self.handle);
        self.rights = hello.rights & Rights::ALL;
        let heartbeat = Heartbeat::granted(hello.heartbeat_ms);
        let welcome = EngineHello {
            version: VERSION,
            resume_secret: secret,
            rights: self.rights,
            heartbeat_ms: heartbeat.map_or(0, |interval| interval.as_millis() as u32),
            ..self.hello()
        };
        self.outbox.push_frame(&welcome.encode());
        Next::Welcome(Features::default(), heartbeat)
    }

    /// Says why there is no welcome.
    pub(super) fn say_refusal(&mut self, refusal: Refusal) {
        count(&self.engine.counters.refusals, 1);
        let retry_after_ms = match refusal {
            Refusal::AtCapacity | Refusal::ShuttingDown => RETRY_AFTER.as_millis() as u32,
            _ => 0,
        };
        let status = refusal.to_wire();
        let hello = EngineHello { version: 0, status, retry_after_ms, ..self.hello() };
        self.outbox.push_frame(&hello.encode());
    }

    fn hello(&self) -> EngineHello {
        let config = &self.engine.config;
        EngineHello {
            engine_id: self.engine.id,
            clock: self.engine.clock,
            resume_grace_ms: u32::try_from(config.resume_grace.as_millis()).unwrap_or(u32::MAX),
            clients_limit: config.clients_limit,
            attachments_limit: config.attachments_limit,
            ..EngineHello::default()
        }
    }

    /// Gives a client its place; returns the secret it shows when it comes back.
    fn admit(&mut self, hello: &ClientHello) -> Result<[u8; 16], Refusal> {
        if hello.version_agreed(VERSION, VERSION).is_none() {
            return Err(Refusal::Version);
        }
        if hello.archive_format != tautline_protocol::ARCHIVE_FORMAT {
            return Err(Refusal::ArchiveFormat);
        }
        if hello.features_required != Features::default() {
            return Err(Refusal::Feature);
        }
        if hello.rights & Rights::ALL == 0 {
            return Err(Refusal::Rights);
        }
        if self.engine.is_closing() {
            return Err(Refusal::ShuttingDown);
        }
        // It was made to leave while its hello was on the way.
        if self.handle.close_reason().is_some() {
            return Err(Refusal::AtCapacity);
        }
        let Some(purpose @ (Purpose::Client | Purpose::Admin)) = Purpose::from_wire(hello.purpose)
        else {
            return Err(Refusal::Purpose);
        };
        // Whoever gives no id is a client of its own, on this connection only.
        if hello.client_id == [0; 16] {
            self.take_slot(purpose)?;
            self.id = crate::sys::random_bytes();
            return Ok(crate::sys::random_bytes());
        }
        let Proven { secret, older } =
            self.engine.identities.prove(hello, self.uid, self.handle.number)?;
        match older.filter(|older| !older.is_fenced()) {
            // One client, one slot: the newer connection takes it over.
            Some(older) if purpose == Purpose::Client => {
                older.pass_slot_on();
                self.engine.fence(&older);
                self.admitted = Some(Purpose::Client);
            }
            Some(older) => {
                self.take_slot(purpose)?;
                self.engine.fence(&older);
            }
            None => self.take_slot(purpose)?,
        }
        self.id = hello.client_id;
        self.grace = self.engine.config.resume_grace.min(RESUME_GRACE_MAX);
        if let Some(forgotten) = self.engine.identities.join(hello, self.uid, secret, &self.handle)
        {
            self.engine.forget_client(forgotten);
        }
        Ok(secret)
    }

    fn take_slot(&mut self, purpose: Purpose) -> Result<(), Refusal> {
        let limit = self.engine.config.clients_limit;
        let take_slot = |count| if count < limit { Some(count + 1) } else { None };
        let slots = &self.engine.clients_admitted;
        if slots.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_slot).is_ok() {
            self.admitted = Some(Purpose::Client);
            return Ok(());
        }
        let admin = &self.engine.is_admin_admitted;
        if purpose == Purpose::Admin && admin.swap(1, Ordering::Relaxed) == 0 {
            self.admitted = Some(Purpose::Admin);
            self.lend_admin_slot();
            return Ok(());
        }
        Err(Refusal::AtCapacity)
    }

    /// The slot kept for administration is lent for a short time, or somebody could keep it.
    fn lend_admin_slot(&mut self) {
        let handle = Arc::clone(&self.handle);
        self.waits.begin_unasked(async move {
            tokio::time::sleep(crate::limits::ADMIN_TIME).await;
            handle.close(CloseReason::AdminTimeout);
        });
    }
}
