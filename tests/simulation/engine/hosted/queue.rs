//! What is queued for a terminal, and what is known of it besides.

use std::collections::VecDeque;

use tautline::state::{ClientId, LedgerId};

use super::{Hosted, Queued};
use crate::{
    book::Way,
    moment::Moment,
    tape::{tape, typist},
};

impl Hosted {
    /// Queues input that was accepted: looks up what it is, and compares.
    pub(in crate::engine) fn queue_input(
        &mut self,
        (client, ledger): (ClientId, LedgerId),
        way: Way,
        offset: u64,
        bytes: &[u8],
        moment: &mut Moment,
    ) {
        let typist = typist(bytes[0]);
        let page = moment.book.page(self.number, typist);
        let mut done = 0;
        while done < bytes.len() {
            let (offset, rest) = (offset + done as u64, &bytes[done..]);
            let places = page.find(way, offset, rest.len() as u64);
            let places = places.expect("what is accepted was sent that way");
            let len = (places.end - places.start) as usize;
            let typed = tape(typist, places.start, len);
            assert!(typed == &rest[..len], "client {typist}: {offset} is not what it typed there");
            self.queued.push_back(Queued { client, typist, places });
            done += len;
        }
        self.queue.push_input(ledger, bytes, moment.now);
        self.check_window(client);
    }

    /// Nobody has more queued than a window, however often it left and came back.
    fn check_window(&self, client: ClientId) {
        let queued = self.queued.iter().filter(|queued| queued.client == client);
        let queued = queued.map(|queued| queued.places.end - queued.places.start).sum::<u64>();
        let window = u64::from(self.plan.terms.input_window);
        assert!(
            queued <= window,
            "client {client:?}: {queued} bytes are queued, of {window} granted"
        );
    }
}

/// The terminal took these bytes: they are the next that were queued, and were typed for it.
pub(super) fn check_written(
    queued: &mut VecDeque<Queued>,
    session: usize,
    bytes: &[u8],
    epoch: u64,
    moment: &mut Moment,
) {
    let mut done = 0;
    while done < bytes.len() {
        let next = queued.front_mut().expect("what is written was queued");
        let len = (bytes.len() - done).min((next.places.end - next.places.start) as usize);
        let places = next.places.start..next.places.start + len as u64;
        assert!(
            tape(next.typist, places.start, len) == &bytes[done..done + len],
            "session {session}: what is written is what is next in the queue, at {places:?}"
        );
        moment.book.page(session, next.typist).write(&places, epoch);
        next.places.start = places.end;
        if next.places.is_empty() {
            queued.pop_front();
        }
        done += len;
    }
}
