//! JSON to values, driven by what the value's type asks for.

use std::borrow::Cow;

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor, value::StrDeserializer},
    forward_to_deserialize_any,
};

use super::{
    JsonError, JsonErrorKind,
    cursor::{Cursor, Key, Scalar, is_reference},
    field::Fields,
    key::KeyReader,
};

/// Reads the value at the cursor.
pub(super) struct Reader<'a, 't> {
    cursor: &'a mut Cursor<'t>,
}

impl<'a, 't> Reader<'a, 't> {
    pub(super) const fn new(cursor: &'a mut Cursor<'t>) -> Self {
        Self { cursor }
    }

    /// An integer, or what fastjson takes for one. Nothing and empty text are 0.
    fn integer(self) -> Result<i64, JsonError> {
        match self.cursor.scalar()? {
            Scalar::Null => Ok(0),
            Scalar::Bool(value) => Ok(i64::from(value)),
            Scalar::Number(text) => integer(text),
            Scalar::Text(text) if text.is_empty() || text == "null" => Ok(0),
            Scalar::Text(text) => integer(text.trim()),
        }
    }

    fn float(self) -> Result<f64, JsonError> {
        let parse = |text: &str| text.parse().map_err(|_| JsonError::custom(format_args!("{} is no number", shortened(text))));
        match self.cursor.scalar()? {
            Scalar::Null => Ok(0.0),
            Scalar::Bool(value) => Ok(f64::from(u8::from(value))),
            Scalar::Number(text) => parse(text.trim_end_matches(['D', 'd', 'F', 'f'])),
            Scalar::Text(text) if text.is_empty() || text == "null" => Ok(0.0),
            Scalar::Text(text) => parse(text.trim()),
        }
    }

    fn boolean(self) -> Result<bool, JsonError> {
        let text: Cow<'_, str> = match self.cursor.scalar()? {
            Scalar::Null => return Ok(false),
            Scalar::Bool(value) => return Ok(value),
            Scalar::Number(text) => text.into(),
            Scalar::Text(text) => text,
        };
        match &*text {
            "" | "null" => Ok(false),
            "1" | "Y" | "T" => Ok(true),
            "0" | "F" | "N" => Ok(false),
            text if text.eq_ignore_ascii_case("true") => Ok(true),
            text if text.eq_ignore_ascii_case("false") => Ok(false),
            text => Err(JsonError::custom(format_args!("{} is neither true nor false", shortened(text)))),
        }
    }

    /// A string, or the text of whatever stands there.
    fn text(self) -> Result<Cow<'t, str>, JsonError> {
        match self.cursor.peek() {
            Some(b'{' | b'[') => self.cursor.raw().map(Cow::Borrowed),
            _ => Ok(match self.cursor.scalar()? {
                Scalar::Null => Cow::Borrowed(""),
                Scalar::Bool(value) => Cow::Borrowed(if value { "true" } else { "false" }),
                Scalar::Number(text) => Cow::Borrowed(text),
                Scalar::Text(text) => text,
            }),
        }
    }

    /// Whether text or nothing stands where an object or array should, as good as an empty one.
    fn takes_empty(&mut self) -> Result<bool, JsonError> {
        if self.cursor.take_null()? {
            return Ok(true);
        }
        if !matches!(self.cursor.peek(), Some(b'"' | b'\'')) {
            return Ok(false);
        }
        let at = self.cursor.position();
        match self.cursor.scalar()? {
            Scalar::Text(text) if text.is_empty() => Ok(true),
            _ => Err(JsonError::new(JsonErrorKind::Expected("an object or an array"), at)),
        }
    }

    fn object<'de, V: Visitor<'de>>(mut self, fields: Option<Fields>, visitor: V) -> Result<V::Value, JsonError> {
        if self.takes_empty()? {
            return visitor.visit_map(Nothing);
        }
        self.cursor.enter(b'{', "an object")?;
        visitor.visit_map(Members { cursor: self.cursor, fields, first: true })
    }

    fn array<'de, V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, JsonError> {
        if self.takes_empty()? {
            return visitor.visit_seq(Nothing);
        }
        self.cursor.enter(b'[', "an array")?;
        visitor.visit_seq(Elements { cursor: self.cursor, first: true })
    }
}

/// Text as a whole number, as fastjson casts it: a suffix of Java's types is dropped, a fraction cut off.
pub(super) fn integer(text: &str) -> Result<i64, JsonError> {
    let wrong = || JsonError::custom(format_args!("{} is no whole number", shortened(text)));
    let digits = text.trim_end_matches(['L', 'S', 'B']);
    if let Ok(number) = digits.parse() {
        return Ok(number);
    }
    if !digits.contains(['.', 'e', 'E']) {
        return Err(wrong());
    }
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    // Both bounds are exact as floats; the cast of what lies between them loses nothing but the fraction.
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number) { Ok(number as i64) } else { Err(wrong()) }
}

/// At most so much of a hostile text goes into an error.
fn shortened(text: &str) -> &str {
    text.char_indices().nth(40).map_or(text, |(end, _)| &text[..end])
}

impl<'de> Deserializer<'de> for Reader<'_, '_> {
    type Error = JsonError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.cursor.peek() {
            Some(b'{') => self.object(None, visitor),
            Some(b'[') => self.array(visitor),
            _ => match self.cursor.scalar()? {
                Scalar::Null => visitor.visit_unit(),
                Scalar::Bool(value) => visitor.visit_bool(value),
                Scalar::Number(text) if text.contains(['.', 'e', 'E']) => visitor.visit_f64(text.parse().map_err(JsonError::custom)?),
                Scalar::Number(text) => visitor.visit_i64(integer(text)?),
                Scalar::Text(text) => visitor.visit_str(&text),
            },
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_bool(self.boolean()?)
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_i64(self.integer()?)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_i64(self.integer()?)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_i64(self.integer()?)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_i64(self.integer()?)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_i64(self.integer()?)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_i64(self.integer()?)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_i64(self.integer()?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_i64(self.integer()?)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_f64(self.float()?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_f64(self.float()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_str(&self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_string(self.text()?.into_owned())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        if self.cursor.take_null()? { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.array(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, JsonError> {
        self.array(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.object(None, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        self.object(Some(Fields::new(fields)), visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        self.cursor.skip()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { i128 u128 char bytes byte_buf unit unit_struct tuple_struct enum identifier }
}

/// The members of an object: of a struct if its `fields` are known, else of a map.
struct Members<'a, 't> {
    cursor: &'a mut Cursor<'t>,
    fields: Option<Fields>,
    first: bool,
}

impl<'de> MapAccess<'de> for Members<'_, '_> {
    type Error = JsonError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, JsonError> {
        while !self.cursor.next_or_close(&mut self.first, b'}')? {
            let key = self.cursor.key()?;
            let is_lost = matches!(&key, Key::Object(text) if is_reference(text));
            if self.cursor.take_null()? {
                continue;
            }
            if is_lost {
                self.cursor.skip()?;
                continue;
            }
            let Some(fields) = &mut self.fields else {
                return seed.deserialize(KeyReader::new(key, self.cursor)).map(Some);
            };
            let field = match &key {
                Key::Text(text) => fields.find(text),
                Key::Object(_) => None,
            };
            match field {
                Some(field) => {
                    let field: StrDeserializer<'_, JsonError> = field.into_deserializer();
                    return seed.deserialize(field).map(Some);
                }
                None => self.cursor.skip()?,
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, JsonError> {
        seed.deserialize(Reader::new(self.cursor))
    }
}

/// The elements of an array.
struct Elements<'a, 't> {
    cursor: &'a mut Cursor<'t>,
    first: bool,
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = JsonError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, JsonError> {
        while !self.cursor.next_or_close(&mut self.first, b']')? {
            if !self.cursor.take_null()? {
                return seed.deserialize(Reader::new(self.cursor)).map(Some);
            }
        }
        Ok(None)
    }
}

/// An object or array without anything in it.
struct Nothing;

impl<'de> MapAccess<'de> for Nothing {
    type Error = JsonError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, _seed: K) -> Result<Option<K::Value>, JsonError> {
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, _seed: V) -> Result<V::Value, JsonError> {
        Err(de::Error::custom("there is no member"))
    }
}

impl<'de> SeqAccess<'de> for Nothing {
    type Error = JsonError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, _seed: T) -> Result<Option<T::Value>, JsonError> {
        Ok(None)
    }
}
