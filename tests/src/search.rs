//! Looking for planted card data where a thief would: files, dumps, and the memory of running processes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;

use memchr::memmem::Finder;

use crate::Stack;

/// Where something was found, and how it was written there.
pub type Finding = String;

/// One thing to look for, in every spelling that software gives it.
#[derive(Debug)]
pub struct Needle {
    spellings: Vec<(&'static str, Vec<u8>)>,
    /// Short digits are everywhere inside longer ones: they count only when they stand alone.
    alone: bool,
}

impl Needle {
    /// A card number: plain, grouped, in two-byte characters, as hexadecimal text, and packed two digits a byte.
    pub fn pan(pan: &str) -> Self {
        let grouped = |separator: &str| {
            let groups: Vec<String> =
                pan.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group).into_owned()).collect();
            groups.join(separator).into_bytes()
        };
        let hex: String = pan.bytes().map(|digit| format!("{digit:02x}")).collect();
        let packed = pan.as_bytes().chunks(2).map(|pair| {
            let nibble = |place: usize| pair.get(place).map_or(0x0f, |digit| digit - b'0');
            nibble(0) << 4 | nibble(1)
        });
        Self {
            spellings: vec![
                ("plain", pan.as_bytes().to_vec()),
                ("grouped by spaces", grouped(" ")),
                ("grouped by dashes", grouped("-")),
                ("UTF-16", pan.bytes().flat_map(|digit| [digit, 0]).collect()),
                ("hexadecimal", hex.into_bytes()),
                ("packed", packed.collect()),
            ],
            alone: false,
        }
    }

    /// A security code: its digits, standing alone.
    pub fn cvc(cvc: &str) -> Self {
        Self { spellings: vec![("digits alone", cvc.as_bytes().to_vec())], alone: true }
    }

    /// Bytes as they are: a key, or a part of one.
    pub fn bytes(bytes: &[u8]) -> Self {
        Self { spellings: vec![("as it is", bytes.to_vec())], alone: false }
    }

    fn find(&self, haystack: &[u8]) -> Vec<&'static str> {
        let found = |spelling: &[u8]| {
            let finder = Finder::new(spelling);
            finder.find_iter(haystack).any(|at| !self.alone || stands_alone(haystack, at, spelling.len()))
        };
        self.spellings.iter().filter(|(_, spelling)| found(spelling)).map(|(name, _)| *name).collect()
    }
}

fn stands_alone(haystack: &[u8], at: usize, len: usize) -> bool {
    let part_of_a_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let before = at.checked_sub(1).and_then(|place| haystack.get(place));
    !part_of_a_word(before) && !part_of_a_word(haystack.get(at + len))
}

/// Searches every file below a directory.
///
/// # Panics
/// When a directory can't be read.
pub fn in_files(directory: &Path, needle: &Needle) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory").flatten() {
            let kind = entry.file_type().expect("a kind");
            if kind.is_dir() {
                waiting.push(entry.path());
            } else if kind.is_file() {
                // A file that vanished meanwhile (PostgreSQL makes temporary ones) holds nothing any more.
                let content = std::fs::read(entry.path()).unwrap_or_default();
                let found = needle.find(&content).into_iter();
                findings.extend(found.map(|spelling| format!("{} ({spelling})", entry.path().display())));
            }
        }
    }
    findings
}

/// Searches all memory of a process that can be read.
///
/// # Panics
/// When it can't be opened: that needs root, since Kura's processes make themselves unreadable to their own user.
pub fn in_memory(name: &str, pid: i32, needle: &Needle) -> Vec<Finding> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut memory = File::open(format!("/proc/{pid}/mem"))
        .unwrap_or_else(|error| panic!("can't read the memory of {name} (run the tests as root): {error}"));
    let mut findings = Vec::new();
    let mut read = 0;
    for line in maps.lines() {
        let mut columns = line.split_whitespace();
        let (Some(range), Some(rights)) = (columns.next(), columns.next()) else { continue };
        if !rights.starts_with('r') || line.ends_with("[vvar]") || line.ends_with("[vsyscall]") {
            continue;
        }
        let mut ends = range.split('-').map(|end| u64::from_str_radix(end, 16).expect("an address"));
        let (Some(start), Some(end)) = (ends.next(), ends.next()) else { continue };
        let mut content = vec![0; usize::try_from(end - start).expect("a size")];
        let reached = memory.seek(SeekFrom::Start(start)).and_then(|_| memory.read_exact(&mut content));
        if reached.is_ok() {
            read += content.len();
            findings
                .extend(needle.find(&content).into_iter().map(|spelling| format!("{name} at {range} ({spelling})")));
        }
    }
    assert!(read > 1_000_000, "{name}: only {read} bytes of memory could be read");
    findings
}

/// Everything that a stack keeps on disk: its state directory, both clusters' data with their write-ahead logs, and a dump of
/// every database, made on the way.
///
/// # Panics
/// When a dump fails.
pub fn on_disk(stack: &Stack, needle: &Needle) -> Vec<Finding> {
    let mut findings = in_files(stack.state(), needle);
    for (name, cluster) in &stack.run().postgres {
        findings.extend(in_files(&cluster.data, needle));
        let dump = Command::new(cluster.psql.with_file_name("pg_dumpall"))
            .arg(format!("--host={}", cluster.socket.display()))
            .args(["--port", &cluster.port.to_string(), "--username", "postgres", "--no-password"])
            .env("PGPASSFILE", &cluster.pgpass)
            .output()
            .expect("pg_dumpall");
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        assert!(dump.stdout.len() > 10_000, "a dump of {name} has something in it");
        findings.extend(needle.find(&dump.stdout).into_iter().map(|spelling| format!("dump of {name} ({spelling})")));
    }
    findings
}

/// The program of a tool that the tests install, or of the machine.
pub fn tool(variable: &str, otherwise: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| PathBuf::from(otherwise), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every spelling is found; a code inside a longer number is not, and alone it is.
    #[test]
    fn the_search_finds() {
        let needle = Needle::pan("4539578763621486");
        for text in
            ["x4539578763621486y", "4539 5787 6362 1486", "4539-5787-6362-1486", "34353339353738373633363231343836"]
        {
            assert_eq!(needle.find(text.as_bytes()).len(), 1, "{text}");
        }
        assert_eq!(needle.find(&[1, 0x45, 0x39, 0x57, 0x87, 0x63, 0x62, 0x14, 0x86, 2]), ["packed"]);
        let code = Needle::cvc("7391");
        assert!(code.find(b"at 12:00:07.739123 port 57391").is_empty());
        assert_eq!(code.find(b"\"cvc\":\"7391\"").len(), 1);
        assert_eq!(code.find(b"\x00\x007391\x00\x00").len(), 1);
    }
}
