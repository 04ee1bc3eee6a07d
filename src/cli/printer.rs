//! Output of sessions on standard output, each under its name where there are several.

use std::io;

use super::{
    context::Context, failure::Failure, terminal::StandardOutput, text::escape::LineEscaper,
};

/// Prints what sessions printed.
pub(crate) struct Printer<'a> {
    context: &'a Context,
    output: StandardOutput,
    names: Vec<String>,
    lines: Vec<LineEscaper>,
    is_raw: bool,
    has_headings: bool,
    /// Whose output was printed last.
    current: Option<usize>,
    is_mid_line: bool,
}

impl<'a> Printer<'a> {
    /// For these sessions: as bytes, or as lines that are harmless on a terminal.
    pub(crate) fn start(
        context: &'a Context,
        names: Vec<String>,
        is_raw: bool,
    ) -> io::Result<Self> {
        Ok(Self {
            context,
            output: StandardOutput::start()?,
            lines: vec![LineEscaper::default(); names.len()],
            is_raw,
            has_headings: names.len() > 1 && !context.is_quiet,
            names,
            current: None,
            is_mid_line: false,
        })
    }

    /// The sessions, by index.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// What is printed next is of that session.
    pub(crate) async fn begin(&mut self, index: usize) -> Result<(), Failure> {
        if self.current.replace(index) != Some(index) && self.has_headings {
            self.end_line().await?;
            let heading = format!("==> {} <==\n", self.names[index]);
            self.write(heading.as_bytes()).await?;
        }
        Ok(())
    }

    /// A session printed this.
    pub(crate) async fn print(&mut self, index: usize, bytes: &[u8]) -> Result<(), Failure> {
        if self.is_raw {
            self.begin(index).await?;
            return self.write(bytes).await;
        }
        let text = self.lines[index].push(bytes);
        self.print_text(index, &text).await
    }

    /// Says something about what comes next of a session.
    pub(crate) async fn note(&mut self, index: usize, text: &str) -> Result<(), Failure> {
        self.finish(index).await?;
        self.context.note(&format!("[{}: {text}]", self.names[index]));
        Ok(())
    }

    /// Says why nothing comes of a session.
    pub(crate) async fn report(&mut self, failure: &Failure) -> Result<(), Failure> {
        self.end_line().await?;
        self.context.report("logs", failure);
        Ok(())
    }

    /// Nothing more comes of a session, or not what would follow.
    pub(crate) async fn finish(&mut self, index: usize) -> Result<(), Failure> {
        let text = self.lines[index].finish();
        self.print_text(index, &text).await?;
        if self.current == Some(index) { self.end_line().await } else { Ok(()) }
    }

    async fn print_text(&mut self, index: usize, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        self.begin(index).await?;
        self.write(text.as_bytes()).await
    }

    /// The bytes as they were printed have no lines of ours.
    async fn end_line(&mut self) -> Result<(), Failure> {
        if self.is_mid_line && !self.is_raw { self.write(b"\n").await } else { Ok(()) }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.is_mid_line = bytes.last().map_or(self.is_mid_line, |last| *last != b'\n');
        self.output.write(bytes).await.map_err(|error| Failure::output(&error))
    }
}
