//! A contact's details and form, on the contact page and beside a thread.

use std::collections::BTreeMap;

use askama::Template;
use askama::filters::HtmlSafeOutput;
use chrono::{DateTime, SecondsFormat, Utc};

use crate::domain::contacts::Contact;
use crate::domain::contacts::fields::{Field, Values};
use crate::error::{Error, Result};
use crate::language::{Message, t};
use crate::web::assets;
use crate::web::language::filters;
use crate::web::pages::{self, Form, Partial};

#[derive(Template)]
#[template(path = "inbox/_contact_card.html")]
pub struct ContactCard<'a> {
    pub contact: &'a Contact,
    pub fields: &'a [Field],
}

/// The contact's tags with buttons to remove them. URLs are relative to a contact's or a conversation's page.
#[derive(Template)]
#[template(path = "contacts/_tags.html")]
pub struct Tags<'a> {
    pub contact: &'a Contact,
}

/// At most two tags, in lists.
#[derive(Template)]
#[template(path = "contacts/_few_tags.html")]
pub struct FewTags<'a> {
    pub contact: &'a Contact,
}

impl FewTags<'_> {
    const COUNT_LIMIT: usize = 2;

    fn more(&self) -> usize {
        self.contact.tags.len().saturating_sub(Self::COUNT_LIMIT)
    }
}

/// Rendering cannot fail here, so an error becomes an empty string.
pub fn few_tags(contact: &Contact) -> Partial {
    HtmlSafeOutput(match contact.tags.is_empty() {
        true => String::new(),
        false => FewTags { contact }.render().unwrap_or_default(),
    })
}

#[derive(Clone, Debug, Default)]
pub struct Card {
    pub name: String,
    pub phone_number: String,
    pub email: String,
    pub notes: String,
    /// `updated_at` of the contact as shown in the form.
    pub seen: Option<DateTime<Utc>>,
    fields: BTreeMap<String, String>,
}

impl Card {
    pub fn of(contact: &Contact) -> Self {
        Self {
            name: contact.name.clone().unwrap_or_default(),
            phone_number: contact.formatted_number(),
            email: contact.email.clone().unwrap_or_default(),
            notes: contact.notes.clone(),
            seen: Some(contact.updated_at),
            fields: contact.custom_fields.0.clone(),
        }
    }

    pub fn with_number(phone_number: String) -> Self {
        Self {
            phone_number,
            ..Self::default()
        }
    }

    pub fn read(body: &[u8]) -> Self {
        let mut card = Self::default();
        for (key, value) in form_urlencoded::parse(body) {
            let value = value.into_owned();
            match &*key {
                "name" => card.name = value,
                "phone_number" => card.phone_number = value,
                "email" => card.email = value,
                "notes" => card.notes = value.replace("\r\n", "\n"),
                "seen" => card.seen = value.parse().ok(),
                key => {
                    if let Some(key) = key.strip_prefix("field-") {
                        card.fields.insert(key.to_owned(), value);
                    }
                }
            }
        }
        card
    }

    pub fn values(&self, fields: &[Field]) -> Result<Values> {
        let mut values = Values::new();
        for field in fields {
            let Some(text) = self.fields.get(&field.key) else {
                continue;
            };
            let value = field.read(text).map_err(|_| {
                Error::field("custom_fields", t!("Correct the fields marked below"))
            })?;
            values.insert(field.key.clone(), value);
        }
        Ok(values)
    }
}

struct Own {
    field: Field,
    value: String,
    error: Option<Message>,
}

impl Own {
    fn id(&self) -> String {
        format!("field-{}", self.field.key)
    }

    fn is_chosen(&self, choice: &str) -> bool {
        choice == self.value
    }

    fn is_former(&self) -> bool {
        !self.value.is_empty() && !self.field.choices.contains(&self.value)
    }
}

#[derive(Template)]
#[template(path = "inbox/_contact_form.html")]
pub struct ContactForm {
    action: String,
    form: Form,
    seen: String,
    own: Vec<Own>,
}

impl ContactForm {
    pub fn new(action: String, typed: Card, fields: &[Field], form: Form) -> Self {
        let was_refused = form.error("custom_fields").is_some();
        let own = fields
            .iter()
            .map(|field| {
                let value = typed.fields.get(&field.key).cloned().unwrap_or_default();
                Own {
                    error: field.read(&value).err().filter(|_| was_refused),
                    value,
                    field: field.clone(),
                }
            })
            .collect();
        let form = form
            .with("name", typed.name)
            .with("phone_number", typed.phone_number)
            .with("email", typed.email)
            .with("notes", typed.notes)
            .gather(&["name", "phone_number", "email", "notes"]);
        Self {
            action,
            form,
            seen: typed.seen.map_or_else(String::new, |at| {
                at.to_rfc3339_opts(SecondsFormat::Micros, true)
            }),
            own,
        }
    }
}
