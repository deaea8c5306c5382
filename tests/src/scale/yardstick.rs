//! What PostgreSQL itself does: COPY of rows of the same shape, with the same indexes and settings, into the same cluster.

use std::time::Instant;

use kura_tests::Stack;

/// Rows in a second.
pub(super) fn copy_rows_per_second(stack: &Stack, rows: u32) -> f64 {
    let file = stack.state().join("yardstick.copy");
    let file = file.display();
    let make = format!(
        "\\copy (SELECT gen_random_uuid(), gen_random_uuid(), false, sha256(n::text::bytea) || sha256(n::text::bytea),
            NULL::bytea, sha256(n::text::bytea), 'abcdefghijklmnop', 'visa', '424242', '4242', 12::smallint,
            2030::smallint, now(), NULL::uuid, now(), 1::bigint, 0::smallint, NULL::timestamptz
         FROM generate_series(1, {rows}) AS n) TO '{file}' (FORMAT binary)"
    )
    .replace('\n', " ");
    stack.sql("vault", &make);
    stack.sql("vault", "CREATE TABLE yardstick (LIKE cards INCLUDING ALL) WITH (fillfactor = 50)");
    stack.sql("vault", "CHECKPOINT");
    let began = Instant::now();
    stack.sql("vault", &format!("\\copy yardstick FROM '{file}' (FORMAT binary)"));
    let took = began.elapsed();
    assert_eq!(stack.sql("vault", "SELECT count(*) FROM yardstick"), rows.to_string());
    stack.sql("vault", "DROP TABLE yardstick");
    std::fs::remove_file(stack.state().join("yardstick.copy")).expect("the rows");
    f64::from(rows) / took.as_secs_f64()
}
