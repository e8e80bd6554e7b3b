//! Odd directories: foreign, incomplete, of another version, out of reach.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use messagehub::db::embedded::{Embedded, Error};
use nix::unistd::Uid;

use super::{ClusterDir, read, start, write};

#[tokio::test]
async fn copied_directory_gets_its_own_cluster() {
    let cluster_dir = ClusterDir::new();
    let copy = ClusterDir::new();
    let first = cluster_dir.start().await;
    fs::create_dir(copy.data()).expect("a directory");
    std::os::unix::fs::symlink(cluster_dir.file("postgres"), copy.file("postgres"))
        .expect("a link");

    let refusal = copy.refusal().await;
    assert!(matches!(refusal, Error::InUse { .. }), "{refusal}");
    write(&first, "untroubled").await;
    first.stop().await;
}

#[tokio::test]
async fn cluster_of_another_major_version_is_refused() {
    let cluster_dir = ClusterDir::new();
    fs::create_dir_all(cluster_dir.file("postgres")).expect("a directory");
    fs::write(cluster_dir.file("postgres/PG_VERSION"), "13\n").expect("written");

    let refusal = cluster_dir.refusal().await;
    assert!(matches!(refusal, Error::OtherMajor { .. }), "{refusal}");
    assert!(refusal.to_string().contains("made by PostgreSQL 13"));
}

#[tokio::test]
async fn unwritable_directory_is_refused() {
    let cluster_dir = ClusterDir::new();
    fs::write(cluster_dir.data(), "a file, not a directory").expect("written");
    let refusal = cluster_dir.refusal().await;
    assert!(matches!(refusal, Error::Unusable { .. }), "{refusal}");

    let refusal = start(Path::new("/proc/messagehub")).await.err();
    let refusal = refusal.expect("/proc takes no directories");
    assert!(matches!(refusal, Error::Unusable { .. }), "{refusal}");
    assert!(refusal.to_string().contains("/proc/messagehub"));
}

#[tokio::test]
async fn foreign_files_in_the_cluster_directory_are_left_alone() {
    let cluster_dir = ClusterDir::new();
    fs::create_dir_all(cluster_dir.file("postgres")).expect("a directory");
    fs::write(cluster_dir.file("postgres/thesis.txt"), "years of work").expect("written");

    let refusal = cluster_dir.refusal().await;
    assert!(matches!(refusal, Error::Unusable { .. }), "{refusal}");
    assert!(cluster_dir.file("postgres/thesis.txt").exists());
}

#[tokio::test]
async fn incomplete_cluster_is_recreated() {
    let cluster_dir = ClusterDir::new();
    let half = cluster_dir.file("postgres.new/cluster");
    fs::create_dir_all(half.join("base")).expect("a directory");
    fs::write(half.join("PG_VERSION"), "15\n").expect("written");
    fs::write(cluster_dir.file("postgres.password"), "").expect("written");

    let database = cluster_dir.start().await;
    write(&database, "whole").await;
    assert!(!cluster_dir.file("postgres.new").exists());
    database.stop().await;
}

#[tokio::test]
async fn lost_password_is_replaced() {
    let cluster_dir = ClusterDir::new();
    let database = cluster_dir.start().await;
    write(&database, "still mine").await;
    database.stop().await;
    fs::remove_file(cluster_dir.file("postgres.password")).expect("it was there");

    let database = cluster_dir.start().await;
    assert_eq!(read(&database).await, ["still mine"]);
    database.stop().await;
    cluster_dir.start().await.stop().await;
}

#[tokio::test]
async fn invalid_setting_is_named() {
    let cluster_dir = ClusterDir::new();
    let refusal = Embedded::start_with(
        &cluster_dir.data(),
        &[("fsync", "off"), ("max_connections", "none")],
    )
    .await
    .err()
    .expect("a refusal");
    assert_eq!(
        refusal.to_string(),
        format!(
            "PostgreSQL did not start: invalid value for parameter \"max_connections\": \"none\" (more in {})",
            cluster_dir.file("postgres.log").display()
        )
    );
}

#[tokio::test]
async fn path_longer_than_a_unix_socket_allows_works() {
    let cluster_dir = ClusterDir::new();
    let deep = cluster_dir
        .0
        .path()
        .join("d".repeat(120))
        .join("data, \"mine\"");
    let database = start(&deep).await.expect("a start");
    write(&database, "deep").await;
    let socket_dir = database.options().get_socket().expect("a socket").clone();
    assert!(socket_dir.starts_with("/tmp"), "{}", socket_dir.display());
    assert_eq!(fs::metadata(&socket_dir).expect("it").mode() & 0o777, 0o700);
    database.stop().await;
    fs::remove_dir(socket_dir).expect("empty after the stop");
}

#[tokio::test]
async fn as_root_the_cluster_is_placed_where_the_postgres_user_can_reach_it() {
    if !Uid::effective().is_root() {
        return;
    }
    let cluster_dir = ClusterDir::new();
    fs::set_permissions(cluster_dir.0.path(), PermissionsExt::from_mode(0o700)).expect("its mode");
    let database = cluster_dir.start().await;
    write(&database, "elsewhere").await;
    database.stop().await;
    let elsewhere = fs::read_link(cluster_dir.file("postgres")).expect("a link");
    assert!(elsewhere.starts_with("/var/lib/messagehub"));

    let database = cluster_dir.start().await;
    assert_eq!(read(&database).await, ["elsewhere"]);
    assert_ne!(fs::metadata(&elsewhere).expect("the cluster").uid(), 0);
    database.stop().await;
    fs::remove_dir_all(elsewhere).expect("removed");
}
