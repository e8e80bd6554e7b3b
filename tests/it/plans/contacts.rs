//! The cost of indexing a contact.

use sqlx::{Connection, PgConnection};

use super::log::Log;
use super::receive::{FILL, NEVER_ANALYZED, NO_AUTOVACUUM};
use super::run;
use crate::hub::{Hub, empty_database, superuser};

/// An import of many contacts indexes each of them before anything analyzes the table.
#[tokio::test]
async fn indexing_a_contact_reads_few_blocks_without_statistics() {
    let database = empty_database().await;
    let root = superuser(&database);
    let mut owner = PgConnection::connect_with(&root).await.unwrap();
    run(&mut owner, NO_AUTOVACUUM).await;
    let hub = Hub::start_with(database, &[]).await;
    let _harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    run(&mut owner, FILL).await;
    run(&mut owner, NEVER_ANALYZED).await;
    let log = Log::open(&mut owner).await;

    let mut logged = PgConnection::connect_with(&root).await.unwrap();
    let contacts: Vec<(uuid::Uuid, uuid::Uuid)> = sqlx::query_as(
        "select workspace_id, id from contacts where phone_number like '+1500001000%' order by id",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert!(contacts.len() > 5);
    let mut blocks = Vec::new();
    for (workspace, contact) in contacts {
        let end = log.end();
        sqlx::query("select index_contact($1, $2)")
            .bind(workspace)
            .bind(contact)
            .execute(&mut logged)
            .await
            .unwrap();
        let statements = log.since(end);
        let call = statements
            .iter()
            .find(|statement| statement.summary().contains("select index_contact("))
            .expect("the call is logged");
        blocks.push(call.cost().blocks);
    }
    // The first call also reads the catalogue. Each of the others reads its contact and its conversations by key.
    assert!(blocks[1..].iter().all(|&read| read < 60), "{blocks:?}");
}
