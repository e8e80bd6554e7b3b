use encoding_rs::{
    BIG5, EUC_KR, GBK, MACINTOSH, SHIFT_JIS, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252,
    WINDOWS_1253, WINDOWS_1254,
};
use proptest::prelude::*;

use super::*;

fn sheet(file: impl AsRef<[u8]>) -> Result<Sheet, SheetError> {
    read(
        file.as_ref(),
        Reading {
            most: 100,
            ..Reading::default()
        },
    )
}

fn rows(file: impl AsRef<[u8]>) -> Vec<Vec<String>> {
    sheet(file)
        .unwrap()
        .rows
        .into_iter()
        .map(|row| row.cells)
        .collect()
}

fn utf16(text: &str, big: bool, marked: bool) -> Vec<u8> {
    let mark = marked.then_some(0xfeff);
    mark.into_iter()
        .chain(text.encode_utf16())
        .flat_map(|unit| match big {
            true => unit.to_be_bytes(),
            false => unit.to_le_bytes(),
        })
        .collect()
}

#[test]
fn tables_are_read_in_any_encoding() {
    let text = "Name;Phone\r\nJosé Núñez;+1 415 555 0192\r\n";
    let windows = WINDOWS_1252.encode(text).0.into_owned();
    for (file, encoding) in [
        (text.as_bytes().to_vec(), "UTF-8"),
        ([b"\xef\xbb\xbf", text.as_bytes()].concat(), "UTF-8"),
        (windows, "windows-1252"),
        (utf16(text, false, true), "UTF-16LE"),
        (utf16(text, true, true), "UTF-16BE"),
        (utf16(text, false, false), "UTF-16LE"),
        (utf16(text, true, false), "UTF-16BE"),
    ] {
        let sheet = sheet(&file).unwrap();
        assert_eq!(
            (sheet.encoding, sheet.delimiter),
            (encoding, Some(';')),
            "{encoding}"
        );
        assert_eq!(sheet.columns, ["Name", "Phone"]);
        assert_eq!(sheet.rows[0].cells, ["José Núñez", "+1 415 555 0192"]);
    }
}

#[test]
fn code_pages_are_detected() {
    for (text, encoding) in [
        (
            "Name;Phone\r\nŁucja Świątek;+1 415 555 0142\r\n",
            WINDOWS_1250,
        ),
        (
            "Jméno;Telefon\r\nŽofie Dvořáková;+420 601 123 456\r\nJiří Němec;+420 601 123 457\r\n",
            WINDOWS_1250,
        ),
        (
            "Имя,Телефон\r\nАнна Петрова,+7 912 345 67 89\r\n",
            WINDOWS_1251,
        ),
        (
            "氏名,Phone\r\n山田 花子,+1 415 555 0142\r\nさくら 李,+1 415 555 0143\r\n",
            SHIFT_JIS,
        ),
        (
            "Name,Phone\r\nFrançois Müller,+1 415 555 0142\r\nO’Neill Åsa,+1 415 555 0143\r\n",
            WINDOWS_1252,
        ),
        (
            "Nombre,Teléfono\r\nJosé Núñez,+34 612 345 678\r\nBegoña Íñiguez,+34 612 345 679\r\n",
            WINDOWS_1252,
        ),
        (
            "Name;Telefon\r\nJörg Groß;+49 151 23456789\r\n",
            WINDOWS_1252,
        ),
        (
            "Imię;Nazwisko;Telefon\r\nZażółć;Gęślą;+48 512 345 678\r\nWojciech;Kołodziej;+48 512 345 679\r\n",
            WINDOWS_1250,
        ),
        (
            "Name,Phone\r\nSaša Žagar,+385 91 234 5678\r\nĐurđa Šimić,+385 91 234 5679\r\n",
            WINDOWS_1250,
        ),
        ("Name;Phone\r\nАнна;+1 415 555 0142\r\n", WINDOWS_1251),
        ("Name,Phone\r\n鈴木 一郎,+1 415 555 0142\r\n", SHIFT_JIS),
        ("Name,Phone\r\nサクラ,+81 90 1234 5678\r\n", SHIFT_JIS),
        (
            "Isim;Telefon\r\nŞule Yılmaz;+90 532 123 45 67\r\nİbrahim Çağlar;+90 532 123 45 68\r\n",
            WINDOWS_1254,
        ),
        (
            "Όνομα;Τηλέφωνο\r\nΓιώργος Παπαδόπουλος;+30 691 234 5678\r\n",
            WINDOWS_1253,
        ),
        ("姓名,手机\r\n王小明,+86 138 0013 8000\r\n", GBK),
        ("이름,휴대폰\r\n김철수,+82 10 1234 5678\r\n", EUC_KR),
        ("姓名,手機\r\n陳大文,+886 912 345 678\r\n", BIG5),
        (
            "Name,Phone\rJosé Núñez,+1 415 555 0142\rZoë Müller,+1 415 555 0143\r",
            MACINTOSH,
        ),
        ("Name,Phone\nFrançois Lefèvre,+1 415 555 0142\n", MACINTOSH),
    ] {
        let bytes = encoding.encode(text).0;
        assert!(std::str::from_utf8(&bytes).is_err());
        for region in ["US", "DE", "JP", "PL"] {
            let how = Reading {
                most: 100,
                encoding: None,
                region: Some(region),
            };
            assert_eq!(
                read(&bytes, how).unwrap().encoding,
                encoding.name(),
                "{region}: {text}"
            );
        }
        let sheet = sheet(&bytes).unwrap();
        assert_eq!(sheet.encoding, encoding.name(), "{text}");
        let names: Vec<_> = text
            .lines()
            .flat_map(|line| line.split('\r'))
            .skip(1)
            .filter(|line| !line.is_empty())
            .collect();
        assert_eq!(sheet.rows.len(), names.len());
        assert!(names[0].starts_with(&sheet.rows[0].cells[0]), "{text}");
        assert_eq!(sheet.bad_places, 0);
    }
}

#[test]
fn chosen_encoding_is_used() {
    let bytes = WINDOWS_1251
        .encode("Имя,Телефон\nАнна,+7 912 345 67 89\n")
        .0;
    let read_as = |encoding: &str| {
        let how = Reading {
            most: 10,
            encoding: decode::named(encoding),
            region: None,
        };
        read(&bytes, how).unwrap()
    };
    assert_eq!(read_as("windows-1251").columns, ["Имя", "Телефон"]);
    assert_eq!(read_as("latin1").columns, ["Èìÿ", "Òåëåôîí"]);
    assert!(decode::named("x-user-defined").is_none() && decode::named("ebcdic").is_none());
    for (name, _) in &decode::CHOICES {
        assert_eq!(decode::named(name).map(Encoding::name), Some(*name));
    }
}

#[test]
fn bad_byte_affects_one_cell() {
    let mut file = "name,phone,notes\nJosé Núñez,+14155550142,ok\nZoë Müller,+14155550143,cut \u{e9}\nAnn,+14155550144,\n".as_bytes().to_vec();
    let place = file
        .windows(2)
        .rposition(|two| two == "é".as_bytes())
        .unwrap();
    file.remove(place + 1);
    let sheet = sheet(&file).unwrap();
    assert_eq!(sheet.encoding, "UTF-8");
    assert_eq!(sheet.rows[0].cells[0], "José Núñez");
    assert_eq!(
        sheet.rows[1].cells,
        ["Zoë Müller", "+14155550143", "cut \u{fffd}"]
    );
    assert_eq!((sheet.bad, sheet.bad_places), (vec![3], 1));
    // A replacement character in the file itself is not counted.
    let own = self::sheet("name,phone\n\u{fffd},+14155550142\n").unwrap();
    assert_eq!(own.bad_places, 0);
}

#[test]
fn separator_is_detected() {
    for (file, delimiter) in [
        ("name,phone\n\"Okafor; Maya\",1\n", ','),
        ("name;phone\nOkafor, Maya;1\n", ';'),
        ("name\tphone\nOkafor, Maya\t1\n", '\t'),
        ("name|phone\nOkafor, Maya|1\n", '|'),
        ("phone\n1\n", ','),
        ("sep=;\r\nname;phone\r\nOkafor, Maya;1\r\n", ';'),
        ("\u{feff}\"sep=|\"\nname|phone\nOkafor, Maya|1\n", '|'),
        ("SEP=\t\nname\tphone\nOkafor, Maya\t1\n", '\t'),
    ] {
        let sheet = sheet(file).unwrap();
        assert_eq!(sheet.delimiter, Some(delimiter), "{file}");
        assert_eq!(sheet.columns.last().unwrap(), "phone", "{file}");
        assert_eq!(sheet.rows.len(), 1, "{file}");
    }
    assert_eq!(
        sheet("sep=;\nname;phone\nMaya;1\n").unwrap().rows[0].line,
        3
    );
}

#[test]
fn rows_know_their_line() {
    let lines = |file: &str| -> Vec<u64> {
        sheet(file)
            .unwrap()
            .rows
            .iter()
            .map(|row| row.line)
            .collect()
    };
    assert_eq!(lines("a,b\n\n1,\"two\nlines\"\n\n\n3,4,5\n"), [3, 7]);
    assert_eq!(
        lines("name,phone\rA,+14155550142\rB,+14155550143\r"),
        [2, 3]
    );
    assert_eq!(
        lines("name,phone\r\nA,+14155550142\rB,+14155550143\nC,+14155550144"),
        [2, 3, 4]
    );
    assert_eq!(
        lines("name,phone\r\r\nA,+14155550142\r\r\nB,+14155550143\r\r\n"),
        [3, 5]
    );
    assert_eq!(rows("a,b\n1,2\n3,4,5\n")[1].len(), 3);
}

#[test]
fn non_tables_are_refused() {
    assert_eq!(sheet(""), Err(SheetError::Empty));
    assert_eq!(sheet("\n ,, \n"), Err(SheetError::Empty));
    assert_eq!(sheet(b"PK\x03\x04\0\0\x08\xff"), Err(SheetError::Workbook));
    assert_eq!(sheet(b"\x89PNG\0\0\x08\xff"), Err(SheetError::NoTable));
    assert_eq!(sheet("<html><table>"), Err(SheetError::NoTable));
    let few = Reading {
        most: 2,
        ..Reading::default()
    };
    assert_eq!(
        read(b"a\n1\n2\n3\n", few),
        Err(SheetError::TooLong("2".into()))
    );
    assert_eq!(grouped(100_000), "100,000");
    assert_eq!(sheet(",".repeat(400) + "x"), Err(SheetError::TooWide));
}

#[test]
fn unclosed_quote_loses_no_row() {
    for (file, names, broken) in [
        // Closed by chance at the end of another row.
        (
            "name,phone,notes\n\"Doc Brown,+1 415 555 0142,old friend\nMaya,+1 415 555 0143,\nTom,+1 415 555 0144,\"likes \"\"tea\"\"\"\nInes,+1 415 555 0145,\n",
            &["Doc Brown", "Maya", "Tom", "Ines"][..],
            &[(2, 3)][..],
        ),
        // Never closed.
        (
            "name,phone,notes\nDoc,+1 415 555 0142,\"old friend\nMaya,+1 415 555 0143,\nTom,+1 415 555 0144,x\n",
            &["Doc", "Maya", "Tom"],
            &[(2, 3)],
        ),
        // Closed by the next mark, so that the record has the usual width.
        (
            "name,phone,notes\nDoc,+1 415 555 0142,\"old friend\nMaya,+1 415 555 0143,vip\nTom,+1 415 555 0144,\"\nInes,+1 415 555 0145,\n",
            &["Doc", "Maya", "Tom", "Ines"],
            &[(2, 3)],
        ),
        // Two marks.
        (
            "name;phone\nMaya;\"+1 415 555 0143\nTom;\"+1 415 555 0144\nInes;+1 415 555 0145\n",
            &["Maya", "Tom", "Ines"],
            &[(2, 3), (3, 2)],
        ),
        // In the last line.
        (
            "name,phone\nMaya,+1 415 555 0143\n\"Tom,+1 415 555 0144\n",
            &["Maya", "Tom"],
            &[(3, 1)],
        ),
        // In a column of numbers alone.
        (
            "phone\n\"+14155550142\n+14155550143\n+14155550144\"\n",
            &["+14155550142", "+14155550143", "+14155550144\""],
            &[(2, 3)],
        ),
    ] {
        let sheet = sheet(file).unwrap();
        let read: Vec<&str> = sheet.rows.iter().map(|row| row.cells[0].as_str()).collect();
        assert_eq!(read, names, "{file}");
        let ranges: Vec<(u64, u64)> = sheet
            .broken
            .iter()
            .map(|broken| (broken.line, broken.lines))
            .collect();
        assert_eq!(ranges, broken, "{file}");
    }
}

#[test]
fn multi_line_cells_and_inner_quotes_are_kept() {
    for file in [
        "name,phone,address\nMaya,+1 415 555 0143,\"12 Main St, Apt 4\nSpringfield, IL, USA\"\nTom,+1 415 555 0144,x\n",
        "name,phone,address\n\"Maya\nOkafor\",+1 415 555 0143,x\nTom,+1 415 555 0144,x\n",
        "name,phone,notes\nMaya,+1 415 555 0143,\"Call 415 555 0100,\n\nthen +1 415 555 0101\r\nor Dr. Lee\"\nTom,+1 415 555 0144,\n",
        "name,phone,notes\nMaya \"Doc\" O,+1 415 555 0143,5\" pipe\n\"Tom \"Tim\" R\",+1 415 555 0144, \"with, comma\" \n",
    ] {
        let sheet = sheet(file).unwrap();
        assert_eq!(sheet.rows.len(), 2, "{file}");
        assert_eq!(sheet.broken, [], "{file}");
        assert_eq!(sheet.rows[0].cells.len(), 3, "{file}");
    }
    let marks = rows(
        "name,phone,notes\nMaya,+1 415 555 0143,5\" pipe\n\"Tom \"Tim\" R\",+1 415 555 0144, \"with, comma\" \n",
    );
    assert_eq!(marks[0][2], "5\" pipe");
    assert_eq!(
        (&marks[1][0][..], &marks[1][2][..]),
        ("Tom \"Tim\" R", "with, comma")
    );
}

#[test]
fn lines_around_the_table_are_no_rows() {
    let file = "Phone list of Harbor Dental\nExported,2026-01-03\n\nFirst Name,Last Name,Mobile\nMaya,Okafor,+1 415 555 0142\n\
        Tom,Reyes,\nFirst Name,Last Name,Mobile\nCher\n\n\"Confidential Information - Do Not Distribute\"\n\"Copyright (c) 2026\"\nHarbor\n";
    let sheet = sheet(file).unwrap();
    assert_eq!(sheet.columns, ["First Name", "Last Name", "Mobile"]);
    assert_eq!((sheet.above, sheet.below, sheet.repeated), (2, 4, 1));
    assert_eq!(
        sheet.rows.iter().map(|row| row.line).collect::<Vec<_>>(),
        [5, 6]
    );
    // A short last line without a gap is a row.
    assert_eq!(rows("a,b,phone\n1,2,+14155550142\nCher\n").len(), 2);
    assert!(
        self::sheet("+14155550142,Maya\n+14155550143,Tom\n")
            .unwrap()
            .has_no_head
    );
}

#[test]
fn formulas_are_escaped_and_numbers_kept() {
    for formula in [
        "=1+1",
        "+SUM(A1)",
        "-2+3",
        "@cmd",
        " =1",
        "\t=1",
        "\r=1",
        "\tx",
        "+1|cmd",
        "\u{200b}=1",
        "\u{feff}@x",
        "\u{a0}\u{2060}-1",
        "\u{ad}+x",
        "＝1",
        "\u{1f}=1",
    ] {
        assert_eq!(guarded(formula), format!("'{formula}"));
        assert_eq!(unguarded(&guarded(formula)), formula, "round trip");
    }
    for plain in [
        "+14155550192",
        "STOP",
        "",
        "22333",
        "it's",
        "'t Hart",
        "a=b",
        "\u{200b}x",
    ] {
        assert_eq!(guarded(plain), plain);
        assert_eq!(unguarded(plain), plain);
    }
    assert_eq!(unguarded("'+14155550142"), "+14155550142");
    assert_eq!(unguarded("'0415"), "0415");
    assert_eq!(unguarded("=\"0415\""), "0415");
}

#[test]
fn phone_number_is_written_as_text() {
    for (phone, written) in [
        ("+447911123456", "+44 7911 123456"),
        ("+14155550142", "+1 415 555 0142"),
        ("+48512345678", "+48 512-345-678"),
        ("+262966", "+26 2966"),
        ("262966", "262966"),
        ("ACME", "ACME"),
    ] {
        assert_eq!(phone_text(phone), written);
    }
    assert_eq!(dialled_text("07911123456"), "0791 1123456");
    assert_eq!(dialled_text("447911123456"), "4479 11123456");
    assert_eq!(dialled_text("4155550142"), "4155550142");
    let file = String::from_utf8(lines([[
        "+447911123456".to_owned(),
        "+1 415-555-0142, +44 20 7946 0018".into(),
    ]
    .as_slice()]))
    .unwrap();
    assert_eq!(
        file,
        "+44 7911 123456,\"+1 415-555-0142, +44 20 7946 0018\"\n"
    );
}

#[test]
fn file_name_is_the_last_path_component() {
    assert_eq!(short_name("C:\\lists\\stop.csv"), "stop.csv");
    assert_eq!(short_name("\0/"), "a file");
    assert_eq!(short_name(&"x".repeat(900)).len(), 60);
}

/// Each search for the end of a cell costs time; the total must be bounded.
#[test]
fn parsing_time_is_bounded() {
    for line in [
        "\"a\n",
        "\"a\"\"\n",
        "\"a\"\",\n",
        "\"\n\"",
        "a,\"b\n,c\n",
        "BEGIN:VCARD\n",
        "\r",
        "\"\"\"",
        ";,\t|\"\n",
    ] {
        let begin = std::time::Instant::now();
        let file = line.repeat(1_000_000 / line.len());
        let _ = read(
            file.as_bytes(),
            Reading {
                most: 100_000,
                ..Reading::default()
            },
        );
        let _ = read(
            format!("name,phone\n{file}").as_bytes(),
            Reading {
                most: 100_000,
                ..Reading::default()
            },
        );
        assert!(
            begin.elapsed().as_secs() < 30,
            "{line:?}: {:?}",
            begin.elapsed()
        );
    }
}

fn distinct_lines(sheet: &Sheet) -> bool {
    sheet.rows.windows(2).all(|two| two[0].line < two[1].line)
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..800)) {
        for start in [&b""[..], b"name,phone\n", b"\xff\xfe", b"BEGIN:VCARD\n", b"sep=;\n"] {
            if let Ok(sheet) = sheet([start, bytes.as_slice()].concat()) {
                prop_assert!(distinct_lines(&sheet));
            }
        }
    }

    #[test]
    fn random_quotes_separators_and_line_ends_lose_no_line(text in "(\"|,|;|\r|\n|\r\n|\t|a|é|\\+14155550142|name,phone\n| ){0,120}") {
        if let Ok(sheet) = sheet(&text) {
            prop_assert!(distinct_lines(&sheet));
            for encoding in [WINDOWS_1252, SHIFT_JIS, MACINTOSH] {
                let _ = read(text.as_bytes(), Reading { most: 100, encoding: Some(encoding), region: Some("DE") });
            }
        }
    }

    /// An unclosed quotation mark loses no row.
    #[test]
    fn stray_quote_loses_no_row(count in 2_usize..12, row in 0_usize..12, column in 0_usize..3, closed in 0_usize..12) {
        let mut file = "name,phone,notes\n".to_owned();
        for n in 0..count {
            let mut cells = [format!("Person {n}"), format!("+1415555{:04}", 100 + n), format!("note {n}")];
            if n == row {
                cells[column].insert(0, '"');
            }
            if n == closed && closed > row {
                cells[2].push('"');
            }
            file += &(cells.join(",") + "\n");
        }
        let sheet = sheet(&file).unwrap();
        prop_assert_eq!(sheet.rows.len(), count, "{}", file);
        for (n, row) in sheet.rows.iter().enumerate() {
            prop_assert_eq!(&row.cells[0], &format!("Person {n}"));
            prop_assert_eq!(&row.cells[1], &format!("+1415555{:04}", 100 + n));
        }
        prop_assert_eq!(sheet.broken.len(), usize::from(row < count));
    }

    #[test]
    fn written_table_is_read_back(rows in prop::collection::vec(prop::collection::vec("[^\\x00]{0,12}", 3), 1..20)) {
        let head = ["name".to_owned(), "phone".into(), "notes".into()];
        // A line of a cell that looks like a row is taken for one.
        let looks_like_row = |line: &str| line.split(',').count() == 3;
        prop_assume!(!rows.iter().flatten().flat_map(|cell| cell.split(['\n', '\r'])).any(looks_like_row));
        // Cells with text, so that no line is empty.
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|row| vec![format!("x{}", row[0].trim_end()), row[1].trim().into(), format!("{}x", row[2].trim_start())])
            .collect();
        let file = [MARK, &lines(std::iter::once(&head[..]).chain(rows.iter().map(Vec::as_slice)))].concat();
        let sheet = sheet(&file).unwrap();
        prop_assert_eq!(sheet.rows.len(), rows.len());
        for (read, row) in sheet.rows.iter().zip(&rows) {
            for (cell, written) in read.cells.iter().zip(row) {
                use unicode_normalization::UnicodeNormalization;
                let written: String = guarded(written).nfc().collect();
                prop_assert_eq!(unguarded(cell).trim(), unguarded(written.trim()).trim());
            }
        }
    }
}
