//! Column types by header, in the interface's languages and those of common exporting programs.

use unicode_normalization::UnicodeNormalization;

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

/// The words of a header in lower case without accents: `E-mail 1 - Value` is `email 1 value`.
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
        .take_while(|word| PREFIXES.contains(&word.as_str()))
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
    (words.len() < 5 && in_list(ORGANIZATION, last)).then_some(Head::Organization)
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

/// Prefixes of headers.
const PREFIXES: &[&str] = &[
    "contact",
    "contacts",
    "customer",
    "client",
    "patient",
    "member",
    "guest",
    "student",
    "lead",
    "subscriber",
    "billing",
    "shipping",
    "default",
    "primary",
    "main",
    "your",
    "their",
    "kunde",
    "kunden",
    "cliente",
    "paciente",
    "person",
    "employee",
];

fn in_list(list: &[&str], name: &str) -> bool {
    list.contains(&name)
}

fn named(plain: &str) -> Option<Head> {
    [
        (NAME, Head::Name),
        (FIRST_NAME, Head::FirstName),
        (MIDDLE_NAME, Head::MiddleName),
        (LAST_NAME, Head::LastName),
        (ORGANIZATION, Head::Organization),
        (NOTES, Head::Notes),
        (TAGS, Head::Tags),
    ]
    .into_iter()
    .find(|(list, _)| in_list(list, plain))
    .map(|(_, head)| head)
}

const NAME: &[&str] = &[
    "name",
    "fullname",
    "contact",
    "contactname",
    "displayname",
    "customer",
    "customername",
    "patient",
    "patientname",
    "client",
    "clientname",
    "guest",
    "guestname",
    "membername",
    "studentname",
    "firstandlastname",
    "firstlastname",
    "namefirstlast",
    "lastnamefirstname",
    "lastfirst",
    "recipient",
    "recipientname",
    "person",
    "fn",
    "nombre",
    "nombrecompleto",
    "nombreyapellidos",
    "nombreyapellido",
    "nombresyapellidos",
    "apellidosynombre",
    "cliente",
    "paciente",
    "contacto",
    "nombredelcliente",
    "nombredelpaciente",
    "nombrecliente",
    "vollstandigername",
    "vorundnachname",
    "vornamenachname",
    "anzeigename",
    "kunde",
    "kundenname",
    "kontakt",
    "ansprechpartner",
    "nom",
    "nomcomplet",
    "nometprenom",
    "nomprenom",
    "prenometnom",
    "prenomnom",
    "nomdaffichage",
    "nomaffiche",
    "nomduclient",
    "nome",
    "nomecompleto",
    "nomeecognome",
    "nomecognome",
    "cognomeenome",
    "nominativo",
    "nomecliente",
    "nomedocliente",
    "contato",
    "naam",
    "volledigenaam",
    "weergavenaam",
    "klant",
    "klantnaam",
    "navn",
    "fuldenavn",
    "namn",
    "nimi",
    "kokonimi",
    "imieinazwisko",
    "nazwiskoiimie",
    "nazwa",
    "klient",
    "kontakty",
    "jmeno",
    "jmenoaprijmeni",
    "celejmeno",
    "nev",
    "teljesnev",
    "nume",
    "numecomplet",
    "isim",
    "adsoyad",
    "adisoyadi",
    "hoten",
    "hovaten",
    "氏名",
    "名前",
    "お名前",
    "姓名",
    "全名",
    "联系人",
    "이름",
    "성명",
    "имя",
    "фио",
    "полноеимя",
    "клиент",
    "ονομα",
    "ονοματεπωνυμο",
    "שם",
    "שםמלא",
    "الاسم",
    "الاسمالكامل",
];

const FIRST_NAME: &[&str] = &[
    "firstname",
    "givenname",
    "given",
    "first",
    "forename",
    "fname",
    "christianname",
    "preferredname",
    "primernombre",
    "nombredepila",
    "nombres",
    "vorname",
    "rufname",
    "prenom",
    "primeironome",
    "nomeproprio",
    "prenome",
    "voornaam",
    "roepnaam",
    "imie",
    "fornavn",
    "fornamn",
    "etunimi",
    "krestnijmeno",
    "keresztnev",
    "prenume",
    "名",
    "имя1",
    "שםפרטי",
    "الاسمالاول",
];

const MIDDLE_NAME: &[&str] = &[
    "middlename",
    "middle",
    "middleinitial",
    "additionalname",
    "middlenames",
    "secondname",
    "mname",
    "segundonombre",
    "zweitervorname",
    "weiterevornamen",
    "deuxiemeprenom",
    "autresprenoms",
    "nomedomeio",
    "segundonome",
    "secondonome",
    "tussenvoegsel",
    "tweedenaam",
    "drugieimie",
    "mellemnavn",
    "mellomnavn",
    "отчество",
];

const LAST_NAME: &[&str] = &[
    "lastname",
    "surname",
    "familyname",
    "last",
    "family",
    "lname",
    "secondlastname",
    "apellido",
    "apellidos",
    "primerapellido",
    "segundoapellido",
    "apellidopaterno",
    "apellidomaterno",
    "nachname",
    "familienname",
    "zuname",
    "nomdefamille",
    "cognome",
    "sobrenome",
    "ultimonome",
    "apelido",
    "apelidos",
    "achternaam",
    "familienaam",
    "nazwisko",
    "efternavn",
    "etternavn",
    "efternamn",
    "sukunimi",
    "prijmeni",
    "vezeteknev",
    "soyad",
    "soyadi",
    "姓",
    "фамилия",
    "επωνυμο",
    "שםמשפחה",
    "اسمالعائلة",
];

const ORGANIZATION: &[&str] = &[
    "company",
    "companyname",
    "organization",
    "organisation",
    "organizationname",
    "organisationname",
    "organization1name",
    "accountname",
    "businessname",
    "business",
    "employer",
    "org",
    "empresa",
    "nombredelaempresa",
    "organizacion",
    "compania",
    "firma",
    "firmenname",
    "unternehmen",
    "societe",
    "entreprise",
    "nomdelentreprise",
    "azienda",
    "societa",
    "ragionesociale",
    "nomedaempresa",
    "organizacao",
    "bedrijf",
    "bedrijfsnaam",
    "organisatie",
    "firmanavn",
    "foretag",
    "yritys",
    "nazwafirmy",
    "会社",
    "会社名",
    "公司",
    "회사",
    "компания",
    "организация",
];

const NOTES: &[&str] = &[
    "notes",
    "note",
    "comment",
    "comments",
    "remark",
    "remarks",
    "memo",
    "contactnotes",
    "customernotes",
    "notas",
    "nota",
    "observaciones",
    "observacion",
    "comentarios",
    "comentario",
    "bemerkung",
    "bemerkungen",
    "notiz",
    "notizen",
    "anmerkung",
    "anmerkungen",
    "kommentar",
    "kommentare",
    "remarque",
    "remarques",
    "commentaire",
    "commentaires",
    "commenti",
    "commento",
    "annotazioni",
    "observacoes",
    "observacao",
    "anotacoes",
    "opmerking",
    "opmerkingen",
    "notities",
    "notitie",
    "uwagi",
    "notatki",
    "notatka",
    "noter",
    "notater",
    "anteckningar",
    "muistiinpanot",
    "poznamka",
    "poznamky",
    "megjegyzes",
    "notlar",
    "ghichu",
    "メモ",
    "備考",
    "备注",
    "備註",
    "메모",
    "비고",
    "заметки",
    "примечание",
    "σημειωσεις",
];

const TAGS: &[&str] = &[
    "tags",
    "tag",
    "labels",
    "label",
    "groups",
    "group",
    "groupmembership",
    "categories",
    "category",
    "lists",
    "segments",
    "etiquetas",
    "etiqueta",
    "grupos",
    "grupo",
    "categorias",
    "categoria",
    "schlagworte",
    "schlagworter",
    "stichworte",
    "kategorie",
    "kategorien",
    "gruppe",
    "gruppen",
    "etiquettes",
    "etiquette",
    "groupes",
    "groupe",
    "libelles",
    "etichette",
    "etichetta",
    "gruppi",
    "gruppo",
    "categorie",
    "labelnamen",
    "groepen",
    "groep",
    "categorieen",
    "etykiety",
    "etykieta",
    "grupy",
    "grupa",
    "kategorier",
    "grupper",
    "タグ",
    "ラベル",
    "グループ",
    "标签",
    "태그",
    "метки",
    "группы",
];

fn is_email(words: &[String], plain: &str) -> bool {
    const EMAIL: &[&str] = &[
        "email",
        "emails",
        "mail",
        "mails",
        "emailaddress",
        "mailadresse",
        "emailadresse",
        "correo",
        "correos",
        "courriel",
        "courriels",
        "eposta",
        "epost",
        "emailadres",
        "sahkoposti",
        "mailaddress",
    ];
    const EXCLUDED: &[&str] = &[
        "label",
        "type",
        "typ",
        "tipo",
        "status",
        "estado",
        "consent",
        "opt",
        "optin",
        "optout",
        "subscribed",
        "subscription",
        "marketing",
        "accepts",
        "display",
        "verified",
        "bounced",
        "count",
        "date",
        "time",
        "sent",
        "opened",
        "domain",
        "format",
        "source",
        "id",
        "client",
        "frequency",
        "permission",
    ];
    let is_it = words.iter().any(|word| in_list(EMAIL, word))
        || [
            "メール",
            "电子邮件",
            "邮箱",
            "郵件",
            "이메일",
            "почта",
            "имейл",
            "אימייל",
            "البريد",
        ]
        .iter()
        .any(|part| plain.contains(part));
    is_it && !words.iter().any(|word| in_list(EXCLUDED, word))
}

/// Words in headers that are no phone number, or only describe one.
const NO_PHONE: &[&str] = &[
    "fax",
    "faxnumber",
    "telefax",
    "pager",
    "beeper",
    "label",
    "type",
    "typ",
    "tipo",
    "kind",
    "ext",
    "extension",
    "status",
    "verified",
    "consent",
    "optin",
    "optout",
    "opt",
    "subscribed",
    "subscription",
    "marketing",
    "accepts",
    "carrier",
    "provider",
    "price",
    "cost",
    "model",
    "date",
    "time",
    "count",
    "id",
    "valid",
    "telex",
    "isdn",
    "tty",
    "tdd",
    "radio",
    "emergency",
    "spouse",
    "manager",
    "preference",
    "calls",
    "called",
    "messages",
    "sent",
    "permission",
    "privacy",
    "hours",
    "last",
];

fn phone(words: &[String], plain: &str) -> Option<PhoneKind> {
    const NUMBER_HEADERS: &[&str] = &[
        "number",
        "numbers",
        "contactnumber",
        "contactno",
        "textnumber",
        "primarynumber",
        "msisdn",
        "numero",
        "numeros",
        "numerodecontacto",
        "nummer",
        "rufnummer",
        "kontaktnummer",
        "numer",
        "numerkontaktowy",
        "numerodecontato",
    ];
    const PHONE_WORDS: &[&str] = &[
        "phone",
        "phones",
        "tel",
        "tels",
        "tlf",
        "tfno",
        "tfn",
        "tlfn",
        "fon",
        "fone",
        "fones",
        "sms",
        "whatsapp",
        "msisdn",
        "ph",
        "telefono",
        "telefonos",
        "telefone",
        "telefones",
        "telefoon",
        "puhelin",
        "puhelinnumero",
        "phoneno",
        "phonenumber",
    ];
    const PARTS: &[&str] = &[
        "telephon",
        "telefon",
        "telefoon",
        "phonenum",
        "rufnummer",
        "電話",
        "电话",
        "전화",
        "телефон",
        "τηλεφων",
        "טלפון",
        "هاتف",
        "תליפון",
        "dienthoai",
    ];
    let includes_code = words
        .iter()
        .any(|word| ["with", "incl", "including", "mit", "con"].contains(&word.as_str()));
    let is_about = words.iter().any(|word| {
        in_list(NO_PHONE, word)
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
        || in_list(NUMBER_HEADERS, plain)
        || words
            .iter()
            .any(|word| in_list(PHONE_WORDS, word) || word.ends_with("phone"))
        || PARTS.iter().any(|part| plain.contains(part));
    (is_it && words.len() < 8).then_some(kind)
}

fn kind_of(words: &[String], plain: &str) -> PhoneKind {
    const MOBILE: &[&str] = &[
        "cell",
        "cellphone",
        "cells",
        "cellular",
        "cellulare",
        "cel",
        "celular",
        "celulares",
        "cellnumber",
        "mob",
        "movil",
        "moviles",
        "portable",
        "gsm",
        "telemovel",
        "whatsapp",
        "sms",
        "iphone",
        "handy",
        "handynummer",
        "natel",
        "cep",
        "mobiel",
        "mobielnummer",
        "mobiele",
        "kom",
        "matkapuhelin",
        "kannykka",
        "didong",
    ];
    const MOBILE_PARTS: &[&str] = &[
        "komork",
        "携帯",
        "手机",
        "手機",
        "휴대",
        "핸드폰",
        "мобильн",
        "мобілн",
        "сотов",
        "κινητ",
        "נייד",
        "جوال",
        "موبايل",
        "محمول",
    ];
    const WORK: &[&str] = &[
        "work",
        "business",
        "office",
        "company",
        "geschaftlich",
        "geschaft",
        "buro",
        "dienstlich",
        "bureau",
        "travail",
        "professionnel",
        "pro",
        "oficina",
        "trabajo",
        "laboral",
        "empresa",
        "trabalho",
        "comercial",
        "lavoro",
        "ufficio",
        "werk",
        "zakelijk",
        "praca",
        "sluzbowy",
        "firma",
        "arbete",
        "arbejde",
        "arbeid",
    ];
    const HOME: &[&str] = &[
        "home",
        "house",
        "private",
        "privat",
        "privatnummer",
        "prive",
        "casa",
        "particular",
        "domicilio",
        "domicile",
        "maison",
        "fixe",
        "fijo",
        "fisso",
        "fixo",
        "festnetz",
        "landline",
        "residential",
        "thuis",
        "vast",
        "prywatny",
        "dom",
        "domowy",
        "evening",
        "hjem",
        "hem",
    ];
    const OTHER: &[&str] = &[
        "other",
        "alternate",
        "alternative",
        "alt",
        "secondary",
        "second",
        "additional",
        "address",
        "shipping",
        "billing",
        "otro",
        "otros",
        "secundario",
        "andere",
        "weitere",
        "autre",
        "altro",
        "outro",
        "inny",
        "car",
        "callback",
    ];
    let has = |list: &[&str]| words.iter().any(|word| in_list(list, word));
    let is_mobile = |word: &String| word.starts_with("mobil") && !word.starts_with("mobilit");
    if has(MOBILE)
        || words.iter().any(is_mobile)
        || MOBILE_PARTS.iter().any(|part| plain.contains(part))
    {
        PhoneKind::Mobile
    } else if has(WORK)
        || plain.contains("勤務")
        || plain.contains("会社")
        || plain.contains("公司")
        || plain.contains("рабоч")
    {
        PhoneKind::Work
    } else if has(HOME) || plain.contains("自宅") || plain.contains("домашн") {
        PhoneKind::Home
    } else if has(OTHER) {
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
