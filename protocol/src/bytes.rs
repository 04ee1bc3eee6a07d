//! The one variable-length field type of the schema: a borrowed byte string.

use rkyv::{
    Archive, Place, Serialize,
    rancor::{Fallible, Source},
    ser::{Allocator, Writer},
    vec::{ArchivedVec, VecResolver},
};

/// A byte string in a message: borrowed, or written by the caller elsewhere in the same frame.
///
/// Archived it is `ArchivedVec<u8>` either way. The second form is how output leaves without being
/// copied: header, slices of the session log and the rest of the archive go out in one vectored
/// write (see [`encode_split`](crate::encode_split)).
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Bytes<'a>(Location<'a>);

#[derive(Clone, Copy, Eq, Hash, PartialEq)]
enum Location<'a> {
    Here(&'a [u8]),
    Ahead(u32),
}

impl<'a> Bytes<'a> {
    /// No bytes.
    pub const EMPTY: Self = Self(Location::Here(&[]));

    /// Bytes that the caller writes itself, `len` of them, at the start of the payload: so only
    /// for the first byte string of a message.
    pub const fn ahead(len: u32) -> Self {
        Self(Location::Ahead(len))
    }

    /// How many bytes.
    pub const fn len(&self) -> usize {
        match self.0 {
            Location::Here(bytes) => bytes.len(),
            Location::Ahead(len) => len as usize,
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, if they are here.
    pub const fn as_slice(&self) -> Option<&'a [u8]> {
        match self.0 {
            Location::Here(bytes) => Some(bytes),
            Location::Ahead(_) => None,
        }
    }

    /// How many of the bytes the caller writes itself.
    pub(crate) const fn ahead_len(&self) -> usize {
        match self.0 {
            Location::Here(_) => 0,
            Location::Ahead(len) => len as usize,
        }
    }
}

impl core::fmt::Debug for Bytes<'_> {
    /// The length only: what people type does not belong in logs.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

impl Default for Bytes<'_> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<'a> From<&'a [u8]> for Bytes<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(Location::Here(bytes))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Bytes<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self(Location::Here(bytes))
    }
}

impl<'a> From<&'a str> for Bytes<'a> {
    fn from(text: &'a str) -> Self {
        Self(Location::Here(text.as_bytes()))
    }
}

impl Archive for Bytes<'_> {
    type Archived = ArchivedVec<u8>;
    type Resolver = VecResolver;

    fn resolve(&self, resolver: Self::Resolver, out: Place<Self::Archived>) {
        ArchivedVec::resolve_from_len(self.len(), resolver, out);
    }
}

impl<S> Serialize<S> for Bytes<'_>
where
    S: Allocator + Fallible + Writer + ?Sized,
    S::Error: Source,
{
    fn serialize(&self, serializer: &mut S) -> Result<Self::Resolver, S::Error> {
        match self.0 {
            Location::Here(bytes) => ArchivedVec::<u8>::serialize_from_slice(bytes, serializer),
            Location::Ahead(_) => Ok(VecResolver::from_pos(0)),
        }
    }
}
