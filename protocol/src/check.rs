//! The semantic checks that need only the message: one short function per rule.

use crate::{
    error::{ErrorCode, Limit},
    limits::{
        HISTORY_LINES_MAX, NAME_MAX, OUTPUT_WINDOW_MAX, OUTPUT_WINDOW_MIN, PATH_MAX, SIGNAL_MAX,
        WINDOW_CELLS_MAX, WINDOW_SIDE_MAX,
    },
    message::{ArchivedWindowSize, Invalid, Subject, WindowSize},
};

type Verdict = Result<(), Invalid>;

/// Whether `name` may name a session: 1 to 64 of `[A-Za-z0-9._-]`, beginning with neither `-` nor
/// `.`, so that it is safe as an argument, a file name and a table cell.
pub fn is_session_name(name: &[u8]) -> bool {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let first_is_legal = name.first().is_some_and(|first| !b"-.".contains(first));
    first_is_legal && name.len() <= NAME_MAX && name.iter().all(legal)
}

pub(crate) fn name(name: &[u8]) -> Verdict {
    if is_session_name(name) {
        return Ok(());
    }
    let limit = if name.len() > NAME_MAX { Limit::Name } else { Limit::None };
    refuse(ErrorCode::InvalidName, limit, name.len() as u64, "session name")
}

pub(crate) fn window_size(size: &ArchivedWindowSize) -> Verdict {
    let WindowSize { cols, rows, .. } = WindowSize::from(size);
    let cells = u32::from(cols) * u32::from(rows);
    let value = u64::from(cols) << 16 | u64::from(rows);
    if cells == 0 {
        return refuse(ErrorCode::InvalidSize, Limit::None, value, "window of no cells");
    }
    if cols.max(rows) > WINDOW_SIDE_MAX || cells > WINDOW_CELLS_MAX {
        return refuse(ErrorCode::InvalidSize, Limit::Window, value, "window size");
    }
    Ok(())
}

pub(crate) fn attachment(attachment: u32) -> Verdict {
    if attachment == 0 {
        return refuse(ErrorCode::InvalidAttachment, Limit::None, 0, "attachment");
    }
    Ok(())
}

pub(crate) fn choice<T>(known: Option<T>, value: u8, subject: Subject) -> Result<T, Invalid> {
    match known {
        Some(known) => Ok(known),
        None => Err(Invalid {
            code: ErrorCode::InvalidChoice,
            limit: Limit::None,
            value: value.into(),
            subject,
        }),
    }
}

pub(crate) fn flags(flags: u32, known: u32, subject: Subject) -> Verdict {
    match flags & !known {
        0 => Ok(()),
        unknown => refuse(ErrorCode::InvalidChoice, Limit::None, unknown.into(), subject),
    }
}

pub(crate) fn range(value: u64, min: u64, max: u64, subject: Subject) -> Verdict {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    refuse(ErrorCode::InvalidNumber, Limit::None, value, subject)
}

pub(crate) fn zero(value: u64, subject: Subject) -> Verdict {
    range(value, 0, 0, subject)
}

pub(crate) fn not_zero(value: u64, subject: Subject) -> Verdict {
    range(value, 1, u64::MAX, subject)
}

pub(crate) fn order(low: u64, high: u64, subject: Subject) -> Verdict {
    if low <= high { Ok(()) } else { refuse(ErrorCode::InvalidOffset, Limit::None, low, subject) }
}

/// Whether `len` bytes from `offset` end at an offset that exists.
pub(crate) fn end_offset(offset: u64, len: usize, subject: Subject) -> Verdict {
    match offset.checked_add(len as u64) {
        Some(end) if end < u64::MAX => Ok(()),
        _ => refuse(ErrorCode::InvalidOffset, Limit::None, offset, subject),
    }
}

pub(crate) fn output_window(window: u32) -> Verdict {
    if (OUTPUT_WINDOW_MIN..=OUTPUT_WINDOW_MAX).contains(&window) {
        return Ok(());
    }
    refuse(ErrorCode::InvalidNumber, Limit::OutputWindow, window.into(), "output window")
}

pub(crate) fn output_window_or_zero(window: u32) -> Verdict {
    if window == 0 { Ok(()) } else { output_window(window) }
}

pub(crate) fn history(lines: u32) -> Verdict {
    range(lines.into(), 0, HISTORY_LINES_MAX.into(), "history lines")
}

pub(crate) fn signal(number: i32) -> Verdict {
    if (1..=SIGNAL_MAX).contains(&number) {
        return Ok(());
    }
    refuse(ErrorCode::InvalidNumber, Limit::None, number as u32 as u64, "signal number")
}

pub(crate) fn signal_or_zero(number: i32) -> Verdict {
    if number == 0 { Ok(()) } else { signal(number) }
}

pub(crate) fn len_max(bytes: &[u8], max: usize, subject: Subject) -> Verdict {
    if bytes.len() <= max {
        return Ok(());
    }
    refuse(ErrorCode::InvalidText, Limit::Text, bytes.len() as u64, subject)
}

pub(crate) fn empty(bytes: &[u8], subject: Subject) -> Verdict {
    len_max(bytes, 0, subject)
}

pub(crate) fn not_empty(bytes: &[u8], subject: Subject) -> Verdict {
    if bytes.is_empty() { missing(subject) } else { Ok(()) }
}

pub(crate) fn missing(subject: Subject) -> Verdict {
    refuse(ErrorCode::InvalidText, Limit::None, 0, subject)
}

pub(crate) fn text(bytes: &[u8], max: usize, subject: Subject) -> Verdict {
    len_max(bytes, max, subject)?;
    match core::str::from_utf8(bytes) {
        Ok(_) => Ok(()),
        Err(error) => {
            let valid = error.valid_up_to() as u64;
            refuse(ErrorCode::InvalidText, Limit::None, valid, subject)
        }
    }
}

/// A list: entries each ended by NUL, so the last byte of a list that has any is NUL.
pub(crate) fn list(bytes: &[u8], subject: Subject) -> Verdict {
    match bytes.last() {
        None | Some(0) => Ok(()),
        Some(_) => refuse(ErrorCode::InvalidList, Limit::None, bytes.len() as u64, subject),
    }
}

/// A list of `name=value` entries, no name of which is empty.
pub(crate) fn env(bytes: &[u8]) -> Verdict {
    list(bytes, "environment")?;
    for entry in entries(bytes) {
        let name = entry.split(|&byte| byte == b'=').next().unwrap_or_default();
        if name.is_empty() || name.len() == entry.len() {
            let value = entry.len() as u64;
            return refuse(ErrorCode::InvalidList, Limit::None, value, "environment entry");
        }
    }
    Ok(())
}

pub(crate) fn path_or_empty(path: &[u8]) -> Verdict {
    len_max(path, PATH_MAX, "path")?;
    match path.first() {
        None | Some(b'/') if !path.contains(&0) => Ok(()),
        _ => refuse(ErrorCode::InvalidPath, Limit::None, path.len() as u64, "path"),
    }
}

/// The entries of a list as it travels: `a NUL b NUL` is `[a, b]`.
pub fn entries(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split_inclusive(|&byte| byte == 0).map(|entry| entry.strip_suffix(&[0]).unwrap_or(entry))
}

const fn refuse(code: ErrorCode, limit: Limit, value: u64, subject: Subject) -> Verdict {
    Err(Invalid { code, limit, value, subject })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_names_are_safe_as_arguments_and_file_names() {
        for good in ["main", "a", "run-7", "A.b_c-9", &"x".repeat(64)] {
            assert!(is_session_name(good.as_bytes()), "{good}");
        }
        let long = "x".repeat(65);
        let bad = ["", "-f", ".", "..", ".hidden", "a b", "a/b", "a:b", "a@b", "a%b", "é", "a\n"];
        for bad in bad.into_iter().chain([long.as_str(), "a\u{1b}[31m", "a\0"]) {
            assert!(!is_session_name(bad.as_bytes()), "{bad:?}");
        }
    }

    #[test]
    fn lists_keep_empty_entries_and_need_their_last_nul() {
        let split = |list: &'static [u8]| entries(list).collect::<Vec<_>>();
        assert_eq!(split(b""), Vec::<&[u8]>::new());
        assert_eq!(split(b"\0"), [b""]);
        assert_eq!(split(b"sh\0\0-c\0"), [&b"sh"[..], b"", b"-c"]);
        assert!(list(b"sh\0", "argv").is_ok());
        assert_eq!(list(b"sh", "argv").unwrap_err().code, ErrorCode::InvalidList);
    }

    #[test]
    fn environment_entries_have_a_name_and_an_equals_sign() {
        assert!(env(b"").is_ok());
        assert!(env(b"A=1\0B=\0C==\0").is_ok());
        for bad in [&b"A\0"[..], b"=1\0", b"A=1\0\0", b"A=1"] {
            assert_eq!(env(bad).unwrap_err().code, ErrorCode::InvalidList, "{bad:?}");
        }
    }

    #[test]
    fn offsets_never_wrap() {
        assert!(end_offset(0, 8144, "offset").is_ok());
        assert!(end_offset(u64::MAX - 2, 1, "offset").is_ok());
        assert!(end_offset(u64::MAX - 1, 1, "offset").is_err());
        assert!(end_offset(u64::MAX, 1, "offset").is_err());
    }
}
