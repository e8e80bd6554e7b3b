//! `messagehub serve | migrate | routes | user create | keys rotate | import-env`. An error is one line.

use std::io::{IsTerminal, Read, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use messagehub::app::App;
use messagehub::config::{self, Config};
use messagehub::db::embedded::Embedded;
use messagehub::db::migrate;
use messagehub::demo;
use messagehub::domain::integrations::{self, Imported};
use messagehub::domain::members::Role;
use messagehub::domain::{accounts, keys};
use messagehub::files;
use messagehub::logging;
use messagehub::server::Server;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// A multi-tenant SMS inbox.
#[derive(Parser)]
#[command(version, after_help = config::help())]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server (default)
    Serve(Serve),
    /// Bring the database's schema up to date and exit
    Migrate,
    /// Print the routes of the HTML pages, forms and fragments, one a line
    Routes,
    /// Manage users
    #[command(subcommand)]
    User(User),
    /// Manage the master keys
    #[command(subcommand)]
    Keys(Keys),
    /// Import the Twilio account of TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_PHONE_NUMBER into a workspace's
    /// integration
    ImportEnv {
        /// Name or slug of the workspace
        #[arg(long)]
        workspace: String,
    },
}

#[derive(Subcommand)]
enum Keys {
    /// Encrypt all stored secrets with the first key of MASTER_KEYS. Servers may keep running if they know both keys
    Rotate,
}

#[derive(Args, Default)]
struct Serve {
    /// Fill an empty database with a demo workspace on the sandbox provider
    #[arg(long)]
    demo: bool,
}

#[derive(Subcommand)]
enum User {
    /// Create a user in a workspace, which is created if it does not exist. The password is read from standard input,
    /// or generated and printed once
    Create {
        #[arg(long)]
        email: String,
        #[arg(long)]
        name: String,
        /// Name or slug of the workspace
        #[arg(long)]
        workspace: String,
        /// admin or agent
        #[arg(long, default_value = "admin")]
        role: Role,
    },
}

pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot start")
        .and_then(|runtime| runtime.block_on(run(cli)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "messagehub: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    // Needs no settings and no database.
    if matches!(cli.command, Some(Command::Routes)) {
        return print_routes();
    }
    let config = Config::from_env()?;
    let _log = logging::start(&config.log, config.log_format);
    let (database, embedded) = database(&config).await?;
    let done = match cli.command.unwrap_or(Command::Serve(Serve::default())) {
        Command::Serve(options) => serve(config, database, &options).await,
        Command::Migrate => migrate::run(&database).await.map_err(Into::into),
        Command::Routes => print_routes(),
        Command::User(User::Create {
            email,
            name,
            workspace,
            role,
        }) => create_user(config, database, &email, &name, &workspace, role).await,
        Command::Keys(Keys::Rotate) => rotate_keys(config, database).await,
        Command::ImportEnv { workspace } => import_env(config, database, &workspace).await,
    };
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    done
}

fn print_routes() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for (method, path) in messagehub::web::html_routes() {
        writeln!(out, "{method} {path}")?;
    }
    Ok(())
}

async fn database(config: &Config) -> anyhow::Result<(PgConnectOptions, Option<Embedded>)> {
    match &config.database {
        Some(options) => Ok((options.clone(), None)),
        None => {
            let embedded = Embedded::start(&config.data_dir).await?;
            Ok((embedded.options(), Some(embedded)))
        }
    }
}

async fn serve(config: Config, database: PgConnectOptions, options: &Serve) -> anyhow::Result<()> {
    // Installed first, so that a signal during the start also stops cleanly.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    files::raise_limit();
    let bind_addr = config.bind_addr;
    let listener = TcpListener::bind(bind_addr)
        .await
        .with_context(|| format!("BIND_ADDR={bind_addr} cannot be listened on: choose another address or stop what uses it"))?;
    migrate::run(&database).await?;
    let app = App::open(config, database).await?;
    let demo = if options.demo {
        demo::seed(&app).await?
    } else {
        None
    };
    let mut server = Server::start(app, listener)?;
    server.start_calls();
    tracing::info!(address = %server.address, "listening");
    // A closed standard output does not stop the server.
    let mut out = std::io::stdout();
    let _ = writeln!(out, "MessageHub is at {}", server.app.config.public("/"));
    if let Some(demo) = demo {
        let _ = writeln!(
            out,
            "Sign in as {} with the password {} (the agents {} have it too)",
            demo.email,
            demo.password.expose_secret(),
            demo.agents.join(" and "),
        );
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    server.stop().await;
    Ok(())
}

async fn create_user(
    config: Config,
    database: PgConnectOptions,
    email: &str,
    name: &str,
    workspace: &str,
    role: Role,
) -> anyhow::Result<()> {
    migrate::run(&database).await?;
    let given = password_from_stdin()?;
    let password = given.clone().unwrap_or_else(accounts::new_password);
    let app = App::open(config, database).await?;
    let created = accounts::create(&app.db, email, name, password.clone(), workspace, role).await;
    app.db.close().await;
    created.map_err(as_text)?;
    match given {
        Some(_) => say(&format!("{email} was created")),
        None => say(&format!(
            "{email} was created with the password {}",
            password.expose_secret()
        )),
    }
}

async fn rotate_keys(config: Config, database: PgConnectOptions) -> anyhow::Result<()> {
    migrate::run(&database).await?;
    let app = App::open(config, database).await?;
    let rotated = keys::rotate(&app).await;
    app.db.close().await;
    let keys::Rotated {
        credentials,
        second_factors,
    } = rotated?;
    say(&format!(
        "Sealed anew: the credentials of {credentials} integrations, the second factors of {second_factors} users"
    ))
}

async fn import_env(
    config: Config,
    database: PgConnectOptions,
    workspace: &str,
) -> anyhow::Result<()> {
    let setting = |name: &str| {
        Config::other(name)
            .with_context(|| format!("{name} is not set: it is what this command imports"))
    };
    let account = (
        setting("TWILIO_ACCOUNT_SID")?,
        setting("TWILIO_AUTH_TOKEN")?,
    );
    let phone_number = setting("TWILIO_PHONE_NUMBER")?;
    migrate::run(&database).await?;
    let app = App::open(config, database).await?;
    let imported =
        integrations::import(&app, workspace, &account.0, &account.1, &phone_number).await;
    app.db.close().await;
    match imported.map_err(as_text)? {
        Imported::New(numbers) => say(&format!(
            "Connected, with {numbers} numbers; texts start from {phone_number}"
        )),
        Imported::Known => say(&format!(
            "This account was connected already; texts start from {phone_number}"
        )),
    }
}

/// Prints the result of a command. A closed standard output is an error, although the command succeeded.
fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("it was done, but standard output is closed")
}

fn as_text(error: messagehub::error::Error) -> anyhow::Error {
    match error {
        messagehub::error::Error::Invalid(wrong) => {
            let wrong: Vec<_> = wrong
                .iter()
                .map(|wrong| format!("{}: {}", wrong.field, wrong.message.english()))
                .collect();
            anyhow::anyhow!("{}", wrong.join("; "))
        }
        error => error.into(),
    }
}

/// The password piped to standard input; `None` for a terminal or an empty pipe.
fn password_from_stdin() -> anyhow::Result<Option<SecretString>> {
    let mut stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Ok(None);
    }
    let mut text = String::new();
    stdin
        .read_to_string(&mut text)
        .context("the password on standard input cannot be read")?;
    let password = text.trim_end_matches(['\r', '\n']);
    Ok((!password.is_empty()).then(|| SecretString::from(password)))
}
