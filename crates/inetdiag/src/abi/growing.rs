//! Structs that grow with the kernel: declared once, decoded at any length.

/// Declares a kernel struct: its C layout, pinned offsets, and one accessor per field that is `None` where the
/// payload ends before the field does.
macro_rules! growing_struct {
    (
        $(#[$meta:meta])*
        $name:ident, raw $raw:ident, size $size:literal {
            $( $(#[$field_meta:meta])* $field:ident: $ty:ty = $offset:literal; )*
        }
    ) => {
        #[derive(
            Clone, Copy, PartialEq, Eq,
            zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout,
        )]
        #[repr(C)]
        struct $raw { $( $field: $ty, )* }

        const _: () = {
            assert!(size_of::<$raw>() == $size);
            $( assert!(core::mem::offset_of!($raw, $field) == $offset); )*
        };

        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            raw: $raw,
            len: usize,
        }

        impl $name {
            /// Bytes of the struct that this crate knows; a newer kernel may send more.
            pub const SIZE: usize = $size;

            /// Takes what `payload` holds: fields past its end are absent, bytes past the known struct are not looked at.
            pub fn decode(payload: &[u8]) -> Self {
                use zerocopy::{FromZeros, IntoBytes};
                let mut raw = $raw::new_zeroed();
                let known = payload.len().min($size);
                raw.as_mut_bytes()[..known].copy_from_slice(&payload[..known]);
                Self { raw, len: payload.len() }
            }

            /// Bytes the kernel sent, known or not.
            pub fn payload_len(&self) -> usize {
                self.len
            }

            /// Whether the payload ends inside a field: then the kernel did not write it, something cut it.
            pub fn is_torn(&self) -> bool {
                $( ($offset < self.len && self.len < $offset + size_of::<$ty>()) || )* self.len == 0
            }

            $(
                $(#[$field_meta])*
                #[inline]
                pub fn $field(&self) -> Option<$ty> {
                    const END: usize = $offset + size_of::<$ty>();
                    (self.len >= END).then_some(self.raw.$field)
                }
            )*
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let mut out = f.debug_struct(stringify!($name));
                $( if let Some(value) = self.$field() { out.field(stringify!($field), &value); } )*
                out.finish()
            }
        }
    };
}

pub(super) use growing_struct;
