//! Golden text for torrents that libtorrent made (`wire/tests/fixtures`), for links, and for what is neither.

use super::*;
use crate::exit::{BadInput, code_of};

const V1: &[u8] = include_bytes!("../../../wire/tests/fixtures/v1-single.torrent");
const V2: &[u8] = include_bytes!("../../../wire/tests/fixtures/v2-multi.torrent");
const HYBRID: &[u8] = include_bytes!("../../../wire/tests/fixtures/hybrid-multi.torrent");
const RESUME: &[u8] = include_bytes!("../../../store/tests/fixtures/libtorrent-2.1.fastresume");

/// A sound info dictionary with an entry that has no meaning.
const BARE: &str = "d6:lengthi5e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaa6:source3:abce";

fn printed(subject: &Subject, files: usize) -> String {
    let mut out = Vec::new();
    print(subject, files, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// What is printed of a file with these bytes.
fn shown(raw: &[u8]) -> String {
    printed(&Subject::read(raw).unwrap(), 10)
}

fn refused(raw: &[u8]) -> String {
    Subject::read(raw).unwrap_err()
}

/// What is printed of this text on the command line.
fn found(what: &str) -> String {
    printed(&Subject::find(what).unwrap(), 10)
}

/// The line of an error that is the user's.
fn not_found(what: &str) -> String {
    let error = Subject::find(what).unwrap_err();
    assert!(error.is::<BadInput>());
    assert_eq!(code_of(&error), Exit::BadInput);
    error.to_string()
}

#[test]
fn a_v1_torrent() {
    let expected = "\
name:            one.bin
info hash v1:    e7d4565c1225b686b221831454bfaa25b3183831
version:         v1
piece length:    16.0 KiB (16,384 B)
pieces:          4
total size:      48.8 KiB (50,000 B)
files:           1
private:         yes
announce:        http://t1.example/announce
tier 1:          http://t1.example/announce
tier 1:          udp://t2.example:80
tier 2:          http://t3.example/announce
creation date:   2023-11-14T22:13:20Z
    48.8 KiB  50,000 B  one.bin
magnet:          magnet:?xt=urn:btih:e7d4565c1225b686b221831454bfaa25b3183831&dn=one.bin\
&tr=http%3A%2F%2Ft1.example%2Fannounce&tr=udp%3A%2F%2Ft2.example%3A80&tr=http%3A%2F%2Ft3.example%2Fannounce
";
    assert_eq!(shown(V1), expected);
}

#[test]
fn a_v2_torrent() {
    let expected = "\
name:            dir
info hash v2:    00d35533eb804f0f7804095e448c8935777309f54e3fba23a4c5e676806e07a4
version:         v2
piece length:    16.0 KiB (16,384 B)
pieces:          6
total size:      58.6 KiB (60,005 B)
files:           3
private:         no
announce:        http://t1.example/announce
tier 1:          http://t1.example/announce
tier 1:          udp://t2.example:80
tier 2:          http://t3.example/announce
web seed:        http://web.example/x
dht node:        router.example:6881
comment:         a comment
created by:      a maker
creation date:   2023-11-14T22:13:20Z
piece layers:    2
    39.1 KiB  40,000 B  a.txt
         5 B       5 B  docs/b.txt
    19.5 KiB  20,000 B  docs/deep/ü.txt
magnet:          magnet:?xt=urn:btmh:122000d35533eb804f0f7804095e448c8935777309f54e3fba23a4c5e676806e07a4&dn=dir\
&tr=http%3A%2F%2Ft1.example%2Fannounce&tr=udp%3A%2F%2Ft2.example%3A80&tr=http%3A%2F%2Ft3.example%2Fannounce\
&ws=http%3A%2F%2Fweb.example%2Fx
";
    assert_eq!(shown(V2), expected);
}

#[test]
fn a_hybrid_torrent_counts_padding_apart() {
    let text = shown(HYBRID);
    let expected = "\
name:            dir
info hash v1:    a68519e86e217e5c62a7b039f0112df42a72a8ba
info hash v2:    fcc6bf7317572b8de0b27f129cb9b58615ef92d5cf8642db552f76029f5efe5d
version:         hybrid
piece length:    16.0 KiB (16,384 B)
pieces:          6
total size:      58.6 KiB (60,005 B)
files:           3
padding files:   3, 37.4 KiB (38,299 B)
private:         no
";
    assert!(text.starts_with(expected), "{text}");
    assert!(!text.contains(".pad"), "{text}");
}

#[test]
fn the_list_of_files_ends_where_it_is_told_to() {
    let torrent = Subject::read(HYBRID).unwrap();
    let two_more = "    39.1 KiB  40,000 B  a.txt\n  ... and 2 more files\nmagnet:";
    assert!(printed(&torrent, 1).contains(two_more));
    assert!(printed(&torrent, 2).contains("docs/b.txt\n  ... and 1 more file\nmagnet:"));
    assert_eq!(printed(&torrent, 0), printed(&torrent, 3));
}

#[test]
fn a_bare_info_dictionary_has_all_but_what_stands_beside_it() {
    let expected = "\
name:            a
info hash v1:    523bcdf6d0ce8bc0b2aff24323bdaac24316ec6f
version:         v1
piece length:    16.0 KiB (16,384 B)
pieces:          1
total size:      5 B
files:           1
private:         no
other info key:  source, text, 3 B: abc
         5 B  5 B  a
magnet:          magnet:?xt=urn:btih:523bcdf6d0ce8bc0b2aff24323bdaac24316ec6f&dn=a
";
    assert_eq!(shown(BARE.as_bytes()), expected);
    assert_eq!(shown(format!("{BARE}\n").as_bytes()), expected);
}

#[test]
fn an_info_dictionary_with_a_fault_says_which() {
    let text = shown(BARE.replace("lengthi16384e", "lengthi0e").as_bytes());
    assert!(
        text.starts_with("problem:         `piece length` has a value out of range\nname:            a\n"),
        "{text}"
    );
    assert!(text.contains("\ninfo hash v1:    "), "{text}");
    assert!(text.contains("\nmagnet:          magnet:?xt=urn:btih:"), "{text}");
}

#[test]
fn a_part_of_an_info_dictionary_has_no_hash() {
    let text = shown(BARE.split_at(40).0.as_bytes());
    assert!(
        text.starts_with("problem:         not a bencoded dictionary: "),
        "{text}"
    );
    assert!(!text.contains("hash") && !text.contains("magnet"), "{text}");
}

#[test]
fn every_entry_without_a_meaning_is_named_with_its_kind() {
    let beside = "6:listedli1ei2ee6:numberi-7e4:treed1:ai1eee";
    let text = shown(format!("d3:bin2:\x01\x024:info{BARE}{beside}").as_bytes());
    for line in [
        "bin, binary, 2 B",
        "listed, list of 2, 8 B",
        "number, integer: -7",
        "tree, dictionary of 1, 8 B",
    ] {
        assert!(
            text.contains(&format!("\nother key:       {line}\n")),
            "{line} in {text}"
        );
    }
}

#[test]
fn a_magnet_link() {
    let link = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=a%1bb&tr=udp://t:1&ws=http://w\
                &x.pe=192.0.2.1:5&x.pe=0:4&so=0,3-5";
    let expected = "\
name:            a\u{fffd}b
info hash v1:    0123456789abcdef0123456789abcdef01234567
tracker:         udp://t:1
web seed:        http://w
peer:            192.0.2.1:5
selected files:  0,3-5
file priority:   0:4
magnet:          magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=a%1Bb&tr=udp%3A%2F%2Ft%3A1\
&ws=http%3A%2F%2Fw&x.pe=192.0.2.1:5&so=0,3-5&x.fp=0:4
";
    assert_eq!(found(link), expected);
    assert_eq!(found(&format!(" {}", link.replace("magnet:", "MAGNET:"))), expected);
}

#[test]
fn an_infohash_in_hex_or_base32() {
    let text = found("0123456789ABCDEF0123456789abcdef01234567");
    assert!(
        text.starts_with("info hash v1:    0123456789abcdef0123456789abcdef01234567\nmagnet:"),
        "{text}"
    );
    assert_eq!(found("AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH"), text);
}

#[test]
fn what_cannot_be_read_is_the_users_to_mend() {
    for (what, expected) in [
        (
            "/nowhere/x.torrent",
            "/nowhere/x.torrent: no such file, and neither a magnet link nor an infohash",
        ),
        (
            "/nowhere/\x1b[2J",
            "/nowhere/\u{fffd}[2J: no such file, and neither a magnet link nor an infohash",
        ),
        ("src", "src: a directory; name a .torrent file in it"),
        ("/dev/null", "/dev/null: not a regular file"),
        (
            "Cargo.toml",
            "Cargo.toml: not a torrent: not a bencoded dictionary: unexpected byte at 0",
        ),
        (
            "magnet:?dn=x",
            "the magnet link names no torrent: xt=urn:btih: (v1) or xt=urn:btmh: (v2) is missing",
        ),
    ] {
        assert_eq!(not_found(what), expected);
    }
}

#[test]
fn a_file_too_large_for_a_torrent_is_not_read() {
    let path = std::env::temp_dir().join(format!("estudely-show-{}", std::process::id()));
    // Sparse: it takes no room.
    std::fs::File::create(&path).unwrap().set_len((64 << 20) + 1).unwrap();
    let name = path.display().to_string();
    let error = not_found(&name);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        error,
        format!("{name}: too large for a torrent: 64.0 MiB is the most that is read")
    );
}

#[test]
fn what_is_no_torrent_says_which_field_and_why() {
    let nameless = "it has no `info`, and is no info dictionary either: `name` is missing";
    for (raw, expected) in [
        ("", "not a bencoded dictionary: input ends inside a value, at byte 0"),
        ("d3:fooi1ee\n", nameless),
        (
            "d4:infoi5ee",
            "`info` is not a bencoded dictionary: unexpected byte at 0",
        ),
        (
            &format!("d4:info{}e", BARE.replace("20:aaaaaaaaaaaaaaaaaaaa", "2:aa")),
            "`pieces` has a value of the wrong kind",
        ),
    ] {
        assert_eq!(refused(raw.as_bytes()), expected);
    }
    assert!(refused(V1.split_at(100).0).starts_with("not a bencoded dictionary: "));
}

/// Everywhere in every fixture: an escape, a line break, and the one-character form of an escape's beginning (C1).
#[test]
fn nothing_of_a_stranger_is_a_control_character_on_the_terminal() {
    for raw in [V1, V2, HYBRID, BARE.as_bytes()] {
        for control in ["\x1b", "\n", "\u{9b}"].map(str::as_bytes) {
            for at in 0..=raw.len() - control.len() {
                let mut raw = raw.to_vec();
                raw[at..at + control.len()].copy_from_slice(control);
                let text = Subject::read(&raw).map_or_else(|reason| reason, |subject| printed(&subject, 10));
                let obeyed = text.chars().find(|c| c.is_control() && *c != '\n');
                assert_eq!(obeyed, None, "{control:?} at {at}: {text:?}");
            }
        }
    }
}

#[test]
fn a_line_break_in_a_name_begins_no_line() {
    let text = shown(BARE.replace("4:name1:a", "4:name9:a\nb: c\r\nd").as_bytes());
    assert!(
        text.starts_with("name:            a\u{fffd}b: c\u{fffd}\u{fffd}d\n"),
        "{text}"
    );
}

/// A reader that goes away, or a disk that is full.
struct Broken(ErrorKind);

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let torrent = Subject::read(V1).unwrap();
    assert_eq!(
        ended(print(&torrent, 10, Broken(ErrorKind::BrokenPipe))).unwrap(),
        Exit::Done
    );
    let full = ended(print(&torrent, 10, Broken(ErrorKind::StorageFull))).unwrap_err();
    assert_eq!(code_of(&full), Exit::Failed);
}

#[test]
fn piece_layers_that_lie_are_a_problem() {
    let mut raw = V2.to_vec();
    let at = raw.windows(12).position(|bytes| bytes == b"piece layers").unwrap();
    raw[at + 60] ^= 1;
    let text = shown(&raw);
    let problem = "problem:         the piece layer of `docs/deep/ü.txt` does not belong to its `pieces root`\n";
    assert!(text.starts_with(problem), "{text}");
    assert!(!shown(V2).contains("problem:"));
}

#[test]
fn resume_data_of_libtorrent() {
    let expected = "\
format:          resume data of libtorrent
info hash v1:    d1dd7c5a543e18f0ee8fe8ddac018f81cd2d8d80
info hash v2:    913eb575a83e8a8cb5d61f7cbf61a3db7da036799c1f5c08514e6111b61c679b
save path:       /somewhere
allocation:      sparse
pieces there:    4: 0, 2, 4-5
unfinished:      piece 1: blocks 1: 1
received:        12 B
sent:            11 B
active:          13 s
seeding:         0 s
upload limit:    1000 B
flag:            paused
flag:            auto managed
tier 1:          http://a.example/
tier 2:          http://b.example/
web seed:        http://w.example/
renamed:         file 1: zz/q
files skipped:   1
peer:            1.2.3.4:5
peer:            [::1]:6
banned peer:     9.9.9.9:1
";
    assert_eq!(shown(RESUME), expected);
    let mut newer = RESUME.to_vec();
    let at = newer.windows(15).position(|bytes| bytes == b"file-versioni2e").unwrap();
    newer[at + 13] = b'9';
    assert_eq!(refused(&newer), "resume data of version 9; 1 and 2 are known");
}
