//! Structs that are read from objects alone. serde reads a struct from an array too, its fields by position: an array
//! where an object belongs would be taken for whatever stands first in it, and an empty one for nothing at all.

use serde::de::{Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// Reads these structs, which derive `Deserialize` with `#[serde(remote = "Self")]`, from objects alone.
macro_rules! objects {
    ($($name:ident),+) => {$(
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> std::result::Result<$name, D::Error> {
                $name::deserialize($crate::object::Object(from))
            }
        }
    )+};
}

pub(crate) use objects;

/// Asks for a map where a struct is wanted.
pub(crate) struct Object<D>(pub(crate) D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Object<D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
