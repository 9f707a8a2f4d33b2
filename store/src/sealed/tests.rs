//! A table and its journal, cut at any byte and taken up again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use wire::InfoHash;

use super::*;
use crate::metadata::{self, FORM, HEADER, Torrent};
use crate::wants::Place;
use crate::{batch, json, survey, survey_journal};

type File = Cursor<Vec<u8>>;

/// Three infohashes: two peers and a name that needs quotes, none at all, and one peer without metadata.
fn plan() -> Vec<(Done, Vec<u8>)> {
    let peers: Vec<SocketAddr> = vec!["1.2.3.4:5".parse().unwrap(), "[::1]:6".parse().unwrap()];
    let torrent = Torrent {
        name: "a,\"b\"\nc",
        file_count: 1,
        total_bytes: 2,
        piece_length: 3,
    };
    [(1, Some(torrent), 2), (2, None, 0), (3, None, 1)]
        .map(|(byte, torrent, count)| {
            let info_hash = InfoHash::new([byte; 20]);
            let mut block = Vec::new();
            metadata::put_block(
                &metadata::Entry {
                    info_hash,
                    torrent,
                    peers: &peers[..count],
                },
                &mut block,
            );
            (
                Done {
                    info_hash,
                    metadata_ok: torrent.is_some(),
                },
                block,
            )
        })
        .into()
}

fn cut(file: &mut File, len: u64) {
    let len = usize::try_from(len).unwrap();
    assert!(len <= file.get_ref().len(), "a file is never lengthened");
    file.get_mut().truncate(len);
}

fn done_of(entry: Entry) -> Option<Done> {
    match entry {
        Entry::Done(done) => Some(done),
        Entry::Note(_) => None,
    }
}

fn open(mut table: File, mut journal: File) -> (Sealed<File, File>, Vec<Done>) {
    let standing = survey(FORM, &mut table, &mut journal).unwrap();
    cut(&mut table, standing.table);
    cut(&mut journal, standing.journal);
    let mut done = Vec::new();
    let sealed = Sealed::begin(table, journal, &standing, |entry| done.extend(done_of(entry))).unwrap();
    (sealed, done)
}

/// Opens the files and puts what is not done, as the next run would.
fn resume(table: &[u8], journal: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut sealed, done) = open(Cursor::new(table.to_vec()), Cursor::new(journal.to_vec()));
    for (known, block) in plan() {
        if !done.contains(&known) {
            sealed.put(known, &block).unwrap();
        }
    }
    let (table, journal) = sealed.into_parts();
    (table.into_inner(), journal.into_inner())
}

/// Both files as an undisturbed run leaves them.
fn whole() -> (Vec<u8>, Vec<u8>) {
    resume(b"", b"")
}

/// Bytes of one write, and whether they went to the journal.
type Writing = (bool, Vec<u8>);

/// A file that notes each write in a log it shares with the other file.
struct Noted {
    file: File,
    is_journal: bool,
    log: Rc<RefCell<Vec<Writing>>>,
}

impl Write for Noted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.log.borrow_mut().push((self.is_journal, bytes.to_vec()));
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Noted {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.file.read(bytes)
    }
}

impl Seek for Noted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// The writes of an undisturbed run in their order.
fn writes() -> Vec<Writing> {
    let log = Rc::new(RefCell::default());
    let noted = |is_journal| Noted {
        file: File::default(),
        is_journal,
        log: Rc::clone(&log),
    };
    let standing = survey(FORM, &mut File::default(), &mut File::default()).unwrap();
    let mut sealed = Sealed::begin(noted(false), noted(true), &standing, |_| ()).unwrap();
    for (done, block) in plan() {
        sealed.put(done, &block).unwrap();
    }
    log.take()
}

#[test]
fn an_infohash_is_one_write_to_each_file() {
    assert_eq!(writes().len(), 2 + 2 * plan().len());
}

#[test]
fn a_kill_at_any_byte_leaves_nothing_lost_doubled_or_torn() {
    let writes = writes();
    let total: usize = writes.iter().map(|(_, bytes)| bytes.len()).sum();
    for killed_at in 0..=total {
        let (mut table, mut journal) = (Vec::new(), Vec::new());
        let mut left = killed_at;
        for (to_journal, bytes) in &writes {
            let file = if *to_journal { &mut journal } else { &mut table };
            file.extend_from_slice(&bytes[..left.min(bytes.len())]);
            left = left.saturating_sub(bytes.len());
        }
        // Every block that was whole in the file is done, and only those.
        let (sealed, done) = open(Cursor::new(table.clone()), Cursor::new(journal.clone()));
        let kept = sealed.into_parts().0.into_inner();
        let blocks: Vec<u8> = plan()
            .iter()
            .take(done.len())
            .flat_map(|(_, block)| block.clone())
            .collect();
        assert_eq!(kept, [format!("{HEADER}\n").as_bytes(), &blocks].concat());
        let next = plan().get(done.len()).map_or(usize::MAX, |(_, block)| block.len());
        assert!(table.len().saturating_sub(kept.len()) < next, "a whole block was cut");
        // The next run ends with the bytes of an undisturbed one.
        assert_eq!(resume(&table, &journal), whole(), "killed at byte {killed_at}");
    }
}

#[test]
fn a_kill_between_the_two_cuts_changes_nothing() {
    let (table, journal) = whole();
    for torn in 0..table.len() {
        let (mut half, mut full) = (Cursor::new(table[..torn].to_vec()), Cursor::new(journal.clone()));
        let standing = survey(FORM, &mut half, &mut full).unwrap();
        cut(&mut half, standing.table);
        assert_eq!(resume(half.get_ref(), full.get_ref()), whole());
    }
}

/// Rows of each infohash; panics at a torn one.
fn rows_by_hash(table: &[u8]) -> BTreeMap<InfoHash, usize> {
    let mut count = BTreeMap::new();
    for row in metadata::rows(table) {
        *count.entry(row.unwrap().info_hash).or_default() += 1;
    }
    count
}

#[test]
fn any_two_cuts_leave_no_torn_row_and_no_doubled_infohash() {
    // Most of these pairs no kill can produce: a data directory restored from a backup can.
    let (table, journal) = whole();
    let wanted = rows_by_hash(&table);
    for table_at in 0..=table.len() {
        for journal_at in 0..=journal.len() {
            let (again, _) = resume(&table[..table_at], &journal[..journal_at]);
            let found = rows_by_hash(&again);
            assert_eq!(found.len(), wanted.len());
            assert!(found.iter().all(|(hash, rows)| *rows <= wanted[hash]));
        }
    }
}

#[test]
fn a_table_without_its_journal_is_adopted() {
    let (table, _) = whole();
    let (sealed, done) = open(Cursor::new(table.clone()), Cursor::default());
    assert_eq!(done, plan().iter().map(|(done, _)| *done).collect::<Vec<_>>());
    let (kept, journal) = sealed.into_parts();
    assert_eq!(kept.into_inner(), table);
    assert_eq!(resume(&table, journal.get_ref()), (table, journal.into_inner()));
}

#[test]
fn an_edited_table_is_believed_over_its_journal() {
    let (table, journal) = whole();
    // Somebody deletes the first infohash's rows: the others stay done, that one is not.
    let header = HEADER.len() + 1;
    let edited = [&table[..header], &table[header + plan()[0].1.len()..]].concat();
    // Only when rows remain beyond the shift is it seen at once; either way nothing is doubled.
    let (again, _) = resume(&edited, &journal);
    assert_eq!(rows_by_hash(&again), rows_by_hash(&table));
    let mut renamed = table;
    renamed[header + plan()[0].1.len() + plan()[1].1.len()] = b'a';
    let (_, done) = open(Cursor::new(renamed), Cursor::new(journal));
    assert_eq!(done.len(), 3);
    assert_ne!(done[2].info_hash, plan()[2].0.info_hash);
}

#[test]
fn a_rotten_record_costs_the_journal_and_not_the_table() {
    let (table, mut journal) = whole();
    journal[journal::HEADER_LEN as usize + 3] ^= 1;
    let (sealed, done) = open(Cursor::new(table.clone()), Cursor::new(journal));
    assert_eq!(done.len(), 3);
    assert_eq!(sealed.into_parts().0.into_inner(), table);
}

#[test]
fn foreign_and_newer_files_are_refused_untouched() {
    let told = |table: &[u8], journal: &[u8]| {
        survey(
            FORM,
            &mut Cursor::new(table.to_vec()),
            &mut Cursor::new(journal.to_vec()),
        )
        .unwrap_err()
        .to_string()
    };
    assert_eq!(
        told(b"", b"#!/bin/sh\necho something else\n"),
        "not a resume journal of estudely"
    );
    let mut newer = journal::header();
    newer[16] = 9;
    let check = journal::sum(&newer[..20]);
    newer[20..].copy_from_slice(&check.to_le_bytes());
    assert_eq!(
        told(b"", &newer),
        "a resume journal of format 9, newer than this program's 2"
    );
    assert!(told(b"my notes\n", b"").starts_with("a file that does not begin with `infohash,name,"));
    assert!(told(format!("{HEADER},extra\n").as_bytes(), b"").starts_with("a file that does not begin with"));
}

#[test]
fn files_that_were_not_cut_are_not_continued() {
    let (table, journal) = whole();
    let (mut table, mut journal) = (Cursor::new(table[..table.len() - 3].to_vec()), Cursor::new(journal));
    let standing = survey(FORM, &mut table, &mut journal).unwrap();
    assert!(matches!(
        Sealed::begin(table, journal, &standing, |_| ()),
        Err(StoreError::Changed)
    ));
}

#[test]
fn a_journal_alone_remembers_what_is_done() {
    let standing = survey_journal(&mut File::default()).unwrap();
    let mut sealed = Sealed::begin(io::empty(), File::default(), &standing, |_| ()).unwrap();
    for (done, _) in plan() {
        sealed.put(done, &[]).unwrap();
    }
    let mut journal = sealed.into_parts().1;
    let last = journal.get_ref().len() - 1;
    journal.get_mut().truncate(last);
    let standing = survey_journal(&mut journal).unwrap();
    cut(&mut journal, standing.journal);
    let mut done = Vec::new();
    Sealed::begin(io::empty(), journal.clone(), &standing, |entry| {
        done.extend(done_of(entry));
    })
    .unwrap();
    assert_eq!(done.len(), 2);
    // A later run with a table takes the same journal on.
    let (sealed, done) = open(File::default(), journal);
    assert_eq!(done.len(), 2);
    assert_eq!(sealed.into_parts().0.into_inner(), format!("{HEADER}\n").into_bytes());
}

/// A table whose disk is full after `room` bytes.
struct Full {
    file: File,
    room: usize,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = self.file.write(&bytes[..bytes.len().min(self.room)])?;
        self.room -= written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Full {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.file.read(bytes)
    }
}

impl Seek for Full {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[test]
fn after_a_full_disk_nothing_more_is_written_and_the_next_run_goes_on() {
    let (table, _) = whole();
    for room in HEADER.len() + 1..table.len() {
        let full = Full {
            file: File::default(),
            room,
        };
        let standing = survey(FORM, &mut File::default(), &mut File::default()).unwrap();
        let mut sealed = Sealed::begin(full, File::default(), &standing, |_| ()).unwrap();
        let failures = plan()
            .iter()
            .filter(|(done, block)| sealed.put(*done, block).is_err())
            .count();
        assert!(failures > 0);
        let whole_blocks = usize::try_from(sealed.whole()).unwrap();
        let (torn, journal) = sealed.into_parts();
        let written = plan().len() - failures;
        let until = plan().iter().take(written).map(|(_, block)| block.len()).sum::<usize>();
        assert_eq!(whole_blocks, HEADER.len() + 1 + until, "what to cut the table to");
        assert_eq!(resume(torn.file.get_ref(), journal.get_ref()), whole());
    }
}

#[test]
fn notes_between_blocks_come_back_and_a_torn_block_takes_its_note_along() {
    let place = Place { byte: 7, line: 2 };
    let mark = Note::Read(journal::Mark {
        head: 1,
        head_len: 2,
        place,
    });
    let (mut sealed, _) = open(File::default(), File::default());
    let blocks = plan();
    sealed.note(mark).unwrap();
    sealed.put(blocks[0].0, &blocks[0].1).unwrap();
    let info_hash = blocks[2].0.info_hash;
    let failed = Note::Failed { info_hash, at: 9 };
    sealed.put_with(blocks[2].0, &blocks[2].1, Some(failed)).unwrap();
    let (table, journal) = sealed.into_parts();
    let entries = |mut table: File, mut journal: File| {
        let standing = survey(FORM, &mut table, &mut journal).unwrap();
        cut(&mut table, standing.table);
        cut(&mut journal, standing.journal);
        let mut entries = Vec::new();
        Sealed::begin(table, journal, &standing, |entry| entries.push(entry)).unwrap();
        entries
    };
    let (first, third) = (Entry::Done(blocks[0].0), Entry::Done(blocks[2].0));
    let all = entries(table.clone(), journal.clone());
    assert_eq!(all, [Entry::Note(mark), first, third, Entry::Note(failed)]);
    let mut torn = table;
    torn.get_mut().pop();
    assert_eq!(entries(torn, journal), [Entry::Note(mark), first]);
}

#[test]
fn every_form_knows_its_lines_without_a_journal() {
    let torrent = Torrent {
        name: "t",
        file_count: 1,
        total_bytes: 2,
        piece_length: 3,
    };
    let info_hash = InfoHash::new([5; 20]);
    let mut table = format!("{}\n", batch::HEADER).into_bytes();
    batch::put_row(info_hash, &torrent, &mut table);
    let mut lines = Vec::new();
    let found = json::Found {
        torrent,
        files: Vec::new(),
        peer: None,
        via: None,
    };
    let effort = json::Effort {
        tried: 1,
        took: Duration::ZERO,
    };
    json::put_found(info_hash, &found, effort, &mut lines);
    for (form, table) in [(batch::FORM, table), (json::FORM, lines)] {
        let (mut table, mut journal) = (Cursor::new(table), File::default());
        let standing = survey(form, &mut table, &mut journal).unwrap();
        let mut entries = Vec::new();
        let sealed = Sealed::begin(table.clone(), journal, &standing, |entry| entries.push(entry)).unwrap();
        assert_eq!(
            entries,
            [Entry::Done(Done {
                info_hash,
                metadata_ok: true
            })]
        );
        assert_eq!(sealed.into_parts().0.into_inner(), table.into_inner());
    }
}
