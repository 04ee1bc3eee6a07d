//! How a terminal puts lines together: how much of one it keeps, and by which rules.

use std::{io, os::fd::AsFd};

use rustix::termios::{InputModes, LocalModes, SpecialCodeIndex, Termios};

use crate::state::LineRules;

/// Bytes of a line that a terminal in canonical mode keeps beside the one that ends it; what comes
/// beyond is thrown away by the kernel, and so never written by us.
///
/// Linux has 4,096 bytes for a line, and keeps the last for its end.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub const LINE_MAX: usize = 4095;

/// Bytes of a line that a terminal in canonical mode keeps beside the one that ends it; what comes
/// beyond is thrown away by the kernel, and so never written by us.
///
/// macOS and its relatives have 1,024 bytes for a line, of which its end needs one.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub const LINE_MAX: usize = 1023;

/// What special characters that are off are set to.
const OFF: u8 = if cfg!(any(target_os = "linux", target_os = "android")) { 0 } else { 0xff };

/// The modes of a terminal right now, asked of either side.
pub(super) fn line_rules(terminal: impl AsFd) -> io::Result<LineRules> {
    let modes = rustix::termios::tcgetattr(terminal)?;
    Ok(rules_of(&modes))
}

fn rules_of(modes: &Termios) -> LineRules {
    let input = |flag| modes.input_modes.contains(flag);
    let local = |flag| modes.local_modes.contains(flag);
    let key = |index| Some(modes.special_codes[index]).filter(|&code| code != OFF);
    LineRules {
        is_canonical: local(LocalModes::ICANON) && !local(LocalModes::EXTPROC),
        strips: input(InputModes::ISTRIP),
        doubles_255: input(InputModes::PARMRK),
        ignores_cr: input(InputModes::IGNCR),
        maps_cr: input(InputModes::ICRNL),
        maps_nl: input(InputModes::INLCR),
        is_utf8: input(InputModes::IUTF8),
        echoes: local(LocalModes::ECHO),
        kills_visibly: local(
            LocalModes::ECHO | LocalModes::ECHOE | LocalModes::ECHOK | LocalModes::ECHOKE,
        ),
        is_extended: local(LocalModes::IEXTEN),
        has_flow: input(InputModes::IXON),
        has_signals: local(LocalModes::ISIG),
        keeps_line: local(LocalModes::NOFLSH),
        signals: [SpecialCodeIndex::VINTR, SpecialCodeIndex::VQUIT, SpecialCodeIndex::VSUSP]
            .map(key),
        start: key(SpecialCodeIndex::VSTART),
        stop: key(SpecialCodeIndex::VSTOP),
        erase: key(SpecialCodeIndex::VERASE),
        kill: key(SpecialCodeIndex::VKILL),
        word_erase: key(SpecialCodeIndex::VWERASE),
        literal_next: key(SpecialCodeIndex::VLNEXT),
        reprint: key(SpecialCodeIndex::VREPRINT),
        end_of_file: key(SpecialCodeIndex::VEOF),
        line_end: key(SpecialCodeIndex::VEOL),
        line_end_2: key(SpecialCodeIndex::VEOL2),
    }
}

#[cfg(test)]
#[path = "line_rules_tests.rs"]
mod tests;
