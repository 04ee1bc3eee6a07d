//! One record of a trace: bytes from what happened, and back. No file, no clock.

use tautline_protocol::limits::FRAME_MAX;

/// The first four bytes of every record; the first of them is in no UTF-8 text.
pub const RECORD_MAGIC: [u8; 4] = *b"\xf5trc";

/// Bytes before the frame.
pub const RECORD_HEADER_SIZE: usize = 32;

/// The one version there is.
const VERSION: u8 = 1;

/// Which side of a connection recorded.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Side {
    /// A client.
    Client = 0,
    /// The engine.
    Engine = 1,
}

/// What a record is about.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum What {
    /// The recording side sent the frame: gave it to its socket, or queued it there.
    Sent = 1,
    /// The recording side received the frame; or, if the record holds four bytes, a length that no
    /// frame has.
    Received = 2,
    /// The process that recorded stopped, because the file is as large as it may be.
    Stopped = 3,
}

/// One record.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Record<'a> {
    /// Who recorded.
    pub side: Side,
    /// What happened.
    pub what: What,
    /// When it was recorded: wall clock, nanoseconds since 1970.
    pub time_unix_ns: u64,
    /// The process that recorded.
    pub pid: u32,
    /// The connection: its number in that process, from 1; 0 if the record is about none.
    pub connection: u32,
    /// The frame, header included.
    pub frame: &'a [u8],
}

impl Record<'_> {
    /// What stands before a frame of `frame_size` bytes; the frame of `self` does not matter.
    ///
    /// ```text
    /// 0       4         5      6      7      8         16    20           24       28     32
    /// | magic | version | size | side | what | time    | pid | connection | length | zero | frame
    /// |       | u8      | u8   | u8   | u8   | u64     | u32 | u32        | u32    | u32  |
    /// ```
    pub fn header(&self, frame_size: usize) -> [u8; RECORD_HEADER_SIZE] {
        let mut header = [0; RECORD_HEADER_SIZE];
        header[..4].copy_from_slice(&RECORD_MAGIC);
        let small = [VERSION, RECORD_HEADER_SIZE as u8, self.side as u8, self.what as u8];
        header[4..8].copy_from_slice(&small);
        header[8..16].copy_from_slice(&self.time_unix_ns.to_be_bytes());
        header[16..20].copy_from_slice(&self.pid.to_be_bytes());
        header[20..24].copy_from_slice(&self.connection.to_be_bytes());
        header[24..28].copy_from_slice(&(frame_size as u32).to_be_bytes());
        header
    }
}

impl core::fmt::Debug for Record<'_> {
    /// The frame by length only: what people type does not belong in logs.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut out = f.debug_struct("Record");
        out.field("side", &self.side).field("what", &self.what).field("pid", &self.pid);
        out.field("connection", &self.connection).field("frame", &self.frame.len()).finish()
    }
}

/// What stands at some place of a trace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found<'a> {
    /// A record.
    Record(Record<'a>),
    /// So many bytes that are no record; one begins behind them, or the trace ends.
    Noise(usize),
    /// The beginning of a record, so many bytes of it, and the end of the trace.
    Cut(usize),
}

/// Reads a trace record by record. Whatever the bytes are, it comes to their end.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// The records of a whole file.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether bytes begin as a trace does; nothing at all is a trace of nothing.
    pub fn is_trace(bytes: &[u8]) -> bool {
        !matches!(parse(bytes), Parsed::NoRecord) || bytes.is_empty()
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let (size, found) = match parse(self.rest) {
            Parsed::Whole(size, record) => (size, Found::Record(record)),
            parsed => {
                // A process that died, or a disk that was full, may leave a beginning in between.
                match next_start(self.rest) {
                    Some(size) => (size, Found::Noise(size)),
                    None if matches!(parsed, Parsed::Cut) => {
                        (self.rest.len(), Found::Cut(self.rest.len()))
                    }
                    None => (self.rest.len(), Found::Noise(self.rest.len())),
                }
            }
        };
        self.rest = &self.rest[size..];
        Some(found)
    }
}

enum Parsed<'a> {
    Whole(usize, Record<'a>),
    Cut,
    NoRecord,
}

fn parse(bytes: &[u8]) -> Parsed<'_> {
    let Some((header, rest)) = bytes.split_first_chunk::<RECORD_HEADER_SIZE>() else {
        let begun = bytes.len().min(RECORD_MAGIC.len());
        let is_begun = begun > 0 && bytes[..begun] == RECORD_MAGIC[..begun];
        return if is_begun { Parsed::Cut } else { Parsed::NoRecord };
    };
    let u32_at =
        |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().expect("four bytes are four"));
    let is_ours = header[..4] == RECORD_MAGIC
        && header[4..6] == [VERSION, RECORD_HEADER_SIZE as u8]
        && u32_at(24) as usize <= FRAME_MAX;
    let side = match header[6] {
        0 => Side::Client,
        1 => Side::Engine,
        _ => return Parsed::NoRecord,
    };
    let what = match header[7] {
        1 => What::Sent,
        2 => What::Received,
        3 => What::Stopped,
        _ => return Parsed::NoRecord,
    };
    if !is_ours {
        return Parsed::NoRecord;
    }
    let Some(frame) = rest.get(..u32_at(24) as usize) else {
        return Parsed::Cut;
    };
    let time_unix_ns = u64::from(u32_at(8)) << 32 | u64::from(u32_at(12));
    let (pid, connection) = (u32_at(16), u32_at(20));
    let record = Record { side, what, time_unix_ns, pid, connection, frame };
    Parsed::Whole(RECORD_HEADER_SIZE + frame.len(), record)
}

/// Where the next record begins, behind the first byte.
fn next_start(bytes: &[u8]) -> Option<usize> {
    let windows = bytes.windows(RECORD_MAGIC.len()).enumerate().skip(1);
    let mut starts = windows.filter(|(_, window)| **window == RECORD_MAGIC).map(|(at, _)| at);
    starts.find(|&at| !matches!(parse(&bytes[at..]), Parsed::NoRecord))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(frame: &[u8]) -> Record<'_> {
        Record {
            side: Side::Engine,
            what: What::Received,
            time_unix_ns: 0x0102_0304_0506_0708,
            pid: 0x1112_1314,
            connection: 7,
            frame,
        }
    }

    fn written(record: &Record<'_>) -> Vec<u8> {
        [&record.header(record.frame.len())[..], record.frame].concat()
    }

    #[test]
    fn a_record_is_these_bytes() {
        let bytes = written(&record(b"four"));
        let expected = b"\xf5trc\x01\x20\x01\x02\x01\x02\x03\x04\x05\x06\x07\x08\
            \x11\x12\x13\x14\0\0\0\x07\0\0\0\x04\0\0\0\0four";
        assert_eq!(bytes, expected);
        let found = Records::new(&bytes).collect::<Vec<_>>();
        assert_eq!(found, [Found::Record(record(b"four"))]);
    }

    #[test]
    fn records_are_found_again_behind_what_is_none() {
        let (first, second) = (written(&record(b"first")), written(&record(b"second")));
        let bytes = [&first[..], b"noise", &second, &second[..20]].concat();
        let found = Records::new(&bytes).collect::<Vec<_>>();
        let expected = [
            Found::Record(record(b"first")),
            Found::Noise(5),
            Found::Record(record(b"second")),
            Found::Cut(20),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_cut_record_is_told_wherever_the_cut_is() {
        let bytes = written(&record(b"a frame"));
        for cut in 1..bytes.len() {
            let found = Records::new(&bytes[..cut]).collect::<Vec<_>>();
            assert_eq!(found, [Found::Cut(cut)]);
        }
        assert!(Records::is_trace(&bytes) && Records::is_trace(b"") && Records::is_trace(b"\xf5"));
        assert!(!Records::is_trace(b"PNG") && !Records::is_trace(&[0; 100]));
    }

    #[test]
    fn a_record_that_no_frame_fits_is_none() {
        let mut bytes = written(&record(b""));
        bytes[24..28].copy_from_slice(&(FRAME_MAX as u32 + 1).to_be_bytes());
        assert!(!Records::is_trace(&bytes));
        let found = Records::new(&bytes).collect::<Vec<_>>();
        assert_eq!(found, [Found::Noise(RECORD_HEADER_SIZE)]);
    }
}
