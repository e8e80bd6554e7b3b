//! Parts of files, and conditional requests.

use super::{bearer, send_request};
use crate::hub::{Hub, PNG};

#[tokio::test]
async fn media_supports_ranges_and_conditions() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let picture = harbor.receive_picture().await;
    hub.fetch_media().await;
    let path = harbor.path(&format!("/media/{picture}"));
    let bearer = bearer(&harbor.admin);
    let get = async |method: &str, lines: &[&str]| {
        let lines = [&[bearer.as_str()], lines].concat();
        send_request(&hub, method, &path, &lines, "").await
    };
    let full = get("GET", &[]).await;
    let (size, tag) = (full.body.len(), full.header("etag").unwrap());
    assert!(full.status == 200 && size > 20 && size <= PNG.len());
    assert!(tag.starts_with('"') && tag.ends_with('"'));
    let cache_control = full.header("cache-control").unwrap();
    assert!(
        cache_control.contains("private")
            && cache_control.contains("no-cache")
            && !cache_control.contains("no-store")
    );

    let part = get("GET", &["Range: bytes=-1000"]).await;
    assert_eq!((part.status, &part.body), (206, &full.body));
    let content_range = part.header("content-range").unwrap();
    assert_eq!(content_range, format!("bytes 0-{}/{size}", size - 1));
    let part = get("GET", &["Range: bytes=-5"]).await;
    assert_eq!((part.status, &part.body[..]), (206, &full.body[size - 5..]));
    let beyond = get("GET", &["Range: bytes=100000-"]).await;
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, Some(format!("bytes */{size}")))
    );
    for ignored in [
        "Range: bytes=5-1",
        "Range: lines=1-2",
        "Range: bytes=0-1,4-5",
        "Range: bytes=x",
    ] {
        let reply = get("GET", &[ignored]).await;
        assert_eq!((reply.status, &reply.body), (200, &full.body), "{ignored}");
    }

    for range in [
        "Range: bytes=0-4",
        "Range: bytes=-1000",
        "Range: bytes=100000-",
    ] {
        let head = get("HEAD", &[range]).await;
        assert_eq!(head.status, 200, "{range}");
        assert_eq!(
            head.header("content-length"),
            Some(size.to_string()),
            "{range}"
        );
    }

    let range = "Range: bytes=0-4";
    let same = get("GET", &[range, &format!("If-Range: {tag}")]).await;
    assert_eq!((same.status, same.body.len()), (206, 5));
    for other in [
        "\"other\"".to_owned(),
        format!("W/{tag}"),
        "Sat, 29 Oct 1994 19:43:31 GMT".into(),
    ] {
        let other = get("GET", &[range, &format!("If-Range: {other}")]).await;
        assert_eq!((other.status, other.body.len()), (200, size));
    }

    for method in ["GET", "HEAD"] {
        for known in [
            tag.clone(),
            format!("W/{tag}"),
            format!("\"x\", {tag}"),
            "*".into(),
        ] {
            let known = get(method, &[&format!("If-None-Match: {known}"), range]).await;
            assert_eq!((known.status, known.body.len()), (304, 0));
            assert_eq!(known.header("etag").as_ref(), Some(&tag));
            // A 304 updates the stored headers: they must be the file's, not a page's.
            for name in ["cache-control", "content-security-policy"] {
                assert_eq!(known.header(name), full.header(name));
            }
        }
    }
    let changed = get("GET", &["If-None-Match: \"x\""]).await;
    assert_eq!(changed.status, 200);
    // An entity tag grants no access.
    let stranger = send_request(&hub, "GET", &path, &[&format!("If-None-Match: {tag}")], "").await;
    assert_eq!(stranger.status, 401);
}
