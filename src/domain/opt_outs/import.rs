//! Imports opt-outs from a table: one contact per line; each line is imported or refused on its own.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;

use crate::clock;
use crate::db::WorkspaceTx;
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::contacts::import::numbers::PhoneColumns;
use crate::domain::contacts::import::{self as imports, problems::Problem};
use crate::domain::members::Admin;
use crate::domain::{numbers, workspaces};
use crate::error::{Error, Result};
use crate::events::Event;
use crate::ids::{ContactId, ConversationId, ImportId, NumberId};
use crate::language::{Message, t};
use crate::phone::{Phone, PhoneError, Region};
use crate::sheet::dates::{self, Order};
use crate::sheet::heads::{self, Head};
use crate::sheet::{self, Reading, Sheet, short_name, unguarded};

pub const MAX_LINES: usize = 10_000;
/// Bytes of a file; more than the longest valid lines need.
pub const MAX_FILE_BYTES: usize = 2 * 1024 * 1024;
const MAX_REPORTED_ERRORS: usize = 500;

/// The result of an import.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
pub struct Imported {
    /// Lines that opted a contact out.
    pub imported: usize,
    /// Lines whose contact had opted out before.
    pub already: usize,
    /// Lines that were refused.
    pub refused: usize,
    /// The reasons, for the first 500 of them.
    pub errors: Vec<Refused>,
    /// Set if lines were refused. `GET /contacts/imports/{import_id}/refused.csv` returns all of them for 30 days.
    pub import_id: Option<ImportId>,
    /// What the import skips or changes, such as a quotation mark that is never closed.
    pub problems: Vec<Problem>,
}

#[derive(Clone, Debug, Serialize, PartialEq, Eq, utoipa::ToSchema)]
pub struct Refused {
    /// Counted from 1, the first line of the file.
    pub line: u64,
    /// The column.
    pub field: &'static str,
    #[schema(value_type = String)]
    pub message: Message,
}

struct Columns {
    phones: PhoneColumns,
    number: Option<usize>,
    reason: Option<usize>,
    since: Option<usize>,
}

struct ListedOptOut {
    line: u64,
    phone: Phone,
    numbers: Vec<NumberId>,
    proof: String,
    since: Option<DateTime<Utc>>,
}

/// Opts out the contacts of a file. Eight round trips for any size.
pub async fn import(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    file_name: &str,
    file: &[u8],
    encoding: Option<&str>,
) -> Result<Imported> {
    let region_code = workspaces::current(tx).await?.default_region;
    let region: Region = region_code.parse().unwrap_or(Region::US);
    let reading = Reading {
        most: MAX_LINES,
        encoding: imports::parse_encoding(encoding)?,
        region: Some(&region_code),
    };
    let sheet =
        sheet::read(file, reading).map_err(|wrong| Error::field("file", wrong.message()))?;
    let columns = Columns::of(&sheet, region)?;
    let numbers: Vec<(NumberId, String)> = numbers::list(tx)
        .await?
        .into_iter()
        .map(|number| (number.id, number.phone_number))
        .collect();
    let file_name = short_name(file_name);
    let proof = format!("Imported by {} from {file_name}", admin.name);
    let mut report = Imported {
        problems: imports::problems::of_sheet(&sheet)
            .into_iter()
            .map(Problem::with_message)
            .collect(),
        ..Imported::default()
    };
    let mut consents = Vec::new();
    for row in &sheet.rows {
        let (read_consents, wrong) = columns.read(row, &region, &numbers, &proof);
        consents.extend(read_consents);
        if let Some((field, message)) = wrong {
            report.refuse(row.line, field, message);
        }
    }
    let opted_out = write(tx, admin, &consents, &mut report).await?;
    report.errors.sort_by_key(|refused| refused.line);
    if report.refused > 0 {
        report.import_id = Some(
            imports::keep_refused(tx, admin, &file_name, &sheet, refused_rows(&sheet, &report))
                .await?,
        );
    }
    report.errors.truncate(MAX_REPORTED_ERRORS);
    if report.imported > 0 {
        let audit_record = AuditRecord {
            subject: &file_name,
            after: Some(
                json!({"imported": report.imported, "already": report.already, "refused": report.refused}),
            ),
            ..AuditRecord::default()
        };
        audit::record(tx, AuditAction::OptOutsImported, audit_record).await?;
        announce(tx, &opted_out).await?;
    }
    Ok(report)
}

fn refused_rows<'s>(sheet: &'s Sheet, report: &Imported) -> Vec<(&'s sheet::SheetRow, Message)> {
    let reasons: HashMap<u64, &Refused> = report
        .errors
        .iter()
        .map(|refused| (refused.line, refused))
        .collect();
    let rows = sheet.rows.iter();
    rows.filter_map(|row| {
        let refused = reasons.get(&row.line)?;
        Some((
            row,
            t!(
                "{field}: {wrong}",
                field = refused.field,
                wrong = &refused.message,
            ),
        ))
    })
    .collect()
}

/// Conversations with an event of their own; beyond that, clients refetch.
const MAX_SINGLE_EVENTS: usize = 100;

async fn announce(tx: &mut WorkspaceTx, opted_out: &[ContactId]) -> Result<()> {
    let conversations = sqlx::query_scalar!(
        r#"select distinct on (contact_id) id as "id: ConversationId"
             from conversations where contact_id = any ($1)
            order by contact_id, id
            limit $2"#,
        opted_out as _,
        MAX_SINGLE_EVENTS as i64 + 1,
    )
    .fetch_all(tx.conn())
    .await?;
    let workspace = tx.workspace();
    if conversations.len() > MAX_SINGLE_EVENTS {
        tx.announce(Event::Missed { workspace });
        return Ok(());
    }
    for conversation in conversations {
        tx.announce(Event::ConsentChanged {
            workspace,
            conversation,
        });
    }
    Ok(())
}

impl Imported {
    fn refuse(&mut self, line: u64, field: &'static str, message: Message) {
        self.refused += 1;
        self.errors.push(Refused {
            line,
            field,
            message,
        });
    }
}

impl Columns {
    /// Columns may have any order; unknown ones are ignored.
    fn of(sheet: &Sheet, region: Region) -> Result<Self> {
        let width = imports::width_without_reasons(&sheet.columns);
        let columns = &sheet.columns[..width];
        let named = |name: &str| {
            columns
                .iter()
                .position(|column| heads::plain(column) == name)
        };
        let is_phone = |column: &String| {
            matches!(heads::read(column), Some(Head::Phone(_)))
                && heads::plain(column) != "othernumbers"
        };
        let all = || {
            columns
                .iter()
                .enumerate()
                .filter(|(_, column)| is_phone(column))
                .map(|(place, _)| place)
        };
        // `number` is our own number, unless there is no other phone column.
        let others: Vec<usize> = all()
            .filter(|place| Some(*place) != named("number"))
            .collect();
        let phones = match (named("phonenumber"), others.is_empty()) {
            (Some(place), _) => vec![place],
            (None, false) => others,
            (None, true) => all().collect(),
        };
        let is_contact_phone = |place: &usize| phones.contains(place);
        let number = named("number").filter(|place| !is_contact_phone(place));
        let phones = PhoneColumns::of(phones, &sheet.columns, region);
        if phones.is_empty() {
            return Err(Error::field(
                "file",
                t!(
                    "The first line must contain the column names: phone_number (or your program’s name for it, such as Mobile) and, optionally, number, reason and at"
                ),
            ));
        }
        Ok(Self {
            phones,
            number,
            reason: named("reason"),
            since: named("at"),
        })
    }

    /// The opt-outs of a line, and its wrong column with a hint. A line with both a valid and an invalid number opts
    /// out the valid one and is also refused.
    fn read(
        &self,
        row: &sheet::SheetRow,
        region: &Region,
        ours: &[(NumberId, String)],
        proof: &str,
    ) -> (Vec<ListedOptOut>, Option<ColumnError>) {
        let cell = |place: Option<usize>| {
            let cell = place.and_then(|place| row.cells.get(place));
            unguarded(cell.map_or("", String::as_str)).trim()
        };
        let found = self.phones.read(&row.cells);
        let is_number = |text: &str| text.chars().filter(|c| c.is_numeric()).count() > 4;
        let mut invalid = found.wrong.iter();
        let wrong = match found.phones.is_empty() {
            true => Some(
                invalid
                    .next()
                    .map_or(PhoneError::Empty, |(.., wrong)| wrong.clone()),
            ),
            // A value such as `none` beside a valid number is no error.
            false => invalid
                .find(|(_, text, _)| is_number(text))
                .map(|(.., wrong)| wrong.clone()),
        };
        let wrong = wrong.map(|wrong| ("phone_number", wrong.message()));
        let scope = numbers_of(cell(self.number), region, ours)
            .and_then(|numbers| Ok((numbers, since(cell(self.since))?)));
        let (numbers, since) = match scope {
            Ok(scope) => scope,
            Err(invalid) => return (Vec::new(), wrong.or(Some(invalid))),
        };
        let reason: String = cell(self.reason).chars().take(200).collect();
        let proof = match reason.as_str() {
            "" => proof.to_owned(),
            reason => format!("{reason} ({proof})"),
        };
        let consent = |(phone, _)| ListedOptOut {
            line: row.line,
            phone,
            numbers: numbers.clone(),
            proof: proof.clone(),
            since,
        };
        (found.phones.into_iter().map(consent).collect(), wrong)
    }
}

type ColumnError = (&'static str, Message);

fn numbers_of(
    text: &str,
    region: &Region,
    ours: &[(NumberId, String)],
) -> Result<Vec<NumberId>, ColumnError> {
    let numbers: Vec<NumberId> = match text {
        "" => ours.iter().map(|(id, _)| *id).collect(),
        text => {
            let phone = Phone::parse(text, region).ok();
            let is_it = |number: &str| {
                number == text || phone.as_ref().is_some_and(|phone| phone.as_str() == number)
            };
            let found = ours.iter().find(|(_, number)| is_it(number));
            let missing = || t!("This isn’t one of your numbers. Leave it empty for all of them.");
            vec![found.ok_or_else(|| ("number", missing()))?.0]
        }
    };
    if numbers.is_empty() {
        return Err(("number", t!("Connect a number first")));
    }
    Ok(numbers)
}

fn since(text: &str) -> Result<Option<DateTime<Utc>>, ColumnError> {
    if text.is_empty() {
        return Ok(None);
    }
    let moment = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    let day = || {
        let day = dates::read(text, Order::Unknown).filter(|_| !text.contains(':'))?;
        Some(day.and_hms_opt(0, 0, 0)?.and_utc())
    };
    let past = DateTime::UNIX_EPOCH..=clock::now();
    moment
        .ok()
        .or_else(day)
        .filter(|at| past.contains(at))
        .map(Some)
        .ok_or_else(|| {
            let message =
                t!("Enter a time in the past, such as 2026-11-01 or 2026-11-01T09:30:00Z");
            ("at", message)
        })
}

/// Returns the contacts that are newly opted out.
async fn write(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    consents: &[ListedOptOut],
    report: &mut Imported,
) -> Result<Vec<ContactId>> {
    let phones: Vec<_> = consents
        .iter()
        .map(|consent| consent.phone.as_str())
        .collect();
    create_contacts(tx, &phones).await?;
    let rows = insert_opt_outs(tx, admin, consents).await?;
    let opted_out = rows.iter().filter(|row| row.added);
    let opted_out = opted_out.map(|row| row.contact).collect();
    count_outcomes(consents, &rows, report);
    Ok(opted_out)
}

async fn create_contacts(tx: &mut WorkspaceTx, phones: &[&str]) -> Result<()> {
    // Sorted by number, so that two imports at once cannot deadlock.
    sqlx::query!(
        "insert into contacts (id, phone_number, created_by)
         select new_id(), t.phone, current_user_id() from (select distinct unnest($1::text[]) as phone) t
          order by t.phone
             on conflict (workspace_id, phone_number) do nothing",
        phones as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What became of one line for one contact.
struct Outcome {
    place: i32,
    contact: ContactId,
    added: bool,
    overtaken: bool,
}

async fn insert_opt_outs(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    consents: &[ListedOptOut],
) -> Result<Vec<Outcome>> {
    let each = || {
        let pairs = consents.iter().enumerate();
        pairs.flat_map(|(place, consent)| {
            consent
                .numbers
                .iter()
                .map(move |number| (place, consent, *number))
        })
    };
    Ok(sqlx::query_as!(
        Outcome,
        r#"with given as (
               select t.place, c.id as contact, t.number, t.proof, coalesce(t.since, now()) as since,
                      -- They have said something else since, here.
                      t.since is not null
                        and exists (select from consents s where s.contact_id = c.id and s.number_id = t.number
                                                             and s.created_at > t.since) as overtaken
                 from unnest($1::int[], $2::text[], $3::uuid[], $4::text[], $5::timestamptz[])
                      as t (place, phone, number, proof, since)
                 join contacts c on c.id = contact_at(t.phone)
           ), added as (
               insert into opt_outs (contact_id, number_id, source, proof, created_at)
               select distinct on (g.contact, g.number) g.contact, g.number, 'import', left(g.proof, 200), g.since
                 from given g
                where not g.overtaken
                order by g.contact, g.number, g.place
                   on conflict do nothing
               returning contact_id, number_id, proof, created_at
           ), written as (
               insert into consents (contact_id, number_id, consent_kind, source, proof, actor_name, created_at)
               select a.contact_id, a.number_id, 'stop', 'import', a.proof, $6, a.created_at from added a
           ), firsts as (
               select min(g.place) as place from given g
                 join added a on a.contact_id = g.contact and a.number_id = g.number
                group by g.contact, g.number
           )
           select g.place as "place!", g.contact as "contact!: ContactId", bool_or(g.place in (select place from firsts)) as "added!",
                  bool_or(g.overtaken) as "overtaken!"
             from given g
            group by g.place, g.contact"#,
        &each()
            .map(|(place, ..)| i32::try_from(place).unwrap_or(i32::MAX))
            .collect::<Vec<_>>(),
        &each()
            .map(|(_, consent, _)| consent.phone.as_str())
            .collect::<Vec<_>>() as _,
        &each().map(|(.., number)| number).collect::<Vec<_>>() as _,
        &each()
            .map(|(_, consent, _)| consent.proof.as_str())
            .collect::<Vec<_>>() as _,
        &each().map(|(_, consent, _)| consent.since).collect::<Vec<_>>() as _,
        admin.name,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// A line with several numbers counts once.
fn count_outcomes(consents: &[ListedOptOut], rows: &[Outcome], report: &mut Imported) {
    let mut outcomes: BTreeMap<u64, (bool, bool)> = BTreeMap::new();
    for row in rows {
        let consent = consents.get(usize::try_from(row.place).unwrap_or(usize::MAX));
        let Some(consent) = consent else { continue };
        let (added, overtaken) = outcomes.entry(consent.line).or_default();
        *added |= row.added;
        *overtaken |= row.overtaken;
    }
    for (line, outcome) in outcomes {
        match outcome {
            (true, _) => report.imported += 1,
            (false, true) => {
                let message = t!("They opted back in since then, by text or through an agent");
                report.refuse(line, "at", message);
            }
            (false, false) => report.already += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(file: &[u8]) -> Result<(Sheet, Columns)> {
        let reading = Reading {
            most: MAX_LINES,
            ..Reading::default()
        };
        let sheet =
            sheet::read(file, reading).map_err(|wrong| Error::field("file", wrong.message()))?;
        let columns = Columns::of(&sheet, Region::US)?;
        Ok((sheet, columns))
    }

    fn consents(file: &str) -> Vec<(u64, Vec<String>, Option<&'static str>)> {
        let (sheet, columns) = parse(file.as_bytes()).unwrap();
        let ours = [(NumberId::new(), "+16285550100".to_owned())];
        let read = |row: &sheet::SheetRow| {
            let (consents, wrong) = columns.read(row, &Region::US, &ours, "Imported");
            let phones = consents
                .into_iter()
                .map(|consent| consent.phone.to_string())
                .collect();
            (row.line, phones, wrong.map(|(field, _)| field))
        };
        sheet.rows.iter().map(read).collect()
    }

    #[test]
    fn columns_may_be_in_any_order() {
        let file = "\u{feff}at; Name ;PHONE_NUMBER;reason\r\n2026-11-01;Maya;+1 415 555 0192;\"No; thanks\"\r\n\r\n;;4155550193;\r\n";
        let (sheet, columns) = parse(file.as_bytes()).unwrap();
        let ours = [(NumberId::new(), "+16285550100".to_owned())];
        let (consent, _) = columns.read(&sheet.rows[0], &Region::US, &ours, "Imported");
        assert_eq!(consent[0].proof, "No; thanks (Imported)");
        assert_eq!(
            consents(file),
            [
                (2, vec!["+14155550192".into()], None),
                (4, vec!["+14155550193".into()], None)
            ]
        );
    }

    #[test]
    fn any_phone_column_is_accepted() {
        for head in [
            "phone",
            "Mobiltelefon",
            "Celular",
            "Phone (Mobile)",
            "number",
            "MSISDN",
        ] {
            let file = format!("Name,{head}\nMaya,4155550192\n");
            assert_eq!(
                consents(&file),
                [(2, vec!["+14155550192".into()], None)],
                "{head}"
            );
        }
        let both = consents(
            "Mobile Phone,Home Phone,number\n4155550192,4155550193,628-555-0100\n4155550194,none,\n4155550195,0 12345,\n",
        );
        let of = |phones: &[&str]| {
            phones
                .iter()
                .map(|phone| (*phone).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            both,
            [
                (2, of(&["+14155550192", "+14155550193"]), None),
                (3, of(&["+14155550194"]), None),
                (4, of(&["+14155550195"]), Some("phone_number")),
            ]
        );
    }

    #[test]
    fn file_without_header_is_refused() {
        for file in [&b"+14155550192\n"[..], b"", b"name,email\nMaya,1\n"] {
            assert!(parse(file).is_err());
        }
        let long = format!("phone_number\n{}", "+14155550192\n".repeat(MAX_LINES + 1));
        assert!(parse(long.as_bytes()).is_err());
    }

    #[test]
    fn timestamp_must_be_in_the_past() {
        for good in [
            "2026-11-01",
            "2020-02-29T10:00:00+01:00",
            "01.11.2026",
            "11/23/2025",
        ] {
            assert!(since(good).unwrap().is_some(), "{good}");
        }
        for wrong in [
            "yesterday",
            "2999-01-01",
            "1-1-1",
            "03/04/2026",
            "-99999-01-01",
        ] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
        assert_eq!(since("").unwrap(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = parse(&bytes);
            let _ = parse(&[b"phone_number,number\n", bytes.as_slice()].concat());
        }

        #[test]
        fn line_needs_an_existing_column(phone in ".{0,30}", number in ".{0,20}", at in ".{0,30}") {
            let (_, columns) = parse(b"phone_number,number,at\n1,2,3\n").unwrap();
            let row = sheet::SheetRow { line: 2, cells: vec![phone, number, at] };
            let ours = [(NumberId::new(), "+16285550100".to_owned())];
            if let (_, Some((field, message))) = columns.read(&row, &Region::US, &ours, "Imported") {
                prop_assert!(["phone_number", "number", "reason", "at"].contains(&field));
                prop_assert!(!message.english().is_empty());
            }
        }
    }
}
