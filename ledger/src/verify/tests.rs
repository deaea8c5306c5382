//! Exports, damaged in every way that one change can: each is named.

use super::*;
use crate::export::{Writer, put_row};
use crate::note::origin_of;
use crate::note::tests::Signer;
use crate::opening::Opening;
use crate::tree::Compact;
use proptest::prelude::*;

const ROWS: u64 = 60;
/// A checkpoint after each of so many rows.
const EVERY: u64 = 7;

fn opening(sequence: u64) -> Opening {
    Opening {
        node: 0,
        sequence,
        at_us: 1_767_225_600_000_000 + i64::try_from(sequence).unwrap(),
        actor: "gateway.kura.internal".to_owned(),
        request: [1; 16],
        merchant: [2; 16],
        record: u128::from(sequence).to_be_bytes(),
        class: "card".to_owned(),
        records: 1,
        fields: vec!["pan".to_owned()],
        purpose: "authorize".to_owned(),
        attempt: Some([4; 16]),
    }
}

/// A ledger as it stands in a database, to be tampered with and then exported.
#[derive(Clone)]
struct Ledger {
    rows: Vec<(Opening, Hash)>,
    /// By size.
    notes: Vec<(u64, String)>,
}

impl Ledger {
    fn new(signer: &Signer) -> Self {
        let rows = (1..=ROWS)
            .map(opening)
            .map(|row| {
                let hash = row.leaf_hash();
                (row, hash)
            })
            .collect();
        let mut ledger = Self { rows, notes: Vec::new() };
        ledger.sign(signer);
        ledger
    }

    /// Signs the rows as they are now.
    fn sign(&mut self, signer: &Signer) {
        let mut tree = Compact::default();
        self.notes.clear();
        let total = u64::try_from(self.rows.len()).unwrap();
        for (_, hash) in &self.rows {
            tree.push(*hash);
            if tree.size() % EVERY == 0 || tree.size() == total {
                let checkpoint = Checkpoint { origin: origin_of(0), size: tree.size(), root: tree.root() };
                self.notes.push((tree.size(), signer.note(&checkpoint)));
            }
        }
    }

    fn header(signer: &Signer, base: Compact) -> Header {
        Header { origin: origin_of(0), identity: signer.public(), base }
    }

    /// As the runner exports it: each checkpoint behind the last row that it is about.
    fn export(&self, signer: &Signer) -> Vec<u8> {
        self.export_from(signer, Compact::default())
    }

    fn export_from(&self, signer: &Signer, base: Compact) -> Vec<u8> {
        let from = base.size();
        let mut writer = Writer::begin(Vec::new(), Kind::Export, &Self::header(signer, base)).unwrap();
        let mut notes = self.notes.iter().filter(|(size, _)| *size > from).peekable();
        for (row, hash) in self.rows.iter().filter(|(row, _)| row.sequence > from) {
            while let Some((_, note)) = notes.next_if(|(size, _)| *size < row.sequence) {
                writer.checkpoint(note).unwrap();
            }
            writer.row(hash, &row.encode()).unwrap();
        }
        notes.for_each(|(_, note)| writer.checkpoint(note).unwrap());
        writer.end().unwrap()
    }

    fn witnessed(&self, signer: &Signer) -> Witnessed {
        let header = Self::header(signer, Compact::default());
        let mut writer = Writer::begin(Vec::new(), Kind::Witness, &header).unwrap();
        self.notes.iter().for_each(|(_, note)| writer.checkpoint(note).unwrap());
        let witnessed = Witnessed::read(writer.end().unwrap().as_slice()).unwrap();
        assert_eq!(witnessed.findings, []);
        witnessed
    }
}

fn report(export: &[u8], expected: &Expected) -> Report {
    verify(export, expected).unwrap()
}

fn found(export: &[u8]) -> Vec<Finding> {
    report(export, &Expected::default()).findings
}

/// What nobody touched is fine: alone, with the identity, with the witness, from its beginning or from a later row.
#[test]
fn an_untouched_ledger_is_fine() {
    let signer = Signer::new();
    let ledger = Ledger::new(&signer);
    let expected = Expected { identity: Some(signer.public()), witness: Some(ledger.witnessed(&signer)) };
    let whole = report(&ledger.export(&signer), &expected);
    assert!(whole.is_intact());
    assert_eq!(
        (whole.findings.as_slice(), whole.rows, whole.checkpoints, whole.witnessed),
        ([].as_slice(), ROWS, 9, 9)
    );
    let mut base = Compact::default();
    ledger.rows.iter().take(20).for_each(|(_, hash)| base.push(*hash));
    let part = report(&ledger.export_from(&signer, base), &expected);
    assert_eq!((part.findings.as_slice(), part.rows, part.witnessed, part.witnessed_before), ([].as_slice(), 40, 7, 2));
    assert_eq!(part.root, whole.root);
    // At the base itself, a root of the witness is met before the first row.
    let mut base = Compact::default();
    ledger.rows.iter().take(21).for_each(|(_, hash)| base.push(*hash));
    let part = report(&ledger.export_from(&signer, base), &expected);
    assert_eq!((part.findings.as_slice(), part.witnessed, part.witnessed_before), ([].as_slice(), 7, 2));
}

/// A row whose column was changed is named, and only it: the stored hashes still give the signed roots.
#[test]
fn an_altered_row_is_named() {
    let signer = Signer::new();
    let mut ledger = Ledger::new(&signer);
    ledger.rows[29].0.actor = "nobody".to_owned();
    assert_eq!(found(&ledger.export(&signer)), [Finding::Altered { sequence: 30 }]);
}

/// A row that was rewritten with its hash is narrowed down to the rows between two checkpoints.
#[test]
fn a_rewritten_row_is_narrowed_down() {
    let signer = Signer::new();
    let mut ledger = Ledger::new(&signer);
    ledger.rows[29].0.actor = "nobody".to_owned();
    ledger.rows[29].1 = ledger.rows[29].0.leaf_hash();
    assert_eq!(found(&ledger.export(&signer)), [Finding::TreeDiffers { from: 29, to: 35 }]);
}

/// Removed, inserted, swapped rows are named; and rows that were removed and the rest renumbered.
#[test]
fn removed_inserted_and_reordered_rows_are_named() {
    let signer = Signer::new();
    let whole = Ledger::new(&signer);
    let mut removed = whole.clone();
    removed.rows.drain(29..32);
    assert_eq!(found(&removed.export(&signer)), [Finding::Missing { from: 30, to: 32 }]);
    let mut doubled = whole.clone();
    doubled.rows.insert(30, whole.rows[29].clone());
    assert_eq!(found(&doubled.export(&signer)), [Finding::Duplicate { sequence: 30 }]);
    let mut swapped = whole.clone();
    swapped.rows.swap(29, 30);
    assert_eq!(found(&swapped.export(&signer)), [Finding::Reordered { sequence: 30, after: 31 }]);
    let mut renumbered = whole.clone();
    renumbered.rows.remove(29);
    for (row, hash) in &mut renumbered.rows[29..] {
        row.sequence -= 1;
        *hash = row.leaf_hash();
    }
    assert_eq!(
        found(&renumbered.export(&signer)),
        [Finding::TreeDiffers { from: 29, to: 35 }, Finding::Missing { from: 60, to: 60 }]
    );
    let mut added = whole.clone();
    let row = opening(ROWS + 1);
    added.rows.push((row.clone(), row.leaf_hash()));
    assert_eq!(found(&added.export(&signer)), [Finding::Uncovered { from: 61, to: 61 }]);
    let mut shortened = whole.clone();
    shortened.rows.truncate(40);
    assert_eq!(
        found(&shortened.export(&signer)),
        [Finding::Missing { from: 41, to: 60 }, Finding::Uncovered { from: 36, to: 40 }]
    );
}

/// Rows that come late are told apart from those that never come, wherever in the gap they belong.
#[test]
fn what_comes_late_leaves_the_rest_missing() {
    type Ranges = &'static [(u64, u64)];
    let signer = Signer::new();
    let whole = Ledger::new(&signer);
    // Of rows 30 to 34 these come last of all, in this order.
    let cases: [(&[u64], Ranges); 5] = [
        (&[32], &[(30, 31), (33, 34)]),
        (&[30], &[(31, 34)]),
        (&[34], &[(30, 33)]),
        (&[31, 33], &[(30, 30), (32, 32), (34, 34)]),
        (&[30, 31, 32, 33, 34], &[]),
    ];
    for (late, missing) in cases {
        let mut ledger = whole.clone();
        let gone: Vec<_> = ledger.rows.drain(29..34).collect();
        ledger.rows.extend(gone.into_iter().filter(|(row, _)| late.contains(&row.sequence)));
        let mut expected: Vec<Finding> =
            late.iter().map(|sequence| Finding::Reordered { sequence: *sequence, after: 60 }).collect();
        expected.extend(missing.iter().map(|(from, to)| Finding::Missing { from: *from, to: *to }));
        assert_eq!(found(&ledger.export(&signer)), expected, "{late:?}");
    }
}

/// Whether the last rows stand behind a gap changes nothing about the last row: it is there, whoever signed or saw it.
#[test]
fn a_last_row_behind_a_gap_is_there() {
    let signer = Signer::new();
    let whole = Ledger::new(&signer);
    let missing = [Finding::Missing { from: 58, to: 59 }];
    let mut removed = whole.clone();
    removed.rows.drain(57..59);
    // The witness saw row 60; the export has no checkpoint of it any more.
    let mut unsigned = removed.clone();
    unsigned.notes.pop();
    let witness = Expected { identity: None, witness: Some(whole.witnessed(&signer)) };
    assert_eq!(report(&unsigned.export(&signer), &witness).findings, missing);
    // The checkpoint of row 60 stands where the removed rows stood.
    let mut writer = Writer::begin(Vec::new(), Kind::Export, &Ledger::header(&signer, Compact::default())).unwrap();
    for (row, hash) in &removed.rows {
        if row.sequence == 60 {
            writer.checkpoint(&whole.notes.last().unwrap().1).unwrap();
        }
        writer.row(hash, &row.encode()).unwrap();
    }
    assert_eq!(found(&writer.end().unwrap()), missing);
}

/// Two rows with the last number that there is are a finding, and nothing that the verifier stumbles over.
#[test]
fn the_last_number_there_is_can_be_judged() {
    let signer = Signer::new();
    let mut ledger = Ledger::new(&signer);
    for row in &mut ledger.rows[58..] {
        row.0.sequence = u64::MAX;
        row.1 = row.0.leaf_hash();
    }
    let findings = found(&ledger.export(&signer));
    assert!(findings.contains(&Finding::Missing { from: 59, to: u64::MAX - 1 }), "{findings:?}");
}

/// A thousand findings are kept, the rest are counted.
#[test]
fn findings_have_a_limit() {
    let signer = Signer::new();
    let mut writer = Writer::begin(Vec::new(), Kind::Export, &Ledger::header(&signer, Compact::default())).unwrap();
    let mut tree = Compact::default();
    for sequence in 1..=1003 {
        let hash = opening(sequence).leaf_hash();
        tree.push(hash);
        writer.row(&hash, &Opening { purpose: "nothing".to_owned(), ..opening(sequence) }.encode()).unwrap();
    }
    let checkpoint = Checkpoint { origin: origin_of(0), size: 1003, root: tree.root() };
    writer.checkpoint(&signer.note(&checkpoint)).unwrap();
    let report = report(&writer.end().unwrap(), &Expected::default());
    assert_eq!((report.findings.len(), report.more_findings), (1000, 3));
    assert_eq!(report.findings.last(), Some(&Finding::Altered { sequence: 1000 }));
    assert!(!report.is_intact());
}

/// Whoever holds the identity's private key can sign another history; the witness's own checkpoints contradict it, and only
/// they.
#[test]
fn a_fork_is_named_by_the_witness_alone() {
    let signer = Signer::new();
    let ledger = Ledger::new(&signer);
    let mut fork = ledger.clone();
    fork.rows[29].0.actor = "nobody".to_owned();
    fork.rows[29].1 = fork.rows[29].0.leaf_hash();
    fork.sign(&signer);
    assert_eq!(found(&fork.export(&signer)), []);
    let expected = Expected { identity: None, witness: Some(ledger.witnessed(&signer)) };
    let findings = report(&fork.export(&signer), &expected).findings;
    assert!(matches!(findings.as_slice(), [Finding::Forked { from: 29, to: 35, .. }]), "{findings:?}");
    let mut shorter = ledger.clone();
    shorter.rows.truncate(50);
    shorter.sign(&signer);
    let findings = report(&shorter.export(&signer), &expected).findings;
    assert_eq!(findings, [Finding::WitnessSawMore { rows: 50, witnessed: 60 }]);
}

/// Another key signs for nobody: with the identity pinned every checkpoint is refused.
#[test]
fn another_identity_vouches_for_nothing() {
    let (signer, other) = (Signer::new(), Signer::new());
    let mut ledger = Ledger::new(&signer);
    ledger.rows[29].0.actor = "nobody".to_owned();
    ledger.rows[29].1 = ledger.rows[29].0.leaf_hash();
    ledger.sign(&other);
    assert_eq!(found(&ledger.export(&other)), [], "consistent in itself");
    let pinned = Expected { identity: Some(signer.public()), witness: None };
    let findings = report(&ledger.export(&other), &pinned).findings;
    assert_eq!(findings.first(), Some(&Finding::OtherIdentity));
    assert!(findings.contains(&Finding::Unsigned { size: Some(60), error: NoteError::BadSignature }));
    assert_eq!(findings.last(), Some(&Finding::Uncovered { from: 1, to: 60 }));
}

/// A witness's file that holds something unreliable says that, and not also that it is cut off.
#[test]
fn an_unreliable_witness_is_named() {
    let (signer, other) = (Signer::new(), Signer::new());
    let mut ledger = Ledger::new(&signer);
    let mut forged = ledger.clone();
    forged.sign(&other);
    ledger.notes[1] = forged.notes[1].clone();
    let mut writer = Writer::begin(Vec::new(), Kind::Witness, &Ledger::header(&signer, Compact::default())).unwrap();
    ledger.notes.iter().for_each(|(_, note)| writer.checkpoint(note).unwrap());
    let file = writer.end().unwrap();
    let witnessed = Witnessed::read(file.as_slice()).unwrap();
    let unreliable = Finding::WitnessUnreliable { size: Some(14), error: NoteError::BadSignature };
    assert_eq!(witnessed.findings, std::slice::from_ref(&unreliable));
    assert_eq!(witnessed.roots.len(), 8);
    let cut = Witnessed::read(&file[..file.len() - 1]).unwrap();
    assert_eq!(cut.findings, [unreliable, Finding::WitnessCut]);
}

/// A frame of bytes that are no row.
fn frame(len: usize) -> Vec<u8> {
    let mut frame = vec![b'X'];
    frame.extend_from_slice(&u32::try_from(len).unwrap().to_be_bytes());
    frame.resize(5 + len, 0);
    frame
}

/// A frame may have 64 KiB. One that says more ends what can be read: nothing behind it is taken for a frame.
#[test]
fn a_frame_has_a_limit() {
    for (len, whole) in [(64 * 1024, true), (64 * 1024 + 1, false), (64 * 1024 + 2, false)] {
        let mut bytes = frame(len);
        bytes.extend(frame(1));
        let mut reader = bytes.as_slice();
        let block = read_block(&mut reader).unwrap().unwrap();
        assert_eq!((block.frames.len(), block.is_cut()), if whole { (2, false) } else { (0, true) }, "{len}");
        assert!(read_block(&mut reader).unwrap().is_none());
    }
}

/// A file of any length is read in blocks of 8 MiB, so that it needs no more memory than a short one; its cut end ends the
/// last one.
#[test]
fn a_long_file_is_read_in_blocks() {
    let mut bytes = frame(64 * 1024).repeat(2 * 128 + 1);
    bytes.extend([b'X', 0, 0, 0, 9, 1]);
    let mut reader = bytes.as_slice();
    let mut blocks = Vec::new();
    while let Some(block) = read_block(&mut reader).unwrap() {
        blocks.push((block.frames.len(), block.is_cut()));
    }
    assert_eq!(blocks, [(128, false), (128, false), (1, true)]);
}

/// A disk that fails in the middle of a frame is not a file that ends there.
#[test]
fn a_failing_reader_is_told_as_such() {
    struct FailingOnce(bool);
    impl io::Read for FailingOnce {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, true) { Ok(0) } else { Err(io::Error::other("disk")) }
        }
    }
    let signer = Signer::new();
    let export = Ledger::new(&signer).export(&signer);
    let file = io::BufReader::new(io::Read::chain(&export[..export.len() - 1], FailingOnce(false)));
    assert!(matches!(verify(file, &Expected::default()), Err(Unreadable::Io(_))));
}

/// Each finding says what it is about, in words for people.
#[test]
fn findings_name_what_they_are_about() {
    let says = |finding: Finding, words: &str| assert_eq!(finding.to_string(), words);
    says(Finding::Missing { from: 7, to: 7 }, "row 7 missing: removed");
    says(Finding::Missing { from: 7, to: 9 }, "rows 7 to 9 missing: removed");
    let error = NoteError::BadSignature;
    says(
        Finding::Unsigned { size: Some(42), error },
        "the checkpoint of size 42 is not signed by the vault's identity",
    );
    says(Finding::Unsigned { size: None, error }, "the checkpoint is not signed by the vault's identity");
    says(Finding::Duplicate { sequence: 3 }, "row 3 is there twice: inserted");
}

/// One change to a ledger.
#[derive(Debug, Clone)]
enum Change {
    Column(u8),
    ColumnAndHash(u8),
    StoredHash,
    Drop,
    Insert,
    Swap(prop::sample::Index),
    DropNote,
    SwapNotes,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0..12_u8).prop_map(Change::Column),
        (0..12_u8).prop_map(Change::ColumnAndHash),
        Just(Change::StoredHash),
        Just(Change::Drop),
        Just(Change::Insert),
        any::<prop::sample::Index>().prop_map(Change::Swap),
        Just(Change::DropNote),
        Just(Change::SwapNotes),
    ]
}

fn alter(row: &mut Opening, column: u8) {
    match column {
        0 => row.node += 1,
        1 => row.sequence += 1000,
        2 => row.at_us -= 1,
        3 => row.actor.clear(),
        4 => row.request = [9; 16],
        5 => row.merchant = [9; 16],
        6 => row.record = [9; 16],
        7 => row.class = "emoney".to_owned(),
        8 => row.records += 1,
        9 => row.fields.push("holder".to_owned()),
        10 => row.purpose = "refund".to_owned(),
        _ => row.attempt = None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Any one change of the ledger's rows or checkpoints is found, in the export alone or with the witness beside it.
    #[test]
    fn any_change_is_found(at in any::<prop::sample::Index>(), change in change()) {
        let signer = Signer::new();
        let whole = Ledger::new(&signer);
        let mut ledger = whole.clone();
        let row = at.index(ledger.rows.len());
        let note = at.index(ledger.notes.len() - 1);
        match change.clone() {
            Change::Column(column) => alter(&mut ledger.rows[row].0, column),
            Change::ColumnAndHash(column) => {
                alter(&mut ledger.rows[row].0, column);
                ledger.rows[row].1 = ledger.rows[row].0.leaf_hash();
            }
            Change::StoredHash => ledger.rows[row].1 = leaf_hash(b"another"),
            Change::Drop => drop(ledger.rows.remove(row)),
            Change::Insert => {
                let copy = ledger.rows[row].clone();
                ledger.rows.insert(row, copy);
            }
            Change::Swap(with) => {
                let with = with.index(ledger.rows.len());
                prop_assume!(with != row);
                ledger.rows.swap(row, with);
            }
            Change::DropNote => drop(ledger.notes.remove(note)),
            Change::SwapNotes => ledger.notes.swap(note, note + 1),
        }
        let alone = found(&ledger.export(&signer));
        let witness = Expected { identity: None, witness: Some(whole.witnessed(&signer)) };
        let witnessed = report(&ledger.export(&signer), &witness).findings;
        // A checkpoint that is left out, or comes in another order, leaves the rows as they are; those it was about are
        // vouched for by the next one.
        let rows_are_untouched = matches!(change, Change::DropNote | Change::SwapNotes);
        prop_assert!(rows_are_untouched || !alone.is_empty(), "{:?}", change);
        prop_assert!(rows_are_untouched || !witnessed.is_empty());
        prop_assert!(rows_are_untouched || names(&alone, ledger.rows.get(row).map_or(ROWS, |(row, _)| row.sequence), row), "{:?} {:?}", change, alone);
    }

    /// Any changed byte of the file, any cut, anything added: found, or the file can't be read at all.
    #[test]
    fn any_change_of_the_file_is_found(at in any::<prop::sample::Index>(), bit in 0..8_u8, extra in any::<u8>()) {
        let signer = Signer::new();
        let export = Ledger::new(&signer).export(&signer);
        let at = at.index(export.len());
        let mut changed = export.clone();
        changed[at] ^= 1 << bit;
        let is_fine = |file: &[u8]| verify(file, &Expected::default()).is_ok_and(|report| report.is_intact());
        prop_assert!(!is_fine(&changed), "byte {}", at);
        prop_assert!(!is_fine(&export[..at]), "cut at {}", at);
        changed.clone_from(&export);
        changed.push(extra);
        prop_assert!(!found(&changed).is_empty());
        let row = opening(3);
        changed.clone_from(&export);
        put_row(&mut changed, &row.leaf_hash(), &row.encode());
        prop_assert_eq!(found(&changed), [Finding::Trailing]);
    }
}

/// Whether a finding names the row that was touched, or a range that it is in. (`index` is its place, 0 for the first.)
fn names(findings: &[Finding], sequence: u64, index: usize) -> bool {
    let place = u64::try_from(index).unwrap() + 1;
    let in_range = |from: u64, to: u64| (from..=to).contains(&sequence) || (from..=to).contains(&place);
    findings.iter().any(|finding| match finding {
        Finding::Altered { sequence: named } | Finding::Duplicate { sequence: named } => in_range(*named, *named),
        Finding::ForeignRow { sequence: named, .. } => in_range(*named, *named),
        Finding::Reordered { sequence: named, after } => in_range(*named, *after),
        Finding::Missing { from, to } | Finding::TreeDiffers { from, to } => in_range(*from, *to),
        _ => false,
    })
}
