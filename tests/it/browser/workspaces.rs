//! Creating, switching and deleting workspaces.

use super::Browser;
use crate::hub::Hub;

#[tokio::test]
async fn workspace_is_created_switched_and_deleted_by_name() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.expects_console("status of 422");
    jo.signs_in(&harbor.admin.email).await;
    jo.clicks("Account").await;
    jo.follows("All workspaces, or create one").await;
    jo.sees_in(".link-list", "Harbor Dental").await;
    jo.fills("Name", "Bay Orthodontics").await;
    jo.clicks("Create workspace").await;
    jo.is_at("/w/bay-orthodontics/inbox").await;
    jo.clicks("Account").await;
    jo.follows("Harbor Dental").await;
    jo.is_at("/w/harbor-dental/inbox").await;

    jo.opens("/w/bay-orthodontics/admin/workspace").await;
    jo.fills("Name", "Bay Orthodontics & Co.").await;
    jo.chooses("Country", "Germany").await;
    jo.fills("Starting credits", "many").await;
    jo.clicks("Save").await;
    jo.sees_in(".error", "Enter a number from 0 to 1,000,000")
        .await;
    jo.waits_until(
        "what was typed is kept",
        "default_region.value === 'DE' && starting_credits.value === 'many'",
    )
    .await;
    jo.fills("Starting credits", "50").await;
    jo.clicks("Save").await;
    jo.sees_in(".toast", "Saved").await;

    jo.clicks("Delete…").await;
    jo.fills("Workspace name", "Bay Orthodontics").await;
    jo.clicks("Delete permanently").await;
    jo.sees_in(".error", "exactly as shown").await;
    assert_eq!(hub.count("select count(*) from workspaces").await, 2);
    jo.fills("Workspace name", "Bay Orthodontics & Co.").await;
    jo.clicks("Delete permanently").await;
    jo.sees_in(".toast", "Workspace deleted").await;
    jo.sees_no(".link-list", "Bay Orthodontics").await;
    assert_eq!(hub.count("select count(*) from workspaces").await, 1);
}

#[tokio::test]
async fn user_without_workspace_can_create_one() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let agent = harbor.agent("Sam").await;
    let sam = Browser::start(&hub.url("")).await;
    sam.signs_in(&agent.email).await;
    sam.follows("Settings").await;
    sam.fills("Signature", "Sam").await;
    sam.sees_in(".preview", "See you on Thursday! Sam").await;
    sam.clicks("Save").await;
    sam.sees_in(".toast", "Saved").await;
    sam.clicks("Leave…").await;
    sam.clicks("Leave workspace").await;
    sam.sees("No workspaces yet").await;
    sam.fills("Name", "Sam’s").await;
    sam.clicks("Create workspace").await;
    sam.is_at("/w/sam-s/inbox").await;
}
