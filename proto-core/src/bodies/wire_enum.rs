//! Enums of bodies: written by name, read by name or by ordinal, as some clients send numbers.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

use crate::code::LanguageCode;

/// An enum that Java would write by name.
pub(crate) trait WireEnum: Sized {
    /// The constant with this name.
    fn from_name(name: &str) -> Option<Self>;
    /// The constant at this place in Java's declaration, counted from 0.
    fn from_ordinal(ordinal: i32) -> Option<Self>;
}

struct NameOrOrdinal<E>(PhantomData<E>);

impl<E: WireEnum> Visitor<'_> for NameOrOrdinal<E> {
    type Value = Option<E>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name or the ordinal of an enum constant")
    }

    fn visit_str<X: de::Error>(self, name: &str) -> Result<Self::Value, X> {
        Ok(E::from_name(name))
    }

    fn visit_i64<X: de::Error>(self, ordinal: i64) -> Result<Self::Value, X> {
        Ok(i32::try_from(ordinal).ok().and_then(E::from_ordinal))
    }

    fn visit_u64<X: de::Error>(self, ordinal: u64) -> Result<Self::Value, X> {
        Ok(i32::try_from(ordinal).ok().and_then(E::from_ordinal))
    }

    fn visit_unit<X: de::Error>(self) -> Result<Self::Value, X> {
        Ok(None)
    }
}

/// For `deserialize_with`: a name that nobody knows is null, as Java reads it.
pub(crate) fn known<'de, E: WireEnum, D: Deserializer<'de>>(deserializer: D) -> Result<Option<E>, D::Error> {
    deserializer.deserialize_any(NameOrOrdinal(PhantomData))
}

/// For `deserialize_with` on a member that has a default: an unknown name is that default.
pub(crate) fn known_or_default<'de, E: WireEnum + Default, D: Deserializer<'de>>(deserializer: D) -> Result<E, D::Error> {
    Ok(known(deserializer)?.unwrap_or_default())
}

/// Declares an enum with Java's names; the order is that of Java's ordinals.
macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every constant in the order of Java's ordinals.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Java's name of the constant.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// The constant with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl $crate::bodies::wire_enum::WireEnum for $name {
            fn from_name(name: &str) -> Option<Self> {
                Self::from_name(name)
            }

            fn from_ordinal(ordinal: i32) -> Option<Self> {
                usize::try_from(ordinal).ok().and_then(|at| Self::ALL.get(at)).copied()
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::bodies::wire_enum::known(deserializer)?
                    .ok_or_else(|| serde::de::Error::custom(concat!("no such ", stringify!($name))))
            }
        }
    };
}
pub(crate) use wire_enum;

impl WireEnum for LanguageCode {
    fn from_name(name: &str) -> Option<Self> {
        Self::from_name(name)
    }

    fn from_ordinal(ordinal: i32) -> Option<Self> {
        Self::from_code(ordinal)
    }
}

impl Serialize for LanguageCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for LanguageCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        known(deserializer)?.ok_or_else(|| de::Error::custom("no such language"))
    }
}
