//! Unicode's composed form (NFC): an `é` is one character, not a letter and an accent.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

pub fn composed(text: &str) -> Cow<'_, str> {
    if is_nfc(text) {
        text.into()
    } else {
        text.nfc().collect::<String>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::composed;

    #[test]
    fn text_without_a_composed_form_stays_as_it_is() {
        assert_eq!(
            composed("A\u{30a} \u{212b} \u{2126} \u{1112}\u{1161}\u{11ab}"),
            "Å Å Ω 한"
        );
        assert_eq!(
            composed("\u{e01}\u{e33} x\u{301} 👩‍👧"),
            "\u{e01}\u{e33} x\u{301} 👩‍👧"
        );
    }
}
