//! Records what became of each row, and the progress.

use super::lease::LEASE_SECONDS;
use crate::db::WorkspaceTx;
use crate::error::Result;
use crate::ids::ImportId;

pub(super) type RowOutcomes = Vec<(i32, &'static str, Option<String>)>;

pub(super) async fn record_outcomes(
    tx: &mut WorkspaceTx,
    id: ImportId,
    row_outcomes: RowOutcomes,
) -> Result<()> {
    let (mut lines, mut outcomes, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    for (line, outcome, reason) in row_outcomes {
        lines.push(line);
        outcomes.push(outcome);
        reasons.push(reason);
    }
    sqlx::query!(
        "with stored as (
             update contact_import_rows r set outcome = t.outcome, reason = t.reason
               from unnest($2::int[], $3::text[], $4::text[]) as t (line, outcome, reason)
              where r.import_id = $1 and r.line = t.line
             returning r.outcome
         )
         update contact_imports i
            set done = i.done + n.done, added = i.added + n.added, updated = i.updated + n.updated,
                skipped = i.skipped + n.skipped, refused = i.refused + n.refused,
                lease_until = now() + make_interval(secs => $5)
           from (select count(*)::int as done, (count(*) filter (where outcome = 'added'))::int as added,
                        (count(*) filter (where outcome = 'updated'))::int as updated,
                        (count(*) filter (where outcome = 'skipped'))::int as skipped,
                        (count(*) filter (where outcome = 'refused'))::int as refused
                   from stored) n
          where i.id = $1",
        id as _,
        &lines,
        &outcomes as _,
        &reasons as _,
        LEASE_SECONDS,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
