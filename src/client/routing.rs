//! Where a message goes: to the attachment it is about, or to whoever waits for the reply.

use tautline_protocol::{ArchivedEngineMessage, Consumed, ControlMessage, OwnedFrame, Pong};
use tokio::sync::mpsc;

use super::{
    inbox::{Handled, Inbox},
    line::Line,
};

/// Gives an attachment its message; returns who waits for it if it is a reply.
pub(super) fn hand_out(
    line: &Line,
    id: u64,
    message: &ArchivedEngineMessage<'static>,
) -> Option<mpsc::Sender<OwnedFrame>> {
    if let ArchivedEngineMessage::Ping(ping) = message {
        let ping = ping.get();
        let (token, sent_ns) = (ping.token.to_native(), ping.sent_ns.to_native());
        let bytes = ping.bytes.as_slice().into();
        let pong = Pong { token, sent_ns, received_ns: 0, replied_ns: 0, bytes };
        // If it cannot be sent, the connection is ending anyway.
        line.tell(ControlMessage::Pong(pong)).ok();
        return None;
    }
    let number = attachment_of(message);
    let is_item = matches!(
        message,
        ArchivedEngineMessage::Spawned(_)
            | ArchivedEngineMessage::Status(_)
            | ArchivedEngineMessage::LogChunk(_)
            | ArchivedEngineMessage::Event(_)
            | ArchivedEngineMessage::Stats(_)
    );
    let inbox = match number {
        0 => line.inbox_that_asked(id, !is_item),
        number => line.inbox(number).or_else(|| line.inbox_that_asked(id, true)),
    };
    if let Some(inbox) = inbox {
        match inbox.handle(id, message) {
            Handled::No => {}
            handled => {
                act(line, &inbox, handled);
                return None;
            }
        }
    }
    line.replies(id, !is_item)
}

/// Does what follows from a message of an attachment.
fn act(line: &Line, inbox: &Inbox, handled: Handled) {
    match handled {
        Handled::No | Handled::Yes => {}
        Handled::Send => inbox.input.send(line, inbox.number),
        Handled::Resume => {
            // What was used up between the question and the answer was told to nobody.
            let (attachment, offset) = (inbox.number, inbox.consumed());
            line.tell(ControlMessage::Consumed(Consumed { attachment, offset })).ok();
            inbox.input.send(line, inbox.number);
        }
        Handled::Ask => line.ask_again(inbox),
        Handled::AskForName => line.ask_for_name(inbox),
        Handled::Leave => {
            let detach = tautline_protocol::Detach { attachment: inbox.number };
            // If it cannot be sent, the connection is ending anyway.
            line.tell(ControlMessage::Detach(detach)).ok();
            line.forget_attachment(inbox.number);
        }
    }
}

/// The attachment a message is about; 0 if none.
fn attachment_of(message: &ArchivedEngineMessage<'static>) -> u32 {
    match message {
        ArchivedEngineMessage::Output(body) => body.get().attachment.to_native(),
        ArchivedEngineMessage::InputApplied(body) => body.get().attachment.to_native(),
        ArchivedEngineMessage::Gap(body) => body.get().attachment.to_native(),
        ArchivedEngineMessage::Exited(body) => body.get().attachment.to_native(),
        ArchivedEngineMessage::Started(body) => body.get().attachment.to_native(),
        ArchivedEngineMessage::Resized(body) => body.get().attachment.to_native(),
        ArchivedEngineMessage::Adjusted(body) => body.get().attachment.to_native(),
        ArchivedEngineMessage::Detached(body) => body.get().attachment.to_native(),
        ArchivedEngineMessage::Attached(body) => body.get().attachment.to_native(),
        ArchivedEngineMessage::Error(body) => body.get().attachment.to_native(),
        _ => 0,
    }
}
