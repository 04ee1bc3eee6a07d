//! Requests that make sessions and join them.

use std::sync::Arc;

use tautline_protocol::{
    ArchivedAttach, ArchivedSpawn, AttachFlags, AttachTerms, Attached as AttachedReply, EPOCH_ANY,
    EngineMessage, ErrorCode, Limit, Purpose, RestartPolicy, Rights, SizePolicy, SpawnFlags,
    Spawned, SpawnedFlags, View, WindowSize,
};

use super::{
    client_task::Next,
    failure::Failure,
    recipe::Recipe,
    requests::{Attached, Client},
    session_host::SessionHost,
    session_requests::text,
};
use crate::state::SessionTerms;

/// The size of a window nobody told the size of.
const SIZE_DEFAULT: WindowSize = WindowSize::cells(80, 24);

impl Client {
    pub(super) fn handle_spawn(&mut self, id: u64, spawn: &ArchivedSpawn<'static>) -> Next {
        let terms = AttachTerms::from(&spawn.terms);
        let rights = self.require(Rights::SPAWN).and_then(|()| match terms.attachment {
            0 => Ok(()),
            _ => self.require(Rights::VIEW),
        });
        let made = rights.and_then(|()| self.check_terms(&terms));
        let made = made.and_then(|()| self.make_session(spawn));
        let (host, is_new) = match made {
            Ok(made) => made,
            Err(failure) => return self.answer(id, Err(failure)),
        };
        let core = host.lock();
        let spawned = Spawned {
            epoch: core.session.epoch(),
            flags: if is_new { 0 } else { SpawnedFlags::EXISTED },
            pid: core.session.pid(),
            name: core.name.as_str().into(),
        };
        self.outbox.push(id, EngineMessage::Spawned(spawned)).expect("room was there before");
        drop(core);
        if terms.attachment == 0 {
            return Next::Answered(id);
        }
        let size = WindowSize::from(&spawn.size);
        match self.attach(id, host, &terms, 0, size) {
            Ok(()) => Next::Continue,
            Err(failure) => self.answer(id, Err(failure)),
        }
    }

    /// The session a `Spawn` asks for, and whether it was made just now.
    fn make_session(
        &self,
        spawn: &ArchivedSpawn<'static>,
    ) -> Result<(Arc<SessionHost>, bool), Failure> {
        let flags = spawn.flags.to_native();
        let restart = RestartPolicy::from_wire(spawn.restart).unwrap_or(RestartPolicy::Never);
        let has = |flag| flags & flag != 0;
        let name = match text(&spawn.name) {
            name if name.is_empty() => self.engine.free_name("session"),
            name => name,
        };
        let recipe = Recipe {
            argv: spawn.argv.to_vec(),
            env: spawn.env.to_vec(),
            cwd: spawn.cwd.to_vec(),
            is_clean: has(SpawnFlags::CLEAN_ENV),
            is_raw: has(SpawnFlags::RAW),
            is_login: has(SpawnFlags::LOGIN),
        };
        if let Ok(host) = self.engine.session(&name) {
            let is_joined = has(SpawnFlags::IF_ABSENT);
            return self.reuse_session(host, recipe, restart, &name, is_joined);
        }
        self.engine.check_session_limit()?;
        let asked = WindowSize::from(&spawn.size);
        let log_size = match spawn.log_size.to_native() {
            0 => self.engine.config.log_size,
            size if size as usize <= self.engine.config.log_size_limit => size as usize,
            _ => {
                let limit = self.engine.config.log_size_limit as u64;
                return Err(Failure::limit(
                    Limit::LogSize,
                    limit,
                    "the log asked for is too large",
                ));
            }
        };
        let terms = SessionTerms {
            log_size,
            input_window: self.engine.config.input_window,
            size: if asked.is_unset() { SIZE_DEFAULT } else { asked },
            size_policy: SizePolicy::from_wire(spawn.size_policy).unwrap_or(SizePolicy::Latest),
            is_ephemeral: has(SpawnFlags::EPHEMERAL),
            restart,
        };
        let host = SessionHost::start(&self.engine, name, recipe, terms)?;
        self.engine.add_session(Arc::clone(&host));
        Ok((host, true))
    }

    /// A live session is joined if that was asked for; one whose child ended is started afresh.
    fn reuse_session(
        &self,
        host: Arc<SessionHost>,
        recipe: Recipe,
        restart: RestartPolicy,
        name: &str,
        is_joined: bool,
    ) -> Result<(Arc<SessionHost>, bool), Failure> {
        let mut core = host.lock();
        if core.session.is_over() && core.running.is_none() {
            core.recipe = recipe;
            core.session.set_restart_policy(restart);
            core.restarts += 1;
            drop(core);
            host.start_child(&self.engine)?;
            return Ok((host, true));
        }
        drop(core);
        if is_joined {
            return Ok((host, false));
        }
        let text = format!("there is a live session named {name} already");
        Err(Failure::new(ErrorCode::NameTaken, text))
    }

    pub(super) fn handle_attach(&mut self, id: u64, attach: &ArchivedAttach<'static>) -> Next {
        let terms = AttachTerms::from(&attach.terms);
        let size = WindowSize::from(&attach.size);
        let epoch = attach.epoch.to_native();
        let outcome = self
            .require(Rights::VIEW)
            .and_then(|()| self.check_terms(&terms))
            .and_then(|()| match epoch {
                EPOCH_ANY => self.engine.session(&text(&attach.name)),
                epoch => {
                    let attachment = (self.id, terms.attachment);
                    self.engine.session_to_resume(&text(&attach.name), epoch, attachment)
                }
            })
            .and_then(|host| {
                self.attach(id, Arc::clone(&host), &terms, epoch, size)?;
                host.lock().recipe.refresh_env(&attach.env);
                Ok(())
            });
        match outcome {
            Ok(()) => Next::Continue,
            Err(mut failure) => {
                failure.attachment = terms.attachment;
                self.answer(id, Err(failure))
            }
        }
    }

    fn check_terms(&self, terms: &AttachTerms) -> Result<(), Failure> {
        if terms.attachment == 0 {
            return Ok(());
        }
        if terms.flags & AttachFlags::DETACH_OTHERS != 0 {
            self.require(Rights::TYPE)?;
        }
        if self.admitted == Some(Purpose::Admin) {
            let text = "the slot kept for administration cannot attach";
            return Err(Failure::new(ErrorCode::NotPermitted, text));
        }
        if terms.view == View::Snapshot.to_wire() {
            return Err(Failure::unsupported("make a snapshot of a screen"));
        }
        if self.attached(terms.attachment).is_ok() {
            let text = "this connection uses that attachment number already";
            return Err(Failure::new(ErrorCode::AttachmentInUse, text));
        }
        let limit = self.engine.config.attachments_limit;
        if self.attachments.len() >= limit as usize {
            let text = "this connection has as many attachments as it may";
            return Err(Failure::limit(Limit::Attachments, limit.into(), text));
        }
        Ok(())
    }

    fn attach(
        &mut self,
        id: u64,
        host: Arc<SessionHost>,
        terms: &AttachTerms,
        epoch: u64,
        size: WindowSize,
    ) -> Result<(), Failure> {
        let mut terms = *terms;
        if self.rights & Rights::TYPE == 0 {
            terms.flags |= AttachFlags::READ_ONLY;
        }
        let mut core = host.lock();
        let handle = Arc::clone(&self.handle);
        let kept = core.session.marks(self.id).is_some();
        let attachment = core.session.attach(self.id, id, &terms, epoch, handle)?;
        if terms.flags & AttachFlags::DETACH_OTHERS != 0 {
            core.detach_others(attachment);
        }
        if !size.is_unset()
            && self.rights & Rights::RESIZE != 0
            && let Some(size) = core.session.handle_resize(attachment, size)
        {
            core.resize(size);
            core.wake_all();
        }
        let session = &core.session;
        let joined = session.attachment(attachment).expect("it was attached just now");
        let (epoch, marks) = session.joined(attachment);
        let reply = AttachedReply {
            attachment: terms.attachment,
            flags: joined.flags() | if kept { AttachFlags::RESUMED } else { 0 },
            epoch,
            log_start: session.log().start(),
            output_offset: joined.output_offset(),
            input_accepted: marks.accepted(),
            input_applied: marks.applied(),
            input_unknown_to: marks.applied(),
            window: joined.window(),
            input_window: joined.input_window(),
            pause_limit_ms: joined.pause_limit_ms(),
            size: session.size(),
            delivery: joined.delivery().to_wire(),
            state: session.state().to_wire(),
            size_policy: session.size_policy().to_wire(),
        };
        self.outbox.push(id, EngineMessage::Attached(reply)).expect("room was there before");
        drop(core);
        let number = terms.attachment;
        self.attachments.push(Attached { number, request: id, id: attachment, host });
        Ok(())
    }
}
