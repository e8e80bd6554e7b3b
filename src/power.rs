//! Where the power may go, so that tests can prove that nothing is lost or doubled by it. In debug builds only: a release has
//! none of this.

/// Ends this process at once if `DIES_AT` names this point: nothing is finished, nothing is cleaned up.
pub fn may_go(point: &str) {
    #[cfg(debug_assertions)]
    if std::env::var("DIES_AT").is_ok_and(|named| named == point) {
        std::process::abort();
    }
    #[cfg(not(debug_assertions))]
    let _ = point;
}
