//! The pages in another language: chosen by the browser, by its person, and each agent's own in the same room.

use fantoccini::key::Key;
use serde_json::json;

use super::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA, PASSWORD};

/// What nobody may read on a Spanish page: sentences that are said on the way, as the catalogue has them in English.
const ENGLISH: &[&str] = &[
    "Sign in",
    "Forgot your password",
    "Inbox",
    "Connecting",
    "Pick a conversation",
    "Keyboard shortcuts",
    "Assign",
    "Pending",
    "Text message",
    "Delivered",
    "Sending",
    "Contact since",
    "May be texted",
    "Settings",
    "Account",
];

/// The button beside it: there are several of its name.
const SAVE: &str = "document.querySelector('[action=\"/account/language\"]').requestSubmit()";

async fn reads_no_english(jo: &Browser) {
    let shown = jo
        .measures(
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
async fn from_the_sign_in_to_an_answer_everything_is_said_in_spanish() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.hears(MAYA, "Is 3:30 still free?").await;
    harbor.knows(&maya, "Maya Okafor").await;
    let jo = Browser::start(&hub.url("")).await;

    // Before one is signed in a button says so; English shows first that the words are looked for where they stand.
    jo.opens("/login").await;
    jo.sees("Forgot your password?").await;
    jo.clicks("Español").await;
    jo.sees("¿Has olvidado tu contraseña?").await;
    assert_eq!(jo.measures("document.documentElement.lang").await, "es");
    reads_no_english(&jo).await;
    jo.fills("Correo electrónico", &harbor.admin.email).await;
    jo.fills("Contraseña", PASSWORD).await;
    jo.clicks("Iniciar sesión").await;
    jo.is_at("/inbox").await;
    jo.sees_in(".live", "En vivo").await;
    jo.reads_title("(1) Bandeja · Harbor Dental").await;
    jo.sees("Elige una conversación").await;
    reads_no_english(&jo).await;

    jo.follows("Maya Okafor").await;
    jo.sees_in(".day", "Hoy").await;
    jo.fills("Mensaje a", "Sí, es suya").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".message.outbound .bubble", "Sí, es suya").await;
    jo.sees_in(".message.outbound .meta", "· Tú").await;
    assert_eq!(hub.sends().await, 1);
    hub.twilio.delivers(&hub.twilio.messages()[0].sid).await;
    jo.sees_in(".message.outbound .state", "Entregado").await;
    reads_no_english(&jo).await;

    // What the provider says of a failure, and a refusal of ours.
    harbor.answers(&harbor.admin, &maya, "Hasta luego").await;
    assert_eq!(hub.sends().await, 1);
    hub.twilio
        .reports_failure(&hub.twilio.messages()[1].sid, "undelivered", 30003)
        .await;
    jo.sees_in(
        ".message.failed",
        "El teléfono está apagado o sin cobertura",
    )
    .await;
    jo.foresees("status of 422");
    jo.opens("/account").await;
    jo.fills("Contraseña actual", "not the one it is").await;
    jo.fills("Nueva contraseña", "short").await;
    jo.clicks("Cambiar la contraseña").await;
    jo.sees_in(".error", "De 10 a 200 caracteres").await;
}

#[tokio::test]
async fn two_agents_in_one_room_each_read_their_own_language() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.hears(MAYA, "Is 3:30 still free?").await;
    harbor.knows(&maya, "Maya Okafor").await;
    let agent = harbor.agent("Sam").await;
    harbor.assigns(FRONT_DESK, &agent).await;
    agent
        .patch("/api/auth/me", json!({"language": "es"}))
        .await
        .is(200);
    let (jo, sam) = Browser::pair(&hub.url("")).await;
    // What somebody chose once follows them to any browser.
    tokio::join!(jo.signs_in(&harbor.admin.email), sam.signs_in(&agent.email));
    for one in [&jo, &sam] {
        one.follows("Maya Okafor").await;
        one.sees_in(".message.inbound", "Is 3:30 still free?").await;
    }
    sam.sees_in(".live", "En vivo").await;
    jo.sees_in(".live", "Live").await;

    harbor
        .answers(&harbor.admin, &maya, "Yes, it is yours")
        .await;
    assert_eq!(hub.sends().await, 1);
    hub.twilio.delivers(&hub.twilio.messages()[0].sid).await;
    jo.sees_in(".message.outbound .state", "Delivered").await;
    sam.sees_in(".message.outbound .state", "Entregado").await;
    jo.sees_in(".message.outbound", "wrote:").await;
    sam.sees_in(".message.outbound", "escribió:").await;
}

#[tokio::test]
async fn a_language_is_chosen_in_the_account_and_given_back_to_the_browser() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens("/account").await;
    jo.chooses("Pages and mails speak", "Español").await;
    jo.measures(SAVE).await;
    jo.sees("Guardado").await;
    jo.sees("Mi cuenta").await;
    let me = harbor.admin.get("/api/auth/me").await.is(200);
    assert_eq!(me["user"]["language"], "es");
    jo.chooses("Páginas y correos en", "Como mi navegador")
        .await;
    jo.measures(SAVE).await;
    jo.sees("My account").await;
    let me = harbor.admin.get("/api/auth/me").await.is(200);
    assert!(me["user"]["language"].is_null());
}

#[tokio::test]
async fn times_are_those_of_the_viewers_zone_and_region() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.hears(MAYA, "Is 3:30 still free?").await;
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
        jo.tells("Emulation.setTimezoneOverride", json!({"timezoneId": zone}))
            .await;
        jo.tells("Emulation.setLocaleOverride", json!({"locale": region}))
            .await;
        jo.opens(&harbor.inbox(Some(&maya))).await;
        jo.notices(
            "a time in the zone",
            "!document.querySelector('.message .meta time').textContent.includes('UTC')",
        )
        .await;
        let times = jo.measures(&shown(zone, region)).await;
        assert_eq!(times[0], times[1], "{zone} {region}");
        times[0].as_str().unwrap().to_owned()
    };
    let american = reads("America/Los_Angeles", "en-US").await;
    assert!(american.ends_with('M'), "{american}");
    let british = reads("Asia/Kolkata", "en-GB").await;
    assert_eq!(british.len(), 5, "24 hours: {british}");
    assert_ne!(american[..american.find(':').unwrap()], british[..2]);

    // A page in another language than the browser's speaks of times as that language does.
    jo.opens("/account").await;
    jo.chooses("Pages and mails speak", "Español").await;
    jo.measures(SAVE).await;
    jo.sees("Mi cuenta").await;
    let spanish = reads("Asia/Kolkata", "es").await;
    assert!(!spanish.contains('M'), "24 hours: {spanish}");
}
