//! Points at which tests kill the process or panic, to prove that nothing is lost or duplicated, and checks that they skip,
//! to prove that a second one holds. Debug builds only.

/// Aborts the process if `DIES_AT` names this point, without any clean-up.
pub fn abort_at(point: &str) {
    #[cfg(debug_assertions)]
    if std::env::var("DIES_AT").is_ok_and(|named| named == point) {
        std::process::abort();
    }
    #[cfg(not(debug_assertions))]
    let _ = point;
}

/// The same after a delay, while a task that was just started is in progress.
pub async fn abort_after(point: &str, moment: std::time::Duration) {
    #[cfg(debug_assertions)]
    if std::env::var("DIES_AT").is_ok_and(|named| named == point) {
        tokio::time::sleep(moment).await;
        abort_at(point);
    }
    #[cfg(not(debug_assertions))]
    let _ = (point, moment);
}

/// Panics if `PANICS_AT` names this point: at most n times for `name:n`, else every time.
pub fn panic_at(point: &str) {
    #[cfg(debug_assertions)]
    if let Ok(named) = std::env::var("PANICS_AT") {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static TIMES: AtomicUsize = AtomicUsize::new(0);
        let (name, most) = match named.split_once(':') {
            Some((name, most)) => (name, most.parse().unwrap_or(1)),
            None => (named.as_str(), usize::MAX),
        };
        if name == point && TIMES.fetch_add(1, Ordering::Relaxed) < most {
            panic!("injected panic at {point}");
        }
    }
    #[cfg(not(debug_assertions))]
    let _ = point;
}

/// Whether `SKIPS` names this check.
pub fn skips(check: &str) -> bool {
    cfg!(debug_assertions) && std::env::var("SKIPS").is_ok_and(|named| named == check)
}
