//! An agent runs out of credits and gets more.

use fantoccini::key::Key;

use super::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA};

#[tokio::test]
async fn composer_follows_the_credit_balance_without_reload() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let agent = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &agent).await;
    harbor.set_credits(&agent, 1).await;
    let (jo, sam) = Browser::pair(&hub.url("")).await;
    tokio::join!(jo.signs_in(&harbor.admin.email), sam.signs_in(&agent.email));

    sam.follows("Maya Okafor").await;
    sam.sees_in(".composer .credits.low", "1 credit left").await;
    sam.sees_in(".live", "Live").await;
    sam.fills("Message to", "Yes, it is yours").await;
    sam.presses(Key::Enter).await;
    sam.sees_in(".message.outbound", "Yes, it is yours").await;
    sam.sees_in(".blocked", "You’re out of credits").await;
    // The draft stays and is not sent.
    sam.fills("Message to", "Until then").await;
    sam.presses(Key::Enter).await;

    jo.opens(&harbor.admin_page("credits")).await;
    jo.sees_in(".table", "None left").await;
    jo.clicks("100 credits for Sam").await;
    jo.sees_in(".toast", "Credits updated").await;
    sam.sees_in(".composer .credits", "100 credits left").await;
    sam.finds_no(".blocked").await;
    sam.waits_until(
        "it is still there",
        "document.querySelector('.composer textarea').value === 'Until then' && document.querySelectorAll('.message.outbound').length === 1",
    )
    .await;

    jo.follows("Sam").await;
    jo.sees_in(".balance", "100").await;
    jo.sees_in(".table", "Sent a text").await;
    jo.chooses("Action", "Deduct").await;
    jo.fills("Credits", "1,000").await;
    jo.fills("Reason", "too many").await;
    jo.expects_console("status of 422");
    jo.clicks("Save").await;
    jo.sees_in(".error", "The balance can’t fall below zero")
        .await;
    jo.waits_until(
        "what was typed is kept",
        "amount.value === '1,000' && reason.value === 'too many' && how.value === 'take'",
    )
    .await;
    jo.fills("Credits", "95").await;
    jo.clicks("Save").await;
    jo.sees_in(".balance.low", "5").await;
    jo.sees_in(".table", "Deducted · too many").await;
    sam.sees_in(".composer .credits.low", "5 credits left")
        .await;

    jo.opens(&harbor.admin_page("audit?action=credits_changed"))
        .await;
    jo.sees_in(".audit-entry", "Jo Park changed the credits of Sam")
        .await;
    jo.sees_in(".changes", "Balance 100 is now → 5").await;

    // Admins have no credit limit.
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.finds(".composer").await;
    jo.finds_no(".credits").await;
}
