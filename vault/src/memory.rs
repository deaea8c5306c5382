//! What keeps the vault's memory off disks: locked as a whole where the system allows it, and a refusal to start where it could
//! be swapped out otherwise. The security codes' own block is locked in any case ([`crate::cvc_store`]).

use std::fs::read_to_string;
use std::path::Path;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, getrlimit};

/// Devices and files that the kernel swaps to.
const SWAPS: &str = "/proc/swaps";
/// `0` where this process's group may not be swapped out.
const GROUP_SWAP: &str = "/sys/fs/cgroup/memory.swap.max";

/// How the process's memory is kept off disks.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    locked: bool,
    swap: bool,
}

/// The memory could be written to a disk.
#[derive(Debug, thiserror::Error)]
#[error(
    "this machine swaps, and the vault's memory can't be locked: RLIMIT_MEMLOCK is {limit}; raise it (LimitMEMLOCK=infinity), \
     give CAP_IPC_LOCK, or turn swap off"
)]
pub struct SwapError {
    limit: String,
}

impl Memory {
    /// Locks all memory, present and future, page by page as it is used.
    ///
    /// # Errors
    /// [`SwapError`] when `required`, the machine swaps, and the lock fails.
    pub fn lock(required: bool) -> Result<Self, SwapError> {
        let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
        let memory = Self { locked: mlockall(all).is_ok(), swap: can_swap(Path::new(SWAPS), Path::new(GROUP_SWAP)) };
        if !memory.is_kept() {
            let refused = SwapError { limit: lock_limit() };
            if required {
                return Err(refused);
            }
            tracing::warn!(error = %refused, "development only: running all the same");
        }
        Ok(memory)
    }

    /// Whether nothing of it can reach a disk.
    pub fn is_kept(self) -> bool {
        self.locked || !self.swap
    }
}

/// Whether the kernel has where to swap to, and may do so with this process. What can't be read counts as yes.
fn can_swap(swaps: &Path, group: &Path) -> bool {
    // One line of headings, then one for each place.
    let places = read_to_string(swaps).map_or(1, |text| text.lines().skip(1).count());
    let forbidden = read_to_string(group).is_ok_and(|most| most.trim() == "0");
    places > 0 && !forbidden
}

/// The limit on locked memory, in words.
pub fn lock_limit() -> String {
    getrlimit(Resource::Memlock).current.map_or_else(|| "unlimited".to_owned(), |bytes| format!("{bytes} bytes"))
}

/// How much of this process is swapped out at this moment, if the kernel tells.
pub fn swapped_kib() -> Option<u64> {
    let status = read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmSwap:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Swap counts unless there is no place for it or the group may not use it; what can't be read counts.
    #[test]
    fn swap_is_noticed() {
        let directory = std::env::temp_dir().join(format!("kura-swap-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let headings = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        let none = file("none", headings);
        let some = file("some", &format!("{headings}/dev/sda2 partition 999 0 -2\n"));
        let (free, shut) = (file("free", "max\n"), file("shut", "0\n"));
        assert!(can_swap(&some, &free));
        assert!(can_swap(&some, &directory.join("absent")));
        assert!(can_swap(&directory.join("absent"), &free));
        assert!(!can_swap(&none, &free));
        assert!(!can_swap(&some, &shut));
        assert!(Memory { locked: true, swap: true }.is_kept() && !Memory { locked: false, swap: true }.is_kept());
        assert_eq!(swapped_kib().map(|_| ()), Some(()));
        std::fs::remove_dir_all(directory).unwrap();
    }
}
