//! The limit of open files. Each client connection and each database connection takes one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Tried if the system rejects the hard limit, as macOS does.
const FALLBACK_LIMIT: u64 = 10_240;

pub fn limit() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(FALLBACK_LIMIT, |(soft, _)| soft)
}

/// Raises the soft limit to the hard one, which needs no privileges. Many systems default to 1,024.
pub fn raise_limit() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    for target in [hard, FALLBACK_LIMIT.min(hard)] {
        if target > soft && setrlimit(Resource::RLIMIT_NOFILE, target, hard).is_ok() {
            tracing::info!(
                from = soft,
                to = target,
                "raised the limit of open files (RLIMIT_NOFILE)"
            );
            return;
        }
    }
    tracing::info!(
        limit = soft,
        "the limit of open files (RLIMIT_NOFILE) is at its maximum"
    );
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Client connections, WebSockets included. The rest is for the database, providers, media and logs.
    pub connections: usize,
    /// WebSockets. The remaining connections serve requests: webhooks, sign-in, pages.
    pub sockets: usize,
}

impl Shares {
    /// Divides `limit` files on a server with two database pools of `database_connections` each.
    pub fn of(limit: u64, database_connections: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let database = usize::try_from(database_connections).unwrap_or_default();
        let ours = (2 * database + 64).min(limit / 2);
        let connections = (limit - ours).max(2);
        Self {
            connections,
            sockets: connections / 4 * 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_the_database_have_files_of_their_own() {
        let usual = Shares::of(1_024, 12);
        assert_eq!(usual.connections, 1_024 - 24 - 64);
        assert_eq!(usual.sockets, 702);
        for limit in [0, 1, 16, 64, 256, 1_024, 1_048_576, u64::MAX] {
            let shares = Shares::of(limit, 100);
            assert!(shares.connections >= 2 && shares.sockets < shares.connections);
        }
    }
}
