//! Pages in Spanish, chosen by the browser or the account; members with different languages in one conversation.

use std::collections::BTreeSet;

use fantoccini::key::Key;
use regex::Regex;
use serde_json::json;

use super::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA, PASSWORD};

/// English texts of the catalogue that the core flow would show if they were not translated.
const ENGLISH: &[&str] = &[
    "Sign in",
    "Forgot your password",
    "Inbox",
    "Connecting",
    "Choose a conversation",
    "Keyboard shortcuts",
    "Assign",
    "Pending",
    "Text message",
    "Delivered",
    "Sending",
    "First contact",
    "Can text",
    "Settings",
    "Account",
];

/// Submits the language form; its button is one of several with that name.
const SAVE: &str = "document.querySelector('[action=\"/account/language\"]').requestSubmit()";

async fn shows_no_english(jo: &Browser) {
    let shown = jo
        .evaluates(
            "document.body.innerText + [...document.querySelectorAll('[aria-label], [title], [placeholder]')]\
             .map((it) => ['aria-label', 'title', 'placeholder'].map((name) => it.getAttribute(name) ?? '').join('\\n')).join('\\n')",
        )
        .await;
    let shown = shown.as_str().unwrap();
    for english in ENGLISH {
        assert!(!shown.contains(english), "“{english}” in {shown}");
    }
}

#[tokio::test]
async fn core_flow_is_fully_in_spanish() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let jo = Browser::start(&hub.url("")).await;

    // Signed out, a button chooses the language. The English text first shows that the assertion can fail.
    jo.opens("/login").await;
    jo.sees("Forgot your password?").await;
    jo.clicks("Español").await;
    jo.sees("¿Olvidaste tu contraseña?").await;
    assert_eq!(jo.evaluates("document.documentElement.lang").await, "es");
    shows_no_english(&jo).await;
    jo.fills("Correo electrónico", &harbor.admin.email).await;
    jo.fills("Contraseña", PASSWORD).await;
    jo.clicks("Iniciar sesión").await;
    jo.is_at("/inbox").await;
    jo.sees_in(".live", "En vivo").await;
    jo.has_title("(1) Bandeja · Harbor Dental").await;
    jo.sees("Elige una conversación").await;
    shows_no_english(&jo).await;

    jo.follows("Maya Okafor").await;
    jo.sees_in(".day", "Hoy").await;
    jo.fills("Mensaje a", "Sí, es suya").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".message.outbound .bubble", "Sí, es suya").await;
    jo.sees_in(".message.outbound .meta", "· Tú").await;
    assert_eq!(hub.run_sender().await, 1);
    hub.twilio.delivers(&hub.twilio.messages()[0].sid).await;
    jo.sees_in(".message.outbound .state", "Entregado").await;
    shows_no_english(&jo).await;

    // A provider's failure reason, and a validation error.
    harbor.reply(&harbor.admin, &maya, "Hasta luego").await;
    assert_eq!(hub.run_sender().await, 1);
    hub.twilio
        .reports_failure(&hub.twilio.messages()[1].sid, "undelivered", 30003)
        .await;
    jo.sees_in(
        ".message.failed",
        "El teléfono está apagado o sin cobertura",
    )
    .await;
    jo.expects_console("status of 422");
    jo.opens("/account").await;
    jo.fills("Contraseña actual", "not the one it is").await;
    jo.fills("Nueva contraseña", "short").await;
    jo.clicks("Cambiar la contraseña").await;
    jo.sees_in(".error", "Usa al menos 10 caracteres").await;
}

#[tokio::test]
async fn two_agents_see_one_conversation_each_in_their_language() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let agent = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &agent).await;
    agent
        .patch("/api/auth/me", json!({"language": "es"}))
        .await
        .expect_status(200);
    let (jo, sam) = Browser::pair(&hub.url("")).await;
    // The account's language applies in any browser.
    tokio::join!(jo.signs_in(&harbor.admin.email), sam.signs_in(&agent.email));
    for one in [&jo, &sam] {
        one.follows("Maya Okafor").await;
        one.sees_in(".message.inbound", "Is 3:30 still free?").await;
    }
    sam.sees_in(".live", "En vivo").await;
    jo.sees_in(".live", "Live").await;

    harbor.reply(&harbor.admin, &maya, "Yes, it is yours").await;
    assert_eq!(hub.run_sender().await, 1);
    hub.twilio.delivers(&hub.twilio.messages()[0].sid).await;
    jo.sees_in(".message.outbound .state", "Delivered").await;
    sam.sees_in(".message.outbound .state", "Entregado").await;
    jo.sees_in(".message.outbound", "wrote:").await;
    sam.sees_in(".message.outbound", "escribió:").await;
}

#[tokio::test]
async fn account_language_overrides_the_browser_and_can_be_reset() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens("/account").await;
    jo.chooses("Language", "Español").await;
    jo.evaluates(SAVE).await;
    jo.sees("Guardado").await;
    jo.sees("Mi cuenta").await;
    let me = harbor.admin.get("/api/auth/me").await.expect_status(200);
    assert_eq!(me["user"]["language"], "es");
    jo.chooses("Idioma", "Igual que el navegador").await;
    jo.evaluates(SAVE).await;
    jo.sees("My account").await;
    let me = harbor.admin.get("/api/auth/me").await.expect_status(200);
    assert!(me["user"]["language"].is_null());
}

#[tokio::test]
async fn times_use_the_zone_and_region_of_the_viewer() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    let shown = |zone: &'static str, region: &'static str| {
        format!(
            "(() => {{ const it = document.querySelector('.message .meta time'); \
              const clock = new Intl.DateTimeFormat('{region}', {{ timeStyle: 'short', timeZone: '{zone}' }}); \
              return [it.textContent, clock.format(new Date(it.dateTime))] }})()"
        )
    };
    let reads = async |zone: &'static str, region: &'static str| {
        jo.runs_command("Emulation.setTimezoneOverride", json!({"timezoneId": zone}))
            .await;
        jo.runs_command("Emulation.setLocaleOverride", json!({"locale": region}))
            .await;
        jo.opens(&harbor.inbox(Some(&maya))).await;
        jo.waits_until(
            "a time in the zone",
            "!document.querySelector('.message .meta time').textContent.includes('UTC')",
        )
        .await;
        let times = jo.evaluates(&shown(zone, region)).await;
        assert_eq!(times[0], times[1], "{zone} {region}");
        times[0].as_str().unwrap().to_owned()
    };
    let american = reads("America/Los_Angeles", "en-US").await;
    assert!(american.ends_with('M'), "{american}");
    let british = reads("Asia/Kolkata", "en-GB").await;
    assert_eq!(british.len(), 5, "24 hours: {british}");
    assert_ne!(american[..american.find(':').unwrap()], british[..2]);

    // Times follow the page's language if it differs from the browser's.
    jo.opens("/account").await;
    jo.chooses("Language", "Español").await;
    jo.evaluates(SAVE).await;
    jo.sees("Mi cuenta").await;
    let spanish = reads("Asia/Kolkata", "es").await;
    assert!(!spanish.contains('M'), "24 hours: {spanish}");
}

/// English messages of the catalogue whose Spanish differs; placeholders match anything.
struct English {
    literals: BTreeSet<String>,
    patterns: Vec<Regex>,
}

impl English {
    fn read() -> Self {
        let file = include_str!("../../../locales/es.po");
        let catalogue = polib::po_file::parse_from_reader(file.as_bytes()).unwrap();
        let placeholder = Regex::new(r"\{\w+\}").unwrap();
        let (mut literals, mut patterns) = (BTreeSet::new(), Vec::new());
        for message in catalogue.messages() {
            let plural = message.msgid_plural().ok();
            let spanish = match message.msgstr_plural() {
                Ok(forms) if message.is_plural() => forms.clone(),
                _ => vec![message.msgstr().unwrap().to_owned()],
            };
            for english in [Some(message.msgid()), plural].into_iter().flatten() {
                if spanish.iter().any(|spanish| spanish == english) || english.contains('<') {
                    continue;
                }
                let both = [english.to_owned(), capitalized(english)];
                if !placeholder.is_match(english) {
                    literals.extend(both);
                    continue;
                }
                // A pattern with hardly any fixed text would match everything.
                let fixed = placeholder.replace_all(english, "");
                if fixed.chars().filter(|c| c.is_alphabetic()).count() >= 6 {
                    patterns.extend(both.map(|english| {
                        let fixed = placeholder.split(&english).map(regex::escape);
                        let pattern = fixed.collect::<Vec<_>>().join(".+");
                        Regex::new(&format!("^{pattern}$")).unwrap()
                    }));
                }
            }
        }
        assert!(literals.len() > 1000 && patterns.len() > 100);
        Self { literals, patterns }
    }

    fn has(&self, text: &str) -> bool {
        self.literals.contains(text) || self.patterns.iter().any(|one| one.is_match(text))
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(chars)
        .collect()
}

/// Names of objects, which are not translated. (The API documentation is in English only.)
const NAMES: &[&str] = &[
    "Sandbox",
    "Sandbox number",
    "November",
    "Body",
    "From",
    "To",
];

/// Every text of the page: visible, in closed menus, dialogs and templates, and for screen readers.
const TEXTS: &str = "(() => { const texts = new Set([document.title]);
    const walk = (root) => { for (const it of root.querySelectorAll('*')) {
        if (it.matches('script, style, code, kbd, [lang]:not(html), [data-words=own]')) continue;
        if (it.content instanceof DocumentFragment) walk(it.content);
        for (const node of it.childNodes) if (node.nodeType === Node.TEXT_NODE) texts.add(node.data.replace(/\\s+/g, ' ').trim());
        for (const name of ['aria-label', 'title', 'placeholder', 'alt', 'data-label', 'data-command', 'data-drop', 'data-title'])
            if (it.hasAttribute(name)) texts.add(it.getAttribute(name).trim()) } };
    walk(document);
    return [...texts].filter(Boolean) })()";

#[tokio::test]
async fn spanish_pages_contain_no_translatable_english() {
    let english = English::read();
    assert!(english.has("Sign in") && english.has("Jo Park assigned this to themselves 5 s ago"));
    let hub = Hub::start().await;
    let harbor = hub.workspace("Puerto Dental").await.with_front_desk().await;
    let sandbox = json!({"provider": "sandbox", "credentials": {}});
    let path = harbor.path("/integrations");
    let sandbox = harbor.admin.post(&path, sandbox).await.expect_status(201);
    let handset = sandbox["numbers"][0]["id"].clone();
    let maya = harbor.receive_text(MAYA, "Hola").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let agent = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &agent).await;
    harbor.reply(&agent, &maya, "Claro que sí").await;
    hub.run_sender().await;
    hub.twilio
        .reports_failure(&hub.twilio.messages()[0].sid, "undelivered", 30003)
        .await;
    harbor.reply(&agent, &maya, "Otra vez").await;
    harbor.add_note(&maya, "@Sam, mira").await;
    let conversation_path = |path: &str| {
        harbor.path(&format!(
            "/conversations/{}{path}",
            maya["id"].as_str().unwrap()
        ))
    };
    for change in [
        json!({"assignee_id": agent.id}),
        json!({"assignee_id": null}),
        json!({"status": "pending"}),
        json!({"status": "done"}),
        json!({"status": "snoozed", "snoozed_until": "2027-01-01T09:00:00Z"}),
    ] {
        harbor
            .admin
            .patch(&conversation_path(""), change)
            .await
            .expect_status(200);
    }
    harbor.receive_text(MAYA, "Gracias").await;
    let stopped = harbor.receive_text("+14155550177", "STOP").await;
    harbor
        .receive_text("+14155550178", "please stop texting me")
        .await;
    let later = chrono::Utc::now() + chrono::TimeDelta::hours(3);
    let later = json!({"conversation_id": maya["id"], "content": "Hasta mañana", "scheduled_at": later.to_rfc3339()});
    harbor
        .admin
        .post(&harbor.path("/messages"), later)
        .await
        .expect_status(202);
    let field = json!({"name": "Nacimiento", "kind": "date"});
    harbor
        .admin
        .post(&harbor.path("/contact-fields"), field)
        .await
        .expect_status(201);
    harbor.tag("Urgente").await;
    let template = json!({"name": "Saludo", "content": "Hola {{first_name}}", "shared": true});
    let path = harbor.path("/templates");
    let template = harbor.admin.post(&path, template).await.expect_status(201)["id"].clone();
    let table = "name,phone_number,Nacimiento\nTomás,+14155550193,mañana\nNadie,none,\n";
    let import = harbor
        .upload_contacts(table, "false")
        .await
        .expect_status(202)["id"]
        .clone();
    let waiting = harbor
        .upload_contacts(table, "true")
        .await
        .expect_status(202)["id"]
        .clone();
    hub.run_imports().await;
    let gone = harbor.receive_text("+14155550179", "STOP").await;
    let gone = harbor.path(&format!(
        "/contacts/{}",
        gone["contact_id"].as_str().unwrap()
    ));
    harbor.admin.delete(&gone).await.expect_status(204);
    let forged = hub.twilio.inbound_text(MAYA, FRONT_DESK, "Falso");
    forged.signed_with("not the token").send().await;
    harbor.invite("kim@puerto.test", "agent").await;
    hub.server.usage_sync.run_once().await.unwrap();

    let jo = Browser::start(&hub.url("")).await;
    jo.expects_console("status of 404")
        .expects_console("status of 422");
    let mut found = BTreeSet::new();
    let mut reads = async |page: &str| {
        for text in jo.evaluates(TEXTS).await.as_array().unwrap() {
            let text = text.as_str().unwrap();
            if english.has(text) && !NAMES.contains(&text) {
                found.insert(format!("{page}: {text}"));
            }
        }
    };
    jo.opens("/login").await;
    jo.clicks("Español").await;
    jo.sees("¿Olvidaste tu contraseña?").await;
    for path in [
        "/login",
        "/signup",
        "/forgot-password",
        "/reset-password/none",
        "/invitations/none",
        "/offline",
    ] {
        jo.opens(path).await;
        reads(path).await;
    }
    jo.opens("/login").await;
    jo.fills("Correo electrónico", &harbor.admin.email).await;
    jo.fills("Contraseña", PASSWORD).await;
    jo.clicks("Iniciar sesión").await;
    jo.sees_in(".live", "En vivo").await;

    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let (number, contact) = (harbor.number(FRONT_DESK).await, text(&maya["contact_id"]));
    let inbox = harbor.inbox(None);
    let mut paths = vec![
        inbox.clone(),
        format!("{inbox}?q=zzz"),
        format!("{inbox}?q=hola"),
        format!("{inbox}?tab=snoozed"),
        format!("{inbox}?tab=mentions"),
        harbor.inbox(Some(&maya)),
        harbor.inbox(Some(&stopped)),
        format!("{}/contact", harbor.inbox(Some(&maya))),
        format!("/sandbox/{}", text(&handset)),
        "/account".into(),
        "/workspaces".into(),
        "/nothing/here".into(),
    ];
    let here = [
        "send",
        "scheduled",
        "settings",
        "templates",
        "templates/new",
        "templates?q=zzz",
        "contacts",
        "contacts?q=zzz",
        "contacts/new",
        "contacts/import",
        "admin/members",
        "admin/members?q=zzz",
        "admin/access",
        "admin/credits",
        "admin/credits?only=low",
        "admin/numbers",
        "admin/numbers?q=zzz",
        "admin/integrations",
        "admin/integrations/access",
        "admin/fields",
        "admin/opt-outs",
        "admin/opt-outs?q=zzz",
        "admin/usage",
        "admin/webhooks",
        "admin/workspace",
        "admin/audit",
        "admin/audit?action=member_left",
    ];
    let of_one = [
        format!("templates/{}", text(&template)),
        format!("contacts/{contact}"),
        format!("contacts/{contact}/edit"),
        format!("contacts/{contact}/merge"),
        format!(
            "contacts/{contact}/merge?with={}",
            text(&stopped["contact_id"])
        ),
        format!("contacts/{contact}/remove"),
        format!("contacts/imports/{}", text(&import)),
        format!("contacts/imports/{}", text(&waiting)),
        format!("admin/access/{number}"),
        format!("admin/numbers/{number}"),
        format!("admin/credits/{}", agent.id),
    ];
    let here = here.map(str::to_owned).into_iter().chain(of_one);
    paths.extend(here.map(|path| format!("/w/{}/{path}", harbor.slug)));
    for path in &paths {
        jo.opens(path).await;
        reads(path).await;
    }
    assert!(found.is_empty(), "{found:#?}");
}
