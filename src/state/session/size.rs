//! Whose window size a session takes.

use tautline_protocol::{SizePolicy, WindowSize};

use super::{AttachmentId, Session};

impl<H> Session<H> {
    /// An attachment tells its size; returns the session's new size if it changes.
    pub fn handle_resize(&mut self, id: AttachmentId, size: WindowSize) -> Option<WindowSize> {
        let attachment = self.attachment_mut(id)?;
        if !attachment.is_writable() {
            return None;
        }
        attachment.size = size;
        self.sizes_told += 1;
        let told = self.sizes_told;
        self.attachment_mut(id)?.size_told = told;
        let size = match self.size_policy {
            SizePolicy::Latest => size,
            _ => self.size_by_policy()?,
        };
        self.take_size(size)
    }

    /// Somebody sets the size by name: it stays until the policy changes.
    pub fn handle_size_fixed(&mut self, size: WindowSize) -> Option<WindowSize> {
        self.handle_size_policy(SizePolicy::Fixed);
        self.take_size(size)
    }

    /// Somebody changes whose size counts.
    pub fn handle_size_policy(&mut self, policy: SizePolicy) -> Option<WindowSize> {
        if self.size_policy != policy {
            self.size_policy = policy;
            self.size_number += 1;
        }
        let size = self.size_by_policy()?;
        self.take_size(size)
    }

    /// An attachment came or went, or sizes are to be looked at anew for another reason.
    pub fn handle_sizes_changed(&mut self) -> Option<WindowSize> {
        let size = self.size_by_policy()?;
        self.take_size(size)
    }

    /// The size in force.
    pub const fn size(&self) -> WindowSize {
        self.size
    }

    /// Whose size counts.
    pub const fn size_policy(&self) -> SizePolicy {
        self.size_policy
    }

    /// The size the policy picks among the attachments that told one; `None` leaves it as it is.
    fn size_by_policy(&self) -> Option<WindowSize> {
        let those = self
            .attachments
            .iter()
            .filter(|at| at.is_writable() && at.ended.is_none() && !at.size.is_unset());
        if self.size_policy == SizePolicy::Latest {
            return those.max_by_key(|at| at.size_told).map(|at| at.size);
        }
        let sizes = those.map(|at| at.size);
        match self.size_policy {
            SizePolicy::Smallest => sizes.reduce(|a, b| combine(a, b, u16::min)),
            SizePolicy::Largest => sizes.reduce(|a, b| combine(a, b, u16::max)),
            _ => None,
        }
    }

    fn take_size(&mut self, size: WindowSize) -> Option<WindowSize> {
        if size == self.size {
            return None;
        }
        self.size = size;
        self.size_number += 1;
        Some(size)
    }
}

/// Columns and rows apart: the smallest of 80x50 and 100x24 is 80x24, which both can show.
fn combine(a: WindowSize, b: WindowSize, pick: fn(u16, u16) -> u16) -> WindowSize {
    WindowSize {
        cols: pick(a.cols, b.cols),
        rows: pick(a.rows, b.rows),
        x_pixels: pick(a.x_pixels, b.x_pixels),
        y_pixels: pick(a.y_pixels, b.y_pixels),
    }
}
