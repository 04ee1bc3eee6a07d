//! The small numbers inside messages: choices (one of several) and flag sets (any of several).
//!
//! They are plain integers on the wire, so a value a later peer invents reaches the semantic check
//! and is answered by name, instead of failing as a broken archive.

/// Declares an enum that travels as a `u8` or `u16`.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident: $repr:ident {
        $($(#[$variant_doc:meta])* $variant:ident = $value:literal,)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        #[repr($repr)]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $value,)+
        }

        impl $name {
            /// Every value this version knows, in wire order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The number on the wire.
            pub const fn to_wire(self) -> $repr {
                self as $repr
            }

            /// The value for a number, if this version knows it.
            pub const fn from_wire(value: $repr) -> Option<Self> {
                match value {
                    $($value => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The name as in `docs/wire-format.md`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)+
                }
            }
        }
    };
}

/// Declares a namespace of bits that travel in one `u32`.
macro_rules! flag_set {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$bit_doc:meta])* $bit:ident = $value:expr,)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl $name {
            $($(#[$bit_doc])* pub const $bit: u32 = $value;)+

            /// Every bit this version knows; others must be zero.
            pub const ALL: u32 = $($value |)+ 0;

            /// Name and value of every bit, for documents and traces.
            pub const BITS: &'static [(&'static str, u32)] = &[$((stringify!($bit), $value),)+];
        }
    };
}

pub(crate) use {choice, flag_set};
