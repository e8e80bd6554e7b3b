//! Finds PostgreSQL's programs, or the command that installs them, and reads the errors that they print.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::{Error, Result};

const OLDEST: u32 = 14;

/// Install locations outside of `PATH`: parent directory, prefix of the version directories, subdirectory.
const PACKAGED: [(&str, &str, &str); 5] = [
    ("/usr/lib/postgresql", "", "bin"),          // Debian, Ubuntu
    ("/usr", "pgsql-", "bin"),                   // PostgreSQL's own RPMs
    ("/usr/libexec", "postgresql", ""),          // Alpine
    ("/opt/homebrew/opt", "postgresql@", "bin"), // Homebrew on Apple silicon
    ("/usr/local/opt", "postgresql@", "bin"),    // Homebrew on Intel
];

/// The directory of `postgres`, `initdb`, `psql` and `pgbench`: from `PATH`, else the newest installed version.
pub fn programs() -> Result<PathBuf> {
    newest(candidates())
}

/// The programs of the major version that created the cluster `dir`.
pub(super) fn programs_for(dir: &Path, made_by: &str) -> Result<PathBuf> {
    with_version(candidates(), dir, made_by)
}

fn newest(candidates: impl Iterator<Item = PathBuf>) -> Result<PathBuf> {
    let mut too_old = None;
    for programs in candidates {
        match major(&programs) {
            Some(found) if found >= OLDEST => return Ok(programs),
            Some(found) => too_old = too_old.or(Some((found, programs))),
            None => {}
        }
    }
    let install = install_command(&fs::read_to_string("/etc/os-release").unwrap_or_default());
    Err(match too_old {
        Some((found, programs)) => Error::TooOld {
            found,
            programs,
            install,
        },
        None => Error::Missing { install },
    })
}

fn with_version(
    candidates: impl Iterator<Item = PathBuf> + Clone,
    dir: &Path,
    made_by: &str,
) -> Result<PathBuf> {
    let newest = newest(candidates.clone())?;
    let required = made_by.parse().ok();
    if required >= Some(OLDEST)
        && let Some(programs) = candidates.into_iter().find(|it| major(it) == required)
    {
        return Ok(programs);
    }
    Err(Error::OtherMajor {
        dir: dir.to_owned(),
        made_by: made_by.to_owned(),
        found: major(&newest).unwrap_or_default(),
    })
}

fn candidates() -> impl Iterator<Item = PathBuf> + Clone {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<_> = std::env::split_paths(&path).collect();
    let packaged = PACKAGED
        .iter()
        .flat_map(|(parent, prefix, suffix)| newest_first(Path::new(parent), prefix, suffix));
    on_path
        .into_iter()
        .chain(packaged)
        .filter_map(|dir| install_dir(&dir))
}

fn newest_first(parent: &Path, prefix: &str, suffix: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version: u32 = name.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join(suffix)))
        })
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, dir)| dir).collect()
}

/// The directory that `postgres` in `dir` links to: `PATH` may hold only a symlink, without its siblings.
fn install_dir(dir: &Path) -> Option<PathBuf> {
    let postgres = dir.join("postgres").canonicalize().ok()?;
    let install_dir = postgres.parent()?;
    install_dir
        .join("initdb")
        .is_file()
        .then(|| install_dir.to_owned())
}

fn major(programs: &Path) -> Option<u32> {
    let output = Command::new(programs.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    major_in(&String::from_utf8_lossy(&output.stdout))
}

/// 15 in `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, 19 in `postgres (PostgreSQL) 19beta1`.
fn major_in(version: &str) -> Option<u32> {
    let (_, number) = version.split_once(") ")?;
    let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn install_command(os_release: &str) -> &'static str {
    if cfg!(target_os = "macos") {
        return "run `brew install postgresql@17`";
    }
    let families = os_release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or(line.strip_prefix("ID_LIKE=")))
        .flat_map(|ids| ids.trim_matches('"').split(' '));
    for family in families {
        return match family {
            "debian" | "ubuntu" => "run `sudo apt-get install postgresql`",
            "fedora" | "rhel" | "centos" => "run `sudo dnf install postgresql-server`",
            "alpine" => "run `apk add postgresql`",
            "arch" => "run `sudo pacman -S postgresql`",
            "suse" | "opensuse" => "run `sudo zypper install postgresql-server`",
            _ => continue,
        };
    }
    "install PostgreSQL 14 or newer"
}

/// The first error message in a program's output.
pub(super) fn error_line(output_text: &str) -> Option<&str> {
    ["FATAL:", "PANIC:", "ERROR:", "error:"]
        .iter()
        .filter_map(|level| output_text.split_once(level))
        .min_by_key(|(before, _)| before.len())
        .and_then(|(_, after)| after.lines().next())
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn installed(root: &Path, version: &str) -> PathBuf {
        let bin = root.join(version).join("bin");
        fs::create_dir_all(&bin).expect("a directory");
        for program in ["postgres", "initdb"] {
            let script = format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}.4 (Test)'\n");
            let path = bin.join(program);
            fs::write(&path, script).expect("a script");
            fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("its mode");
        }
        bin
    }

    fn candidates_in(root: &Path) -> impl Iterator<Item = PathBuf> + Clone {
        newest_first(root, "", "bin").into_iter()
    }

    #[test]
    fn the_newest_installed_version_is_taken() {
        let root = tempfile::tempdir().expect("a directory");
        installed(root.path(), "9");
        installed(root.path(), "16");
        let newest_bin = installed(root.path(), "17");
        assert_eq!(newest(candidates_in(root.path())).expect("17"), newest_bin);
    }

    #[test]
    fn an_older_cluster_gets_the_programs_that_made_it() {
        let root = tempfile::tempdir().expect("a directory");
        let older = installed(root.path(), "16");
        installed(root.path(), "17");
        let dir = Path::new("/data/postgres");

        let found = with_version(candidates_in(root.path()), dir, "16");
        assert_eq!(found.expect("16"), older);

        let refused =
            with_version(candidates_in(root.path()), dir, "15").expect_err("not installed");
        assert_eq!(
            refused.to_string(),
            "/data/postgres was made by PostgreSQL 15, but only PostgreSQL 17 is installed: \
             install version 15 beside it, or move the data with pg_upgrade"
        );
    }

    #[test]
    fn too_old_and_missing_programs_differ() {
        let root = tempfile::tempdir().expect("a directory");
        let missing = newest(candidates_in(root.path())).expect_err("nothing there");
        assert!(matches!(missing, Error::Missing { .. }), "{missing}");

        installed(root.path(), "13");
        let too_old = newest(candidates_in(root.path())).expect_err("13 is too old");
        assert!(
            matches!(too_old, Error::TooOld { found: 13, .. }),
            "{too_old}"
        );
    }

    #[test]
    fn a_link_on_path_leads_to_the_real_directory() {
        let root = tempfile::tempdir().expect("a directory");
        let bin = installed(root.path(), "15").canonicalize().expect("exists");
        let on_path = root.path().join("links");
        fs::create_dir(&on_path).expect("a directory");
        assert_eq!(install_dir(&on_path), None);

        std::os::unix::fs::symlink(bin.join("postgres"), on_path.join("postgres")).expect("a link");
        assert_eq!(install_dir(&on_path), Some(bin));
    }

    #[test]
    fn versions_are_read_from_releases_and_previews() {
        let read = |number: &str| major_in(&format!("postgres (PostgreSQL) {number}\n"));
        assert_eq!(read("15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(read("19beta1"), Some(19));
        assert_eq!(major_in("not PostgreSQL"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn each_system_gets_its_own_install_command() {
        let mint = "NAME=\"Linux Mint\"\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n";
        assert_eq!(
            install_command(mint),
            "run `sudo apt-get install postgresql`"
        );
        assert_eq!(
            install_command("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"),
            "run `sudo dnf install postgresql-server`"
        );
        assert_eq!(
            install_command("ID=void\n"),
            "install PostgreSQL 14 or newer"
        );
    }
}
