//! The staff, the contacts and the conversations of the demo, as constants.

use crate::domain::conversations::Status;

mod earlier;
mod recall;
mod today;

pub fn threads() -> impl Iterator<Item = &'static Thread> {
    today::THREADS
        .iter()
        .chain(earlier::THREADS)
        .chain(recall::THREADS)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staff {
    Jo,
    Sam,
    Lin,
}
use Staff::*;

impl Staff {
    pub const ALL: [Self; 3] = [Jo, Sam, Lin];

    pub fn name(self) -> &'static str {
        match self {
            Jo => "Jo Park",
            Sam => "Sam Ortiz",
            Lin => "Dr. Lin",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    FrontDesk,
    Recall,
}

/// One conversation, oldest text first.
pub struct Thread {
    pub with: Person,
    pub line: Line,
    pub status: Status,
    pub assignee: Option<Staff>,
    /// How many of the newest inbound texts are unread.
    pub unread: i32,
    pub texts: &'static [Text],
}

const FRONT_DESK: Thread = Thread {
    with: unknown(""),
    line: Line::FrontDesk,
    status: Status::Open,
    assignee: None,
    unread: 0,
    texts: &[],
};
const RECALL: Thread = Thread {
    line: Line::Recall,
    ..FRONT_DESK
};

#[derive(Clone, Copy)]
pub struct Person {
    pub phone: &'static str,
    pub name: Option<&'static str>,
    pub email: Option<&'static str>,
    pub notes: &'static str,
}

const fn unknown(phone: &'static str) -> Person {
    Person {
        phone,
        name: None,
        email: None,
        notes: "",
    }
}

const fn person(phone: &'static str, name: &'static str) -> Person {
    Person {
        name: Some(name),
        ..unknown(phone)
    }
}

impl Person {
    const fn email(self, email: &'static str) -> Self {
        Self {
            email: Some(email),
            ..self
        }
    }

    const fn notes(self, notes: &'static str) -> Self {
        Self { notes, ..self }
    }
}

#[derive(Clone, Copy)]
pub struct Text {
    pub by: Author,
    pub when: Timing,
    pub words: &'static str,
    pub picture: Option<Picture>,
    pub fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    Them,
    Us(Staff),
    Note(Staff),
}

impl Author {
    pub fn staff(self) -> Option<Staff> {
        match self {
            Self::Us(staff) | Self::Note(staff) => Some(staff),
            Self::Them => None,
        }
    }
}

#[derive(Clone, Copy)]
pub enum Timing {
    /// Days before today, hour, minute.
    Day(i64, u32, u32),
    /// Minutes before now.
    Ago(i64),
    /// Minutes after the previous text.
    Then(i64),
}
use Timing::{Ago as ago, Day as day, Then as then};

#[derive(Clone, Copy)]
pub enum Fate {
    Delivered,
    Sent,
    Unconfirmed,
    Canceled,
    /// Accepted by the provider, but not by the carrier.
    Undelivered(Reason),
    /// Refused by the provider.
    Failed(Reason),
}

#[derive(Clone, Copy)]
pub struct Reason(pub &'static str, pub &'static str);

const OUT_OF_REACH: Reason = Reason(
    "30003",
    "The phone is off or out of reach. Try again later.",
);
const LANDLINE: Reason = Reason(
    "30006",
    "This number can’t receive texts. It’s a landline, or its carrier can’t be reached.",
);
const FILTERED: Reason = Reason(
    "30007",
    "The carrier filtered this text as spam. Reword it before trying again.",
);
const NO_SUCH_NUMBER: Reason = Reason("30005", "This number doesn’t exist or is no longer in use.");
const OPTED_OUT: Reason = Reason(
    "21610",
    "This person texted STOP to this number. They must text START to opt back in.",
);

#[derive(Clone, Copy)]
pub struct Picture {
    pub url: &'static str,
    pub size: usize,
}

macro_rules! picture {
    ($file:literal) => {
        Picture {
            url: concat!("/demo/", $file),
            size: include_bytes!(concat!("../../static/demo/", $file)).len(),
        }
    };
}
const ENTRANCE: Picture = picture!("entrance.jpg");
const INSURANCE_CARD: Picture = picture!("insurance-card.jpg");
const RETAINER: Picture = picture!("retainer.jpg");
const X_RAY: Picture = picture!("x-ray.jpg");

const fn text(by: Author, when: Timing, words: &'static str) -> Text {
    Text {
        by,
        when,
        words,
        picture: None,
        fate: Fate::Delivered,
    }
}

const fn them(when: Timing, words: &'static str) -> Text {
    text(Author::Them, when, words)
}

const fn jo(when: Timing, words: &'static str) -> Text {
    text(Author::Us(Jo), when, words)
}

const fn sam(when: Timing, words: &'static str) -> Text {
    text(Author::Us(Sam), when, words)
}

const fn lin(when: Timing, words: &'static str) -> Text {
    text(Author::Us(Lin), when, words)
}

const fn note(by: Staff, when: Timing, words: &'static str) -> Text {
    text(Author::Note(by), when, words)
}

impl Text {
    const fn with(self, picture: Picture) -> Self {
        Self {
            picture: Some(picture),
            ..self
        }
    }

    const fn but(self, fate: Fate) -> Self {
        Self { fate, ..self }
    }
}
