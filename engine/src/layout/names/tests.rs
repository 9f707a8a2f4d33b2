//! Names as strangers choose them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn placed(rules: NameRules, files: &[&[&str]]) -> Vec<String> {
    let mut paths = Paths::new(rules);
    let place = |names: &&[&str]| {
        let mut out = String::new();
        let names: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
        paths.place(&names, &mut out);
        out
    };
    files.iter().map(place).collect()
}

fn portable(raw: &[u8]) -> String {
    NameRules::Portable.name(raw).unwrap()
}

#[test]
fn names_that_lead_elsewhere_are_left_out() {
    let files: &[&[&str]] = &[
        &["..", "etc", "passwd"],
        &[".", "", "a"],
        &["..", ".."],
        &["/etc/passwd"],
    ];
    let expected = ["etc/passwd", "a", "_", "_etc_passwd"];
    assert_eq!(placed(NameRules::Portable, files), expected);
    assert_eq!(placed(NameRules::Exact, files), expected);
}

#[test]
fn what_a_file_system_cannot_have_is_replaced() {
    assert_eq!(portable(b"a\0b\nc\\d"), "a_b_c_d");
    assert_eq!(portable(b"what? \"x\": <1|2>*"), "what_ _x__ _1_2__");
    assert_eq!(portable(b"name. . "), "name");
    assert_eq!(portable(b" . ."), "_");
    assert_eq!(portable(b"\xff.txt"), "\u{fffd}.txt");
    assert_eq!(portable("cod\u{202e}txt.exe".as_bytes()), "cod_txt.exe");
}

#[test]
fn names_of_devices_get_something_in_front() {
    for name in ["CON", "nul.txt", "Com1", "lpt9.tar.gz", "aux .c", "COM¹", "conin$"] {
        assert_eq!(portable(name.as_bytes()), format!("_{name}"));
    }
    for name in ["CONS", "COM", "COM10", "com.1", "nulls.txt", "a.con"] {
        assert_eq!(portable(name.as_bytes()), name);
    }
}

#[test]
fn under_the_exact_rule_names_stay_what_they_are() {
    for name in ["what?", "CON", "dots...", " x ", "a:b"] {
        assert_eq!(NameRules::Exact.name(name.as_bytes()).as_deref(), Some(name));
    }
    let cases: &[&[&str]] = &[&["README"], &["readme"]];
    assert_eq!(placed(NameRules::Exact, cases), ["README", "readme"]);
    assert_eq!(placed(NameRules::Portable, cases), ["README", "readme.1"]);
}

#[test]
fn a_long_name_is_cut_and_keeps_its_ending() {
    let long = format!("{}.mkv", "ü".repeat(200));
    let cut = portable(long.as_bytes());
    assert_eq!(cut, format!("{}.mkv", "ü".repeat(125)));
    let kept = format!("{}.mkv", "x".repeat(251));
    assert_eq!(portable(kept.as_bytes()), kept);
    assert_eq!(portable(format!("a.{}", "x".repeat(300)).as_bytes()).len(), 255);
    let files: &[&[&str]] = &[&[&long], &[&long]];
    let both = placed(NameRules::Portable, files);
    assert_eq!(both[1], format!("{}.1.mkv", "ü".repeat(124)));
}

#[test]
fn files_of_one_name_get_numbers() {
    let files: &[&[&str]] = &[&["a.txt"], &["a.txt"], &["a.1.txt"], &["A.TXT"], &["d", "a.txt"]];
    let expected = ["a.txt", "a.1.txt", "a.1.1.txt", "A.2.TXT", "d/a.txt"];
    assert_eq!(placed(NameRules::Portable, files), expected);
}

#[test]
fn a_file_is_no_folder() {
    let files: &[&[&str]] = &[&["a"], &["a", "b"], &["a", "c"], &["a.1"], &["d", "e"], &["d"]];
    let expected = ["a", "a.1/b", "a.1/c", "a.1.1", "d/e", "d.1"];
    assert_eq!(placed(NameRules::Portable, files), expected);
}

#[test]
fn folders_that_differ_in_case_are_one_folder() {
    let files: &[&[&str]] = &[&["Dir", "a"], &["dir", "a"], &["DIR", "b"]];
    assert_eq!(placed(NameRules::Portable, files), ["Dir/a", "Dir/a.1", "Dir/b"]);
}

#[test]
fn many_files_of_one_name_do_not_try_each_others_numbers() {
    let mut paths = Paths::new(NameRules::Portable);
    let mut out = String::new();
    for _ in 0..20_000 {
        out.clear();
        paths.place(&[b"x"], &mut out);
    }
    assert_eq!(out, "x.19999");
    assert_eq!(
        paths.numbers,
        20_000 - 1 - NICE,
        "every number was right at the first try"
    );
}

fn any_name() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"a"[..],
        b"A",
        b"b",
        b".",
        b"..",
        b"/",
        b"\\",
        b"\0",
        b" ",
        b":",
        b"\xff",
        b"\xc0\xae",
        "\u{202e}".as_bytes(),
        b"con",
        b".1",
        &[b'x'; 120],
    ]);
    let built = proptest::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat());
    prop_oneof![4 => built, 1 => proptest::collection::vec(any::<u8>(), 0..300)]
}

proptest! {
    #[test]
    fn any_names_become_distinct_paths_below_the_folder(
        files in proptest::collection::vec(proptest::collection::vec(any_name(), 0..4), 0..40),
        exact in any::<bool>(),
    ) {
        let rules = if exact { NameRules::Exact } else { NameRules::Portable };
        let mut paths = Paths::new(rules);
        let (mut seen, mut folders) = (BTreeSet::new(), BTreeSet::new());
        for names in &files {
            let mut path = String::new();
            let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
            paths.place(&names, &mut path);
            for name in path.split('/') {
                prop_assert!(!name.is_empty() && name != "." && name != "..");
                prop_assert!(name.len() <= MAX_NAME);
                prop_assert!(!name.contains(['\\', '\0']) && !name.chars().any(char::is_control));
                prop_assert!(exact || !(name.ends_with(['.', ' ']) || name.contains(':') || is_device(name)));
            }
            let folded = rules.fold(&path);
            for (at, _) in folded.match_indices('/') {
                folders.insert(folded[..at].to_owned());
            }
            prop_assert!(seen.insert(folded), "two files at {path}");
        }
        prop_assert!(seen.is_disjoint(&folders), "a file where a folder is");
    }
}
