//! The typed headers: what the ext fields of each request and response mean.
//!
//! Each is named as Java's class without `Header` and declared with `ext_header!`: a field of Rust, its name on the wire, and what it
//! is when the peer leaves it out. A missing field is never an error, as in Java, whose marks of required fields are only logged. A
//! number that cannot be read counts as missing, but in the headers declared `strict` (Java's `FastCodesHeader`s) it is an error.

mod broker;
mod client;
mod groups;
mod kv_config;
mod offsets;
mod plugins;
mod pull;
mod query;
mod route;
mod send;
mod topics;
mod transaction;

pub use broker::*;
pub use client::*;
pub use groups::*;
pub use kv_config::*;
pub use offsets::*;
pub use plugins::*;
pub use pull::*;
pub use query::*;
pub use route::*;
pub use send::*;
pub use topics::*;
pub use transaction::*;

use thiserror::Error;

use crate::{encode::ExtWriter, ext::ExtFields, text::Text};

/// A typed header that can be read from ext fields.
pub trait DecodeExt<'a>: Sized {
    /// Reads the header in one pass over the fields. Unknown fields are skipped; of equal names the last one counts, as in a Java map.
    ///
    /// # Errors
    /// [`FieldError`] when a strict header carries a number that is none.
    fn decode_ext(ext: &ExtFields<'a>) -> Result<Self, FieldError>;
}

/// A field that makes its header unusable; answered with [`SystemError`](crate::code::ResponseCode::SystemError).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the field {field} of {header} is {value:?}, which is no number that fits")]
pub struct FieldError {
    /// Name of the header.
    pub header: &'static str,
    /// Name of the field on the wire.
    pub field: &'static str,
    /// What the peer wrote, at most [`FieldError::SHOWN`] characters of it.
    pub value: String,
}

impl FieldError {
    /// Characters of a wrong value that are kept.
    pub const SHOWN: usize = 64;

    #[cold]
    fn new(header: &'static str, field: &'static str, value: Text<'_>) -> Self {
        Self { header, field, value: value.to_cow().chars().take(Self::SHOWN).collect() }
    }
}

/// A type that an ext field can have.
trait ExtValue<'a>: Sized {
    /// The value in this text, if it is one.
    fn read(text: Text<'a>) -> Option<Self>;
    /// Writes the field, if there is a value.
    fn write(&self, name: &str, out: &mut ExtWriter<'_>);
}

impl<'a> ExtValue<'a> for Text<'a> {
    #[inline]
    fn read(text: Text<'a>) -> Option<Self> {
        Some(text)
    }

    fn write(&self, name: &str, out: &mut ExtWriter<'_>) {
        out.forward(name, *self);
    }
}

impl ExtValue<'_> for i32 {
    #[inline]
    fn read(text: Text<'_>) -> Option<Self> {
        text.parse_i32()
    }

    fn write(&self, name: &str, out: &mut ExtWriter<'_>) {
        out.number(name, (*self).into());
    }
}

impl ExtValue<'_> for i64 {
    #[inline]
    fn read(text: Text<'_>) -> Option<Self> {
        text.parse_i64()
    }

    fn write(&self, name: &str, out: &mut ExtWriter<'_>) {
        out.number(name, *self);
    }
}

impl ExtValue<'_> for bool {
    #[inline]
    fn read(text: Text<'_>) -> Option<Self> {
        Some(text.parse_bool())
    }

    fn write(&self, name: &str, out: &mut ExtWriter<'_>) {
        out.boolean(name, *self);
    }
}

impl<'a, T: ExtValue<'a>> ExtValue<'a> for Option<T> {
    #[inline]
    fn read(text: Text<'a>) -> Option<Self> {
        T::read(text).map(Some)
    }

    fn write(&self, name: &str, out: &mut ExtWriter<'_>) {
        if let Some(value) = self {
            value.write(name, out);
        }
    }
}

/// Declares typed headers: `lenient Name` or `strict Name` (where an unreadable number is an error), then one line per field:
/// `field: Type = "nameOnTheWire"`, with `or value` where a missing field is not the type's default.
macro_rules! ext_header {
    ($($(#[$doc:meta])* $rule:ident $name:ident $(<$lt:lifetime>)? { $($fields:tt)* })+) => {
        $($crate::headers::ext_header!(@one [$(#[$doc])*] $rule $name [$($lt)?] { $($fields)* });)+
    };
    (@one [$($doc:tt)*] $rule:ident $name:ident [] { $($fields:tt)* }) => {
        $crate::headers::ext_header!(@emit [$($doc)*] $rule $name [] ['ext] { $($fields)* });
    };
    (@one [$($doc:tt)*] $rule:ident $name:ident [$lt:lifetime] { $($fields:tt)* }) => {
        $crate::headers::ext_header!(@emit [$($doc)*] $rule $name [<$lt>] [$lt] { $($fields)* });
    };
    (@emit [$($doc:tt)*] $rule:ident $name:ident [$($generics:tt)*] [$lt:lifetime] {
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $wire:literal $(or $default:expr)?,)*
    }) => {
        $($doc)*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name $($generics)* {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $($generics)* Default for $name $($generics)* {
            fn default() -> Self {
                Self { $($field: $crate::headers::ext_header!(@default $($default)?),)* }
            }
        }

        impl<$lt> $crate::headers::DecodeExt<$lt> for $name $($generics)* {
            #[inline]
            fn decode_ext(ext: &$crate::ext::ExtFields<$lt>) -> Result<Self, $crate::headers::FieldError> {
                let mut header = Self::default();
                $crate::headers::read_fields!(ext, header, $lt $rule $name [$($generics)*] { $($field = $wire $(or $default)?,)* });
                Ok(header)
            }
        }

        impl $($generics)* $crate::encode::EncodeExt for $name $($generics)* {
            fn encode_ext(&self, out: &mut $crate::encode::ExtWriter<'_>) {
                $($crate::headers::ExtValue::write(&self.$field, $wire, out);)*
            }
        }
    };
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
}

/// The one pass over the ext fields. Names are matched as constants of bytes, which compiles to a decision tree over length and bytes
/// instead of one comparison after the other. The loop is a function of its own, so that fields are written where the header lies.
macro_rules! read_fields {
    (
        $ext:ident, $header:ident, $lt:lifetime $rule:ident $name:ident [$($generics:tt)*]
        { $($field:ident = $wire:literal $(or $default:expr)?,)* }
    ) => {{
        #[allow(non_upper_case_globals)]
        mod wire {
            $(pub(super) const $field: &[u8] = $wire.as_bytes();)*
        }

        #[inline(never)]
        fn read<$lt>(
            header: &mut $name $($generics)*,
            ext: &$crate::ext::ExtFields<$lt>,
        ) -> Result<(), $crate::headers::FieldError> {
            for (key, value) in ext.iter() {
                let unescaped;
                let key = match key.as_plain() {
                    Some(plain) => plain,
                    None => {
                        unescaped = key.to_cow();
                        &*unescaped
                    }
                };
                match key.as_bytes() {
                    $(wire::$field => {
                        header.$field = match value.map(|text| ($crate::headers::ExtValue::read(text), text)) {
                            Some((Some(read), _)) => read,
                            Some((None, text)) => $crate::headers::read_fields!(@unread $rule $name $wire text $($default)?),
                            None => $crate::headers::ext_header!(@default $($default)?),
                        };
                    })*
                    _ => {}
                }
            }
            Ok(())
        }

        read(&mut $header, $ext)?;
    }};
    (@unread strict $name:ident $wire:literal $text:ident $($default:expr)?) => {
        return Err($crate::headers::FieldError::new(stringify!($name), $wire, $text))
    };
    (@unread lenient $name:ident $wire:literal $text:ident $($default:expr)?) => {{
        let _ = $text;
        $crate::headers::ext_header!(@default $($default)?)
    }};
}

use {ext_header, read_fields};

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<'a>(pairs: &[(&'a str, &'a str)]) -> ExtFields<'a> {
        let mut ext = ExtFields::present();
        assert!(pairs.iter().all(|(name, value)| ext.push(Text::plain(name), Some(Text::plain(value)))));
        ext
    }

    #[test]
    fn a_header_without_fields_has_javas_defaults() {
        assert_eq!(PullMessageRequest::decode_ext(&ExtFields::default()).unwrap(), PullMessageRequest::default());
        assert!(GetMaxOffsetRequest::decode_ext(&ExtFields::default()).unwrap().committed);
        assert_eq!(ResetOffsetRequest::default().queue_id, -1);
    }

    #[test]
    fn both_forms_of_a_send_are_one_header() {
        let long = fields(&[("producerGroup", "g"), ("topic", "T"), ("queueId", "3"), ("batch", "1"), ("unitMode", "0"), ("bname", "b")]);
        let short = fields(&[("a", "g"), ("b", "T"), ("e", "3"), ("m", "true"), ("k", "false"), ("n", "b")]);
        let send = SendMessageRequest::decode(10, &long).unwrap();
        assert_eq!(SendMessageRequest::decode(310, &short).unwrap(), send);
        assert!(send.batch && !send.unit_mode);
        assert_eq!(send.broker_name.unwrap(), "b");
    }

    #[test]
    fn a_broker_name_is_found_under_the_name_of_the_base_class() {
        assert_eq!(SendMessageRequest::decode(320, &fields(&[("bname", "b")])).unwrap().broker_name.unwrap(), "b");
    }

    #[test]
    fn a_wrong_number_is_an_error_only_in_a_strict_header() {
        let error = SendMessageRequest::decode(310, &fields(&[("e", "three")])).unwrap_err();
        assert_eq!(error.to_string(), "the field e of SendMessageRequest is \"three\", which is no number that fits");
        assert_eq!(SendMessageRequest::decode(10, &fields(&[("queueId", "three")])).unwrap().queue_id, 0);
        assert!(GetMaxOffsetRequest::decode_ext(&fields(&[("committed", "false")])).is_ok_and(|header| !header.committed));
    }

    #[test]
    fn a_null_after_a_value_takes_it_away() {
        let mut ext = fields(&[("queueId", "3")]);
        assert!(ext.push(Text::plain("queueId"), None));
        assert_eq!(ResetOffsetRequest::decode_ext(&ext).unwrap().queue_id, -1);
    }

    #[test]
    fn an_escaped_name_is_the_name_it_stands_for() {
        let mut ext = ExtFields::default();
        assert!(ext.push(Text::escaped(r"queue\u0049d"), Some(Text::escaped(r"\u0034"))));
        assert_eq!(GetMinOffsetRequest::decode_ext(&ext).unwrap().queue_id, 4);
    }
}
