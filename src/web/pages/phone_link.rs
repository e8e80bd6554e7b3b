//! A phone number that can be called and copied.

use std::borrow::Cow;

use askama::Template;
use askama::filters::HtmlSafeOutput;

use crate::language::t;
use crate::phone;
use crate::web::assets;
use crate::web::language::filters;

#[derive(Template)]
#[template(path = "_phone.html")]
pub struct PhoneLink<'a> {
    number: &'a str,
    /// The number stands above it.
    is_shown_above: bool,
}

impl PhoneLink<'_> {
    fn shown(&self) -> Cow<'_, str> {
        match self.is_shown_above {
            true => t!("Call").translated().into(),
            false => phone::display(self.number).into(),
        }
    }

    /// Senders that are no numbers, such as `BANK`, cannot be called.
    fn href(&self) -> Option<String> {
        let is_number = self.number.starts_with('+');
        is_number.then(|| format!("tel:{}", self.number))
    }
}

/// The number as it is shown, as a link, with a button that copies it.
pub fn phone(number: &str) -> HtmlSafeOutput<PhoneLink<'_>> {
    HtmlSafeOutput(PhoneLink {
        number,
        is_shown_above: false,
    })
}

/// As `phone`, below a title that is the number if there is no name.
pub fn phone_below<'a>(number: &'a str, name: &Option<String>) -> HtmlSafeOutput<PhoneLink<'a>> {
    HtmlSafeOutput(PhoneLink {
        number,
        is_shown_above: name.is_none(),
    })
}
