//! What a body is made of: its declaration, its one legal layout, its semantic check.
//!
//! The only file of this crate with `unsafe` in it: bytecheck's `Verify` is an unsafe trait.

use rkyv::vec::ArchivedVec;

use crate::{
    error::{ErrorCode, Limit},
    limits::ROOT_SIZE,
};

/// A message body on the sending side.
pub trait Body {
    /// The archived layout, for documents, traces and the canonical check.
    const SCHEMA: BodySchema;

    /// Bytes of all byte strings.
    fn bytes_len(&self) -> usize;

    /// Bytes of those byte strings the caller writes itself.
    fn bytes_ahead(&self) -> usize;
}

/// The archived layout of one body.
#[derive(Clone, Copy, Debug)]
pub struct BodySchema {
    /// Name of the struct.
    pub name: &'static str,
    /// Bytes of the fixed part.
    pub size: usize,
    /// Alignment of the fixed part: 8 in every body.
    pub align: usize,
    /// The fields in wire order.
    pub fields: &'static [Field],
}

/// One field of a body.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its type, as written in the schema; `bytes` for a byte string.
    pub ty: &'static str,
    /// Its offset in the fixed part.
    pub offset: usize,
}

/// Checks that an archive is laid out the one way our encoder does it.
///
/// An archive is: the body's byte strings in field order without gaps, zeros to 8, the fixed part,
/// the root. Every fixed part is aligned to 8 and so a multiple of 8 long: it ends where the root
/// begins. Checked access only proves that pointers stay inside; this proves that each has the
/// single value it may have, so equal messages are equal bytes, nothing hides in front, and a
/// client may ignore the pointers altogether.
#[derive(Debug)]
pub(crate) struct Layout {
    base: usize,
    position: usize,
    canonical: bool,
}

impl Layout {
    pub(crate) fn of(payload: &[u8]) -> Self {
        Self { base: payload.as_ptr().addr(), position: 0, canonical: true }
    }

    /// Length of the archive of a body with `bytes_len` bytes in its byte strings and a fixed part
    /// of `size` bytes.
    pub(crate) const fn archive_size(bytes_len: usize, size: usize) -> usize {
        bytes_len.next_multiple_of(ALIGN) + size + ROOT_SIZE
    }

    pub(crate) fn bytes(&mut self, bytes: &ArchivedVec<u8>) {
        self.expect(bytes.as_ptr().addr());
        self.position += bytes.len();
    }

    pub(crate) fn fixed<T>(&mut self, body: &T) {
        const { assert!(align_of::<T>() == ALIGN, "every fixed part ends where the root begins") };
        self.position = self.position.next_multiple_of(ALIGN);
        self.expect(core::ptr::from_ref(body).addr());
        self.position += size_of::<T>();
    }

    /// Whether everything lay where it must, in a payload of `payload_size` bytes.
    pub(crate) const fn is_canonical(&self, payload_size: usize) -> bool {
        self.canonical && self.position + ROOT_SIZE == payload_size
    }

    const fn expect(&mut self, addr: usize) {
        self.canonical &= addr.wrapping_sub(self.base) == self.position;
    }
}

/// Alignment of every fixed part, and of the root.
const ALIGN: usize = 8;

/// Why a well-formed message makes no sense: answered with `Error`, and the connection stays.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}: {} ({value})", .code.name(), .subject)]
pub struct Invalid {
    /// The code it is answered with.
    pub code: ErrorCode,
    /// The limit that was passed, if one was.
    pub limit: Limit,
    /// The value that was refused.
    pub value: u64,
    /// What the value belongs to.
    pub subject: Subject,
}

/// The field or rule an [`Invalid`] is about, in words for the error's text.
pub type Subject = &'static str;

/// Declares a body: fixed fields first, then byte strings, then what must hold of them.
macro_rules! body {
    ($(#[$doc:meta])* $name:ident / $archived:ident {
        $($(#[$field_doc:meta])* $field:ident: $ty:ty,)*
    } check |$this:ident| $check:block) => {
        $(#[$doc])*
        #[derive(rkyv::Archive, Clone, Copy, Debug, Default, Eq, PartialEq, rkyv::Serialize)]
        #[rkyv(bytecheck(verify), attr(repr(align(8))))]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $ty,)*
        }
        body!(@impls $name, $name, $archived, $archived; $($field: $ty,)*; ; |$this| $check);
    };
    ($(#[$doc:meta])* $name:ident / $archived:ident {
        $($(#[$field_doc:meta])* $field:ident: $ty:ty,)*
    } bytes {
        $($(#[$bytes_doc:meta])* $bytes:ident,)+
    } check |$this:ident| $check:block) => {
        $(#[$doc])*
        #[derive(rkyv::Archive, Clone, Copy, Debug, Default, Eq, PartialEq, rkyv::Serialize)]
        #[rkyv(bytecheck(verify), attr(repr(align(8))))]
        pub struct $name<'a> {
            $($(#[$field_doc])* pub $field: $ty,)*
            $($(#[$bytes_doc])* pub $bytes: $crate::Bytes<'a>,)+
        }
        body!(@impls $name, $name<'_>, $archived, $archived<'_>;
            $($field: $ty,)*; $($bytes,)+; |$this| $check);
    };
    (@impls $name:ident, $full:ty, $archived:ident, $archived_full:ty;
        $($field:ident: $ty:ty,)*; $($bytes:ident,)*; |$this:ident| $check:block) => {
        impl $crate::message::schema::Body for $full {
            const SCHEMA: $crate::message::schema::BodySchema =
                $crate::message::schema::BodySchema {
                    name: stringify!($name),
                    size: size_of::<$archived_full>(),
                    align: align_of::<$archived_full>(),
                    fields: &[
                        $($crate::message::schema::Field {
                            name: stringify!($field),
                            ty: stringify!($ty),
                            offset: core::mem::offset_of!($archived_full, $field),
                        },)*
                        $($crate::message::schema::Field {
                            name: stringify!($bytes),
                            ty: "bytes",
                            offset: core::mem::offset_of!($archived_full, $bytes),
                        },)*
                    ],
                };

            fn bytes_len(&self) -> usize {
                0 $(+ self.$bytes.len())*
            }

            fn bytes_ahead(&self) -> usize {
                0 $(+ self.$bytes.ahead_len())*
            }
        }

        impl $archived_full {
            pub(crate) fn lay_out(&self, layout: &mut $crate::message::schema::Layout) {
                $(layout.bytes(&self.$bytes);)*
                layout.fixed(self);
            }

            fn check(&self) -> Result<(), $crate::message::schema::Invalid> {
                let $this = self;
                $check
            }
        }

        impl core::fmt::Debug for $archived_full {
            /// Byte strings by length only: what people type does not belong in logs.
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field(stringify!($field), &self.$field))*
                    $(.field(stringify!($bytes), &format_args!("{} bytes", self.$bytes.len())))*
                    .finish()
            }
        }

        // SAFETY: `Verify` is unsafe because a type may rely, in unsafe code, on what its `verify`
        // promised. No code relies on these checks for memory safety: the fields are plain integers
        // and byte strings that are valid whatever their value, and this crate has no other unsafe
        // code. Any result is therefore sound.
        #[expect(unsafe_code, reason = "the trait is unsafe; the implementation is not")]
        unsafe impl<C> bytecheck::Verify<C> for $archived_full
        where
            C: rancor::Fallible + ?Sized,
            C::Error: rancor::Source,
        {
            fn verify(&self, _: &mut C) -> Result<(), C::Error> {
                self.check().map_err(rancor::Source::new)
            }
        }
    };
}
