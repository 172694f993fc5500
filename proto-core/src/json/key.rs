//! What stands in key position, as a value of the map's key type.

use serde::{Deserializer, de::Visitor, forward_to_deserialize_any};

use super::{
    JsonError,
    cursor::{Cursor, Key},
    read::{Reader, integer},
};

/// Reads a key as text, as a number, or as an object, whichever the map's key type asks for.
pub(super) struct KeyReader<'a, 't> {
    key: Key<'t>,
    /// The text around the key, whose limits count.
    around: &'a mut Cursor<'t>,
}

impl<'a, 't> KeyReader<'a, 't> {
    pub(super) const fn new(key: Key<'t>, around: &'a mut Cursor<'t>) -> Self {
        Self { key, around }
    }

    fn text(&self) -> &str {
        match &self.key {
            Key::Text(text) => text,
            Key::Object(text) => text,
        }
    }

    fn integer(&self) -> Result<i64, JsonError> {
        integer(self.text()).map_err(|error| error.moved_to(self.around.position()))
    }

    /// Reads the key's text as JSON of its own.
    fn nested<T>(self, read: impl FnOnce(Reader<'_, '_>) -> Result<T, JsonError>) -> Result<T, JsonError> {
        let position = self.around.position();
        let mut inner = self.around.inner(self.text());
        let value = read(Reader::new(&mut inner)).and_then(|value| inner.finish().map(|()| value));
        let left = inner.allowance();
        self.around.set_allowance(left);
        value.map_err(|error| error.moved_to(position))
    }
}

impl<'de> Deserializer<'de> for KeyReader<'_, '_> {
    type Error = JsonError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_str(self.text())
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

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        self.nested(|reader| reader.deserialize_struct(name, fields, visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, JsonError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple tuple_struct map enum
        identifier ignored_any
    }
}
