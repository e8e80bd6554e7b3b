use proptest::prelude::*;

use super::*;

fn phone(text: &str) -> String {
    Phone::parse(text, &Region::US).unwrap().0
}

fn refused(text: &str) -> PhoneError {
    Phone::parse(text, &Region::US).unwrap_err()
}

fn in_region(text: &str, region: &str) -> String {
    Phone::parse(text, &region.parse().unwrap()).unwrap().0
}

#[test]
fn every_common_notation_means_the_same_number() {
    for text in [
        "+14155550192",
        "(415) 555-0192",
        "415-555-0192",
        "415.555.0192",
        "4155550192",
        "1 415 555 0192",
        "1-415-555-0192",
        "+1 (415) 555‑0192",
        "tel:+1-415-555-0192",
        "  415 555 0192\u{202c} ",
        "＋１ ４１５ ５５５ ０１９２",
        "011 1 415 555 0192",
    ] {
        assert_eq!(phone(text), "+14155550192", "{text}");
    }
}

#[test]
fn fictional_numbers_are_numbers() {
    assert_eq!(phone("(212) 555-0100"), "+12125550100");
    assert_eq!(phone("+1 628 555 0199"), "+16285550199");
    assert_eq!(in_region("020 7946 0958", "GB"), "+442079460958");
}

#[test]
fn a_number_from_abroad_keeps_its_digits() {
    assert_eq!(phone("+49 1512 3456789"), "+4915123456789");
    assert_eq!(phone("+33 1 42 68 53 00"), "+33142685300");
    assert_eq!(phone("+44 (0)20 7946 0958"), "+442079460958");
    assert_eq!(phone("011 49 1512 3456789"), "+4915123456789");
    assert_eq!(phone("+39 06 698 12345"), "+390669812345");
    assert_eq!(phone("+39 (0)6 698 12345"), "+390669812345");
}

#[test]
fn the_region_decides_what_a_national_number_means() {
    assert_eq!(in_region("0151 23456789", "DE"), "+4915123456789");
    assert_eq!(in_region("06 31 96 65 43", "FR"), "+33631966543");
    assert_eq!(in_region("0412 345 678", "AU"), "+61412345678");
    assert_eq!(in_region("0011 1 415 555 0192", "AU"), "+14155550192");
    assert_eq!(in_region("001 415 555 0192", "de"), "+14155550192");
}

#[test]
fn what_is_no_number_is_told_apart() {
    assert_eq!(refused("  "), PhoneError::Empty);
    assert_eq!(refused("Maya"), PhoneError::NotANumber);
    assert_eq!(refused("+"), PhoneError::NotANumber);
    assert_eq!(refused("415 555 0192 x5"), PhoneError::NotANumber);
    assert_eq!(refused("555-0192"), PhoneError::TooShort);
    assert_eq!(refused("911"), PhoneError::TooShort);
    let local = Phone::parse("7946 0958", &"GB".parse().unwrap());
    assert_eq!(local, Err(PhoneError::TooShort));
    assert_eq!(refused("415 555 01923 4"), PhoneError::TooLong);
    assert_eq!(refused("1111111111111111111111"), PhoneError::TooLong);
    assert_eq!(refused("+999 555 0192"), PhoneError::UnknownCountry);
    assert_eq!(refused("055 555 0192"), PhoneError::Impossible);
}

#[test]
fn people_read_home_numbers_without_the_country() {
    let front_desk: Phone = "+14155550192".parse().unwrap();
    let germany: Region = "DE".parse().unwrap();
    assert_eq!(front_desk.display(&Region::US), "(415) 555-0192");
    assert_eq!(front_desk.display(&germany), "+1 415-555-0192");
    let berlin: Phone = "+4930901820".parse().unwrap();
    assert_eq!(berlin.display(&Region::US), "+49 30 901820");
}

#[test]
fn addresses_are_numbers_short_codes_or_names() {
    let read = |text: &str| text.parse::<Address>().map(|address| address.0);
    assert_eq!(read("+14155550192"), Ok("+14155550192".into()));
    assert_eq!(read("14155550192"), Ok("+14155550192".into()));
    assert_eq!(read("262966"), Ok("262966".into()));
    assert_eq!(read("ACME Dental"), Ok("ACME Dental".into()));
    assert_eq!(read("Müller"), Ok("Müller".into()));
    for text in [
        "",
        "+",
        "12",
        "+0123456",
        "whatsapp:+14155550192",
        "+1415555019212345",
        "--",
        "a\0b",
    ] {
        assert_eq!(read(text), Err(NotAnAddress), "{text:?}");
    }
}

#[test]
fn only_numbers_can_be_answered() {
    let answerable = |text: &str| text.parse::<Address>().unwrap().is_answerable();
    assert!(answerable("+14155550192"));
    assert!(!answerable("262966"));
    assert!(!answerable("ACME"));
}

#[test]
fn json_is_checked_on_the_way_in() {
    let phone: Phone = serde_json::from_str("\"+14155550192\"").unwrap();
    assert_eq!(serde_json::to_string(&phone).unwrap(), "\"+14155550192\"");
    assert!(serde_json::from_str::<Phone>("\"4155550192\"").is_err());
    assert!(serde_json::from_str::<Address>("\"\"").is_err());
}

proptest! {
    #[test]
    fn no_text_breaks_the_parser(text in ".{0,40}") {
        let _ = Phone::parse(&text, &Region::US);
        let _ = text.parse::<Address>();
    }

    #[test]
    fn no_digits_break_the_parser_anywhere(
        text in "[+0-9 ()-]{0,24}",
        region in prop::sample::select(vec!["US", "DE", "GB", "BR", "IT", "AU", "AR", "MX", "CI", "SM"]),
    ) {
        let region: Region = region.parse().unwrap();
        if let Ok(phone) = Phone::parse(&text, &region) {
            prop_assert_eq!(Phone::parse(phone.as_str(), &region), Ok(phone.clone()));
            prop_assert!(phone.as_str().parse::<Phone>().is_ok());
            prop_assert!(phone.display(&region).len() >= phone.as_str().len());
        }
    }
}
