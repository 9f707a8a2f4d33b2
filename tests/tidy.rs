//! The house rules as a test: budgets, direction, absences (ARCHITECTURE.md). Clippy counts function lines; this counts the rest.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A file's lines without its tests: usual 300, never over this.
const FILE_CEILING: usize = 600;

/// Who may use whom. A new arrow is its own commit and a line in ARCHITECTURE.md.
const ARROWS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("world", &[]),
    ("crawler", &["wire", "world"]),
    ("fetcher", &["wire", "world"]),
    ("transport", &["wire", "world"]),
    ("engine", &["wire", "world"]),
    ("host", &["world"]),
    ("sim", &["transport", "wire", "world"]),
    ("store", &["wire"]),
    ("analysis", &["store", "wire"]),
];

/// Rooms that decide, translate or remember, and touch nothing.
const PURE: &[&str] = &[
    "wire",
    "world",
    "crawler",
    "fetcher",
    "transport",
    "engine",
    "sim",
    "store",
    "analysis",
];

/// Parts of `analysis` that its binary is made of, behind features: its stage and its door. The library without features is as pure as any room.
const BINARY: &[&str] = &[
    "analysis/src/cli",
    "analysis/src/stage",
    "analysis/src/sql",
    "analysis/src/main.rs",
];

/// Crates that touch the world. Only `host` and the door may be built with them.
const TOUCHING: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "quinn-udp",
    "hyper",
    "hyper-util",
    "tokio-rustls",
    "reqwest",
    "dashmap",
    "parking_lot",
    "indicatif",
    "clap",
    "getrandom",
];

/// Text that a pure room never contains outside comments. Clippy's disallowed lists hold the rest.
const ABSENT: &[&str] = &[
    "async fn",
    ".await;",
    "std::fs::",
    "std::thread",
    "Instant::now",
    "SystemTime::now",
    "std::env::",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// Every source file of the house: rooms, door, tests, benches, fuzz targets.
fn house() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches", "fuzz/fuzz_targets"] {
        files.extend(rust_files(&root().join(folder)));
    }
    for (room, _) in ARROWS {
        for folder in ["src", "tests", "benches"] {
            files.extend(rust_files(&root().join(room).join(folder)));
        }
    }
    assert!(
        files.len() > 20,
        "the walk over the house found only {} files",
        files.len()
    );
    files
}

/// The lines of a file before its inline tests, comments left out.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(index, line)| (index + 1, line))
}

fn is_test_file(path: &Path) -> bool {
    path.components()
        .any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "benches" | "tests.rs")))
}

/// Whether a file is of a part that only a feature builds.
fn is_of_the_binary(path: &Path) -> bool {
    BINARY.iter().any(|part| {
        let part = root().join(part);
        path.starts_with(&part) || path == part.with_extension("rs")
    })
}

/// Names in the `[dependencies]` table of a room's Cargo.toml, but for those that only a feature brings.
fn dependencies(room: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(room).join("Cargo.toml")).unwrap();
    let table = text.split("[dependencies]").nth(1).unwrap_or_default();
    let table = table.split("\n[").next().unwrap_or_default();
    let lines = table.lines().filter(|line| !line.contains("optional = true"));
    let names = lines.filter_map(|line| line.split(['.', ' ', '=']).next());
    names
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[track_caller]
fn assert_none(what: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{what}:\n  {}", broken.join("\n  "));
}

#[test]
fn files_keep_their_budget() {
    let files = house();
    let over = files
        .iter()
        .filter(|(path, _)| !is_test_file(path))
        .filter_map(|(path, text)| {
            let lines = text
                .lines()
                .take_while(|line| !line.starts_with("#[cfg(test)]"))
                .count();
            (lines > FILE_CEILING).then(|| format!("{}: {lines} lines", path.display()))
        });
    assert_none("over the ceiling of 600 lines without tests", &over.collect::<Vec<_>>());
}

#[test]
fn arrows_point_one_way() {
    let rooms: BTreeSet<&str> = ARROWS.iter().map(|(room, _)| *room).collect();
    let mut broken = Vec::new();
    for (room, allowed) in ARROWS {
        for name in dependencies(room) {
            if rooms.contains(name.as_str()) && !allowed.contains(&name.as_str()) {
                broken.push(format!("{room} uses {name}"));
            }
        }
    }
    assert_none("arrows that ARCHITECTURE.md does not have", &broken);
}

#[test]
fn pure_rooms_are_built_without_the_world() {
    let mut broken = Vec::new();
    for room in PURE {
        let names = dependencies(room);
        broken.extend(
            TOUCHING
                .iter()
                .filter(|name| names.contains(**name))
                .map(|name| format!("{room} depends on {name}")),
        );
    }
    assert_none("a pure room that could touch the world", &broken);
}

#[test]
fn pure_rooms_touch_nothing() {
    let mut broken = Vec::new();
    for room in PURE {
        let files = rust_files(&root().join(room).join("src")).into_iter();
        for (path, text) in files.filter(|(path, _)| !is_of_the_binary(path)) {
            for (number, line) in code(&text) {
                broken.extend(
                    ABSENT
                        .iter()
                        .filter(|word| line.contains(**word))
                        .map(|word| format!("{}:{number}: {word}", path.display())),
                );
            }
        }
    }
    assert_none("absences that are present", &broken);
}

#[test]
fn every_room_has_its_law() {
    let mut broken = Vec::new();
    for (room, _) in ARROWS {
        if !root().join(room).join("clippy.toml").is_file() {
            broken.push(format!("{room} has no clippy.toml"));
        }
        let manifest = fs::read_to_string(root().join(room).join("Cargo.toml")).unwrap();
        if !manifest.contains("[lints]\nworkspace = true") {
            broken.push(format!("{room} does not take the workspace lints"));
        }
    }
    let law = fs::read_to_string(root().join("wire/clippy.toml")).unwrap();
    for room in PURE {
        if fs::read_to_string(root().join(room).join("clippy.toml")).unwrap() != law {
            broken.push(format!(
                "{room}/clippy.toml differs from wire's: one law for all pure rooms"
            ));
        }
    }
    assert_none("rooms without law", &broken);
}

#[test]
fn only_the_door_holds_defaults() {
    let mut broken = Vec::new();
    for (room, _) in ARROWS {
        for (path, text) in rust_files(&root().join(room).join("src")) {
            broken.extend(
                code(&text)
                    .filter(|(_, line)| line.contains("impl Default for") && line.contains("Config"))
                    .map(|(number, _)| format!("{}:{number}", path.display())),
            );
        }
    }
    assert_none("defaults outside src/config.rs", &broken);
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not find itself.
    let marks = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["X", "XX"].concat(),
        ["todo", "!("].concat(),
        ["unimplemented", "!("].concat(),
    ];
    let mut broken = Vec::new();
    for (path, text) in house() {
        for (index, line) in text.lines().enumerate() {
            broken.extend(
                marks
                    .iter()
                    .filter(|mark| line.contains(mark.as_str()))
                    .map(|mark| format!("{}:{}: {mark}", path.display(), index + 1)),
            );
        }
    }
    assert_none("left for later", &broken);
}

#[test]
fn every_file_says_what_it_is() {
    let files = house();
    let broken = files
        .iter()
        .filter(|(path, _)| !is_test_file(path))
        .filter(|(_, text)| !text.starts_with("//!") && !text.starts_with("#!["));
    assert_none(
        "files without a first line of documentation",
        &broken.map(|(path, _)| path.display().to_string()).collect::<Vec<_>>(),
    );
}

#[test]
fn the_map_names_every_room() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let broken = ARROWS.iter().filter(|(room, _)| !map.contains(&format!("`{room}`")));
    assert_none(
        "rooms that are not on the map",
        &broken.map(|(room, _)| (*room).to_owned()).collect::<Vec<_>>(),
    );
    assert!(readme.contains("ARCHITECTURE.md"), "README.md says where the map is");
}

#[test]
fn the_map_names_every_file() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut broken = Vec::new();
    for (room, _) in ARROWS {
        for entry in fs::read_dir(root().join(room).join("src")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let stem = name.trim_end_matches(".rs");
            if stem != "lib" && stem != "tests" && !map.contains(&format!("`{stem}`")) {
                broken.push(format!("{room}/src/{name}"));
            }
        }
    }
    assert_none("files of a room that ARCHITECTURE.md does not name", &broken);
}
