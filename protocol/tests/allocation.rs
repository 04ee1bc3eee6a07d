//! Who pays for memory: nobody for frames, and for parts only he who sent the bytes.

mod samples;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use samples::{Sample, aligned, encoded, frame};
use tautline_protocol::{
    ArchivedControlMessage, Class, ControlMessage, Part, PartReader, ReceiveBuffer, Vocabulary,
    encode,
    limits::{BODY_MAX, FRAME_MAX, PART_MAX},
};

#[global_allocator]
static COUNTED: Counted = Counted;

#[test]
fn receiving_and_reading_frames_allocates_nothing() {
    let samples = samples::all();
    let mut buffer = ReceiveBuffer::new();
    let before = Count::now();
    for sample in &samples {
        receive(&mut buffer, sample);
    }
    assert_eq!(Count::now(), before);
}

#[test]
fn encoding_a_frame_allocates_nothing() {
    let (control, engine) = (samples::control(), samples::engine());
    let mut buffer = [0; FRAME_MAX];
    let before = Count::now();
    control.iter().for_each(|(_, id, message)| encode_into(&mut buffer, *id, *message));
    engine.iter().for_each(|(_, id, message)| encode_into(&mut buffer, *id, *message));
    assert_eq!(Count::now(), before);
}

#[test]
fn an_assembly_grows_with_what_arrives_and_not_with_what_is_announced() {
    let piece = vec![0x77; PART_MAX];
    let mut reader = PartReader::new();
    let before = Count::now().held;
    for arrived in (0..BODY_MAX - PART_MAX).step_by(PART_MAX) {
        let part = part(arrived as u32, BODY_MAX as u32, &piece);
        offer(&mut reader, &part).expect("the next piece");
        drop(part);
        let held = Count::now().held - before;
        let needed = arrived + PART_MAX;
        assert!((needed..=2 * needed).contains(&held), "{held} bytes for {needed}");
    }
}

#[test]
fn one_small_piece_of_a_large_body_holds_little() {
    let mut reader = PartReader::new();
    let bytes = part(0, BODY_MAX as u32, &[0x77; 8]);
    let before = Count::now().held;
    offer(&mut reader, &bytes).expect("the first piece");
    assert!(Count::now().held - before <= 64);
}

#[test]
fn a_body_that_is_too_large_is_refused_before_anything_is_allocated() {
    for total in [BODY_MAX as u32 + 8, u32::MAX] {
        let mut reader = PartReader::new();
        let bytes = part(0, total, &[0x77; PART_MAX]);
        let before = Count::now();
        assert!(offer(&mut reader, &bytes).is_err());
        assert_eq!(Count::now(), before);
    }
}

#[test]
fn a_completed_message_gives_its_memory_back() {
    let mut reader = PartReader::new();
    let bytes = part(0, 64, &[0x77; 48]);
    let rest = samples::forged(
        ControlMessage::Part(Part::default()).kind(),
        &[1, 0, 0, 0, 0, 0, 0, 0].repeat(2),
    );
    let before = Count::now().held;
    offer(&mut reader, &bytes).expect("the first piece");
    reader.complete(frame(&rest)).expect("the rest");
    assert!(Count::now().held > before);
    reader.clear();
    assert_eq!(Count::now().held, before);
}

fn receive(buffer: &mut ReceiveBuffer, sample: &Sample) {
    for piece in sample.bytes.chunks(3000) {
        let spare = buffer.spare();
        let (now, later) = piece.split_at(piece.len().min(spare.len()));
        spare[..now.len()].copy_from_slice(now);
        assert!(later.is_empty(), "one frame always fits");
        buffer.advance(now.len());
        let Some(frame) = buffer.next_frame().expect("a legal length") else {
            continue;
        };
        let is_read = match frame.kind().class() {
            Some(Class::Control) => frame.control().is_ok(),
            Some(Class::Engine) => frame.engine().is_ok(),
            _ => true,
        };
        assert!(is_read);
    }
}

fn encode_into(buffer: &mut [u8], id: u64, message: impl Vocabulary) {
    assert!(encode(buffer, id, message).is_ok());
}

fn part(position: u32, total: u32, bytes: &[u8]) -> samples::Aligned {
    let part = Part { position, total, bytes: bytes.into() };
    aligned(&encoded(1, ControlMessage::Part(part)))
}

fn offer(
    reader: &mut PartReader,
    bytes: &samples::Aligned,
) -> Result<(), tautline_protocol::DecodeError> {
    match frame(bytes).control()? {
        ArchivedControlMessage::Part(part) => reader.handle_part(1, part.get()),
        _ => unreachable!("it is a part"),
    }
}

/// What this thread allocated and has not given back, and how often it did.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Count {
    allocations: usize,
    held: usize,
}

impl Count {
    fn now() -> Self {
        COUNT.get()
    }
}

thread_local! {
    static COUNT: Cell<Count> = const { Cell::new(Count { allocations: 0, held: 0 }) };
}

/// The system's allocator, with a count per thread so that tests do not disturb each other.
struct Counted;

#[expect(unsafe_code, reason = "the only way to see allocations; it forwards and counts")]
// SAFETY: every call is forwarded unchanged to the system's allocator, whose promises these are.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Count { allocations, held } = COUNT.get();
        COUNT.set(Count { allocations: allocations + 1, held: held.wrapping_add(layout.size()) });
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let Count { allocations, held } = COUNT.get();
        // What another thread allocated may be given back here.
        COUNT.set(Count { allocations, held: held.wrapping_sub(layout.size()) });
        // SAFETY: the caller keeps the promises of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}
