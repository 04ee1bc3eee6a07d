//! Aligned columns.

/// Rows of cells, the first row the heading; the last column is as long as it likes.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|&heading| heading.into()).collect()] }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The whole table; with colour, the heading is bold.
    pub(crate) fn show(&self, is_coloured: bool) -> String {
        let width = |cell: &String| cell.chars().count();
        let mut widths = Vec::new();
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (at, cell) in row.iter().enumerate() {
                widths[at] = widths[at].max(width(cell));
            }
        }
        let mut shown = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (at, cell) in row.iter().enumerate() {
                let room = widths[at];
                line.push_str(&format!("{cell:<room$}  "));
            }
            let line = line.trim_end();
            if number == 0 && is_coloured {
                shown.push_str(&format!("\x1b[1m{line}\x1b[m\n"));
            } else {
                shown.push_str(line);
                shown.push('\n');
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_trails() {
        let mut table = Table::new(&["NAME", "N", "REST"]);
        table.row(vec!["ü".into(), "1000".into(), "a b".into()]);
        table.row(vec!["longer".into(), "1".into(), String::new()]);
        assert_eq!(table.show(false), "NAME    N     REST\nü       1000  a b\nlonger  1\n");
        assert!(table.show(true).starts_with("\x1b[1mNAME    N     REST\x1b[m\n"));
    }
}
