//! A deserializer that reads structs only from objects.
//!
//! serde also reads a struct from an array, in the order of its fields, so that `["u1"]` would be accepted as
//! `{"userId": "u1"}`. This wraps any deserializer, at every depth, except for values that serde buffers first (`untagged`,
//! `flatten`).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};

/// Reads a value from JSON text.
pub(crate) fn read<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = T::deserialize(Objects(&mut json))?;
    json.end()?;
    Ok(value)
}

/// A deserializer, visitor, seed or access whose structs are objects.
struct Objects<T>(T);

macro_rules! forward {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method(Objects(visitor))
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Objects<D> {
    type Error = D::Error;

    forward! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_unit deserialize_seq deserialize_map deserialize_identifier deserialize_ignored_any
    }

    /// The only difference: a map can only come from an object.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Objects(visitor))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_unit_struct(name, Objects(visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, Objects(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(length, Objects(visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple_struct(name, length, Objects(visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_enum(name, variants, Objects(visitor))
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! visit {
    ($($method:ident: $type:ty)*) => {
        $(fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.0.$method(value)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Objects<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    visit! {
        visit_bool: bool visit_i8: i8 visit_i16: i16 visit_i32: i32 visit_i64: i64 visit_i128: i128
        visit_u8: u8 visit_u16: u16 visit_u32: u32 visit_u64: u64 visit_u128: u128 visit_f32: f32 visit_f64: f64
        visit_char: char visit_str: &str visit_borrowed_str: &'de str visit_string: String
        visit_bytes: &[u8] visit_borrowed_bytes: &'de [u8] visit_byte_buf: Vec<u8>
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Objects(deserializer))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Objects(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Objects(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Objects(members))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(Objects(data))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Objects<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Objects(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Objects(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
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

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
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

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(length, Objects(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, A::Error> {
        self.0.newtype_variant_seed(MembersOf(Objects(visitor)))
    }
}

/// Reads the members of an object for a visitor.
struct MembersOf<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for MembersOf<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_map(self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::de::IgnoredAny;
    use serde::{Deserialize, Serialize};
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::read;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Everything {
        small: u8,
        large: i128,
        float: f64,
        letter: char,
        text: String,
        flag: bool,
        maybe: Option<Box<Everything>>,
        list: Vec<Inner>,
        map: BTreeMap<u32, Inner>,
        pair: (u8, String),
        wrapped: Wrapped,
        kinds: Vec<Kind>,
        unit: (),
        value: Value,
        nested: Nested,
    }

    #[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
    struct Inner {
        a: u8,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Wrapped(Inner);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Unit,
        Newtype(Inner),
        Tuple(u8, u8),
        Struct { a: u8 },
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Nested {
        #[serde(flatten)]
        inner: Inner,
    }

    #[test]
    fn whatever_serde_writes_is_read_again() {
        let written = Everything {
            small: 1,
            large: i128::MIN,
            float: 117.633_311_394_000_17,
            letter: 'é',
            text: "\u{0}\n\"ü".to_owned(),
            flag: true,
            maybe: Some(Box::default()),
            list: vec![Inner { a: 1 }],
            map: BTreeMap::from([(7, Inner { a: 2 })]),
            pair: (3, "x".to_owned()),
            wrapped: Wrapped(Inner { a: 4 }),
            kinds: vec![
                Kind::Unit,
                Kind::Newtype(Inner { a: 5 }),
                Kind::Tuple(6, 7),
                Kind::Struct { a: 8 },
            ],
            unit: (),
            value: serde_json::json!([{ "x": null }, 1.5]),
            nested: Nested { inner: Inner { a: 9 } },
        };
        let text = serde_json::to_string(&written).unwrap();
        assert_eq!(read::<Everything>(&text).unwrap(), written);
        assert_eq!(read::<&str>("\"borrowed\"").unwrap(), "borrowed");
        assert!(read::<u8>("1 2").unwrap_err().to_string().contains("trailing"));
    }

    #[test]
    fn raw_text_stays_what_it_was() {
        #[derive(Deserialize)]
        struct Kept<'a> {
            #[serde(borrow)]
            one: &'a RawValue,
            other: Box<RawValue>,
        }
        let kept: Kept<'_> = read(r#"{"one": [1.50, 1e999 ], "other":123456789012345678901,"x":"\ud800"}"#).unwrap();
        assert_eq!(
            (kept.one.get(), kept.other.get()),
            ("[1.50, 1e999 ]", "123456789012345678901")
        );
        assert!(read::<IgnoredAny>("[").is_err());
    }

    #[test]
    fn an_array_is_no_struct_at_any_depth() {
        for text in [
            "[1]",
            r#"{"maybe":[1]}"#,
            r#"{"maybe":{"maybe":[]}}"#,
            r#"{"list":[[1]]}"#,
            r#"{"map":{"1":[1]}}"#,
            r#"{"wrapped":[1]}"#,
            r#"{"kinds":[{"Newtype":[1]}]}"#,
            r#"{"kinds":[{"Struct":[1]}]}"#,
            r#"{"nested":[{"a":1}]}"#,
        ] {
            let error = read::<Everything>(text).unwrap_err().to_string();
            assert!(error.contains("invalid type: sequence"), "{text}: {error}");
        }
        // What is a list stays one.
        assert_eq!(read::<(u8, u8)>("[1,2]").unwrap(), (1, 2));
        assert_eq!(
            serde_json::from_str::<Inner>("[1]").unwrap(),
            Inner { a: 1 },
            "serde itself takes it"
        );
    }
}
