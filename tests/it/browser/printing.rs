//! Printing a conversation.

use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::Browser;
use crate::hub::{Hub, MAYA};

#[tokio::test]
async fn print_contains_the_whole_conversation_and_nothing_else() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor
        .receive_text("+14155550177", "My crown came off")
        .await;
    let maya = harbor.receive_text(MAYA, "The first one").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    for n in 0..20 {
        harbor.receive_text(MAYA, &format!("Question {n}?")).await;
        let answer = format!("Answer {n}. {}", "It takes a while to say. ".repeat(6));
        harbor.reply(&harbor.admin, &maya, &answer).await;
    }
    harbor.add_note(&maya, "Ask her about the bill").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.prefers("dark").await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".list .live", "Live").await;
    jo.sees_in(".list", "My crown came off").await;
    jo.fills("Message to", "Not sent yet").await;
    jo.evaluates("void document.querySelector('.scroller').scrollTo(0, -1e6)")
        .await;
    jo.waits_until(
        "older texts are loaded",
        "document.querySelectorAll('.message .bubble').length > 40",
    )
    .await;
    let loaded = jo
        .evaluates(
            "[...document.querySelectorAll('.message .bubble')].map((it) => it.textContent.trim())",
        )
        .await;

    let pdf = jo
        .runs_command(
            "Page.printToPDF",
            json!({"printBackground": true, "paperWidth": 8.27, "paperHeight": 11.69}),
        )
        .await;
    let pdf = STANDARD.decode(pdf["data"].as_str().unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("thread.pdf");
    std::fs::write(&file, &pdf).unwrap();
    if let Ok(kept) = std::env::var("KEEP_PDF") {
        std::fs::write(kept, &pdf).unwrap();
    }
    let text = Command::new("pdftotext")
        .arg(&file)
        .arg("-")
        .output()
        .unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.matches('\u{c}').count() > 1, "several pages: {text}");
    let printed = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for one in loaded.as_array().unwrap() {
        let one = one
            .as_str()
            .unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert!(printed.contains(&one), "“{one}” is not in {printed}");
    }
    let today = jo
        .evaluates("new Intl.DateTimeFormat(undefined, { dateStyle: 'full' }).format(new Date())")
        .await;
    for there in [
        "Maya Okafor",
        "(415) 555-0192",
        "Jo Park wrote",
        today.as_str().unwrap(),
    ] {
        assert!(printed.contains(there), "“{there}” is not in {printed}");
    }
    for absent in [
        "My crown came off",
        "(415) 555-0177",
        "Not sent yet",
        "Mentions",
        "Edit contact",
        "Live",
        "Today",
    ] {
        assert!(!printed.contains(absent), "“{absent}” is in {printed}");
    }

    // Every page is white with dark text.
    let pictures = Command::new("pdftoppm")
        .args(["-png", "-gray", "-r", "72"])
        .arg(&file)
        .arg(dir.path().join("page"))
        .status()
        .unwrap();
    assert!(pictures.success());
    let pages: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "png"))
        .collect();
    assert!(pages.len() > 1, "{pages:?}");
    for page in pages {
        let picture = image::open(&page).unwrap().into_luma8();
        let white = picture.pixels().filter(|pixel| pixel.0[0] > 250).count();
        let share = white * 100 / picture.pixels().len();
        assert!(share > 75, "{share} % of {} are white", page.display());
        assert!(
            picture.pixels().any(|pixel| pixel.0[0] < 110),
            "{} has no dark text",
            page.display()
        );
    }
}
