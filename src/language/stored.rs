//! How a message is kept in the database: a sentence without values as it is, any other as JSON. It is translated when
//! it is read, so each reader sees it in their language.

use serde::{Deserialize, Deserializer, Serialize};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef, Postgres};

use super::message::{Message, Plural, Value};

#[derive(Serialize, Deserialize)]
struct Parts {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plural: Option<(String, i64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    values: Vec<(String, PartValue)>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum PartValue {
    Text(String),
    Message(Parts),
}

impl Message {
    pub fn stored(&self) -> String {
        if *self == Self::from_id(self.id.to_string()) && !self.id.starts_with('{') {
            return self.id.to_string();
        }
        serde_json::to_string(&Parts::from(self.clone())).expect("strings and numbers are JSON")
    }

    pub fn from_stored(text: &str) -> Self {
        let parts = text
            .starts_with('{')
            .then(|| serde_json::from_str::<Parts>(text).ok());
        match parts.flatten() {
            Some(parts) => parts.into(),
            None => Self::from_id(text.to_owned()),
        }
    }

    fn from_id(id: String) -> Self {
        Self {
            id: id.into(),
            context: None,
            plural: None,
            values: Vec::new(),
        }
    }
}

impl From<Message> for Parts {
    fn from(message: Message) -> Self {
        let values = message.values.into_iter();
        Self {
            id: message.id.into_owned(),
            context: message.context.map(Into::into),
            plural: message
                .plural
                .map(|plural| (plural.id.into_owned(), plural.n)),
            values: values
                .map(|(name, value)| (name.into_owned(), value.into()))
                .collect(),
        }
    }
}

impl From<Parts> for Message {
    fn from(parts: Parts) -> Self {
        let values = parts.values.into_iter();
        Self {
            id: parts.id.into(),
            context: parts.context.map(Into::into),
            plural: parts.plural.map(|(id, n)| Plural { id: id.into(), n }),
            values: values
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}

impl From<Value> for PartValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(text),
            Value::Message(message) => Self::Message(message.into()),
        }
    }
}

impl From<PartValue> for Value {
    fn from(value: PartValue) -> Self {
        match value {
            PartValue::Text(text) => Self::Text(text),
            PartValue::Message(parts) => Self::Message(parts.into()),
        }
    }
}

impl sqlx::Type<Postgres> for Message {
    fn type_info() -> PgTypeInfo {
        <String as sqlx::Type<Postgres>>::type_info()
    }

    fn compatible(kind: &PgTypeInfo) -> bool {
        <String as sqlx::Type<Postgres>>::compatible(kind)
    }
}

impl PgHasArrayType for Message {
    fn array_type_info() -> PgTypeInfo {
        String::array_type_info()
    }
}

impl sqlx::Encode<'_, Postgres> for Message {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <String as sqlx::Encode<Postgres>>::encode(self.stored(), buffer)
    }
}

impl sqlx::Decode<'_, Postgres> for Message {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let text = <&str as sqlx::Decode<Postgres>>::decode(value)?;
        Ok(Self::from_stored(text))
    }
}

/// Of JSON that the database made.
impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self::from_stored(&text))
    }
}
