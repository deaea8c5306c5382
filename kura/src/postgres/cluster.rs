//! One private cluster: made once, configured on every start, reachable only through its socket and a password.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::process::Command;

use super::{Place, Programs};
use crate::state::{State, private_directory, secret_in, set_mode, write_private};
use crate::tools::{clean_environment, output};

const SUPERUSER: &str = "postgres";
/// Only a part of a socket's name here; nothing listens on it.
const PORT: u16 = 5432;

/// What a cluster is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    /// Directory and log name.
    pub(crate) name: &'static str,
    /// PostgreSQL's `shared_buffers`.
    pub(crate) shared_buffers: &'static str,
    /// Whether a commit waits for the disk. Always, except where the data is thrown away at once.
    pub(crate) durable: bool,
}

/// A cluster on disk.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    spec: Spec,
    programs: Programs,
    place: Place,
    directory: PathBuf,
    socket: PathBuf,
    password_file: PathBuf,
}

impl Cluster {
    /// Makes the cluster when there is none, and writes its configuration.
    ///
    /// # Errors
    /// When `initdb` fails or files can't be written.
    pub(crate) async fn ensure(state: &State, programs: &Programs, place: &Place, spec: Spec) -> Result<Self> {
        let secrets = state.path("postgres-superuser");
        private_directory(&secrets)?;
        let cluster = Self {
            spec,
            programs: programs.clone(),
            place: place.clone(),
            directory: place.directory(spec.name)?,
            socket: place.socket_directory(spec.name)?,
            password_file: secrets.join(format!("{}.pgpass", spec.name)),
        };
        let password = secret_in(&secrets.join(spec.name))?;
        write_private(&cluster.password_file, format!("*:*:*:{SUPERUSER}:{password}\n").as_bytes())?;
        if !cluster.data().join("PG_VERSION").is_file() {
            cluster.initialize(&password).await?;
        }
        cluster.configure()?;
        Ok(cluster)
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The socket's directory.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The number in the socket's name.
    pub(crate) fn port(&self) -> u16 {
        PORT
    }

    /// libpq's password file for the superuser.
    pub(crate) fn password_file(&self) -> &Path {
        &self.password_file
    }

    /// The OS user and group to run the server as, when not ours.
    pub(crate) fn account(&self) -> Option<(u32, u32)> {
        self.place.account.map(|account| (account.uid, account.gid))
    }

    /// The client that fits this server.
    pub(crate) fn psql_program(&self) -> Option<PathBuf> {
        self.programs.path("psql").ok()
    }

    /// What a role's connections use, without a password.
    pub(crate) fn url(&self, database: &str, role: &str) -> String {
        let host: String = self.socket.to_string_lossy().chars().map(percent_encoded).collect();
        format!("postgres:///{database}?host={host}&port={PORT}&user={role}")
    }

    /// The server's program and arguments.
    ///
    /// # Errors
    /// When this installation lacks it.
    pub(crate) fn server(&self) -> Result<(PathBuf, Vec<String>)> {
        Ok((self.programs.path("postgres")?, vec!["-D".to_owned(), self.data().to_string_lossy().into_owned()]))
    }

    /// Whether the server of process `pid` takes connections.
    pub(crate) fn is_ready(&self, pid: i32) -> bool {
        let status = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let mut lines = status.lines();
        lines.next() == Some(&pid.to_string()) && lines.nth(6).is_some_and(|state| state.trim() == "ready")
    }

    /// Runs a script as the superuser, and gives what it printed, unadorned. It goes in through standard input:
    /// arguments are for everyone on the machine to read.
    ///
    /// # Errors
    /// When a statement fails: the script stops there.
    pub(crate) async fn psql(&self, what: &str, database: &str, script: &str) -> Result<String> {
        let mut psql = Command::new(self.programs.path("psql")?);
        clean_environment(&mut psql);
        psql.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1", "--file=-"])
            .arg(format!("--host={}", self.socket.display()))
            .arg(format!("--port={PORT}"))
            .args(["--username", SUPERUSER, "--dbname", database])
            .env("PGPASSFILE", &self.password_file)
            .env("PGOPTIONS", "-c client_min_messages=warning");
        output(what, &mut psql, Some(script)).await
    }

    async fn initialize(&self, password: &str) -> Result<()> {
        let (draft, password_file) = (self.directory.join("data.new"), self.directory.join("password.new"));
        if draft.exists() {
            std::fs::remove_dir_all(&draft).with_context(|| format!("can't delete {}", draft.display()))?;
        }
        write_private(&password_file, password.as_bytes())?;
        self.place.give(&password_file)?;
        let mut initdb = Command::new(self.programs.path("initdb")?);
        clean_environment(&mut initdb);
        // --no-sync: nothing is worth keeping before the server's first own checkpoint, which does sync.
        initdb
            .current_dir(&self.directory)
            .args(["--no-sync", "--no-instructions", "--data-checksums", "--encoding=UTF8", "--locale=C"])
            .args(["--auth=scram-sha-256", "--username", SUPERUSER])
            .arg("--pwfile")
            .arg(&password_file)
            .arg("--pgdata")
            .arg(&draft)
            .stdin(Stdio::null());
        if let Some((uid, gid)) = self.account() {
            initdb.uid(uid).gid(gid);
        }
        let made = output(&format!("making the database cluster {}", self.spec.name), &mut initdb, None).await;
        let _ = std::fs::remove_file(&password_file);
        made?;
        std::fs::rename(&draft, self.data()).context("can't move the new cluster to its place")
    }

    fn configure(&self) -> Result<()> {
        let durable = if self.spec.durable { "on" } else { "off" };
        let shared = if self.account().is_some() { "0777" } else { "0700" };
        let configuration = format!(
            "# Written by `cargo kura` on every start.\n\
             cluster_name = 'kura {name}'\n\
             # Reachable through this socket only, with a password.\n\
             listen_addresses = ''\n\
             port = {PORT}\n\
             unix_socket_directories = '{socket}'\n\
             unix_socket_permissions = {shared}\n\
             password_encryption = 'scram-sha-256'\n\
             max_connections = 120\n\
             shared_buffers = '{buffers}'\n\
             # What was answered is on the disk.\n\
             fsync = {durable}\n\
             synchronous_commit = {durable}\n\
             full_page_writes = {durable}\n\
             wal_compression = lz4\n\
             default_toast_compression = lz4\n\
             max_wal_size = '1GB'\n\
             jit = off\n\
             # A plan made while a table was nearly empty reads all of it; it must not outlive that for long.\n\
             autovacuum_naptime = '5s'\n\
             timezone = 'UTC'\n\
             # Errors without what was in the statement: no parameters, no statement, no DETAIL (it quotes rows).\n\
             log_timezone = 'UTC'\n\
             log_line_prefix = '%m [%p] %q%u@%d '\n\
             log_statement = 'none'\n\
             log_min_error_statement = 'panic'\n\
             log_parameter_max_length = 0\n\
             log_parameter_max_length_on_error = 0\n\
             log_error_verbosity = 'terse'\n\
             log_lock_waits = on\n",
            name = self.spec.name,
            socket = self.socket.to_string_lossy().replace('\'', "''"),
            buffers = self.spec.shared_buffers,
        );
        self.write("postgresql.conf", &configuration)?;
        self.write("pg_hba.conf", "# Written by `cargo kura` on every start.\nlocal all all scram-sha-256\n")
    }

    fn write(&self, file: &str, content: &str) -> Result<()> {
        let path = self.data().join(file);
        write_private(&path, content.as_bytes())?;
        set_mode(&path, 0o600)?;
        self.place.give(&path)
    }
}

fn percent_encoded(character: char) -> String {
    if character.is_ascii_alphanumeric() || "/-._~".contains(character) {
        return character.to_string();
    }
    let mut bytes = [0; 4];
    character.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    /// A path with anything in it survives in a connection URL.
    #[test]
    fn paths_are_encoded() {
        let encoded: String = "/tmp/a b&蔵".chars().map(super::percent_encoded).collect();
        assert_eq!(encoded, "/tmp/a%20b%26%E8%94%B5");
    }
}
