//! The laws of this repository that no compiler knows, as tests: who may depend on whom, where SQL, the clock and randomness
//! may stand, how long a file may be, and what no file may hold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use kura_tests::workspace;
use serde_json::Value;

const LONGEST_FILE: usize = 600;
const SERVICES: [&str; 3] = ["vault", "gateway", "admin"];

/// A file of the project, tracked or about to be.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Locks and built files are others' words.
    fn is_generated(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        ["Cargo.lock", "package-lock.json"].contains(&name)
            || self.path.contains("/dist/")
            || self.path.starts_with(".sqlx/")
    }

    /// The laws are written down here, with the words that they forbid.
    fn is_this_file(&self) -> bool {
        self.path == "tests/tests/tidy.rs"
    }

    /// `path:line` of every line that `offends`.
    fn lines_that(&self, offends: impl Fn(&str) -> bool) -> Vec<String> {
        let numbered = self.text.lines().enumerate().filter(|(_, line)| offends(line));
        numbered.map(|(index, line)| format!("{}:{}: {}", self.path, index + 1, line.trim())).collect()
    }
}

/// All text files that git knows or would add.
fn sources() -> Vec<Source> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(workspace());
    let output = git.output().expect("git");
    assert!(output.status.success(), "this test reads what git tracks");
    let names = String::from_utf8(output.stdout).unwrap();
    let mut sources = Vec::new();
    for path in names.split('\0').filter(|name| !name.is_empty()) {
        if let Ok(text) = std::fs::read_to_string(workspace().join(path)) {
            sources.push(Source { path: path.to_owned(), text });
        }
    }
    assert!(sources.len() > 20, "there are sources");
    sources
}

fn assert_none(offences: &[String], law: &str) {
    assert!(offences.is_empty(), "{law}\n  {}", offences.join("\n  "));
}

/// Which crates of ours each crate of ours names, in any way: to run, to test, or to build.
fn our_dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(workspace());
    let output = cargo.output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let ours: BTreeSet<String> = packages.iter().map(name).collect();
    let named = |package: &Value| -> BTreeSet<String> {
        package["dependencies"].as_array().unwrap().iter().map(name).filter(|name| ours.contains(name)).collect()
    };
    packages.iter().map(|package| (name(package), named(package))).collect()
}

/// `wire` and `platform` stand alone; a service is called by the others, never linked; ISO 8583, whose messages carry
/// PANs, the simulated shopper, who types them, and custodians' shares can't even be named by the gateway and the console; and nobody but the tests may look into a service.
#[test]
fn the_dependency_law_holds() {
    let (wire, platform, iso8583, shopper) = ("kura-wire", "kura-platform", "kura-iso8583", "kura-shopper");
    let (ledger, custody) = ("kura-ledger", "kura-custody");
    let law: [(&str, &[&str]); 12] = [
        (wire, &[]),
        (platform, &[]),
        (iso8583, &[]),
        // For its tests alone, which sign.
        (ledger, &[platform]),
        (custody, &[wire, platform]),
        ("kura-vault", &[wire, platform, iso8583, ledger, custody]),
        ("kura-networks", &[platform, iso8583]),
        ("kura-gateway", &[wire, platform]),
        ("kura-admin", &[wire, platform, ledger]),
        ("kura-fronts", &[wire, platform]),
        (shopper, &[wire]),
        ("kura", &[wire, platform, shopper, ledger, custody]),
    ];
    let mut found = our_dependencies();
    found.remove("kura-tests").expect("this crate");
    for (name, allowed) in law {
        let named = found.remove(name).unwrap_or_else(|| panic!("{name} is gone"));
        let forbidden: Vec<_> = named.iter().filter(|named| !allowed.contains(&named.as_str())).collect();
        assert!(forbidden.is_empty(), "{name} may not depend on {forbidden:?}");
    }
    assert!(found.is_empty(), "say here what these may depend on: {:?}", found.keys());
}

/// SQL stands in a service's `store`, one file for a table, and in the check of the schema; nowhere else. Tests that attack a
/// database may hold the attack.
#[test]
fn sql_stays_in_the_store() {
    let offences: Vec<String> = sources()
        .iter()
        .filter(|source| source.is_rust() && !source.is_this_file())
        .filter(|source| !source.path.contains("/src/store/") && source.path != "platform/src/database.rs")
        .filter(|source| !source.path.contains("/tests/"))
        .flat_map(|source| source.lines_that(|line| line.contains("sqlx::query") || line.contains("sqlx::raw_sql")))
        .collect();
    assert_none(&offences, "SQL belongs in src/store/:");
}

/// Nothing of a service waits for a database without a limit: connections are the platform's, whose calls have one.
#[test]
fn databases_are_waited_for_with_a_limit() {
    let unlimited =
        ["PgPool", "PgConnection", "PgPoolOptions", "PgListener", "PoolConnection", "Transaction", "Acquire"];
    let offences: Vec<String> = sources()
        .iter()
        .filter(|source| source.is_rust() && source.path.contains("/src/"))
        .filter(|source| !["platform/", "tests/", "kura/"].iter().any(|other| source.path.starts_with(other)))
        .flat_map(|source| {
            let names = |line: &str, name: &str| {
                let of = |path: &str| line.contains(&format!("{path}::{name}"));
                of("sqlx") || of("postgres") || of("pool") || (line.starts_with("use sqlx::") && line.contains(name))
            };
            source.lines_that(|line| unlimited.iter().any(|name| names(line, name)))
        })
        .collect();
    assert_none(&offences, "use the connections of kura_platform::database:");
}

/// Where a statement may open in this text: sqlx's own calls, and macros of the file around them.
fn statement_openings(text: &str) -> Vec<usize> {
    let own_macros = text.match_indices("macro_rules! ").filter_map(|(at, opening)| {
        let name = text[at + opening.len()..].split([' ', '{']).next()?;
        Some(format!("{name}!("))
    });
    let openings = own_macros.chain(["sqlx::query", "page_of!(", "claim_due!("].map(str::to_owned));
    openings.flat_map(|opening| text.match_indices(&opening).map(|(at, _)| at).collect::<Vec<_>>()).collect()
}

/// What a database shows of a running statement begins with who sent it: `/* service function */` or
/// `/* service table::function */`, truthfully, and with more words where a function has two statements.
#[test]
fn every_statement_says_who_sends_it() {
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| source.is_rust() && source.path.contains("/src/store/")) {
        let service = source.path.split('/').next().unwrap();
        let table = Path::new(&source.path).file_stem().unwrap().to_str().unwrap();
        for at in statement_openings(&source.text) {
            let (before, after) = source.text.split_at(at);
            // Imports and paths to types aren't statements.
            let call = after.split_once('(').filter(|(name, _)| !name.contains([';', ' ', ',', '{', '>']));
            let Some((_, call)) = call else { continue };
            let (arguments, statement) = call.split_once('"').unwrap_or((call, ""));
            // Inside of a macro the text is its caller's, which is looked at in its turn.
            if arguments.contains('$') {
                continue;
            }
            let function =
                before.rsplit("fn ").next().and_then(|text| text.split(['(', '<']).next()).unwrap_or_default();
            let statement = statement.trim_start();
            let names = [format!("/* {service} {function} "), format!("/* {service} {table}::{function} ")];
            if !names.iter().any(|name| statement.starts_with(name.as_str())) {
                let line = before.lines().count();
                offences.push(format!("{}:{line}: expected {}*/ or {}*/", source.path, names[0], names[1]));
            }
        }
    }
    assert_none(&offences, "each SQL statement opens with a comment that names its service and function:");
}

/// Time and chance come from `platform` alone, so that each can be found, and replaced.
#[test]
fn the_clock_and_randomness_have_one_source() {
    let sources_of_their_own = [
        "SystemTime::now",
        "OffsetDateTime::now_",
        "Utc::now",
        "Uuid::new_v4",
        "Uuid::now_v7",
        "SystemRandom::new",
        "thread_rng",
        "rand::random",
        "rand::rng",
        "getrandom::",
        "fastrand::",
        "OsRng",
    ];
    let offences: Vec<String> = sources()
        .iter()
        .filter(|source| source.is_rust() && !source.path.starts_with("platform/src/") && !source.is_this_file())
        .flat_map(|source| source.lines_that(|line| sources_of_their_own.iter().any(|name| line.contains(name))))
        .collect();
    assert_none(&offences, "use kura_platform::clock and kura_platform::random:");
}

/// A file can be read in one sitting.
#[test]
fn files_are_short() {
    let offences: Vec<String> = sources()
        .iter()
        .filter(|source| source.is_rust())
        .map(|source| (source.text.lines().count(), &source.path))
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    assert_none(&offences, &format!("split what is longer than {LONGEST_FILE} lines:"));
}

/// What npm brings for tests and browsers is what was locked: npm refuses a file with another hash, but not a lock without one.
#[test]
fn every_locked_package_has_its_hash() {
    let mut packages = 0;
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| source.path.ends_with("package-lock.json")) {
        let lock: Value = serde_json::from_str(&source.text).expect("a lock is JSON");
        for (name, package) in lock["packages"].as_object().unwrap().iter().filter(|(name, _)| !name.is_empty()) {
            packages += 1;
            if !package["integrity"].as_str().is_some_and(|hash| hash.starts_with("sha512-")) {
                offences.push(format!("{}: {name}", source.path));
            }
        }
    }
    assert!(packages > 50, "there are packages");
    assert_none(&offences, "lock it with its hash:");
}

/// Every Rust file begins with what it is for.
#[test]
fn files_say_what_they_are_for() {
    let offences: Vec<String> = sources()
        .iter()
        .filter(|source| source.is_rust() && !source.text.starts_with("//! "))
        .map(|source| source.path.clone())
        .collect();
    assert_none(&offences, "begin the file with a //! line:");
}

/// A link in the documentation leads to something that is here.
#[test]
fn links_in_documents_are_alive() {
    let mut offences = Vec::new();
    for source in sources().iter().filter(|source| source.path.ends_with(".md")) {
        let directory = Path::new(&source.path).parent().unwrap();
        for (_, rest) in source.text.match_indices("](").map(|(at, _)| source.text.split_at(at + 2)) {
            let target = rest.split([')', ' ', '#']).next().unwrap_or_default();
            let elsewhere = target.contains("://") || target.starts_with("mailto:") || target.is_empty();
            if !elsewhere && !workspace().join(directory).join(target).exists() {
                offences.push(format!("{}: {target}", source.path));
            }
        }
    }
    assert_none(&offences, "dead links:");
}

/// Nothing here depends on where somebody's clone or home is.
#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    let here = format!("{}/", workspace().display());
    let homes = ["/home/", "/Users/", "/root/", "../shared"];
    let offences: Vec<String> = sources()
        .iter()
        .filter(|source| !source.is_this_file() && !source.path.contains("/dist/"))
        .flat_map(|source| {
            source.lines_that(|line| line.contains(&here) || homes.iter().any(|home| line.contains(home)))
        })
        .collect();
    assert_none(&offences, "paths of one machine:");
}

/// Packages come from wherever the person's tools are set to fetch them: no file names a registry's host, and npm's lock
/// files hold checksums without addresses.
#[test]
fn no_file_names_a_registry_host() {
    let hosts = [
        ["registry", "npmjs", "org"],
        ["registry", "yarnpkg", "com"],
        ["index", "crates", "io"],
        ["static", "crates", "io"],
        ["files", "pythonhosted", "org"],
        ["deb", "debian", "org"],
        ["proxy", "golang", "org"],
    ]
    .map(|labels| labels.join("."));
    let offences: Vec<String> = sources()
        .iter()
        .flat_map(|source| {
            let lock = source.path.ends_with("package-lock.json");
            source.lines_that(|line| {
                hosts.iter().any(|host| line.contains(host)) || (lock && line.contains("\"resolved\": \"http"))
            })
        })
        .collect();
    assert_none(&offences, "registry hosts (npm: set omit-lockfile-registry-resolved=true):");
}

/// What is left to do is in the tracker, not in the code.
#[test]
fn nothing_is_left_for_later() {
    let offences: Vec<String> = sources()
        .iter()
        .filter(|source| !source.is_this_file() && !source.is_generated())
        .flat_map(|source| {
            source.lines_that(|line| {
                let mut words = line.split(|character: char| !character.is_ascii_alphanumeric());
                words.any(|word| ["TODO", "FIXME", "XXX", "HACK"].contains(&word))
            })
        })
        .collect();
    assert_none(&offences, "do it, or open an issue:");
}

/// Each service has its script of roles, whose role to run as has no right to change the schema, and migrations that are
/// numbered without gaps.
#[test]
fn roles_and_migrations_are_complete() {
    for service in SERVICES {
        let script = std::fs::read_to_string(workspace().join(format!("migrations/roles/{service}.sql"))).unwrap();
        for needed in [
            format!("ALTER ROLE {service}_app WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE"),
            format!("REVOKE ALL ON DATABASE {service} FROM PUBLIC"),
            "REVOKE ALL ON SCHEMA public FROM PUBLIC".to_owned(),
        ] {
            assert!(script.contains(&needed), "migrations/roles/{service}.sql lacks: {needed}");
        }
        let directory = workspace().join("migrations").join(service);
        let mut numbers: Vec<u32> = std::fs::read_dir(directory)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| {
                name.split('_').next().unwrap().parse().unwrap_or_else(|_| panic!("{service}: {name} has no number"))
            })
            .collect();
        numbers.sort_unstable();
        let expected: Vec<u32> = (1..).take(numbers.len()).collect();
        assert_eq!(numbers, expected, "migrations of {service}");
    }
}
