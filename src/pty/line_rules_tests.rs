//! What Linux does with lines: pinned, because the engine relies on it. Others have other limits
//! and rules for words.

#![cfg(target_os = "linux")]

use std::os::fd::OwnedFd;

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags},
    io::Errno,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcsetattr},
};

use super::{LINE_MAX, line_rules};
use crate::state::{LineGauge, LineRules};

/// A terminal whose two sides are both ours, without echo.
struct Pair {
    controller: OwnedFd,
    user: OwnedFd,
}

impl Pair {
    fn new(change: impl FnOnce(&mut Termios)) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK;
        let user = rustix::fs::open(name, flags, Mode::empty()).unwrap();
        rustix::io::ioctl_fionbio(&controller, true).unwrap();
        let pair = Self { controller, user };
        pair.set(|modes| modes.local_modes -= LocalModes::ECHO);
        pair.set(change);
        pair
    }

    fn set(&self, change: impl FnOnce(&mut Termios)) {
        let mut modes = rustix::termios::tcgetattr(&self.user).unwrap();
        change(&mut modes);
        tcsetattr(&self.user, OptionalActions::Now, &modes).unwrap();
    }

    /// As much as the terminal takes.
    fn write(&self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match rustix::io::write(&self.controller, &bytes[written..]) {
                Ok(count) => written += count,
                Err(errno) => {
                    assert_eq!(errno, Errno::AGAIN);
                    break;
                }
            }
        }
        written
    }

    /// What one read of the child brings, once there is something.
    fn read(&self) -> Vec<u8> {
        let limit = Timespec { tv_sec: 5, tv_nsec: 0 };
        let mut ready = [PollFd::new(&self.user, PollFlags::IN)];
        assert_eq!(poll(&mut ready, Some(&limit)).unwrap(), 1, "nothing to read in 5 s");
        let mut buffer = [0; 8192];
        let count = rustix::io::read(&self.user, &mut buffer).unwrap();
        buffer[..count].to_vec()
    }

    fn rules(&self) -> LineRules {
        line_rules(&self.controller).unwrap()
    }
}

/// Repeats of `byte`, and what comes behind.
fn line(byte: u8, count: usize, end: &[u8]) -> Vec<u8> {
    [&vec![byte; count][..], end].concat()
}

#[test]
fn a_line_of_4095_bytes_and_its_end_are_kept_and_no_more() {
    let pair = Pair::new(|_| {});
    pair.write(&line(b'x', LINE_MAX, b"\n"));
    assert!(pair.read() == line(b'x', LINE_MAX, b"\n"));
    // One more is accepted like any other, and is gone.
    assert_eq!(pair.write(&line(b'x', LINE_MAX, b"Y\n")), LINE_MAX + 2);
    assert!(pair.read() == line(b'x', LINE_MAX, b"\n"));
    // Without an end it takes everything, for ever.
    let mut written = 0;
    while written < 1_000_000 {
        written += pair.write(&[b'z'; 1000]);
    }
    // The last one there was room for is replaced by each that comes, and then by the end.
    while pair.write(b"\n") == 0 {}
    assert!(pair.read() == line(b'z', LINE_MAX, b"\n"));
}

#[test]
fn lines_that_were_not_read_yet_block_and_cost_the_next_line_nothing() {
    let pair = Pair::new(|_| {});
    let mut written = 0;
    let text = line(b'a', 999, b"\n");
    loop {
        let count = pair.write(&text);
        written += count;
        if count < text.len() {
            break;
        }
    }
    // The kernel's buffer for lines is 4,096 bytes; the rest waits before it.
    assert!((4096..1_000_000).contains(&written), "{written} bytes were taken");
    let mut read = 0;
    while read + text.len() <= written {
        assert!(pair.read() == text);
        read += text.len();
    }
    let pair = Pair::new(|_| {});
    pair.write(&line(b'a', 3000, b"\n"));
    pair.write(&line(b'b', LINE_MAX, b"\n"));
    assert!(pair.read() == line(b'a', 3000, b"\n"));
    assert!(pair.read() == line(b'b', LINE_MAX, b"\n"));
}

#[test]
fn a_full_line_can_still_be_erased_ended_and_handed_over() {
    let pair = Pair::new(|_| {});
    pair.write(&line(b'x', LINE_MAX, b"\x7f\x7fyz\n"));
    assert!(pair.read() == line(b'x', LINE_MAX - 2, b"yz\n"));
    pair.write(&line(b'x', LINE_MAX, b"\x15y\n"));
    assert_eq!(pair.read(), b"y\n");
    pair.write(&line(b'x', LINE_MAX, b"\r"));
    assert!(pair.read() == line(b'x', LINE_MAX, b"\n"));
    // The end-of-file character hands over what is there, and takes the room of a line's end.
    pair.write(&line(b'x', LINE_MAX, b"\x04"));
    pair.write(&line(b'y', LINE_MAX, b"\x04z\n"));
    assert!(pair.read() == line(b'x', LINE_MAX, b""));
    assert!(pair.read() == line(b'y', LINE_MAX, b""));
    assert_eq!(pair.read(), b"z\n");
}

#[test]
fn a_terminal_that_becomes_canonical_begins_a_line_of_its_own() {
    let pair = Pair::new(|modes| modes.local_modes -= LocalModes::ICANON);
    pair.write(&[b'x'; 3000]);
    assert!(pair.read().len() <= 3000);
    pair.set(|modes| modes.local_modes |= LocalModes::ICANON);
    pair.write(&line(b'y', LINE_MAX, b"\n"));
    let mut seen = Vec::new();
    while !seen.ends_with(b"\n") {
        seen.extend(pair.read());
    }
    assert!(seen.ends_with(&line(b'y', LINE_MAX, b"\n")));
}

#[test]
fn the_modes_are_seen_from_the_controller_side() {
    let pair = Pair::new(|_| {});
    let rules = pair.rules();
    assert!(rules.is_canonical && rules.maps_cr && rules.is_extended && !rules.echoes);
    assert_eq!((rules.end_of_file, rules.literal_next, rules.line_end), (Some(4), Some(22), None));
    pair.set(Termios::make_raw);
    assert!(!pair.rules().is_canonical);
}

/// A sequence of numbers that is the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as usize % bound
    }
}

/// Types what the gauge lets pass, and compares each line it knows with the one that is read.
fn compare(seed: u64, change: impl FnOnce(&mut Termios)) {
    let pair = Pair::new(change);
    let rules = pair.rules();
    let mut gauge = LineGauge::new(LINE_MAX);
    let mut random = Random(seed);
    let mut refused = 0;
    let end = |gauge: &mut LineGauge| {
        // Not quoted, whatever came before; then the line as it is.
        for byte in [b'x', b'\n'] {
            let line = gauge.line().to_vec();
            if gauge.judge(&[byte], Some(rules)) == 1 {
                assert_eq!(pair.write(&[byte]), 1);
                gauge.handle_written(&[byte]);
                if gauge.line().is_empty() && byte == b'\n' {
                    let read = pair.read();
                    let (known, expected) = (line.len(), [&line[..], b"\n"].concat());
                    assert!(read == expected, "seed {seed}: {known} known, {} read", read.len());
                }
            }
        }
    };
    for _ in 0..40 {
        for _ in 0..random.below(40) {
            let text = match random.below(8) {
                0 => vec![[3, 17, 18, 19, 21, 22, 23, 28, 127, b'\r'][random.below(10)]],
                1 => vec![0x7f; random.below(30)],
                2 => [22, random.below(256) as u8].to_vec(),
                3 => vec![random.below(256) as u8; random.below(900)],
                4 => "ä€ wörd-".as_bytes().repeat(random.below(40)),
                _ => vec![b'a' + random.below(26) as u8; random.below(900)],
            };
            // Ends of lines are for `end`, which reads them.
            let is_end = |byte: u8| match if rules.strips { byte & 0x7f } else { byte } {
                b'\n' | 4 => true,
                b'\r' => rules.maps_cr,
                _ => false,
            };
            let text: Vec<u8> = text.into_iter().filter(|&byte| !is_end(byte)).collect();
            let count = gauge.judge(&text, Some(rules));
            assert_eq!(pair.write(&text[..count]), count);
            gauge.handle_written(&text[..count]);
            refused += text.len() - count;
        }
        end(&mut gauge);
    }
    assert!(refused > 0, "seed {seed}: no line was too long");
}

#[test]
fn the_gauge_knows_every_line_as_the_kernel_does() {
    for seed in 0..10 {
        compare(seed, |_| {});
        compare(seed, |modes| modes.input_modes |= InputModes::IUTF8);
        compare(seed, |modes| {
            modes.local_modes -= LocalModes::IEXTEN | LocalModes::ISIG;
            modes.input_modes -= InputModes::ICRNL | InputModes::IXON;
        });
        compare(seed, |modes| {
            modes.input_modes |= InputModes::IGNCR | InputModes::PARMRK | InputModes::ISTRIP;
            modes.local_modes |= LocalModes::NOFLSH;
            modes.special_codes[SpecialCodeIndex::VERASE] = b'a';
            modes.special_codes[SpecialCodeIndex::VKILL] = 0;
        });
        compare(seed, |modes| modes.input_modes |= InputModes::PARMRK);
    }
}
