//! Pages of a thread around a result.

use serde_json::{Value, json};

use crate::hub::{Hub, MAYA, Person};

/// A part of a thread as the page renders it.
struct Window {
    /// Messages, notes and activity entries, from the top.
    ids: Vec<String>,
    older: Option<(String, String)>,
    newer: Option<(String, String)>,
}

impl Window {
    async fn load(who: &Person, path: &str, frame: &str) -> Self {
        let request = who.request(reqwest::Method::GET, path);
        let answer = who.ask(request.header("turbo-frame", frame)).await;
        assert_eq!(answer.status, 200, "{path}");
        Self::read(&answer.body)
    }

    fn read(html: &str) -> Self {
        let attribute = |tag: &str, name: &str| {
            let value = tag
                .split(&format!(" {name}=\""))
                .nth(1)?
                .split('"')
                .next()?;
            Some(value.replace("&#38;", "&").replace("&amp;", "&"))
        };
        let mut ids = Vec::new();
        let (mut older, mut newer) = (None, None);
        for tag in html.split('<').map(|tag| tag.split('>').next().unwrap()) {
            let id = attribute(tag, "id").unwrap_or_default();
            if id.starts_with("message-") || id.starts_with("event-") {
                ids.push(id);
            } else if id.starts_with("texts-")
                && let Some(src) = attribute(tag, "src")
            {
                match tag.contains("class=\"newer\"") {
                    true => newer = Some((id, src)),
                    false => older = Some((id, src)),
                }
            }
        }
        Self { ids, older, newer }
    }
}

#[tokio::test]
async fn context_pages_around_a_result_join_without_gaps() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Text number 0.").await;
    let id = maya["id"].as_str().unwrap();
    let path = harbor.path(&format!("/conversations/{id}"));
    let set_status = async |status: &str| {
        harbor
            .admin
            .patch(&path, json!({"status": status}))
            .await
            .expect_status(200);
    };
    for nth in 1..130 {
        harbor
            .receive_text(MAYA, &format!("Text number {nth}."))
            .await;
        // After any message, so also at the ends of a frame.
        match nth % 3 {
            0 => set_status("pending").await,
            1 => set_status("done").await, // the next text reopens it
            _ if nth % 7 == 0 => drop(harbor.add_note(&maya, "Seen").await),
            _ => {}
        }
    }
    harbor.receive_text(MAYA, "STOP").await;
    set_status("done").await;
    let texts = harbor.thread(&maya).await;
    let lines = harbor.activity(&maya).await;
    let named =
        |kind: &'static str| move |one: &Value| format!("{kind}-{}", one["id"].as_str().unwrap());
    let mut all: Vec<_> = texts.iter().map(named("message")).collect();
    all.extend(lines.iter().map(named("event")));
    all.sort_by_key(|id| id.split_once('-').unwrap().1.to_owned());
    assert!(lines.len() > 80 && texts.len() > 130);

    let base = format!("/w/{}/inbox/{id}", harbor.slug);
    for sought in [
        "Text number 0.",
        "Text number 60.",
        "Text number 129.",
        "STOP",
    ] {
        let text = texts.iter().find(|text| text["content"] == sought).unwrap();
        let at = text["id"].as_str().unwrap();
        let first = Window::load(&harbor.admin, &format!("{base}?at={at}"), "conversation").await;
        let here = all.iter().position(|id| id.ends_with(at)).unwrap();
        for near in &all[here.saturating_sub(3)..(here + 4).min(all.len())] {
            assert!(
                first.ids.contains(near),
                "{sought}: {near} is not around it"
            );
        }
        let mut seen = first.ids;
        let mut older = first.older;
        while let Some((frame, src)) = older {
            let above = Window::load(&harbor.admin, &src, &frame).await;
            assert!(above.newer.is_none());
            seen.splice(0..0, above.ids);
            older = above.older;
        }
        let mut newer = first.newer;
        while let Some((frame, src)) = newer {
            let below = Window::load(&harbor.admin, &src, &frame).await;
            assert!(below.older.is_none());
            seen.extend(below.ids);
            newer = below.newer;
        }
        assert_eq!(seen, all, "{sought}");
    }
}
