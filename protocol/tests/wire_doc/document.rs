//! The document as headings, lines and rows, and what must stand there.

/// The document.
pub(crate) const DOC: &str = include_str!("../../../docs/wire-format.md");

/// What must stand under one heading: the first cells of every row, and a line in front of them.
pub(crate) struct Expected {
    /// Without its `#` signs.
    pub(crate) heading: String,
    /// How some line under it begins.
    pub(crate) line: String,
    /// How all its rows begin, in order.
    pub(crate) rows: Vec<String>,
}

impl Expected {
    /// An empty `line` asks for none.
    pub(crate) fn new(
        heading: impl Into<String>,
        line: impl Into<String>,
        rows: Vec<String>,
    ) -> Self {
        Self { heading: heading.into(), line: line.into(), rows }
    }

    fn faults(&self) -> Vec<String> {
        let section = section(&self.heading);
        let mut faults = Vec::new();
        if !section.iter().any(|line| line.starts_with(&self.line)) {
            faults.push(format!("no line beginning with {:?}", self.line));
        }
        let found = rows(&section);
        for position in 0..self.rows.len().max(found.len()) {
            match (self.rows.get(position), found.get(position)) {
                (Some(wanted), Some(found)) if found.starts_with(wanted.as_str()) => {}
                (wanted, found) => {
                    faults.push(format!("row {wanted:?} is missing, found {found:?}"))
                }
            }
        }
        faults.iter().map(|fault| format!("under {:?}: {fault}", self.heading)).collect()
    }
}

/// Holds the document to all of `expected`.
pub(crate) fn verify(expected: &[Expected]) {
    if std::env::var_os("TAUT_BLESS").is_some() {
        for Expected { heading, line, rows } in expected {
            println!("#### {heading}\n\n{line}\n\n{}\n", rows.join("\n"));
        }
    }
    let faults: Vec<_> = expected.iter().flat_map(Expected::faults).collect();
    assert!(faults.is_empty(), "docs/wire-format.md:\n{}", faults.join("\n"));
}

/// The lines from a heading, code blocks left out, to the next heading.
pub(crate) fn section(heading: &str) -> Vec<&'static str> {
    let mut is_code = false;
    let prose = DOC.lines().filter(move |line| {
        is_code ^= line.starts_with("```");
        !is_code
    });
    prose
        .skip_while(|line| !line.starts_with('#') || line.trim_start_matches('#').trim() != heading)
        .skip(1)
        .take_while(|line| !line.starts_with('#'))
        .collect()
}

/// The rows of all tables, without their heads.
pub(crate) fn rows(section: &[&'static str]) -> Vec<&'static str> {
    let is_rule = |line: &str| line.starts_with("|---");
    let is_head = |position: usize| section.get(position + 1).is_some_and(|next| is_rule(next));
    let lines = section.iter().enumerate();
    lines
        .filter(|&(position, line)| line.starts_with('|') && !is_rule(line) && !is_head(position))
        .map(|(_, line)| *line)
        .collect()
}
