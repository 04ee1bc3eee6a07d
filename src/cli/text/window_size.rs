//! Window sizes as people write them: `80x24`.

use tautline_protocol::{
    WindowSize,
    limits::{WINDOW_CELLS_MAX, WINDOW_SIDE_MAX},
};

/// Reads columns and rows.
///
/// # Errors
///
/// In words, for the person who wrote it.
pub(crate) fn parse_window_size(text: &str) -> Result<WindowSize, String> {
    let explain = || format!("\"{text}\" is no window size; write columns x rows, as 80x24");
    let (cols, rows) = text.split_once(['x', 'X']).ok_or_else(explain)?;
    let number = |digits: &str| {
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse::<u16>().unwrap_or(u16::MAX))
    };
    let (Some(cols), Some(rows)) = (number(cols), number(rows)) else {
        return Err(explain());
    };
    let is_side = |side| (1..=WINDOW_SIDE_MAX).contains(&side);
    let cells = u32::from(cols) * u32::from(rows);
    if !is_side(cols) || !is_side(rows) || cells > WINDOW_CELLS_MAX {
        let most = format!("at most {WINDOW_SIDE_MAX} a side and {WINDOW_CELLS_MAX} cells");
        return Err(format!("\"{text}\" is no window size: at least 1x1, {most}"));
    }
    Ok(WindowSize::cells(cols, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_columns_times_rows_within_the_limits() {
        assert_eq!(parse_window_size("80x24"), Ok(WindowSize::cells(80, 24)));
        assert_eq!(parse_window_size("1X1"), Ok(WindowSize::cells(1, 1)));
        for text in ["", "80", "x", "80x", "x24", "0x24", "80x0", "-1x2", "+8x2", "8 x2", "80x24x2"]
        {
            assert!(parse_window_size(text).is_err(), "{text}");
        }
        for text in ["4097x1", "4096x4096", "70000x1"] {
            assert!(parse_window_size(text).is_err(), "{text}");
        }
    }
}
