//! Column types by header, in the interface's languages and those of common exporting programs.

use unicode_normalization::UnicodeNormalization;

use super::headings::{HEADINGS, List};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    Phone(PhoneKind),
    Name,
    FirstName,
    MiddleName,
    LastName,
    Organization,
    Email,
    Notes,
    Tags,
}

/// The type of a phone number, in order of preference for texting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PhoneKind {
    Mobile,
    Main,
    Home,
    Other,
    Work,
}

/// The words of a header in lower case without accents: `Email 1 - Value` is `email 1 value`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name
        .nfkc()
        .nfd()
        .filter(|c| !matches!(c, '\u{300}'..='\u{36f}'))
        .nfc()
    {
        let is_edge = (before.is_lowercase() && c.is_uppercase())
            || (before.is_alphabetic() && c.is_ascii_digit())
            || (before.is_ascii_digit() && c.is_alphabetic());
        if is_edge || !c.is_alphanumeric() {
            words.push(String::new());
        }
        before = c;
        if c.is_alphanumeric() {
            let word = words.last_mut().expect("words is never empty");
            match c {
                'Ł' | 'ł' => word.push('l'),
                'Ø' | 'ø' => word.push('o'),
                'Đ' | 'đ' => word.push('d'),
                'ı' => word.push('i'),
                'ß' => word.push_str("ss"),
                c => word.extend(c.to_lowercase()),
            }
        }
    }
    words.retain(|word| !word.is_empty());
    let is_split = |pair: &[String]| match (pair[0].as_str(), pair[1].as_str()) {
        ("e", second) => second.starts_with("mail") || second.starts_with("post"),
        ("whats", second) => second == "app",
        _ => false,
    };
    if let Some(place) = words.windows(2).position(is_split) {
        let first = words.remove(place);
        words[place].insert_str(0, &first);
    }
    words
}

/// The words as one: `phonenumber` for `Phone_Number`.
pub fn plain(name: &str) -> String {
    words(name).concat()
}

/// The column type of a header; `None` if unknown.
pub fn read(name: &str) -> Option<Head> {
    let words = words(name);
    let plain = words.concat();
    if let Some(head) = named(&plain) {
        return Some(head);
    }
    if is_email(&words, &plain) {
        return Some(Head::Email);
    }
    if let Some(kind) = phone(&words, &plain) {
        return Some(Head::Phone(kind));
    }
    // `Patient first name`, `Primary contact: last name`
    let prefix_length = words
        .iter()
        .take_while(|word| HEADINGS.prefix.contains(word))
        .count();
    if prefix_length > 0 {
        let rest = &words[prefix_length..];
        let joined = rest.concat();
        let number = || phone(rest, &joined).map(Head::Phone);
        if let Some(head) = named(&joined).or_else(number) {
            return Some(head);
        }
    }
    // `Default Address Company`
    let last = words.last().map_or("", String::as_str);
    (words.len() < 5 && HEADINGS.organization.contains(last)).then_some(Head::Organization)
}

/// Headers of either a phone number or an address; the cells decide. Yahoo's `Home` is a phone number.
pub fn bare_phone(name: &str) -> Option<PhoneKind> {
    match plain(name).as_str() {
        "home" | "privat" | "casa" | "private" => Some(PhoneKind::Home),
        "work" | "business" | "office" | "arbeit" | "trabajo" | "buro" => Some(PhoneKind::Work),
        "primary" | "main" | "principal" => Some(PhoneKind::Main),
        "other" | "otro" | "andere" | "sonstige" | "alternate" | "secondary" => {
            Some(PhoneKind::Other)
        }
        _ => None,
    }
}

/// The phone type of a label such as Google's `Mobile` or `Work Fax`; `None` for fax and pager.
pub fn label(label: &str) -> Option<PhoneKind> {
    let words = words(label);
    let no_phone = ["fax", "pager", "beeper", "telex", "telefax"];
    if words
        .iter()
        .any(|word| no_phone.iter().any(|no| word.contains(no)))
    {
        return None;
    }
    Some(kind_of(&words, &words.concat()))
}

/// The label column of a value column: `Phone 1 - Label` for `Phone 1 - Value`.
pub fn label_of(name: &str, columns: &[String]) -> Option<usize> {
    let value = words(name);
    let (last, stem) = value.split_last()?;
    let stem =
        match ["value", "valor", "wert", "valeur", "valore", "number"].contains(&last.as_str()) {
            true => stem,
            false => &value[..],
        };
    columns.iter().position(|column| {
        let words = words(column);
        words.split_last().is_some_and(|(last, start)| {
            [
                "label",
                "type",
                "typ",
                "tipo",
                "etiqueta",
                "etichetta",
                "libelle",
            ]
            .contains(&last.as_str())
                && start == stem
        })
    })
}

/// Whether a record is a header, not data or a title line above the table.
pub fn is_head(cells: &[String]) -> bool {
    let heads: Vec<Head> = cells.iter().filter_map(|cell| read(cell)).collect();
    let has_phone = heads.iter().any(|head| matches!(head, Head::Phone(_)));
    let is_data = cells
        .iter()
        .any(|cell| super::records::is_phone_like(cell) || cell.contains('@'));
    !is_data && (has_phone || heads.len() > 1)
}

fn named(plain: &str) -> Option<Head> {
    [
        (&HEADINGS.name, Head::Name),
        (&HEADINGS.first_name, Head::FirstName),
        (&HEADINGS.middle_name, Head::MiddleName),
        (&HEADINGS.last_name, Head::LastName),
        (&HEADINGS.organization, Head::Organization),
        (&HEADINGS.notes, Head::Notes),
        (&HEADINGS.tags, Head::Tags),
    ]
    .into_iter()
    .find(|(list, _)| list.contains(plain))
    .map(|(_, head)| head)
}

fn is_email(words: &[String], plain: &str) -> bool {
    let is_it = HEADINGS.email.contains_one_of(words) || HEADINGS.email_part.is_part_of(plain);
    is_it && !HEADINGS.no_email.contains_one_of(words)
}

fn phone(words: &[String], plain: &str) -> Option<PhoneKind> {
    let includes_code = words
        .iter()
        .any(|word| ["with", "incl", "including", "mit", "con"].contains(&word.as_str()));
    let is_about = words.iter().any(|word| {
        HEADINGS.no_phone.contains(word)
            || word.starts_with("phonetic")
            || word == "microphone"
            || word.starts_with("assist")
            || (!includes_code && ["code", "country", "prefix", "region"].contains(&word.as_str()))
    });
    if is_about {
        return None;
    }
    let kind = kind_of(words, plain);
    let is_it = kind == PhoneKind::Mobile
        || HEADINGS.phone_number.contains(plain)
        || words
            .iter()
            .any(|word| HEADINGS.phone.contains(word) || word.ends_with("phone"))
        || HEADINGS.phone_part.is_part_of(plain);
    (is_it && words.len() < 8).then_some(kind)
}

fn kind_of(words: &[String], plain: &str) -> PhoneKind {
    let is_mobile = |word: &String| word.starts_with("mobil") && !word.starts_with("mobilit");
    let says = |list: &List, parts: &List| list.contains_one_of(words) || parts.is_part_of(plain);
    if says(&HEADINGS.mobile, &HEADINGS.mobile_part) || words.iter().any(is_mobile) {
        PhoneKind::Mobile
    } else if says(&HEADINGS.work, &HEADINGS.work_part) {
        PhoneKind::Work
    } else if says(&HEADINGS.home, &HEADINGS.home_part) {
        PhoneKind::Home
    } else if HEADINGS.other.contains_one_of(words) {
        PhoneKind::Other
    } else {
        PhoneKind::Main
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phone_columns_are_recognized_in_many_languages_with_mobile() {
        use PhoneKind::*;
        for (name, kind) in [
            ("Phone", Main),
            ("phone_number", Main),
            ("PhoneNumber", Main),
            ("Mobiltelefon", Mobile),
            ("Téléphone", Main),
            ("Teléfono móvil", Mobile),
            ("Celular", Mobile),
            ("Primary Phone Number", Main),
            ("Phone (Mobile)", Mobile),
            ("Téléphone portable", Mobile),
            ("Handynummer", Mobile),
            ("Telefon (privat)", Home),
            ("Telefone celular", Mobile),
            ("Telefono cellulare", Mobile),
            ("Mobiel nummer", Mobile),
            ("Telefon komórkowy", Mobile),
            ("Numer telefonu", Main),
            ("電話番号", Main),
            ("携帯電話", Mobile),
            ("Business Phone", Work),
            ("Home Phone 2", Home),
            ("Other Phone", Other),
            ("Phone 1 - Value", Main),
            ("Default Address Phone", Other),
            ("Mobile Phone Number", Mobile),
            ("Cell #", Mobile),
            ("Tel.", Main),
            ("Primary Contact Number", Main),
            ("Телефон", Main),
            ("WhatsApp", Mobile),
            ("Phone number with country code", Main),
        ] {
            assert_eq!(read(name), Some(Head::Phone(kind)), "{name}");
        }
        for name in [
            "Business Fax",
            "Pager",
            "Phone 1 - Label",
            "Phone 1 - Type",
            "Phonetic First Name",
            "Accepts SMS Marketing",
            "Phone opt-in",
            "Phone Country Code",
            "Emergency Contact Phone",
            "Assistant's Phone",
            "Automobile",
            "Mobility",
            "Total",
        ] {
            assert!(!matches!(read(name), Some(Head::Phone(_))), "{name}");
        }
    }

    #[test]
    fn other_columns_are_recognized() {
        for (name, head) in [
            ("E-mail 1 - Value", Head::Email),
            ("Email Address", Head::Email),
            ("Correo electrónico", Head::Email),
            ("Adresse e-mail", Head::Email),
            ("E-Mail-Adresse", Head::Email),
            ("メールアドレス", Head::Email),
            ("Patient first name", Head::FirstName),
            ("Vorname", Head::FirstName),
            ("Prénom", Head::FirstName),
            ("Apellidos", Head::LastName),
            ("Imię", Head::FirstName),
            ("Nazwisko", Head::LastName),
            ("Name*", Head::Name),
            ("Nombre", Head::Name),
            ("氏名", Head::Name),
            ("Organization Name", Head::Organization),
            ("Notizen", Head::Notes),
            ("Default Address Company", Head::Organization),
            ("Étiquettes", Head::Tags),
            ("Additional Name", Head::MiddleName),
        ] {
            assert_eq!(read(name), Some(head), "{name}");
        }
        for name in [
            "E-mail 1 - Label",
            "Email Opt Out",
            "Mailing Street",
            "E-mail Display Name",
            "Shoe size",
            "who cares",
        ] {
            assert_eq!(read(name), None, "{name}");
        }
    }

    #[test]
    fn label_column_belongs_to_its_value() {
        let columns = [
            "Phone 1 - Label",
            "Phone 1 - Value",
            "Phone 2 - Label",
            "Phone 2 - Value",
        ]
        .map(str::to_owned);
        assert_eq!(label_of("Phone 2 - Value", &columns), Some(2));
        assert_eq!(label_of("Phone 3 - Value", &columns), None);
        assert_eq!(label("* Mobile"), Some(PhoneKind::Mobile));
        assert_eq!(label("Work Fax"), None);
    }
}
