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
fn common_notations_are_equal() {
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
fn fictional_numbers_are_valid() {
    assert_eq!(phone("(212) 555-0100"), "+12125550100");
    assert_eq!(phone("+1 628 555 0199"), "+16285550199");
    assert_eq!(in_region("020 7946 0958", "GB"), "+442079460958");
}

#[test]
fn foreign_number_keeps_its_digits() {
    assert_eq!(phone("+49 1512 3456789"), "+4915123456789");
    assert_eq!(phone("+33 1 42 68 53 00"), "+33142685300");
    assert_eq!(phone("+44 (0)20 7946 0958"), "+442079460958");
    assert_eq!(phone("011 49 1512 3456789"), "+4915123456789");
    assert_eq!(phone("+39 06 698 12345"), "+390669812345");
    assert_eq!(phone("+39 (0)6 698 12345"), "+390669812345");
}

#[test]
fn region_decides_national_numbers() {
    assert_eq!(in_region("0151 23456789", "DE"), "+4915123456789");
    assert_eq!(in_region("06 31 96 65 43", "FR"), "+33631966543");
    assert_eq!(in_region("0412 345 678", "AU"), "+61412345678");
    assert_eq!(in_region("0011 1 415 555 0192", "AU"), "+14155550192");
    assert_eq!(in_region("001 415 555 0192", "de"), "+14155550192");
}

#[test]
fn invalid_numbers_have_distinct_errors() {
    assert_eq!(refused("  "), PhoneError::Empty);
    assert_eq!(refused("Maya"), PhoneError::NotANumber);
    assert_eq!(refused("+"), PhoneError::NotANumber);
    assert_eq!(refused("1-800-FLOWERS"), PhoneError::NotANumber);
    assert_eq!(refused("*67 415 555 0192"), PhoneError::NotANumber);
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
fn domestic_format_omits_the_country() {
    let front_desk: Phone = "+14155550192".parse().unwrap();
    let germany: Region = "DE".parse().unwrap();
    assert_eq!(front_desk.display(&Region::US), "(415) 555-0192");
    assert_eq!(front_desk.display(&germany), "+1 415-555-0192");
    let berlin: Phone = "+4930901820".parse().unwrap();
    assert_eq!(berlin.display(&Region::US), "+49 30 901820");
}

#[test]
fn decimals_are_not_digits() {
    for (text, region, number) in [
        ("21234567.0", "NZ", "+6421234567"),
        ("6641234567.0", "AT", "+436641234567"),
        ("6641234567,00", "AT", "+436641234567"),
        ("+436641234567.0", "AT", "+436641234567"),
        ("0664 1234567.0", "AT", "+436641234567"),
        ("Tel.: 6641234567.0", "AT", "+436641234567"),
        ("=\"6641234567.0\"", "AT", "+436641234567"),
        ("4915123456789.0", "DE", "+4915123456789"),
        ("393331234567.0", "IT", "+393331234567"),
        ("4,155,550,142.00", "US", "+14155550142"),
        ("4.155.550.142,00", "US", "+14155550142"),
    ] {
        assert_eq!(in_region(text, region), number, "{text}");
    }
    let refused = |text, region: &str| Phone::parse(text, &region.parse().unwrap()).unwrap_err();
    assert_eq!(refused("6641234567.5", "AT"), PhoneError::Fraction);
    for text in [
        "4.47911E+11",
        "4,47911e+11",
        "+4.47911E11",
        "4E+9",
        "Mobile: 4.47911E+11",
        "4.47911 E+11 (work)",
    ] {
        assert_eq!(refused(text, "GB"), PhoneError::Shortened, "{text}");
    }
}

#[test]
fn dots_between_digits_are_separators() {
    for (text, region, number) in [
        ("415.555.0142", "US", "+14155550142"),
        ("415.555.0100", "US", "+14155550100"),
        ("01.23.45.67.89", "FR", "+33123456789"),
        ("01.23.45.67.00", "FR", "+33123456700"),
        ("0664.1234567", "AT", "+436641234567"),
        ("0171.0000000", "DE", "+491710000000"),
        ("0123-456.78", "SE", "+4612345678"),
        ("0475/12.34.56", "BE", "+32475123456"),
        ("30.12.34.50", "DK", "+4530123450"),
    ] {
        assert_eq!(in_region(text, region), number, "{text}");
    }
}

#[test]
fn surrounding_text_is_ignored() {
    for text in [
        "=\"4155550192\"",
        "'+14155550192",
        "\"+1 415 555 0192\"",
        "Tel: 415-555-0192",
        "Tel. 415 555 0192",
        "Mobile: (415) 555-0192",
        "Phone 2: 415 555 0192",
        "Teléfono móvil: 415 555 0192",
        "+1 415 555 0192 (mobile)",
        "+1 415 555 0192 [Maya’s mother]",
        "(work) 415 555 0192",
        "415 555 0192 cell",
        "415 555 0192 MOBILE",
        "☎ 415 555 0192",
        "TEL:+14155550192",
        "tel:+1-415-555-0192;ext=12",
        "\u{feff}415\u{feff} 555\u{a0}0192",
        "415\u{2009}555\u{3000}0192",
        "415 555 0192 x5",
        "415 555 0192 ext. 1234",
        "(415) 555-0192, extension 12 (office)",
        "415-555-0192 #12",
        "415 555 0192;",
    ] {
        assert_eq!(phone(text), "+14155550192", "{text}");
    }
}

#[test]
fn ambiguous_digits_are_refused() {
    let refused = |text, region: &str| Phone::parse(text, &region.parse().unwrap()).unwrap_err();
    for (text, region) in [
        ("415 555 0192\n415 555 0193", "US"),
        ("+1 415 555 0192 / +1 415 555 0193", "US"),
        ("+14155550192+14155550193", "US"),
        ("01 12345 / 12346", "AT"),
        ("0316 123456 / 57", "AT"),
    ] {
        assert_eq!(refused(text, region), PhoneError::Several, "{text}");
    }
    assert_eq!(in_region("0664 / 1234567", "AT"), "+436641234567");
    assert_eq!(
        refused("415 555 0192, 415 555 0193", "US"),
        PhoneError::NotANumber
    );
    // A British number without its plus; in Germany the same digits are a valid national number.
    assert_eq!(refused("447911123456", "DE"), PhoneError::Abroad);
    assert_eq!(in_region("447911123456", "GB"), "+447911123456");
    assert_eq!(refused("447911123456", "US"), PhoneError::TooLong);
    assert_eq!(
        refused("+8 (495) 123-45-67", "RU"),
        PhoneError::UnknownCountry
    );
    assert_eq!(refused("+1 555 0192", "US"), PhoneError::TooShort);
    // An Argentine mobile without its area code.
    assert_eq!(refused("15 6123 4567", "AR"), PhoneError::Impossible);
    assert_eq!(in_region("0055 49 98765-4321", "BR"), "+5549987654321");
}

#[test]
fn equal_numbers_have_one_form() {
    for (forms, number) in [
        (
            &[
                "+52 1 55 6200 0001",
                "+52 55 6200 0001",
                "+52 044 55 6200 0001",
                "+52 01 55 6200 0001",
                "011 52 1 55 6200 0001",
            ][..],
            "+525562000001",
        ),
        (
            &[
                "+54 9 11 6123-4567",
                "+54 11 6123-4567",
                "+54 11 15 6123-4567",
                "+54 9 11 15 6123-4567",
                "+54 011 6123-4567",
            ],
            "+5491161234567",
        ),
        (
            &[
                "+55 11 98765-4321",
                "+55 11 8765-4321",
                "+55 011 98765-4321",
            ],
            "+5511987654321",
        ),
        (&["+55 11 3765-4321"], "+551137654321"),
        (&["+55 11 7765-4321"], "+551177654321"),
        (
            &[
                "+44 7911 123456",
                "+44 07911 123456",
                "+44 (0)7911 123456",
                "0044 7911 123456",
                "+0044 7911 123456",
            ],
            "+447911123456",
        ),
        (
            &["+49 (0)1512 3456789", "+49 0 1512 3456789"],
            "+4915123456789",
        ),
        (&["+7 912 345-67-89", "+7 8 912 345-67-89"], "+79123456789"),
        (&["+36 20 123 4567", "+36 06 20 123 4567"], "+36201234567"),
        (&["+56 9 8765 4321", "+56 09 8765 4321"], "+56987654321"),
        (
            &["+229 97 12 34 56", "+229 01 97 12 34 56"],
            "+2290197123456",
        ),
        (&["+39 06 698 12345", "+39 (0)6 698 12345"], "+390669812345"),
        (&["+39 333 1234567", "+39 (0)333 1234567"], "+393331234567"),
        (&["+225 07 01 23 45 67"], "+2250701234567"),
        (&["+1 415 555 0192", "+1 1 415 555 0192"], "+14155550192"),
    ] {
        for form in forms {
            assert_eq!(phone(form), number, "{form}");
        }
    }
    for form in [
        "55 6200 0001",
        "044 55 6200 0001",
        "045 55 6200 0001",
        "01 55 6200 0001",
        "1 55 6200 0001",
        "5215562000001",
    ] {
        assert_eq!(in_region(form, "MX"), "+525562000001", "{form}");
    }
    assert_eq!(in_region("011 15 6123-4567", "AR"), "+5491161234567");
    assert_eq!(in_region("0800 555 1234", "AR"), "+548005551234");
    assert_eq!(in_region("(11) 8765-4321", "BR"), "+5511987654321");
}

#[test]
fn any_sender_is_an_address() {
    let read = |text: &str| text.parse::<Address>().map(|address| address.0);
    for text in [
        "+14155550192",
        "14155550192",
        "262966",
        "ACME Dental",
        "Müller",
        "maya@okafor.test",
        "+12",
    ] {
        assert_eq!(read(text), Ok(text.into()));
    }
    for text in ["", " ", "a\0b", "a\u{202e}b", &"x".repeat(121)] {
        assert_eq!(read(text), Err(NotAnAddress), "{text:?}");
    }
}

#[test]
fn sender_of_any_form_is_accepted() {
    let sender = |text: &str| Address::of_sender(text).0;
    for text in [
        "20GENESIS.E.C",
        "CHARLESSCHWAB",
        "07700900123",
        "118 118",
        "maya@okafor.test",
        "2125550143",
        "3103731234",
        "14155550192",
        "+12",
        "+0123456",
        "+1415555019212345",
        "whatsapp:+14155550192",
        "--",
        "👩‍⚕️ Clinic",
    ] {
        assert_eq!(sender(text), text);
        assert!(!Address::of_sender(text).is_answerable(), "{text}");
        assert_eq!(
            text.parse::<Address>(),
            Ok(Address::of_sender(text)),
            "{text}"
        );
    }
    assert_eq!(sender("+4407911123456"), "+447911123456");
    assert_eq!(sender("+5215562000001"), "+525562000001");
    assert_eq!(sender("+541161234567"), "+5491161234567");
    assert_eq!(sender("+551187654321"), "+5511987654321");
    assert_eq!(sender("+390669812345"), "+390669812345");
    assert_eq!(sender("+99955501920"), "+99955501920", "no plan matches");
    assert_eq!(sender(" +1 415-555-0192 "), "+14155550192");
    assert_eq!(sender("AC\u{202e}ME\0\u{7}\r\nDental"), "ACME Dental");
    assert_eq!(sender(""), "Unknown sender");
    assert_eq!(sender("\u{200b}\u{200f}\0"), "Unknown sender");
    let long = sender(&"é".repeat(5_000));
    assert_eq!(long.chars().count(), Address::LENGTH_LIMIT);
    assert!(long.ends_with('…'));
}

#[test]
fn only_numbers_can_be_answered() {
    let answerable = |text: &str| text.parse::<Address>().unwrap().is_answerable();
    assert!(answerable("+14155550192"));
    for text in [
        "262966",
        "ACME",
        "+12",
        "+0123456",
        "14155550192",
        "+1415555019a",
        "Unknown sender",
    ] {
        assert!(!answerable(text), "{text}");
    }
}

#[test]
fn own_number_matches_in_any_form() {
    let listed: Phone = "+541161234567".parse().unwrap();
    assert_eq!(listed.as_str(), "+541161234567");
    assert_eq!(
        Address::canonical("+541161234567"),
        Address::canonical("+5491161234567")
    );
    assert_eq!(Address::canonical("16285550100"), "+16285550100");
    assert_eq!(Address::canonical("262966"), "262966");
}

fn examples() -> Vec<(Region, String)> {
    let kinds = [phonenumber::Type::FixedLine, phonenumber::Type::Mobile];
    let countries = DATABASE
        .iter()
        .filter_map(|country| Some((country.id().parse().ok()?, country)));
    let examples = countries.flat_map(|(region, country)| {
        let examples = kinds
            .into_iter()
            .filter_map(|kind| country.descriptors().get(kind)?.example());
        examples.map(move |example| (region, format!("+{}{example}", country.country_code())))
    });
    // Numbers of the smallest countries are too short.
    examples
        .filter(|(_, number)| plan::national_digits(number) > 5)
        .collect()
}

#[test]
fn all_notations_are_equal_in_every_country() {
    let examples = examples();
    assert!(examples.len() > 400, "{}", examples.len());
    for (region, written) in examples {
        let number =
            Phone::parse(&written, &region).unwrap_or_else(|wrong| panic!("{written}: {wrong}"));
        let code = region.calling_code().unwrap().to_string();
        let national = &number.as_str()[1 + code.len()..];
        let groups = |size: usize| {
            let groups: Vec<_> = national
                .as_bytes()
                .chunks(size)
                .map(String::from_utf8_lossy)
                .collect();
            (groups.last().is_some_and(|last| last.len() == size)).then(|| groups.join("."))
        };
        let mut forms = vec![
            written.clone(),
            format!("{number}.0"),
            format!("{national}.0"),
            format!("{national}.00"),
            format!("{national},0"),
            format!("Tel: {national}"),
            format!("{national} x12"),
            format!("00{}", &number.as_str()[1..]),
        ];
        forms.extend(groups(2).into_iter().chain(groups(3)));
        forms.extend(groups(4));
        for form in forms {
            // Ambiguous numbers are rejected as `Abroad`; they are never another number.
            match Phone::parse(&form, &region) {
                Ok(read) => assert_eq!(read, number, "{region} {form}"),
                Err(wrong) => assert_eq!(wrong, PhoneError::Abroad, "{region} {form}"),
            }
        }
        assert_eq!(Address::of_sender(&written).as_str(), number.as_str());
    }
}

#[test]
fn json_is_validated() {
    let phone: Phone = serde_json::from_str("\"+14155550192\"").unwrap();
    assert_eq!(serde_json::to_string(&phone).unwrap(), "\"+14155550192\"");
    assert!(serde_json::from_str::<Phone>("\"4155550192\"").is_err());
    assert!(serde_json::from_str::<Address>("\"\"").is_err());
}

proptest! {
    #[test]
    fn parser_accepts_any_text(text in ".{0,40}") {
        let _ = Phone::parse(&text, &Region::US);
        let _ = text.parse::<Address>();
    }

    #[test]
    fn sender_parser_accepts_any_text(text in "(\\PC|[\\x00-\\x20\u{202e}\u{feff}+0-9]){0,200}") {
        let sender = Address::of_sender(&text);
        prop_assert_eq!(sender.as_str().parse::<Address>(), Ok(sender.clone()));
        prop_assert_eq!(Address::of_sender(sender.as_str()), sender.clone());
        prop_assert!(!sender.is_answerable() || text.contains('+'));
    }

    /// The parsed number ends as the text does: no digit is added, dropped or changed there.
    #[test]
    fn last_digits_are_preserved(
        groups in prop::collection::vec("[0-9]{1,5}", 1..6),
        separator in prop::sample::select(vec![" ", "-", ".", "/", ") "]),
        plus in any::<bool>(),
        tail in prop::sample::select(vec!["", ".0", ".00", ",0", ",00", " x12", " ext. 5", " (mobile)", " cell"]),
        region in prop::sample::select(vec!["US", "DE", "AT", "FR", "GB", "BR", "IT", "AU", "AR", "MX", "ID", "NZ", "SE"]),
    ) {
        let written = format!("{}{}", if plus { "+" } else { "" }, groups.join(separator));
        let digits: String = groups.concat();
        let region: Region = region.parse().unwrap();
        if let Ok(phone) = Phone::parse(&format!("{written}{tail}"), &region) {
            let end = &phone.as_str()[phone.as_str().len() - 4..];
            let is_decimal = |text: &str| text.ends_with(".0") || text.ends_with(".00");
            let end_as_written = digits.ends_with(end)
                // Or the last group was taken for decimals.
                || (is_decimal(&written) && digits.trim_end_matches('0').ends_with(end.trim_end_matches('0')));
            // After short groups another pair is a group: “500.00”, “300 01.00”.
            let zeros_are_digits = tail == ".00" && (groups.len() > 1 || digits.len() < 4);
            prop_assert!(end_as_written || zeros_are_digits, "{written}{tail} → {phone}");
        }
    }

    #[test]
    fn parser_accepts_any_digits(
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
