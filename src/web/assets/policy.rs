//! The content security policy of pages.

use aws_lc_rs::digest::{SHA256, digest};
use std::fmt::Write as _;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::registry::importmaps;

/// Pages may load files of this origin, and run the import maps by their hashes.
pub fn csp() -> &'static str {
    static CSP: LazyLock<String> = LazyLock::new(|| {
        let mut maps = String::new();
        for map in importmaps() {
            let hash = digest(&SHA256, map.as_bytes());
            let _ = write!(maps, " 'sha256-{}'", STANDARD.encode(hash));
        }
        format!(
            "default-src 'none'; script-src 'self'{maps}; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
             media-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; manifest-src 'self'; worker-src 'self'"
        )
    });
    &CSP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_allows_the_import_map_only() {
        assert!(csp().contains("'sha256-"));
        assert!(!csp().contains("unsafe"));
    }

    #[test]
    fn policy_allows_the_import_map_of_every_language() {
        assert!(importmaps().count() > 1);
        for map in importmaps() {
            let hash = STANDARD.encode(digest(&SHA256, map.as_bytes()));
            assert!(csp().contains(&hash));
        }
    }
}
