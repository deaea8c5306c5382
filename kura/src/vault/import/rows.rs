//! Reading the CSV: rows into batches, and what is no card even before the vault sees it.

use std::io::Read;

use anyhow::{Context, Result, ensure};
use csv::{ByteRecord, ReaderBuilder};
use kura_platform::redact::contains_pan;
use kura_wire::import::{ImportRow, MAX_BATCH_ROWS};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// Bytes of a row at the most: a file without line ends must not fill the memory.
const MAX_ROW_LEN: usize = 2048;
const MAX_NAME_LEN: usize = 100;
const MAX_NUMBER_LEN: usize = 19;
/// Bytes of a row in a batch, about.
const ROW_LEN: usize = 64;

/// Consecutive rows of the file. The same file always gives the same batches.
pub(super) struct Batch {
    /// Which one, from 0.
    pub(super) number: u32,
    /// Its rows as JSON, to be sealed.
    pub(super) plaintext: Zeroizing<Vec<u8>>,
    /// Who the rows in `plaintext` are.
    pub(super) sent: Vec<SentRow>,
    /// The others.
    pub(super) bad: Vec<BadRow>,
    /// How far into the file this is, in bytes.
    pub(super) read: u64,
}

/// A row that goes to the vault.
pub(super) struct SentRow {
    /// Its number in the file.
    pub(super) row: u32,
    /// Where in the file it is.
    pub(super) line: u64,
    /// What its owner calls it.
    pub(super) reference: String,
}

/// A row that is no card.
pub(super) struct BadRow {
    /// Where in the file it is.
    pub(super) line: u64,
    /// What its owner calls it, if that can be told.
    pub(super) reference: String,
    /// What is wrong.
    pub(super) code: String,
}

/// Where the columns are.
struct Columns {
    reference: usize,
    number: usize,
    exp_month: usize,
    exp_year: usize,
    name: Option<usize>,
}

impl Columns {
    /// Nothing of the header is repeated: a file without one has a card there.
    fn of(header: &ByteRecord) -> Result<Self> {
        let find = |name: &str| {
            let wanted = |cell: &[u8]| cell.trim_ascii().eq_ignore_ascii_case(name.as_bytes());
            header.iter().position(|cell| wanted(cell.strip_prefix("\u{feff}".as_bytes()).unwrap_or(cell)))
        };
        let need = |name| find(name).with_context(|| format!("the first line must name the column `{name}`"));
        Ok(Self {
            reference: need("reference")?,
            number: need("number")?,
            exp_month: need("exp_month")?,
            exp_year: need("exp_year")?,
            name: find("name"),
        })
    }
}

/// Reads all of it into batches. It waits where the vault is slower.
pub(super) fn read(input: impl Read, batches: &mpsc::Sender<Batch>) -> Result<()> {
    let mut reader = ReaderBuilder::new().flexible(true).has_headers(true).from_reader(input);
    let columns = Columns::of(reader.byte_headers().context("the file can't be read")?)?;
    let mut record = ByteRecord::new();
    let (mut row, mut batch) = (0_u32, Batch::new(0));
    while reader.read_byte_record(&mut record).context("the file can't be read")? {
        row = row.checked_add(1).context("more rows than an import can have")?;
        let line = record.position().map_or(0, csv::Position::line);
        batch.add(&columns, &record, row, line)?;
        if row % MAX_BATCH_ROWS == 0 {
            let next = Batch::new(row / MAX_BATCH_ROWS);
            let full = std::mem::replace(&mut batch, next).close(reader.position().byte());
            // The other end is gone when a batch was refused; that error is the one to tell.
            if batches.blocking_send(full).is_err() {
                return Ok(());
            }
        }
    }
    if !batch.is_empty() {
        drop(batches.blocking_send(batch.close(reader.position().byte())));
    }
    Ok(())
}

impl Batch {
    fn new(number: u32) -> Self {
        let rows = usize::try_from(MAX_BATCH_ROWS).unwrap_or_default();
        let mut plaintext = Zeroizing::new(Vec::with_capacity(rows * ROW_LEN));
        plaintext.push(b'[');
        Self { number, plaintext, sent: Vec::with_capacity(rows), bad: Vec::new(), read: 0 }
    }

    fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.bad.is_empty()
    }

    fn close(mut self, read: u64) -> Self {
        self.plaintext.push(b']');
        Self { read, ..self }
    }

    fn add(&mut self, columns: &Columns, record: &ByteRecord, row: u32, line: u64) -> Result<()> {
        ensure!(record.as_slice().len() <= 1024 * MAX_ROW_LEN, "line {line} has no end");
        let text = |place: usize| record.get(place).and_then(|cell| std::str::from_utf8(cell).ok()).map(str::trim);
        let reference = text(columns.reference).filter(|text| !text.is_empty() && text.len() <= 255);
        let Some(reference) = reference.filter(|text| !contains_pan(text)) else {
            self.bad.push(BadRow { line, reference: String::new(), code: "reference_invalid".to_owned() });
            return Ok(());
        };
        match parse(columns, &text, record.as_slice().len()) {
            Ok(card) => {
                if !self.sent.is_empty() {
                    self.plaintext.push(b',');
                }
                let sent = ImportRow(row, card.number.as_str(), card.exp_month, card.exp_year, card.name);
                serde_json::to_writer(&mut *self.plaintext, &sent).context("a row as JSON")?;
                self.sent.push(SentRow { row, line, reference: reference.to_owned() });
            }
            Err(code) => {
                self.bad.push(BadRow { line, reference: reference.to_owned(), code: code.to_owned() });
            }
        }
        Ok(())
    }
}

/// A row whose form is that of a card.
struct ReadCard<'a> {
    number: Zeroizing<String>,
    exp_month: u8,
    exp_year: u16,
    name: Option<&'a str>,
}

fn parse<'a>(
    columns: &Columns,
    text: &impl Fn(usize) -> Option<&'a str>,
    row_len: usize,
) -> Result<ReadCard<'a>, &'static str> {
    if row_len > MAX_ROW_LEN {
        return Err("card_malformed");
    }
    let written = text(columns.number).ok_or("card_malformed")?;
    let mut number = Zeroizing::new(String::with_capacity(written.len()));
    // As people group them.
    number.extend(written.chars().filter(|character| !matches!(character, ' ' | '-')));
    if number.is_empty() || number.len() > MAX_NUMBER_LEN || !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err("card_number_incorrect");
    }
    let exp_month = text(columns.exp_month).and_then(|text| text.parse().ok()).ok_or("expiry_month_invalid")?;
    let exp_year = text(columns.exp_year).and_then(year).ok_or("expiry_year_invalid")?;
    let name = match columns.name.and_then(text) {
        Some(name) if name.chars().count() > MAX_NAME_LEN || name.chars().any(char::is_control) => {
            return Err("card_malformed");
        }
        other => other.filter(|name| !name.is_empty()),
    };
    Ok(ReadCard { number, exp_month, exp_year, name })
}

/// Four digits, or the last two of this century's.
fn year(text: &str) -> Option<u16> {
    let year: u16 = text.parse().ok()?;
    Some(if text.len() == 2 { 2000 + year } else { year })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(file: &str) -> Result<Vec<Batch>> {
        let (send, mut receive) = mpsc::channel(64);
        read(file.as_bytes(), &send)?;
        drop(send);
        Ok(std::iter::from_fn(|| receive.blocking_recv()).collect())
    }

    /// Rows go in as JSON, with their numbers; columns may stand in any order; grouped digits and short years are read.
    #[test]
    fn rows_become_json() {
        let file = "number,exp_year,exp_month,reference,name\n4242 4242 4242 4242,30,7,a,\"Yamada, Taro\"\n5555555555554444,2031,12,b,\n";
        let all = batches(file).unwrap();
        assert_eq!(all.len(), 1);
        let text = std::str::from_utf8(&all[0].plaintext).unwrap();
        assert_eq!(text, r#"[[1,"4242424242424242",7,2030,"Yamada, Taro"],[2,"5555555555554444",12,2031,null]]"#);
        assert_eq!(all[0].sent[1].reference, "b");
        assert_eq!(all[0].sent[1].line, 3);
    }

    /// What can't be a card is told by line and code, and none of it goes to the vault.
    #[test]
    fn what_is_no_card_is_told_by_its_line() {
        let file = "reference,number,exp_month,exp_year\na,42424242x4242424,1,2030\n4242424242424242,1,1,2030\nb,4242424242424242,x,2030\nc,4242424242424242,1,\nd\n,,,\n";
        let all = batches(file).unwrap();
        assert_eq!(all[0].plaintext.as_slice(), b"[]");
        let told: Vec<_> = all[0].bad.iter().map(|bad| (bad.line, bad.reference.as_str(), bad.code.as_str())).collect();
        assert_eq!(
            told,
            [
                (2, "a", "card_number_incorrect"),
                (3, "", "reference_invalid"),
                (4, "b", "expiry_month_invalid"),
                (5, "c", "expiry_year_invalid"),
                (6, "d", "card_malformed"),
                (7, "", "reference_invalid"),
            ]
        );
    }

    /// A file without a header is refused, and its first card is not repeated in the message.
    #[test]
    fn a_missing_header_is_not_repeated() {
        let error = batches("a,4242424242424242,1,2030\n").err().unwrap();
        assert!(!format!("{error:#}").contains("4242"), "{error:#}");
    }

    /// The same file gives the same batches, bad rows or not.
    #[test]
    fn batches_are_cut_by_the_rows_number() {
        let mut file = "reference,number,exp_month,exp_year\n".to_owned();
        (1..=4001).for_each(|row| {
            file.push_str(&format!("r{row},{},1,2030\n", if row == 7 { "x" } else { "4242424242424242" }))
        });
        let all = batches(&file).unwrap();
        assert_eq!(all.iter().map(|batch| batch.sent.len()).collect::<Vec<_>>(), [1999, 2000, 1]);
        assert_eq!(all.iter().map(|batch| batch.number).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(all[1].sent[0].row, 2001);
    }
}
