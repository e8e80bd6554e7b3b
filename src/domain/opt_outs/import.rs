//! Opt-outs from elsewhere, as a table: one contact a line, each line taken or refused on its own.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use serde_json::json;

use crate::db::WorkspaceTx;
use crate::domain::audit::{self, Action, Deed};
use crate::domain::members::Admin;
use crate::domain::{numbers, workspaces};
use crate::error::{Error, Result};
use crate::events::Event;
use crate::ids::{ContactId, ConversationId, NumberId};
use crate::language::english;
use crate::phone::{Phone, Region};
use crate::sheet::{self, short_name, unguarded};

/// As many as one file may have.
pub const MOST_LINES: usize = 10_000;
/// Bytes of a file: longer lines than any of ours.
pub const LARGEST: usize = 2 * 1024 * 1024;
/// So many mistakes are told; whoever has more has the wrong file.
const TOLD: usize = 500;

/// What became of a file.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
pub struct Imported {
    /// Lines that opted somebody out.
    pub imported: usize,
    /// Lines whose contact had opted out before.
    pub already: usize,
    /// Lines that could not be taken.
    pub refused: usize,
    /// Why, for the first 500 of them.
    pub errors: Vec<Refused>,
}

#[derive(Clone, Debug, Serialize, PartialEq, Eq, utoipa::ToSchema)]
pub struct Refused {
    /// Counted from 1, the line with the names of the columns.
    pub line: u64,
    /// The column.
    pub field: &'static str,
    pub message: String,
}

/// A line as it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    at: u64,
    phone_number: String,
    number: String,
    reason: String,
    since: String,
}

/// A line that can be taken.
struct Wish {
    line: u64,
    phone: Phone,
    numbers: Vec<NumberId>,
    proof: String,
    since: Option<DateTime<Utc>>,
}

/// Opts out whomever the file names. Six round trips, whatever its size.
pub async fn import(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    file_name: &str,
    file: &[u8],
) -> Result<Imported> {
    let lines = parse(file)?;
    let region: Region = workspaces::current(tx)
        .await?
        .default_region
        .parse()
        .unwrap_or(Region::US);
    let numbers: Vec<(NumberId, String)> = numbers::list(tx)
        .await?
        .into_iter()
        .map(|number| (number.id, number.phone_number))
        .collect();
    let file_name = short_name(file_name);
    let proof = format!("Imported by {} from {file_name}", admin.name);
    let mut told = Imported::default();
    let mut wishes = Vec::new();
    for line in &lines {
        match read(line, &region, &numbers, &proof) {
            Ok(wish) => wishes.push(wish),
            Err((field, message)) => told.refuse(line.at, field, message),
        }
    }
    let opted_out = write(tx, admin, &wishes, &mut told).await?;
    told.errors.sort_by_key(|refused| refused.line);
    told.errors.truncate(TOLD);
    if told.imported > 0 {
        let deed = Deed {
            subject: &file_name,
            after: Some(
                json!({"imported": told.imported, "already": told.already, "refused": told.refused}),
            ),
            ..Deed::default()
        };
        audit::record(tx, Action::OptOutsImported, deed).await?;
        announce(tx, &opted_out).await?;
    }
    Ok(told)
}

/// Of so many conversations each is told by itself; a longer list has everybody fetch again.
const SINGLY: usize = 100;

/// One round trip.
async fn announce(tx: &mut WorkspaceTx, opted_out: &[ContactId]) -> Result<()> {
    let conversations = sqlx::query_scalar!(
        r#"select distinct on (contact_id) id as "id: ConversationId"
             from conversations where contact_id = any ($1)
            order by contact_id, id
            limit $2"#,
        opted_out as _,
        SINGLY as i64 + 1,
    )
    .fetch_all(tx.conn())
    .await?;
    let workspace = tx.workspace();
    if conversations.len() > SINGLY {
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
    fn refuse(&mut self, line: u64, field: &'static str, message: String) {
        self.refused += 1;
        self.errors.push(Refused {
            line,
            field,
            message,
        });
    }
}

/// The lines of a table with a head, in any order of the columns. What stands in other columns is left alone.
fn parse(file: &[u8]) -> Result<Vec<Line>> {
    let sheet =
        sheet::read(file, MOST_LINES).map_err(|wrong| Error::field("file", wrong.to_string()))?;
    let column = |name: &str| {
        let mut columns = sheet.columns.iter();
        columns.position(|title| title.eq_ignore_ascii_case(name))
    };
    let Some(phone_number) = column("phone_number") else {
        return Err(Error::field(
            "file",
            "the first line must name the columns: phone_number, and if you like number, reason and at",
        ));
    };
    let (number, reason, since) = (column("number"), column("reason"), column("at"));
    let line = |row: &sheet::Row| {
        let cell = |column: Option<usize>| {
            let cell = column.and_then(|column| row.cells.get(column));
            cell.cloned().unwrap_or_default()
        };
        Line {
            at: row.line,
            phone_number: cell(Some(phone_number)),
            number: cell(number),
            reason: cell(reason),
            since: cell(since),
        }
    };
    Ok(sheet.rows.iter().map(line).collect())
}

/// What it means, or which of its columns is wrong and how to mend it.
fn read(
    line: &Line,
    region: &Region,
    ours: &[(NumberId, String)],
    proof: &str,
) -> Result<Wish, (&'static str, String)> {
    let phone = Phone::parse(unguarded(&line.phone_number), region)
        .map_err(|wrong| ("phone_number", wrong.to_string()))?;
    let numbers: Vec<NumberId> = match unguarded(&line.number) {
        "" => ours.iter().map(|(id, _)| *id).collect(),
        text => {
            let phone = Phone::parse(text, region).ok();
            let is_it = |number: &str| {
                number == text || phone.as_ref().is_some_and(|phone| phone.as_str() == number)
            };
            let found = ours.iter().find(|(_, number)| is_it(number));
            let missing =
                || english("none of your numbers: leave it empty for all of them").to_owned();
            vec![found.ok_or_else(|| ("number", missing()))?.0]
        }
    };
    if numbers.is_empty() {
        return Err(("number", english("connect a number first").into()));
    }
    if line.reason.contains('\0') || line.reason.chars().count() > 200 {
        return Err(("reason", english("at most 200 characters").into()));
    }
    let proof = match unguarded(&line.reason) {
        "" => proof.to_owned(),
        reason => format!("{reason} ({proof})"),
    };
    Ok(Wish {
        line: line.at,
        phone,
        numbers,
        proof,
        since: since(&line.since)?,
    })
}

fn since(text: &str) -> Result<Option<DateTime<Utc>>, (&'static str, String)> {
    if text.is_empty() {
        return Ok(None);
    }
    let moment = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    let day = || {
        let day = text.parse::<NaiveDate>().ok()?;
        Some(day.and_hms_opt(0, 0, 0)?.and_utc())
    };
    let past = DateTime::UNIX_EPOCH..=Utc::now();
    moment
        .ok()
        .or_else(day)
        .filter(|at| past.contains(at))
        .map(Some)
        .ok_or_else(|| {
            let message =
                english("a moment of the past, such as 2026-11-01 or 2026-11-01T09:30:00Z");
            ("at", message.into())
        })
}

/// Answers whom it opted out.
async fn write(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    wishes: &[Wish],
    told: &mut Imported,
) -> Result<Vec<ContactId>> {
    let phones: Vec<_> = wishes.iter().map(|wish| wish.phone.as_str()).collect();
    // In the order of the numbers, so that two files at once wait for each other, never crosswise.
    sqlx::query!(
        "insert into contacts (id, phone_number, created_by)
         select new_id(), t.phone, current_user_id() from (select distinct unnest($1::text[]) as phone) t
          order by t.phone
             on conflict (workspace_id, phone_number) do nothing",
        &phones as _,
    )
    .execute(tx.conn())
    .await?;
    let each = || {
        let pairs = wishes.iter().enumerate();
        pairs.flat_map(|(place, wish)| {
            wish.numbers
                .iter()
                .map(move |number| (place, wish, *number))
        })
    };
    let rows = sqlx::query!(
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
               insert into consents (contact_id, number_id, wish, source, proof, actor_name, created_at)
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
            .map(|(_, wish, _)| wish.phone.as_str())
            .collect::<Vec<_>>() as _,
        &each().map(|(.., number)| number).collect::<Vec<_>>() as _,
        &each()
            .map(|(_, wish, _)| wish.proof.as_str())
            .collect::<Vec<_>>() as _,
        &each().map(|(_, wish, _)| wish.since).collect::<Vec<_>>() as _,
        admin.name,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut opted_out = Vec::new();
    for row in rows {
        let line = wishes.get(usize::try_from(row.place).unwrap_or(usize::MAX));
        match (row.added, row.overtaken, line) {
            (true, _, _) => {
                told.imported += 1;
                opted_out.push(row.contact);
            }
            (false, true, Some(wish)) => {
                let message = "they have changed their mind since, by a text or an agent";
                told.refuse(wish.line, "at", message.into());
            }
            (false, ..) => told.already += 1,
        }
    }
    Ok(opted_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(file: &str) -> Vec<Line> {
        parse(file.as_bytes()).unwrap()
    }

    #[test]
    fn columns_may_stand_in_any_order_and_others_beside_them() {
        let file = "\u{feff}at; Name ;PHONE_NUMBER;reason\r\n2026-11-01;Maya;+1 415 555 0192;\"No; thanks\"\r\n\r\n;;4155550193;\r\n";
        let lines = lines(file);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].reason, "No; thanks");
        assert_eq!((lines[0].at, lines[1].at), (2, 4));
        assert_eq!(lines[1].phone_number, "4155550193");
    }

    #[test]
    fn a_file_without_a_head_or_in_another_tongue_is_refused() {
        for file in [&b"+14155550192\n"[..], b"", b"phone\n1\n"] {
            assert!(parse(file).is_err());
        }
        let long = format!("phone_number\n{}", "+14155550192\n".repeat(MOST_LINES + 1));
        assert!(parse(long.as_bytes()).is_err());
    }

    #[test]
    fn a_moment_is_of_the_past() {
        for good in ["2026-11-01", "2020-02-29T10:00:00+01:00"] {
            assert!(since(good).unwrap().is_some(), "{good}");
        }
        for wrong in [
            "yesterday",
            "2999-01-01",
            "1-1-1",
            "01.11.2026",
            "-99999-01-01",
        ] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
        assert_eq!(since("").unwrap(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_file_or_none(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = parse(&bytes);
            let _ = parse(&[b"phone_number,number\n", bytes.as_slice()].concat());
        }

        #[test]
        fn every_line_of_a_written_file_is_read_as_it_was(
            cells in prop::collection::vec(("[^\\x00\r\n]{1,20}", "\\PC{0,20}"), 1..30)
        ) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["phone_number", "reason"]).unwrap();
            for (phone, reason) in &cells {
                writer.write_record([format!("x{phone}x"), reason.clone()]).unwrap();
            }
            let file = writer.into_inner().unwrap();
            let lines = parse(&file).unwrap();
            prop_assert_eq!(lines.len(), cells.len());
            for (line, (phone, reason)) in lines.iter().zip(&cells) {
                prop_assert_eq!(&line.phone_number, &format!("x{phone}x"));
                prop_assert_eq!(line.reason.trim(), reason.trim());
            }
        }

        #[test]
        fn a_line_is_taken_or_refused_by_a_column_that_there_is(phone in ".{0,30}", number in ".{0,20}", at in ".{0,30}") {
            let line = Line { at: 2, phone_number: phone, number, reason: String::new(), since: at };
            let ours = [(NumberId::new(), "+16285550100".to_owned())];
            if let Err((field, message)) = read(&line, &Region::US, &ours, "Imported") {
                prop_assert!(["phone_number", "number", "reason", "at"].contains(&field));
                prop_assert!(!message.is_empty());
            }
        }
    }
}
