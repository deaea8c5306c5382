//! The yardstick: PostgreSQL's own pgbench, inserting one row a transaction into the vault's cluster. The row has the
//! columns, types and sizes of a tokenized card, and its primary key is random, as a token is.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::CONNECTIONS;
use super::target::Target;
use crate::postgres::Programs;

const TABLE: &str = "
DROP TABLE IF EXISTS bench_rows;
CREATE TABLE bench_rows (
    id uuid PRIMARY KEY, merchant_id uuid NOT NULL, livemode boolean NOT NULL, pan_sealed bytea NOT NULL,
    holder_sealed bytea, fingerprint_hash bytea NOT NULL, merchant_fingerprint text NOT NULL, brand text NOT NULL,
    bin text NOT NULL, last_four text NOT NULL, exp_month smallint NOT NULL, exp_year smallint NOT NULL,
    created_at timestamptz NOT NULL, spent_by uuid, saved_at timestamptz);
CHECKPOINT;
";
const INSERT: &str = "
INSERT INTO bench_rows VALUES (gen_random_uuid(), '0189f7ea-ae8b-7c3e-9d3f-0123456789ab', false,
    decode('0100000000000000010011223344556677889900aa00112233445566778899aabbccddeeff0011223344556677889900aabb', 'hex'),
    NULL, decode('00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff', 'hex'), 'abcdefghijklmnop', 'visa',
    '424242', '4242', 12, 2035, now(), NULL, NULL);
";

/// Runs it for a time and gives transactions per second.
pub(super) fn inserts_per_second(target: &Target, duration: Duration) -> Result<f64> {
    let programs = Programs::ensure()?;
    let connect = |command: &mut Command| {
        let cluster = &target.run.postgres.vault;
        command.env("PGPASSFILE", &cluster.pgpass).env("PGHOST", &cluster.socket);
        command.env("PGPORT", cluster.port.to_string()).env("PGUSER", "postgres").env("PGDATABASE", "vault");
    };
    let mut psql = Command::new(programs.path("psql")?);
    psql.args(["-qX", "-v", "ON_ERROR_STOP=1", "-c", "SET client_min_messages = warning", "-f", "-"])
        .stdin(Stdio::piped());
    connect(&mut psql);
    let mut running = psql.stdout(Stdio::null()).spawn()?;
    running.stdin.take().context("psql has no input")?.write_all(TABLE.as_bytes())?;
    ensure!(running.wait()?.success(), "psql could not make pgbench's table");

    let script = std::env::temp_dir().join(format!("kura-pgbench-{}.sql", std::process::id()));
    std::fs::write(&script, INSERT.replace('\n', " "))?;
    let mut pgbench = Command::new(programs.path("pgbench")?);
    let clients = CONNECTIONS.to_string();
    pgbench.args(["-n", "-M", "prepared", "-j", "2", "-c", clients.as_str()]);
    pgbench.args(["-T", &duration.as_secs().to_string(), "-f"]).arg(&script);
    connect(&mut pgbench);
    let output = pgbench.output();
    std::fs::remove_file(&script)?;
    let output = output?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "pgbench failed: {}", String::from_utf8_lossy(&output.stderr));
    let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok());
    tps.context("pgbench told no tps")
}
