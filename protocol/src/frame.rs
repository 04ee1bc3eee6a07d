//! One received frame, and reading the message in it in place.

use core::fmt;

use rkyv::{Archive, Portable, api::low::LowValidator, bytecheck::CheckBytes, util::AlignedVec};

use crate::{
    error::{AccessError, DecodeError},
    header::{Class, Flags, Header, Kind},
    limits::{BUFFER_ALIGN, ROOT_SIZE},
    message::{
        ArchivedControlMessage, ArchivedEngineMessage, ArchivedEnvelope, ArchivedVocabulary,
        ControlMessage, EngineMessage, Layout, Role,
    },
};

/// One frame whose header is checked; it borrows the buffer it was received into.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    header: Header,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// A frame from its checked header and exactly its payload.
    ///
    /// # Panics
    ///
    /// If `payload` has less than 16 bytes.
    pub fn new(header: Header, payload: &'a [u8]) -> Self {
        assert!(payload.len() >= ROOT_SIZE, "a payload always holds a root");
        Self { header, payload }
    }

    /// What the frame is.
    pub const fn kind(&self) -> Kind {
        self.header.kind
    }

    /// What was done to the payload.
    pub const fn flags(&self) -> Flags {
        self.header.flags
    }

    /// The bytes behind the header.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The id, from its frozen place in the root; meaningless in a hello.
    ///
    /// Needs no valid archive: it is how a request of unknown kind is answered.
    pub fn id(&self) -> u64 {
        let root = &self.payload[self.payload.len() - ROOT_SIZE..];
        let (id, _) = root.split_first_chunk().expect("a root holds an id");
        u64::from_le_bytes(*id)
    }

    /// Reads a client's message in place: structure, meaning and canonical form are checked.
    pub fn control(&self) -> Result<&'a ArchivedControlMessage<'static>, DecodeError> {
        self.expect_class(Class::Control)?;
        match ControlMessage::role(self.kind().tag()) {
            None => Err(DecodeError::Unknown(self.kind())),
            Some(Role::Answered) if self.id() == 0 => Err(DecodeError::IdMissing(self.kind())),
            Some(_) => self.access::<ControlMessage<'static>>(),
        }
    }

    /// Reads an engine's message in place: structure, meaning and canonical form are checked.
    pub fn engine(&self) -> Result<&'a ArchivedEngineMessage<'static>, DecodeError> {
        self.expect_class(Class::Engine)?;
        if EngineMessage::name_of(self.kind().tag()).is_none() {
            return Err(DecodeError::Unknown(self.kind()));
        }
        self.access::<EngineMessage<'static>>()
    }

    fn expect_class(&self, class: Class) -> Result<(), DecodeError> {
        if self.kind().class() == Some(class) {
            Ok(())
        } else {
            Err(DecodeError::WrongClass(self.kind()))
        }
    }

    fn access<M>(&self) -> Result<&'a M::Archived, DecodeError>
    where
        M: Archive<Archived: ArchivedVocabulary> + 'static,
        ArchivedEnvelope<M>: Portable + for<'v> CheckBytes<LowValidator<'v, AccessError>>,
    {
        // The tag has its frozen place, like the id: a frame that is not what it says is not
        // looked at any further.
        let found = self.payload[self.payload.len() - ROOT_SIZE + size_of::<u64>()];
        if found != self.kind().tag() {
            return Err(DecodeError::Mismatch { kind: self.kind(), found });
        }
        let envelope = rkyv::api::low::access::<ArchivedEnvelope<M>, AccessError>(self.payload)
            .map_err(|error| match error {
                AccessError::Structure => DecodeError::Archive(self.kind()),
                AccessError::Invalid(invalid) => DecodeError::Invalid(invalid),
            })?;
        let message = &envelope.message;
        let mut layout = Layout::of(self.payload);
        message.lay_out(&mut layout);
        if !layout.is_canonical(self.payload.len()) {
            return Err(DecodeError::NotCanonical(self.kind()));
        }
        Ok(message)
    }
}

impl fmt::Debug for Frame<'_> {
    /// The payload by length only: what people type does not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Frame").field(&self.header).finish()
    }
}

/// A frame that outlives the buffer it was received into: for what is rare.
#[derive(Clone)]
pub struct OwnedFrame {
    header: Header,
    payload: AlignedVec<BUFFER_ALIGN>,
}

impl fmt::Debug for OwnedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.frame().fmt(f)
    }
}

impl OwnedFrame {
    /// Copies a frame.
    pub fn copy(frame: Frame<'_>) -> Self {
        let mut payload = AlignedVec::with_capacity(frame.payload.len());
        payload.extend_from_slice(frame.payload);
        Self { header: frame.header, payload }
    }

    /// The frame.
    pub fn frame(&self) -> Frame<'_> {
        Frame::new(self.header, &self.payload)
    }
}
