//! The audit against PostgreSQL itself, as the console's own role, in a private cluster that lives as long as the test.
// The lints' exception for tests doesn't reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use kura_admin::store::{MIGRATIONS, StoreError, audit};
use sqlx::Connection;
use sqlx::postgres::{PgConnection, PgPool};

/// A cluster on a socket in a directory of its own, without network; stopped and removed when dropped.
struct Cluster {
    directory: PathBuf,
    binaries: PathBuf,
}

impl Cluster {
    fn start() -> Self {
        let binaries = newest_binaries();
        let name: String = kura_platform::random::bytes::<6>().iter().map(|byte| format!("{byte:02x}")).collect();
        let directory = std::env::temp_dir().join(format!("kura-admin-{name}"));
        std::fs::create_dir(&directory).expect("a new directory");
        let cluster = Self { directory, binaries };
        if is_root() {
            succeed(Command::new("chown").arg("postgres").arg(&cluster.directory));
        }
        let data = cluster.data();
        succeed(cluster.command("initdb").args(["-A", "trust", "-U", "postgres", "-N", "-D"]).arg(&data));
        let options = format!("-c listen_addresses='' -c fsync=off -c unix_socket_directories='{}'", cluster.socket());
        let log = cluster.directory.join("log");
        succeed(cluster.command("pg_ctl").args(["-w", "-o", &options, "-l"]).arg(log).arg("-D").arg(data).arg("start"));
        cluster
    }

    /// PostgreSQL refuses to run as root, so root becomes `postgres` for it.
    fn command(&self, program: &str) -> Command {
        let path = self.binaries.join(program);
        if !is_root() {
            return Command::new(path);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(path);
        command
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn socket(&self) -> String {
        self.directory.display().to_string()
    }

    fn url(&self, role: &str, database: &str) -> String {
        format!("postgres:///{database}?host={}&user={role}", self.socket())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let stopped = self.command("pg_ctl").args(["-m", "immediate", "-D"]).arg(self.data()).arg("stop").output();
        let removed = std::fs::remove_dir_all(&self.directory);
        if stopped.is_err() || removed.is_err() {
            eprintln!("left behind: {}", self.directory.display());
        }
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
}

fn newest_binaries() -> PathBuf {
    let root = Path::new("/usr/lib/postgresql");
    let mut versions: Vec<u32> = std::fs::read_dir(root)
        .expect("PostgreSQL 15 or later is installed")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable();
    root.join(versions.last().expect("a version of PostgreSQL").to_string()).join("bin")
}

/// Without a pipe for the server to inherit, which would keep the test waiting for it.
fn succeed(command: &mut Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let run: Output = Output { status: status.expect("the program starts"), stdout: Vec::new(), stderr: Vec::new() };
    assert!(run.status.success(), "{command:?}");
}

async fn migrated(cluster: &Cluster) {
    let mut superuser = PgConnection::connect(&cluster.url("postgres", "postgres")).await.unwrap();
    for statement in
        ["CREATE ROLE admin_owner LOGIN", "CREATE ROLE admin_app LOGIN", "CREATE DATABASE admin OWNER admin_owner"]
    {
        sqlx::raw_sql(statement).execute(&mut superuser).await.unwrap();
    }
    MIGRATIONS.run(&PgPool::connect(&cluster.url("admin_owner", "admin")).await.unwrap()).await.unwrap();
}

fn entry() -> audit::Entry<'static> {
    let at = kura_platform::clock::now();
    audit::Entry { kind: audit::Kind::Invited, at, person: None, origin: None, subject: None, detail: None }
}

/// The console's role adds rows and reads them; it can't change, delete, truncate, renumber or drop, nor stop the numbering.
/// Rows written at the same time are numbered without a gap. A role that could do more is refused at the start.
#[tokio::test(flavor = "multi_thread")]
async fn the_consoles_role_can_only_append_to_the_audit() {
    let cluster = Cluster::start();
    migrated(&cluster).await;
    let pool = PgPool::connect(&cluster.url("admin_app", "admin")).await.unwrap();
    audit::require_append_only(&pool).await.unwrap();

    let writers: Vec<_> = (0..20)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { audit::insert(&pool, entry()).await })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    let places: Vec<i64> =
        sqlx::query_scalar("SELECT sequence FROM audit ORDER BY sequence").fetch_all(&pool).await.unwrap();
    assert_eq!(places, (1..=20).collect::<Vec<i64>>());

    for statement in [
        "UPDATE audit SET detail = 'x'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "DROP TABLE audit",
        "ALTER TABLE audit DISABLE TRIGGER ALL",
        "CREATE OR REPLACE FUNCTION audit_give_place() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "UPDATE people SET role = 'administrator'",
        "CREATE TABLE own (x int)",
    ] {
        let refused = sqlx::raw_sql(statement).execute(&pool).await.expect_err(statement);
        let code = refused.as_database_error().and_then(|error| error.code().map(String::from));
        assert_eq!(code.as_deref(), Some("42501"), "{statement}: {refused}");
    }
    sqlx::raw_sql("INSERT INTO audit (sequence, at, kind) VALUES (900, now(), 'chosen_place')")
        .execute(&pool)
        .await
        .unwrap();
    let last: i64 = sqlx::query_scalar("SELECT max(sequence) FROM audit").fetch_one(&pool).await.unwrap();
    assert_eq!(last, 21);

    let owner = PgPool::connect(&cluster.url("admin_owner", "admin")).await.unwrap();
    assert!(matches!(audit::require_append_only(&owner).await, Err(StoreError::RoleTooStrong)));
}
