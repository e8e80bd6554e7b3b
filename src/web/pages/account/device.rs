//! Describes a session's device from its user agent.

use crate::language::t;

/// `Chrome on Windows`. More specific names come first: a browser's user agent also names the browsers it derives from.
pub fn description(agent: &str) -> String {
    let first = |names: &[(&str, &'static str)]| {
        names
            .iter()
            .find(|(mark, _)| agent.contains(mark))
            .map(|(_, name)| *name)
    };
    let browser = first(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS", "Firefox"),
        ("CriOS", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = first(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("CrOS", "ChromeOS"),
        ("Macintosh", "Mac"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => {
            t!("{browser} on {system}", browser = browser, system = system).translated()
        }
        (Some(one), None) | (None, Some(one)) => one.into(),
        (None, None) if agent.is_empty() => t!("Unknown app").translated(),
        (None, None) => agent.chars().take(40).collect(),
    }
}

pub fn is_handheld(agent: &str) -> bool {
    ["iPhone", "iPad", "Android"]
        .iter()
        .any(|mark| agent.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_is_described_by_its_user_agent() {
        let described = |agent: &str| (description(agent), is_handheld(agent));
        assert_eq!(
            described(
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0"
            ),
            ("Edge on Windows".into(), false)
        );
        assert_eq!(
            described(
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
            ),
            ("Safari on iPhone".into(), true)
        );
        assert_eq!(described("curl/8.9.1"), ("curl".into(), false));
        assert_eq!(described("reqwest/0.13"), ("reqwest/0.13".into(), false));
        assert_eq!(described(""), (t!("Unknown app").translated(), false));
    }
}
