//! Messages for users: an English sentence, which is the key of its translations, and the values in it.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use super::Language;
use super::catalogue::catalogue;

/// Made by [`t!`], [`t_plural!`] and [`t_context!`]. There is no `Display`: each place decides between
/// [`english`](Self::english), for the API and logs, and [`translated`](Self::translated), for pages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    /// The English sentence, with `{name}` for each value.
    pub(super) id: Cow<'static, str>,
    pub(super) context: Option<Cow<'static, str>>,
    pub(super) plural: Option<Plural>,
    pub(super) values: Vec<(Cow<'static, str>, Value)>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Plural {
    pub(super) id: Cow<'static, str>,
    pub(super) n: i64,
}

/// What stands for a placeholder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// A name, a figure, or the words of a provider: never translated.
    Text(String),
    /// Translated together with the sentence.
    Message(Message),
}

impl Message {
    pub const fn new(id: &'static str) -> Self {
        Self {
            id: Cow::Borrowed(id),
            context: None,
            plural: None,
            values: Vec::new(),
        }
    }

    /// A word with several meanings, in one of them.
    pub const fn in_context(context: &'static str, id: &'static str) -> Self {
        Self {
            id: Cow::Borrowed(id),
            context: Some(Cow::Borrowed(context)),
            plural: None,
            values: Vec::new(),
        }
    }

    /// A sentence about `n` things, which replaces `{n}`.
    pub const fn counted(n: i64, one: &'static str, many: &'static str) -> Self {
        Self {
            id: Cow::Borrowed(one),
            context: None,
            plural: Some(Plural {
                id: Cow::Borrowed(many),
                n,
            }),
            values: Vec::new(),
        }
    }

    /// Text that is not ours, such as a library's error. It is the same in every language.
    pub fn verbatim(text: impl Into<String>) -> Self {
        Self::new("{text}").with("text", text.into())
    }

    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        self.values.push((name.into(), value.into()));
        self
    }

    pub fn english(&self) -> String {
        self.render(Language::English)
    }

    /// In the current language.
    pub fn translated(&self) -> String {
        self.render(super::current())
    }

    fn render(&self, language: Language) -> String {
        fill(self.pattern(language), |name| {
            let value = self.values.iter().find(|(known, _)| known == name);
            match (value, &self.plural) {
                (Some((_, Value::Text(text))), _) => Some(text.into()),
                (Some((_, Value::Message(message))), _) => Some(message.render(language).into()),
                (None, Some(plural)) if name == "n" => Some(language.number(plural.n).into()),
                (None, _) => None,
            }
        })
    }

    /// The translation, else English, with its placeholders.
    fn pattern(&self, language: Language) -> &str {
        let form = |language: Language| match &self.plural {
            Some(plural) => language.form(plural.n),
            None => 0,
        };
        let translated = catalogue(language)
            .and_then(|catalogue| catalogue.forms(self.context.as_deref(), &self.id))
            .and_then(|forms| forms.get(form(language)));
        match (translated, &self.plural) {
            (Some(translated), _) => translated,
            (None, Some(plural)) if form(Language::English) != 0 => &plural.id,
            (None, _) => &self.id,
        }
    }
}

/// Replaces the placeholders in one pass, because a value may look like a placeholder.
fn fill<'a>(pattern: &str, value: impl Fn(&str) -> Option<Cow<'a, str>>) -> String {
    let mut filled = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let place = after
            .split_once('}')
            .and_then(|(name, after)| Some((value(name)?, after)));
        match place {
            Some((value, after)) => {
                filled.push_str(&value);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

impl From<Message> for Value {
    fn from(message: Message) -> Self {
        Self::Message(message)
    }
}

impl From<&Message> for Value {
    fn from(message: &Message) -> Self {
        message.clone().into()
    }
}

macro_rules! text_values {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Value {
            fn from(value: $kind) -> Self {
                Self::Text(value.to_string())
            }
        }
    )*};
}
text_values!(
    &str,
    &String,
    String,
    Cow<'_, str>,
    i16,
    u16,
    i32,
    u32,
    i64,
    u64,
    usize
);

/// In the API: the English sentence.
impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.english())
    }
}

/// `t!("Assigned to {name}", name = name)`: a message. Placeholders and values are compared by the compiler.
macro_rules! t {
    ($id:literal $(, $name:ident = $value:expr)* $(,)?) => {{
        const { $crate::language::message::check($id, &[$(stringify!($name)),*]) };
        $crate::language::Message::new($id)$(.with(stringify!($name), $value))*
    }};
}

/// `t_context!("conversation", "Open")`: a word with several meanings, in one of them.
macro_rules! t_context {
    ($context:literal, $id:literal) => {{
        const { $crate::language::message::check($id, &[]) };
        $crate::language::Message::in_context($context, $id)
    }};
}

/// `t_plural!(n, "{n} text from {name}", "{n} texts from {name}", name = name)`
macro_rules! t_plural {
    ($n:expr, $one:literal, $many:literal $(, $name:ident = $value:expr)* $(,)?) => {{
        const {
            $crate::language::message::check($one, &["n" $(, stringify!($name))*]);
            $crate::language::message::check($many, &["n" $(, stringify!($name))*]);
        };
        $crate::language::Message::counted($n, $one, $many)$(.with(stringify!($name), $value))*
    }};
}

/// `Error`, and `Display` in English, for types with a `message`.
macro_rules! impl_error {
    ($kind:ty) => {
        impl std::fmt::Display for $kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.message().english())
            }
        }

        impl std::error::Error for $kind {}
    };
}

pub(crate) use {impl_error, t, t_context, t_plural};

/// At compile time: each placeholder of `id` has a value, and each value its placeholder.
pub const fn check(id: &str, names: &[&str]) {
    let id = id.as_bytes();
    let (mut nth, mut filled) = (0, 0);
    while nth < names.len() {
        let places = places(id, names[nth].as_bytes());
        assert!(places > 0, "a value without a placeholder");
        filled += places;
        nth += 1;
    }
    let (mut at, mut open) = (0, 0);
    while at < id.len() {
        open += (id[at] == b'{') as usize;
        at += 1;
    }
    assert!(open == filled, "a placeholder without a value");
}

/// How often `{name}` is in `id`.
const fn places(id: &[u8], name: &[u8]) -> usize {
    let (mut found, mut at) = (0, 0);
    while at + name.len() + 1 < id.len() {
        if id[at] == b'{' && id[at + name.len() + 1] == b'}' {
            let mut same = 0;
            while same < name.len() && id[at + 1 + same] == name[same] {
                same += 1;
            }
            found += (same == name.len()) as usize;
        }
        at += 1;
    }
    found
}
