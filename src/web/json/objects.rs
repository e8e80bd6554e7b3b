//! Deserializes JSON with structs from objects only. Serde also accepts an array as a struct, with the fields in order:
//! `["Mallory"]` would change a name.

use std::fmt;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IgnoredAny, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

/// A deserialization error with its path.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ObjectError {
    message: String,
    /// Valid JSON of the wrong shape.
    pub is_json: bool,
}

/// Like `serde_json::from_slice`, but refuses an array at the top level for any type.
pub fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T, ObjectError> {
    let wrong = |message: String, error: &serde_json::Error| ObjectError {
        message,
        is_json: error.is_data(),
    };
    if text.trim_ascii_start().starts_with(b"[") {
        let read = serde_json::from_slice::<IgnoredAny>(text);
        return Err(match read {
            Err(error) => wrong(error.to_string(), &error),
            Ok(_) => ObjectError {
                message: "invalid type: sequence, expected an object".into(),
                is_json: true,
            },
        });
    }
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(Objects(&mut json))
        .map_err(|error| wrong(error.to_string(), error.inner()))?;
    json.end()
        .map_err(|error| wrong(error.to_string(), &error))?;
    Ok(value)
}

/// Wraps a deserializer, seed or access; nested structs are read from objects only.
struct Objects<T>(T);

macro_rules! read {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method(Anything(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Objects<D> {
    type Error = D::Error;

    read! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_unit deserialize_seq deserialize_map deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0
            .deserialize_struct(name, fields, Object(Anything(visitor)))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_unit_struct(name, Anything(visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, Anything(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(len, Anything(visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0
            .deserialize_tuple_struct(name, len, Anything(visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_enum(name, variants, Anything(visitor))
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// Wraps a visitor that accepts any value, and wraps its nested values in [`Objects`].
struct Anything<V>(V);

macro_rules! take {
    ($($method:ident: $type:ty,)*) => {$(
        fn $method<E: de::Error>(self, value: $type) -> Result<V::Value, E> {
            self.0.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Anything<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    take! {
        visit_bool: bool, visit_i8: i8, visit_i16: i16, visit_i32: i32, visit_i64: i64, visit_i128: i128,
        visit_u8: u8, visit_u16: u16, visit_u32: u32, visit_u64: u64, visit_u128: u128, visit_f32: f32, visit_f64: f64,
        visit_char: char, visit_str: &str, visit_borrowed_str: &'de str, visit_string: String,
        visit_bytes: &[u8], visit_borrowed_bytes: &'de [u8], visit_byte_buf: Vec<u8>,
    }

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inside: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Objects(inside))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inside: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Objects(inside))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Objects(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Objects(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(Objects(variant))
    }
}

/// A visitor for a struct: accepts an object or a unit value such as `null`, but no array.
struct Object<V>(Anything<V>);

impl<'de, V: Visitor<'de>> Visitor<'de> for Object<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(map)
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Objects<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Objects(from))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Objects(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(Objects(seed))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Objects(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Objects<A> {
    type Error = A::Error;
    type Variant = Objects<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let (value, variant) = self.0.variant_seed(Objects(seed))?;
        Ok((value, Objects(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Objects(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(len, Anything(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, Object(Anything(visitor)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Outer {
        name: String,
        #[serde(default)]
        inner: Option<Inner>,
        #[serde(default)]
        several: Vec<Inner>,
        #[serde(default)]
        by_name: HashMap<String, Inner>,
        #[serde(default)]
        shape: Option<Shape>,
        #[serde(default)]
        pair: Option<(i32, i32)>,
        #[serde(default)]
        any: Value,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        id: uuid::Uuid,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Shape {
        Round { radius: f64 },
        Named(Inner),
        Flat,
    }

    const ID: &str = "01890000-0000-7000-8000-000000000000";

    fn read(text: &str) -> Result<Outer, String> {
        from_slice(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn object_is_deserialized() {
        for right in [
            r#"{"name": "a"}"#.to_owned(),
            r#"  {"name": "a", "inner": null, "several": []} "#.to_owned(),
            format!(r#"{{"name": "a", "inner": {{"id": "{ID}"}}, "several": [{{"id": "{ID}"}}]}}"#),
            format!(r#"{{"name": "a", "by_name": {{"x": {{"id": "{ID}"}}}}, "pair": [1, 2]}}"#),
            r#"{"name": "a", "shape": "flat", "any": [1, [2], {"b": []}]}"#.to_owned(),
            r#"{"name": "a", "shape": {"round": {"radius": 1.5}}}"#.to_owned(),
            format!(r#"{{"name": "a", "shape": {{"named": {{"id": "{ID}"}}}}}}"#),
        ] {
            let plain: Outer = serde_json::from_str(&right).expect("serde accepts it");
            assert_eq!(read(&right), Ok(plain), "{right}");
        }
    }

    #[test]
    fn array_is_refused_at_any_depth() {
        for (wrong, path) in [
            (r#"["a"]"#.to_owned(), ""),
            (" \n[\"a\", null]".to_owned(), ""),
            (r#"[{"name": "a"}]"#.to_owned(), ""),
            (format!(r#"{{"name": "a", "inner": ["{ID}"]}}"#), "inner"),
            (
                format!(r#"{{"name": "a", "several": [["{ID}"]]}}"#),
                "several[0]",
            ),
            (
                format!(r#"{{"name": "a", "by_name": {{"x": ["{ID}"]}}}}"#),
                "by_name.x",
            ),
            (
                r#"{"name": "a", "shape": {"round": [1.5]}}"#.to_owned(),
                "shape",
            ),
            (
                format!(r#"{{"name": "a", "shape": {{"named": ["{ID}"]}}}}"#),
                "shape",
            ),
        ] {
            let message = read(&wrong).expect_err(&wrong);
            assert!(
                message.contains("invalid type: sequence") && message.contains(path),
                "{wrong}: {message}"
            );
        }
        // Not even types that serde reads from an array.
        assert!(from_slice::<Vec<i32>>(b"[1]").is_err() && from_slice::<Value>(b"[]").is_err());
    }

    #[test]
    fn other_errors_are_unchanged() {
        for wrong in [
            "",
            "{",
            r#"{"name": 1}"#,
            r#"{"name": "a"} x"#,
            "null",
            "\"a\"",
            r#"{"inner": {}}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let deep = "[".repeat(10_000);
        assert!(read(&format!(r#"{{"name": "a", "any": {deep}"#)).is_err());
    }
}
