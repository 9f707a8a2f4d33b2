use super::*;
use store::journal;

fn hash(byte: u8) -> InfoHash {
    InfoHash::new([byte; 20])
}

fn at(line: u64) -> Place {
    Place { byte: line * 50, line }
}

fn book() -> Book {
    Book::new(Seed::from_number(1))
}

fn mark(line: u64) -> Entry {
    Entry::Note(Note::Read(Mark {
        head: 1,
        head_len: 1,
        place: at(line),
    }))
}

fn failed(byte: u8, line: u64) -> Entry {
    Entry::Note(Note::Failed {
        info_hash: hash(byte),
        at: at(line).byte,
    })
}

fn done(byte: u8, metadata_ok: bool) -> Entry {
    Entry::Done(journal::Done {
        info_hash: hash(byte),
        metadata_ok,
    })
}

/// Whether an infohash that is read at `line` is taken in work.
fn takes(book: &mut Book, byte: u8, line: u64) -> bool {
    let number = book.read(at(line));
    book.take(number, hash(byte))
}

fn resumed(entries: &[Entry], ours: bool, retry_failed: bool) -> (Book, Resumed) {
    let mut book = book();
    let is_ours = |_: &Mark| ours;
    let mut earlier = Earlier::new(&mut book, &is_ours, retry_failed);
    entries.iter().for_each(|&entry| earlier.learn(entry));
    let resumed = earlier.finish();
    (book, resumed)
}

#[test]
fn the_low_place_waits_for_the_slowest() {
    let mut book = book();
    for line in 1..=3 {
        assert!(takes(&mut book, u8::try_from(line).unwrap(), line));
    }
    assert_eq!(book.low(), at(1));
    book.close(&hash(2), true);
    assert_eq!(book.low(), at(1));
    book.close(&hash(1), false);
    assert_eq!(book.low(), at(3));
    book.close(&hash(3), true);
    book.read_to(at(9));
    assert_eq!(book.low(), at(9));
}

#[test]
fn an_infohash_in_work_answers_for_its_later_rows_too() {
    let mut book = book();
    assert!(takes(&mut book, 1, 1));
    assert!(takes(&mut book, 1, 8));
    assert_eq!((book.in_work(), book.place_of(&hash(1))), (1, at(8)));
    book.close(&hash(1), false);
    assert_eq!(book.low(), at(8));
    assert!(
        takes(&mut book, 1, 9),
        "given up, and wanted again: it has other peers now"
    );
    book.close(&hash(1), true);
    assert!(!takes(&mut book, 1, 10), "fetched is fetched");
}

#[test]
fn a_run_goes_on_where_the_last_one_was() {
    let entries = [
        mark(0),
        done(1, true),
        failed(2, 2),
        mark(2),
        failed(4, 4),
        done(5, true),
    ];
    let (mut book, resumed) = resumed(&entries, true, false);
    assert_eq!((resumed.from, resumed.fetched, resumed.failed), (at(2), 2, 2));
    assert!(!resumed.other_list);
    let taken: Vec<bool> = [(2, 2), (3, 3), (4, 4), (5, 5), (4, 6)]
        .map(|(byte, line)| takes(&mut book, byte, line))
        .into();
    assert_eq!(taken, [false, true, false, false, true]);
}

#[test]
fn what_failed_is_done_for_another_list_and_again_wanted_when_it_is_to_be() {
    let entries = [mark(0), failed(2, 2), done(3, false), mark(9)];
    let (mut other, told) = resumed(&entries, false, false);
    assert!(told.other_list && told.from == at(0));
    assert!(!takes(&mut other, 2, 700) && !takes(&mut other, 3, 701));
    let (mut again, told) = resumed(&entries, true, true);
    assert_eq!((told.from, told.failed), (at(0), 2));
    assert!(takes(&mut again, 2, 2) && takes(&mut again, 3, 3));
}

#[test]
fn rows_of_a_failure_belong_to_the_note_behind_them() {
    let entries = [mark(0), done(2, false), failed(2, 2), done(3, false)];
    let (mut book, told) = resumed(&entries, true, false);
    assert_eq!(told.failed, 2);
    assert!(takes(&mut book, 2, 5), "noted at line 2: at line 5 it is wanted anew");
    assert!(!takes(&mut book, 3, 5), "where it was wanted is not known");
}
