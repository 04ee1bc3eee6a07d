//! Input: from the receive buffer to the PTY's writer.

use std::time::Instant;

use tautline_protocol::{
    ArchivedInput, ArchivedKeys, Class, CloseReason, ErrorCode, InputFlags, Kind,
};

use super::{
    client_task::Next,
    failure::Failure,
    pty_writer::{InputBytes, PtyCommand},
    requests::{Attached, Client},
    session_host::SessionCore,
};
use crate::{
    limits::INPUT_INLINE,
    state::{AttachmentId, Fault, InputVerdict},
};

impl Client {
    pub(super) async fn handle_input(
        &mut self,
        id: u64,
        input: &ArchivedInput<'static>,
        received: Instant,
    ) -> Next {
        let number = input.attachment.to_native();
        let bytes = input.bytes.as_slice();
        let outcome = self.accept_input(input);
        match outcome {
            Ok(Accepted::Write { skip, ledger, commands }) => {
                let bytes = self.carry(&bytes[skip..]);
                let command = PtyCommand::Input { ledger, bytes, decoded: received };
                // The writer always takes commands; if it is gone, so is the child, and the bytes
                // are never reported as written.
                let _ = commands.send(command).await;
                Next::Continue
            }
            Ok(Accepted::Nothing) => Next::Continue,
            Ok(Accepted::Close(reason)) => Next::Close(reason),
            Err(mut failure) => {
                failure.attachment = number;
                self.refuse(id, &failure);
                Next::Continue
            }
        }
    }

    fn accept_input(&self, input: &ArchivedInput<'static>) -> Result<Accepted, Failure> {
        let attached = self.attached(input.attachment.to_native())?;
        let (turn, offset) = (input.turn.to_native(), input.offset.to_native());
        let mut core = attached.host.lock();
        if core.session.is_input_stale(attached.id, turn, offset) {
            return Ok(Accepted::Nothing);
        }
        let Some(attachment) = core.session.attachment(attached.id) else {
            return Ok(Accepted::Nothing);
        };
        if !attachment.is_writable() {
            return Err(self.refuse_input(&mut core, attached.id, ErrorCode::ReadOnly));
        }
        if u32::from(input.flags.to_native()) & PASTE != 0 {
            return Err(self.refuse_input(&mut core, attached.id, ErrorCode::Unsupported));
        }
        let Some(commands) = core.running.as_ref().map(|running| running.commands.clone()) else {
            return Err(self.refuse_input(&mut core, attached.id, ErrorCode::SessionExited));
        };
        if u32::from(input.flags.to_native()) & InputFlags::ACK_NOW != 0
            && let Some(attachment) = core.session.attachment_mut(attached.id)
        {
            attachment.handle_ack_wanted();
        }
        match core.session.handle_input(attached.id, turn, offset, input.bytes.len()) {
            Some((InputVerdict::Accept { skip }, ledger)) => {
                Ok(Accepted::Write { skip, ledger, commands })
            }
            Some((InputVerdict::Duplicate | InputVerdict::Stale, _)) | None => {
                Ok(Accepted::Nothing)
            }
            Some((InputVerdict::Gap, _)) => Ok(Accepted::Close(CloseReason::InputGap)),
            Some((InputVerdict::BeyondWindow, _)) => Ok(Accepted::Close(CloseReason::InputWindow)),
        }
    }

    /// Why input is not taken, and where it may go on: what else is in flight is no fault.
    fn refuse_input(&self, core: &mut SessionCore, id: AttachmentId, code: ErrorCode) -> Failure {
        core.session.handle_input_refused(id);
        let text = match code {
            ErrorCode::ReadOnly => "this attachment is read-only",
            ErrorCode::SessionExited => "the session's child has ended",
            _ => "this engine does not do that yet",
        };
        let accepted = core.session.marks(self.id).map_or(0, |marks| marks.accepted());
        Failure { value: accepted, ..Failure::new(code, text) }
    }

    /// Answers a message that made no sense. If it was input, what follows it on the way is no
    /// fault either; if it does not say for which attachment, that holds for all.
    pub(super) fn handle_fault(&mut self, fault: Fault) {
        if matches!(fault.kind, INPUT | KEYS) {
            let is_meant =
                |attached: &&Attached| fault.attachment == 0 || fault.attachment == attached.number;
            for attached in self.attachments.iter().filter(is_meant) {
                attached.host.lock().session.handle_input_refused(attached.id);
            }
        }
        self.refuse(fault.id, &fault.into());
    }

    pub(super) fn handle_keys(&mut self, id: u64, keys: &ArchivedKeys<'static>) -> Next {
        let number = keys.attachment.to_native();
        let outcome = self.attached(number).map(|attached| {
            let mut core = attached.host.lock();
            self.refuse_input(&mut core, attached.id, ErrorCode::Unsupported)
        });
        let (Ok(mut failure) | Err(mut failure)) = outcome;
        failure.attachment = number;
        self.refuse(id, &failure);
        Next::Continue
    }

    /// Input for the way to the writer: inline if small, else in a block.
    fn carry(&self, bytes: &[u8]) -> InputBytes {
        if bytes.len() <= INPUT_INLINE {
            InputBytes::Inline(bytes.into())
        } else {
            InputBytes::Block(self.engine.take_block(bytes))
        }
    }
}

/// Bracketing a paste needs to know the child's modes.
const PASTE: u32 = InputFlags::PASTE_BEGIN | InputFlags::PASTE_END;

const INPUT: Kind = Kind::new(Class::Control, 6);
const KEYS: Kind = Kind::new(Class::Control, 7);

enum Accepted {
    Write {
        skip: usize,
        ledger: crate::state::LedgerId,
        commands: tokio::sync::mpsc::Sender<PtyCommand>,
    },
    Nothing,
    Close(CloseReason),
}
