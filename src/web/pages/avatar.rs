//! Avatars: initials on a colour derived from the id.

use askama::Template;
use askama::filters::HtmlSafeOutput;
use uuid::Uuid;

use crate::domain::contacts::Contact;
use crate::ids::UserId;
use crate::web::assets;

#[derive(Template)]
#[template(path = "_avatar.html")]
pub struct Avatar<'a> {
    id: Uuid,
    name: Option<&'a str>,
}

impl Avatar<'_> {
    /// The last byte of a UUIDv7 is random.
    fn hue(&self) -> u8 {
        self.id.as_bytes()[15] % 12
    }

    /// `Maya Okafor` → `MO`; an icon without a name. Initials are letters and digits and need no escaping.
    pub fn letters(&self) -> HtmlSafeOutput<String> {
        match self.name.and_then(initials) {
            Some(initials) => HtmlSafeOutput(initials),
            None => assets::icon("user-round"),
        }
    }
}

fn initials(name: &str) -> Option<String> {
    let mut firsts = name
        .split_whitespace()
        .filter_map(|word| word.chars().find(|c| c.is_alphanumeric()));
    let first = firsts.next()?;
    let last = firsts.next_back();
    Some(
        [Some(first), last]
            .into_iter()
            .flatten()
            .flat_map(char::to_uppercase)
            .collect(),
    )
}

pub fn avatar(contact: &Contact) -> HtmlSafeOutput<Avatar<'_>> {
    HtmlSafeOutput(Avatar {
        id: contact.id.0,
        name: contact.name.as_deref(),
    })
}

pub fn face<'a>(user: &UserId, name: &'a str) -> HtmlSafeOutput<Avatar<'a>> {
    HtmlSafeOutput(Avatar {
        id: user.0,
        name: Some(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initials_are_of_the_first_and_the_last_name() {
        assert_eq!(initials("Maya Okafor").as_deref(), Some("MO"));
        assert_eq!(initials("maría del carmen núñez").as_deref(), Some("MN"));
        assert_eq!(initials("王小明").as_deref(), Some("王"));
        assert_eq!(initials("(Bob) 🦷").as_deref(), Some("B"));
        assert_eq!(initials("🦷"), None);
    }
}
