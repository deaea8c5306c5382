//! Where clusters live, and as whom. PostgreSQL refuses to run as root, so root's clusters belong to another user, who
//! must be able to reach them.

use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use data_encoding::HEXLOWER;

use crate::state::{State, private_directory, set_mode, write_private};
use crate::tools::is_root;

/// Clusters of root whose state directory is out of the other user's reach.
const ELSEWHERE: &str = "/var/lib/kura";
/// In such a place: whose it is.
const POINTER: &str = "state-directory";
/// `sockaddr_un` holds 108 bytes; a socket's own name takes 17.
const LONGEST_SOCKET_DIRECTORY: usize = 85;

/// An OS user other than ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    /// For root: `postgres`, else `nobody`. For anyone else: none, we run servers as ourselves.
    fn for_servers() -> Result<Option<Self>> {
        if !is_root() {
            return Ok(None);
        }
        let users = std::fs::read_to_string("/etc/passwd").context("can't read /etc/passwd")?;
        let account = ["postgres", "nobody"].iter().find_map(|name| find_account(&users, name));
        account.map(Some).context("root can't run PostgreSQL, and there is neither a user `postgres` nor `nobody`")
    }

    /// Whether this user may go through every directory down to `path`.
    fn can_reach(self, path: &Path) -> bool {
        path.ancestors().all(|directory| {
            std::fs::metadata(directory).is_ok_and(|found| {
                let needed = match (found.uid() == self.uid, found.gid() == self.gid) {
                    (true, _) => 0o100,
                    (_, true) => 0o010,
                    _ => 0o001,
                };
                found.mode() & needed != 0
            })
        })
    }
}

fn find_account(users: &str, name: &str) -> Option<Account> {
    let mut fields = users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?.split(':').skip(1);
    Some(Account { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
}

/// The directory of all clusters of one state directory.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    root: PathBuf,
    /// Differs between state directories, and is short.
    tag: String,
    pub(crate) account: Option<Account>,
}

impl Place {
    /// `postgres/` in the state directory, or a link there to a place that the servers' user can reach.
    ///
    /// # Errors
    /// When it can't be made.
    pub(crate) fn ensure(state: &State) -> Result<Self> {
        let account = Account::for_servers()?;
        let (wanted, tag) = (state.path("postgres"), tag(state.root()));
        if account.is_some() {
            // Others may pass through, not look: every directory in it is closed again.
            set_mode(state.root(), 0o711)?;
        }
        if !wanted.exists() {
            let _ = std::fs::remove_file(&wanted); // A link to nowhere.
            if account.is_some_and(|account| !account.can_reach(state.root())) {
                remove_orphans();
                let elsewhere = Path::new(ELSEWHERE).join(&tag);
                private_directory(&elsewhere)?;
                write_private(&elsewhere.join(POINTER), state.root().as_os_str().as_encoded_bytes())?;
                set_mode(Path::new(ELSEWHERE), 0o711)?;
                symlink(&elsewhere, &wanted).with_context(|| format!("can't make the link {}", wanted.display()))?;
            } else {
                private_directory(&wanted)?;
            }
        }
        let root = wanted.canonicalize().with_context(|| format!("can't resolve {}", wanted.display()))?;
        let place = Self { root, tag, account };
        place.open_to_servers(&place.root)?;
        Ok(place)
    }

    /// A cluster's own directory, which belongs to the servers' user.
    ///
    /// # Errors
    /// When it can't be made.
    pub(crate) fn directory(&self, cluster: &str) -> Result<PathBuf> {
        let directory = self.root.join(cluster);
        private_directory(&directory)?;
        self.open_to_servers(&directory)?;
        self.give(&directory)?;
        Ok(directory)
    }

    /// Where the cluster's socket goes: beside its data, or, when that path is too long for a socket, in the directory for
    /// temporary files.
    ///
    /// # Errors
    /// When it can't be made.
    pub(crate) fn socket_directory(&self, cluster: &str) -> Result<PathBuf> {
        let beside = self.root.join(cluster).join("socket");
        let directory = if beside.as_os_str().len() <= LONGEST_SOCKET_DIRECTORY {
            beside
        } else {
            let shared = std::env::temp_dir().join(format!("kura-{}", self.tag));
            private_directory(&shared)?;
            self.open_to_servers(&shared)?;
            shared.join(cluster)
        };
        private_directory(&directory)?;
        self.open_to_servers(&directory)?;
        self.give(&directory)?;
        Ok(directory)
    }

    /// Makes a path the servers' user's own.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn give(&self, path: &Path) -> Result<()> {
        let Some(account) = self.account else { return Ok(()) };
        chown(path, Some(account.uid), Some(account.gid))
            .with_context(|| format!("can't give {} to the servers' user", path.display()))
    }

    fn open_to_servers(&self, directory: &Path) -> Result<()> {
        set_mode(directory, if self.account.is_some() { 0o711 } else { 0o700 })
    }
}

/// Sixty bits of FNV-1a over the path: enough to keep one person's state directories apart.
fn tag(path: &Path) -> String {
    let hash = path
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    HEXLOWER.encode(&hash.to_be_bytes()).chars().take(15).collect()
}

/// Deletes places whose state directory was deleted by hand.
fn remove_orphans() {
    for entry in std::fs::read_dir(ELSEWHERE).into_iter().flatten().filter_map(Result::ok) {
        let place = entry.path();
        let owner = std::fs::read_to_string(place.join(POINTER)).map(PathBuf::from);
        let running = || {
            let clusters = std::fs::read_dir(&place).into_iter().flatten().filter_map(Result::ok);
            clusters.map(|cluster| cluster.path().join("data/postmaster.pid")).any(|file| file.exists())
        };
        if owner.is_ok_and(|owner| !owner.exists()) && !running() {
            let _ = std::fs::remove_dir_all(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Users are found by their whole name.
    #[test]
    fn accounts_are_found() {
        let users = "root:x:0:0:root:/root:/bin/sh\npostgresql:x:7:8::/:/bin/sh\npostgres:x:101:104:P:/var/lib/postgresql:/bin/sh\n";
        let account = find_account(users, "postgres").unwrap();
        assert_eq!((account.uid, account.gid), (101, 104));
        assert!(find_account(users, "nobody").is_none());
    }

    /// A stranger reaches what is open to all and not what is behind a closed directory.
    #[test]
    fn reach_follows_the_modes() {
        let root = std::env::temp_dir().join(format!("kura-reach-{}", crate::state::random_secret()));
        let inner = root.join("inner");
        std::fs::create_dir_all(&inner).unwrap();
        set_mode(&inner, 0o711).unwrap();
        let stranger = Account { uid: 4_000_001, gid: 4_000_001 };
        set_mode(&root, 0o711).unwrap();
        assert!(stranger.can_reach(&inner));
        set_mode(&root, 0o700).unwrap();
        assert!(!stranger.can_reach(&inner));
        std::fs::remove_dir_all(root).unwrap();
    }
}
