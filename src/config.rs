//! All settings, read once at the start. An invalid value stops the start with one line that says what is accepted.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use lettre::message::Mailbox;
use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use url::Url;

use crate::{keys, mail, push, storage};

mod values;

/// Name, default and description of an environment variable, as in `--help`, `.env.example` and `docs/DEPLOY.md`.
pub struct Variable {
    pub name: &'static str,
    pub default: &'static str,
    pub meaning: &'static str,
}

macro_rules! variables {
    ($($(#[doc = $doc:literal])+ $name:ident = $default:literal;)+) => {
        pub const VARIABLES: &[Variable] = &[$(Variable {
            name: stringify!($name),
            default: $default,
            meaning: concat!($($doc),+),
        }),+];
    };
}

variables! {
    /// Address and port to listen on.
    BIND_ADDR = "127.0.0.1:3000";
    /// The public origin, such as https://inbox.example.com. Webhook URLs and signatures are computed from it; cookies
    /// are Secure when it is https. Default: http:// and BIND_ADDR.
    BASE_URL = "";
    /// The PostgreSQL server to use, version 14 or newer, as postgres://user:password@host/database. Without it the
    /// server runs an embedded one in DATA_DIR.
    DATABASE_URL = "";
    /// Maximum database connections for requests, and as many for background work: 2 to 100.
    DATABASE_CONNECTIONS = "12";
    /// Directory of the embedded database, media and generated keys.
    DATA_DIR = "./data";
    /// Secret that signs access tokens; at least 32 characters. Generated in DATA_DIR on the first start.
    JWT_SECRET = "";
    /// Keys that encrypt stored credentials: id:base64key[,id:base64key…], 32 bytes each; the first one encrypts.
    /// Generated in DATA_DIR on the first start.
    MASTER_KEYS = "";
    /// Private key that identifies this server to web push services (VAPID): curve P-256, 32 bytes in base64url.
    /// Generated in DATA_DIR on the first start; changing it ends all push subscriptions.
    VAPID_PRIVATE_KEY = "";
    /// Hosts of push services, separated by commas, that may be internal or use plain http: for tests and closed
    /// networks.
    PUSH_INSIDE = "";
    /// Seconds without activity in any window of a member before push notifications are sent to their browsers. An open
    /// page reports activity every 30 seconds.
    AWAY_AFTER = "75";
    /// Where media are stored: file:///directory, or s3://bucket/prefix in any S3-compatible store, configured with
    /// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT and so on. Default: the directory media in
    /// DATA_DIR.
    MEDIA_URL = "";
    /// Who may sign up. open: anyone signs up and creates workspaces; invite: new users need an invitation, and only
    /// admins create further workspaces; closed: users and workspaces are created on the command line only. Default:
    /// open until the first workspace exists, then invite.
    SIGNUPS = "";
    /// How many workspaces one user may create: 1 to 10000. The command line has no limit.
    WORKSPACES_PER_PERSON = "10";
    /// Base URL of Twilio's API; another host for tests, proxies and regions.
    TWILIO_API_BASE_URL = "https://api.twilio.com";
    /// Base URL of Telnyx's API; another host for tests, proxies and regions.
    TELNYX_API_BASE_URL = "https://api.telnyx.com";
    /// The SMTP server for emails: smtp://user:password@host:port, with ?tls=required for STARTTLS, or smtps://.
    /// Without it emails are written to the log.
    SMTP_URL = "";
    /// Sender of emails, such as MessageHub <inbox@example.com>. Default: messagehub@ and the host of BASE_URL.
    MAIL_FROM = "";
    /// Proxies in front of this server, as addresses or prefixes separated by commas: their X-Forwarded-For is trusted.
    TRUSTED_PROXIES = "127.0.0.0/8,::1";
    /// Maximum open WebSockets per member: 1 to 1000000. Further ones are closed with code 1013.
    SOCKETS_PER_MEMBER = "500";
    /// Maximum open WebSockets per address: 1 to 1000000. Further ones are closed with code 1013.
    SOCKETS_PER_ADDRESS = "5000";
    /// Log filter, such as info or messagehub=debug.
    RUST_LOG = "info";
    /// Log format: text or json.
    LOG_FORMAT = "text";
}

#[derive(Clone)]
pub struct Config {
    pub bind_addr: SocketAddr,
    pub base_url: Url,
    pub database: Option<PgConnectOptions>,
    pub database_connections: u32,
    pub data_dir: PathBuf,
    pub jwt_secret: Option<SecretString>,
    pub master_keys: Option<std::sync::Arc<keys::MasterKeys>>,
    pub vapid_key: Option<SecretString>,
    pub push_inside: Vec<String>,
    pub away_after: Duration,
    pub media: storage::StorageLocation,
    pub signups: Option<Signups>,
    pub workspaces_per_person: u32,
    pub twilio_api: Url,
    pub telnyx_api: Url,
    pub smtp: Option<mail::Relay>,
    pub mail_from: Mailbox,
    pub trusted_proxies: Vec<IpNet>,
    pub sockets_per_member: usize,
    pub sockets_per_address: usize,
    pub log: String,
    pub log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signups {
    Open,
    Invite,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, thiserror::Error)]
#[error("{name}={shown} is not right: {accepted}")]
pub struct Error {
    pub name: &'static str,
    pub shown: String,
    pub accepted: String,
}

/// Values by variable name. An empty value counts as not set.
struct Settings(HashMap<String, String>);

impl Settings {
    fn get(&self, name: &'static str) -> Option<&str> {
        self.0
            .get(name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    fn parse<T, E: ToString>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Error> {
        self.get(name)
            .map(|value| {
                parse(value).map_err(|accepted| Error {
                    name,
                    shown: masked(name, value),
                    accepted: accepted.to_string(),
                })
            })
            .transpose()
    }

    /// Values with commas in between.
    fn list(&self, name: &'static str) -> Vec<String> {
        let values = self.get(name).into_iter();
        values
            .flat_map(|value| value.split(','))
            .map(|value| value.trim().to_owned())
            .collect()
    }

    /// The standard AWS_… variables give the credentials of a bucket.
    fn storage(&self, url: &str) -> Result<storage::StorageLocation, String> {
        let aws = self.0.iter().filter(|(name, _)| name.starts_with("AWS_"));
        let aws = aws.map(|(name, value)| (name.clone(), value.clone()));
        storage::StorageLocation::parse(url, &aws.collect())
    }
}

/// The value for an error message; secrets and URLs that may hold a password are masked.
fn masked(name: &str, value: &str) -> String {
    // A bucket URL holds an @ only with credentials.
    if [
        "JWT_SECRET",
        "MASTER_KEYS",
        "VAPID_PRIVATE_KEY",
        "DATABASE_URL",
        "SMTP_URL",
    ]
    .contains(&name)
        || (name == "MEDIA_URL" && value.contains('@'))
    {
        "***".into()
    } else {
        value.into()
    }
}

impl Config {
    /// Reads the environment, and `.env` for variables that the environment does not set.
    pub fn from_env() -> Result<Self, Error> {
        let mut settings: HashMap<String, String> = match dotenvy::from_path_iter(".env") {
            Ok(entries) => entries.collect::<Result<_, _>>().map_err(|error| Error {
                name: ".env",
                shown: String::new(),
                accepted: format!("one NAME=value per line ({error})"),
            })?,
            Err(_) => HashMap::new(),
        };
        settings.extend(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }));
        Self::read(settings)
    }

    /// A variable that is no setting of the server, such as those of `import-env`.
    pub fn other(name: &str) -> Option<String> {
        let in_file = || {
            let mut entries = dotenvy::from_path_iter(".env").ok()?.filter_map(Result::ok);
            entries.find_map(|(key, value)| (key == name).then_some(value))
        };
        let value = std::env::var(name).ok().or_else(in_file)?;
        Some(value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    pub fn read(settings: HashMap<String, String>) -> Result<Self, Error> {
        let settings = Settings(settings);
        let bind_addr = settings
            .parse("BIND_ADDR", values::bind_address)?
            .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 3000)));
        let base_url = match settings.parse("BASE_URL", values::origin)? {
            Some(url) => url,
            None => {
                Url::parse(&format!("http://{bind_addr}")).expect("an address and port make a URL")
            }
        };
        let data_dir = PathBuf::from(settings.get("DATA_DIR").unwrap_or("./data"));
        let media = settings
            .parse("MEDIA_URL", |value| settings.storage(value))?
            .unwrap_or_else(|| storage::StorageLocation::Directory(data_dir.join("media")));
        let mail_from = settings
            .parse("MAIL_FROM", values::mailbox)?
            .unwrap_or_else(|| mail::from_host(&base_url));
        Ok(Self {
            bind_addr,
            base_url,
            database: settings.parse("DATABASE_URL", values::database)?,
            database_connections: settings
                .parse("DATABASE_CONNECTIONS", values::database_connections)?
                .unwrap_or(12),
            data_dir,
            media,
            jwt_secret: settings.parse("JWT_SECRET", values::jwt_secret)?,
            vapid_key: settings.parse("VAPID_PRIVATE_KEY", |value| {
                push::VapidKey::parse(value).map(|_| SecretString::from(value))
            })?,
            push_inside: settings.list("PUSH_INSIDE"),
            away_after: settings
                .parse("AWAY_AFTER", values::up_to_a_day)?
                .unwrap_or(Duration::from_secs(75)),
            master_keys: settings
                .parse("MASTER_KEYS", keys::MasterKeys::parse)?
                .map(Into::into),
            signups: settings.parse("SIGNUPS", values::signups)?,
            workspaces_per_person: settings
                .parse("WORKSPACES_PER_PERSON", values::workspaces_per_person)?
                .unwrap_or(10),
            twilio_api: settings
                .parse("TWILIO_API_BASE_URL", values::origin)?
                .unwrap_or_else(|| Url::parse("https://api.twilio.com").expect("a constant")),
            telnyx_api: settings
                .parse("TELNYX_API_BASE_URL", values::origin)?
                .unwrap_or_else(|| Url::parse("https://api.telnyx.com").expect("a constant")),
            smtp: settings.parse("SMTP_URL", |value| mail::relay(value, &mail_from))?,
            mail_from,
            trusted_proxies: settings
                .parse("TRUSTED_PROXIES", values::prefixes)?
                .unwrap_or_else(|| values::prefixes("127.0.0.0/8,::1").expect("a constant")),
            sockets_per_member: settings
                .parse("SOCKETS_PER_MEMBER", values::sockets)?
                .unwrap_or(500),
            sockets_per_address: settings
                .parse("SOCKETS_PER_ADDRESS", values::sockets)?
                .unwrap_or(5_000),
            log: settings
                .parse("RUST_LOG", values::log_filter)?
                .unwrap_or_else(|| "info".into()),
            log_format: settings
                .parse("LOG_FORMAT", values::log_format)?
                .unwrap_or(LogFormat::Text),
        })
    }

    pub fn is_https(&self) -> bool {
        self.base_url.scheme() == "https"
    }

    /// Whether mails reach their recipients. Without a relay they go to the log, and pages show links instead.
    pub fn sends_mail(&self) -> bool {
        self.smtp.is_some()
    }

    /// The public URL of `path`, which begins with a slash.
    pub fn public(&self, path: &str) -> String {
        format!("{}{path}", self.base_url.origin().ascii_serialization())
    }
}

pub fn help() -> String {
    let mut text = String::from("Environment (.env is read when present):\n");
    for Variable {
        name,
        default,
        meaning,
    } in VARIABLES
    {
        let default = if default.is_empty() {
            String::new()
        } else {
            format!(" [default: {default}]")
        };
        text.push_str(&format!("  {name}{default}\n     {meaning}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<Config, Error> {
        Config::read(
            settings
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
        )
    }

    #[test]
    fn without_settings_everything_has_its_default() {
        let config = read(&[("BASE_URL", "  ")]).expect("defaults are valid");
        assert_eq!(config.public("/login"), "http://127.0.0.1:3000/login");
        assert_eq!(config.data_dir, PathBuf::from("./data"));
        assert!(config.database.is_none() && !config.is_https());
    }

    #[test]
    fn a_wrong_value_is_named_with_what_is_accepted_and_secrets_are_masked() {
        for (name, value) in [
            ("BIND_ADDR", "3000"),
            ("BASE_URL", "inbox.example.com"),
            ("BASE_URL", "https://inbox.example.com/sms"),
            ("DATABASE_URL", "mysql://root:hunter2@localhost"),
            ("DATABASE_CONNECTIONS", "1"),
            ("JWT_SECRET", "hunter2"),
            ("MASTER_KEYS", "k1:hunter2"),
            ("MEDIA_URL", "/var/lib/media"),
            ("MEDIA_URL", "s3://"),
            ("MEDIA_URL", "s3://key:hunter2@bucket/"),
            ("SIGNUPS", "yes"),
            ("WORKSPACES_PER_PERSON", "0"),
            ("WORKSPACES_PER_PERSON", "ten"),
            ("TWILIO_API_BASE_URL", "ftp://twilio"),
            ("TELNYX_API_BASE_URL", "https://api.telnyx.com/v2"),
            ("SMTP_URL", "smtp.example.com"),
            ("SMTP_URL", "http://jo:hunter2@smtp.example.com"),
            ("SMTP_URL", "smtp://jo:hunter2@smtp.example.com?tls=maybe"),
            ("SMTP_URL", "smtps://"),
            ("MAIL_FROM", "MessageHub"),
            ("MAIL_FROM", "MessageHub <inbox@>"),
            ("TRUSTED_PROXIES", "proxy.example.com"),
            ("TRUSTED_PROXIES", "10.0.0.0/8,"),
            ("TRUSTED_PROXIES", "10.0.0.0/33"),
            ("SOCKETS_PER_MEMBER", "0"),
            ("SOCKETS_PER_MEMBER", "many"),
            ("SOCKETS_PER_ADDRESS", "-1"),
            ("SOCKETS_PER_ADDRESS", "1000001"),
            ("RUST_LOG", "messagehub=loud"),
            ("LOG_FORMAT", "xml"),
        ] {
            let line = read(&[(name, value)]).err().expect(name).to_string();
            assert!(
                line.starts_with(&format!("{name}=")) && !line.contains('\n'),
                "{line}"
            );
            assert!(!line.contains("hunter2"), "{line}");
        }
    }

    #[test]
    fn mails_come_from_the_host_of_the_public_origin_unless_said_otherwise() {
        for (base_url, from) in [
            ("https://inbox.example.com", "messagehub@inbox.example.com"),
            ("http://localhost:3000", "messagehub@localhost"),
            ("http://127.0.0.1:3000", "messagehub@localhost"),
            ("http://[::1]:3000", "messagehub@localhost"),
            (
                "https://büro.example.com",
                "messagehub@xn--bro-hoa.example.com",
            ),
        ] {
            let config = read(&[("BASE_URL", base_url)]).expect(base_url);
            assert_eq!(config.mail_from.to_string(), format!("MessageHub <{from}>"));
        }
        let config = read(&[("MAIL_FROM", "Zoë's <inbox@example.com>")]).expect("a mailbox");
        assert_eq!(config.mail_from.email.to_string(), "inbox@example.com");
    }

    #[test]
    fn a_relay_may_want_tls_and_a_password() {
        for url in [
            "smtp://localhost",
            "smtp://localhost:2525",
            "smtp://jo%40example.com:p%3Ass@smtp.example.com?tls=required",
            "smtp://smtp.example.com/inbox.example.com?tls=opportunistic",
            "smtps://jo:secret@[::1]:465",
        ] {
            let config = read(&[("SMTP_URL", url)]).unwrap_or_else(|wrong| panic!("{wrong}"));
            assert!(config.smtp.is_some());
        }
    }

    #[test]
    fn trusted_proxies_are_addresses_and_prefixes() {
        let config =
            read(&[("TRUSTED_PROXIES", "10.1.0.0/16, 192.0.2.7,fd00::/8")]).expect("valid");
        let trusts = |text: &str| {
            let address: IpAddr = text.parse().expect("an address");
            config
                .trusted_proxies
                .iter()
                .any(|net| net.contains(&address))
        };
        assert!(trusts("10.1.2.3") && trusts("192.0.2.7") && trusts("fd00::7"));
        assert!(!trusts("10.2.0.1") && !trusts("192.0.2.8") && !trusts("127.0.0.1"));
    }

    #[test]
    fn the_example_file_documents_every_variable() {
        let example = include_str!("../.env.example");
        for Variable { name, meaning, .. } in VARIABLES {
            assert!(
                example.contains(&format!("# {name}=")),
                "{name} is missing in .env.example"
            );
            assert!(
                example.contains(meaning.trim()),
                "{name} is described differently in .env.example"
            );
        }
    }

    /// `WRITE=docs` rewrites the table.
    #[test]
    fn the_deployment_page_lists_every_variable() {
        const BEGIN: &str = "<!-- settings: begin -->\n";
        const END: &str = "<!-- settings: end -->";
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/DEPLOY.md");
        let page = std::fs::read_to_string(file).expect("readable");
        let (before, rest) = page.split_once(BEGIN).expect("the first marker");
        let (_, after) = rest.split_once(END).expect("the second marker");
        let mut table = String::from("| variable | default | meaning |\n| --- | --- | --- |\n");
        for Variable {
            name,
            default,
            meaning,
        } in VARIABLES
        {
            let default = match *default {
                "" => String::new(),
                default => format!("`{default}`"),
            };
            let meaning = meaning.trim().replace('|', "\\|").replace('<', "\\<");
            table.push_str(&format!("| `{name}` | {default} | {meaning} |\n"));
        }
        let fresh = format!("{before}{BEGIN}{table}{END}{after}");
        if std::env::var("WRITE").as_deref() == Ok("docs") {
            std::fs::write(file, &fresh).expect("writable");
        }
        let page = std::fs::read_to_string(file).expect("readable");
        assert!(
            page == fresh,
            "the settings in docs/DEPLOY.md are not those of the code: run `WRITE=docs cargo test --lib config`"
        );
    }
}
