//! The packages of the program follow `deny.toml`: licences, duplicates, banned packages. Features that a build would
//! not miss are there.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use sqlx::{Connection, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

struct Package {
    name: String,
    version: String,
    license: String,
}

/// What `cargo build` compiles.
fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal,build"])
        .args(["--prefix", "none", "--no-dedupe", "--format", "{p}\t{l}"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout).unwrap();
    let packages = lines.lines().map(|line| {
        let (package, license) = line.split_once('\t').unwrap();
        let mut words = package.split(' ');
        Package {
            name: words.next().unwrap().into(),
            version: words.next().unwrap().into(),
            license: license.into(),
        }
    });
    packages.collect()
}

/// The entries of a list in `deny.toml`.
fn listed(list: &str) -> BTreeSet<&'static str> {
    let rules = include_str!("../../deny.toml");
    let (_, list) = rules.split_once(&format!("\n{list} = [\n")).unwrap();
    let (list, _) = list.split_once("\n]").unwrap();
    list.lines()
        .map(|entry| entry.split('"').nth(1).unwrap())
        .collect()
}

/// Every part of an expression needs an alternative that is allowed. Ignoring brackets can only refuse too much.
fn is_allowed(license: &str, allowed: &BTreeSet<&str>) -> bool {
    let license = license.replace(['(', ')'], "").replace('/', " OR ");
    license.split(" AND ").all(|part| {
        part.split(" OR ")
            .any(|license| allowed.contains(license.trim()))
    })
}

#[test]
fn licenses_are_allowed() {
    let allowed = listed("allow");
    for Package { name, license, .. } in packages() {
        assert!(is_allowed(&license, &allowed), "{name}: {license}");
    }
    assert!(is_allowed("(MIT OR GPL-3.0) AND ISC", &allowed));
    assert!(!is_allowed("MIT AND GPL-3.0", &allowed));
    assert!(!is_allowed("", &allowed));
}

#[test]
fn duplicates_and_banned_packages_are_known() {
    let mut versions = BTreeMap::<_, BTreeSet<_>>::new();
    for Package { name, version, .. } in packages() {
        versions.entry(name).or_default().insert(version);
    }
    for banned in listed("deny") {
        assert!(!versions.contains_key(banned), "{banned}");
    }
    let duplicates = versions
        .iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(name, _)| name.as_str());
    assert_eq!(duplicates.collect::<BTreeSet<_>>(), listed("skip"));
}

/// The feature is one of `sqlx-core`. Without it, sqlx connects in plain text unless the URL requires TLS.
#[tokio::test]
async fn database_connections_can_use_tls() {
    const HANDSHAKE: u8 = 22;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("postgres://127.0.0.1:{port}/?sslmode=require");
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 8];
        socket.read_exact(&mut request).await.unwrap();
        socket.write_all(b"S").await.unwrap();
        socket.read_u8().await.unwrap()
    };
    let (first, connected) = tokio::join!(server, PgConnection::connect(&url));
    assert_eq!(first, HANDSHAKE);
    assert!(connected.is_err(), "the server hung up");
}
