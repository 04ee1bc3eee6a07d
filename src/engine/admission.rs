//! Who is let in: the answer to a hello.

use std::sync::{Arc, atomic::Ordering};

use tautline_protocol::{
    ClientHello, CloseReason, EngineHello, Features, Purpose, Refusal, Rights, VERSION,
};

use super::{client_task::Next, requests::Client, statistics::count};
use crate::limits::RETRY_AFTER;

impl Client {
    /// Answers a hello: welcome, or why not.
    pub(super) fn handle_hello(&mut self, hello: &ClientHello) -> Next {
        if let Err(refusal) = self.admit(hello) {
            return Next::Refuse(refusal);
        }
        let secret = crate::sys::random_bytes();
        // Whoever gives no id is a client of its own, on this connection only.
        let is_anonymous = hello.client_id == [0; 16];
        self.id = if is_anonymous { crate::sys::random_bytes() } else { hello.client_id };
        self.handle.set_client(self.id);
        self.engine.handshakes.end(&self.handle);
        self.rights = hello.rights & Rights::ALL;
        let welcome = EngineHello {
            version: VERSION,
            resume_secret: secret,
            rights: self.rights,
            ..self.hello()
        };
        self.outbox.push_frame(&welcome.encode());
        Next::Welcome(Features::default())
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
            // Nothing is kept for a client that was lost: resuming is not built yet.
            resume_grace_ms: 0,
            clients_limit: config.clients_limit,
            attachments_limit: config.attachments_limit,
            ..EngineHello::default()
        }
    }

    fn admit(&mut self, hello: &ClientHello) -> Result<(), Refusal> {
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
        let limit = self.engine.config.clients_limit;
        let take_slot = |count| if count < limit { Some(count + 1) } else { None };
        let slots = &self.engine.clients_admitted;
        let purpose = Purpose::from_wire(hello.purpose);
        match purpose {
            Some(Purpose::Client | Purpose::Admin) => {}
            _ => return Err(Refusal::Purpose),
        }
        if slots.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_slot).is_ok() {
            self.admitted = Some(Purpose::Client);
            return Ok(());
        }
        let admin = &self.engine.is_admin_admitted;
        if purpose == Some(Purpose::Admin) && admin.swap(1, Ordering::Relaxed) == 0 {
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
