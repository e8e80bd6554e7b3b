//! Media storage: a directory, or a bucket of an S3-compatible store.

use std::collections::HashMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, Error, ObjectStore, ObjectStoreExt, RetryConfig};
use url::Url;

const ACCEPTED: &str = "file:///directory or s3://bucket/prefix (its keys and region in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, …)";

#[derive(Clone)]
pub enum StorageLocation {
    Directory(PathBuf),
    Bucket { bucket: AmazonS3, prefix: Key },
}

impl StorageLocation {
    /// `aws`: the standard AWS_… variables.
    pub fn parse(value: &str, aws: &HashMap<String, String>) -> Result<Self, String> {
        let url = Url::parse(value).map_err(|_| ACCEPTED)?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.port().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        match url.scheme() {
            "file" if plain => url
                .to_file_path()
                .map(Self::Directory)
                .map_err(|()| ACCEPTED.into()),
            "s3" if plain => {
                let name = url.host_str().ok_or(ACCEPTED)?;
                let prefix = Key::from_url_path(url.path()).map_err(|_| ACCEPTED)?;
                let bucket = bucket(name, aws)
                    .map_err(|error| error.to_string().replace(['\n', '\r'], " "))?;
                Ok(Self::Bucket { bucket, prefix })
            }
            _ => Err(ACCEPTED.into()),
        }
    }
}

fn bucket(name: &str, aws: &HashMap<String, String>) -> Result<AmazonS3, Error> {
    let mut builder = AmazonS3Builder::new();
    for (name, value) in aws {
        // AWS_… variables that the store does not know are ignored.
        if let Ok(key) = name.to_ascii_lowercase().parse() {
            builder = builder.with_config(key, value);
        }
    }
    // Requests wait for media, and the media fetcher retries, so long timeouts do not help.
    let client_options = ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(3))
        .with_timeout(Duration::from_secs(15))
        .with_allow_http(aws.get("AWS_ALLOW_HTTP").is_some_and(|yes| yes == "true"));
    builder
        .with_bucket_name(name)
        .with_client_options(client_options)
        // Not all stores support bulk deletion, and files are deleted one at a time.
        .with_disable_bulk_delete(true)
        .with_retry(RetryConfig {
            max_retries: 2,
            retry_timeout: Duration::from_secs(10),
            ..RetryConfig::default()
        })
        .build()
}

#[derive(Clone)]
pub struct Storage(Arc<dyn ObjectStore>);

impl Storage {
    /// Creates a missing directory. A bucket must exist; errors only show when it is used.
    pub fn open(location: &StorageLocation) -> Result<Self, String> {
        Ok(Self(match location {
            StorageLocation::Directory(path) => Arc::new(directory(path).map_err(|error| {
                format!(
                    "MEDIA_URL=file://{} must be a directory that this user can write to ({error})",
                    path.display()
                )
            })?),
            StorageLocation::Bucket { bucket, prefix } => {
                Arc::new(PrefixStore::new(bucket.clone(), prefix.clone()))
            }
        }))
    }

    /// Durable when it returns.
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Error> {
        self.0.put(&Key::from(name), bytes.into()).await.map(drop)
    }

    pub async fn get(&self, name: &str) -> Result<Option<Bytes>, Error> {
        match self.0.get(&Key::from(name)).await {
            Ok(found) => found.bytes().await.map(Some),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Succeeds if the file does not exist.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        match self.0.delete(&Key::from(name)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn directory(path: &Path) -> Result<LocalFileSystem, Box<dyn std::error::Error>> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)?;
    let files = LocalFileSystem::new_with_prefix(path)?
        .with_fsync(true)
        .with_automatic_cleanup(true);
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Result<StorageLocation, String> {
        StorageLocation::parse(value, &HashMap::new())
    }

    #[test]
    fn location_is_a_directory_or_a_bucket() {
        assert!(
            matches!(parse("file:///var/lib/hub/media"), Ok(StorageLocation::Directory(path)) if path == Path::new("/var/lib/hub/media"))
        );
        assert!(
            matches!(parse("s3://harbor/inbox/media"), Ok(StorageLocation::Bucket { prefix, .. }) if prefix.as_ref() == "inbox/media")
        );
        assert!(
            matches!(parse("s3://harbor"), Ok(StorageLocation::Bucket { prefix, .. }) if prefix.as_ref().is_empty())
        );
        for wrong in [
            "media",
            "file://elsewhere/media",
            "s3://",
            "s3:///prefix",
            "s3://key:secret@harbor/",
            "s3://harbor/?region=x",
            "https://harbor.example.com/",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn file_exists_until_removed() {
        let dir = tempfile::tempdir().unwrap();
        let location = dir.path().join("made/when/needed");
        let storage = Storage::open(&StorageLocation::Directory(location.clone())).unwrap();
        assert_eq!(storage.get("harbor/1").await.unwrap(), None);
        storage.put("harbor/1", "dot".into()).await.unwrap();
        assert_eq!(storage.get("harbor/1").await.unwrap().unwrap(), "dot");
        storage.remove("harbor/1").await.unwrap();
        storage.remove("harbor/1").await.unwrap();
        assert_eq!(storage.get("harbor/1").await.unwrap(), None);
        assert!(
            !location.join("harbor").exists(),
            "empty directories are removed"
        );
    }
}
