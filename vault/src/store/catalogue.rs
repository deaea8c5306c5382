//! The database's own catalogue: which columns hold account or personal data, and whether one could hold a security code.

use kura_platform::database::PgPool;

use super::StoreError;

/// A column that is named like data of a card or a person, or says why it keeps such.
pub struct ColumnRow {
    /// `table.column`.
    pub name: String,
    /// Its comment.
    pub why: Option<String>,
}

/// Columns with account or personal data: those that have a comment, or whose name says so.
///
/// # Errors
/// [`StoreError`].
pub async fn list_data_columns(pool: &PgPool) -> Result<Vec<ColumnRow>, StoreError> {
    sqlx::query_as!(
        ColumnRow,
        "/* vault catalogue::list_data_columns */
         SELECT pg_class.relname || '.' || pg_attribute.attname AS \"name!\",
             col_description(pg_class.oid, pg_attribute.attnum) AS why
         FROM pg_class JOIN pg_attribute ON pg_attribute.attrelid = pg_class.oid
         WHERE pg_class.relnamespace = 'public'::regnamespace AND pg_class.relkind IN ('r', 'p')
           AND NOT pg_class.relispartition AND pg_attribute.attnum > 0 AND NOT pg_attribute.attisdropped
           AND (col_description(pg_class.oid, pg_attribute.attnum) IS NOT NULL
                OR pg_attribute.attname ~ '(_sealed|_masked)$'
                OR (pg_attribute.attname ~ '_hash$' AND pg_class.relname IN ('cards', 'payers', 'customers'))
                OR pg_attribute.attname ~ '^(pan|card_number|holder|phone|email|postcode|bin|last_four)$')
         ORDER BY 1"
    )
    .fetch_all(pool)
    .await
}

/// Columns that are named like a security code, a track or a PIN and are not held to words by a constraint of their own.
///
/// # Errors
/// [`StoreError`].
pub async fn list_security_code_columns(pool: &PgPool) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar!(
        "/* vault catalogue::list_security_code_columns */
         SELECT pg_class.relname || '.' || pg_attribute.attname AS \"name!\"
         FROM pg_class JOIN pg_attribute ON pg_attribute.attrelid = pg_class.oid
         WHERE pg_class.relnamespace = 'public'::regnamespace AND pg_class.relkind IN ('r', 'p')
           AND pg_attribute.attnum > 0 AND NOT pg_attribute.attisdropped
           AND pg_attribute.attname ~* '(cvc|cvv|cav2|security_code|track|pin_?block|(^|_)(cid|pin)($|_))'
           AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = pg_class.oid AND contype = 'c'
                 AND conkey = ARRAY[pg_attribute.attnum] AND pg_get_constraintdef(pg_constraint.oid) LIKE '%= ANY (ARRAY[%')
         ORDER BY 1"
    )
    .fetch_all(pool)
    .await
}
