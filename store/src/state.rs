//! `state.json`: which pieces of a download are there, for people and small programs (STO-35, STO-37).
//!
//! The least that is read is `{"completed":[0,1],"total":6,"file":"data.bin"}`. Who resumes from it hashes the pieces that
//! it names: it is no proof (STO-38).

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// Largest file that is read, bytes: 2 million pieces and 100,000 files fit.
pub const BYTES_MAX: u64 = 64 << 20;

/// Most pieces.
pub const PIECES_MAX: u32 = 1 << 26;

/// Why a state could not be read or written.
#[derive(Debug, Error)]
pub enum StateError {
    /// The source or the sink failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// More than [`BYTES_MAX`].
    #[error("longer than {BYTES_MAX} bytes")]
    TooLong,
    /// The text is not a state.
    #[error("not a state: {0}")]
    Json(serde_json::Error),
    /// More pieces than any torrent has.
    #[error("`total` is {0}, and no torrent has more than {PIECES_MAX} pieces")]
    Total(u32),
    /// A piece that is not one of them.
    #[error("piece {piece} of {total} cannot be")]
    Piece {
        /// The piece.
        piece: u32,
        /// How many there are.
        total: u32,
    },
}

/// Where a download stands. What else stands in the file is passed over.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// The file, or the directory of all files.
    #[serde(rename = "file")]
    pub name: String,
    /// Pieces that are there, sorted, none twice.
    pub completed: Vec<u32>,
    /// Pieces in all.
    pub total: u32,
    /// Of the completed ones, those whose hash was compared since they were written; all of them, where it is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Vec<u32>>,
    /// Pieces of which some blocks are there, each with those blocks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub partial: BTreeMap<u32, Vec<u32>>,
    /// The v1 name, 40 hex digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info_hash: Option<String>,
    /// The v2 name, 64 hex digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info_hash_v2: Option<String>,
    /// The .torrent file that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub torrent_file: Option<String>,
    /// The magnet link that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub magnet: Option<String>,
    /// The directory that `file` is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub save_path: Option<String>,
    /// Each file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileState>,
    /// Payload bytes received, since it was added.
    #[serde(default)]
    pub downloaded: u64,
    /// Payload bytes sent.
    #[serde(default)]
    pub uploaded: u64,
    /// Payload bytes a second, of late.
    #[serde(default)]
    pub download_rate: u64,
    /// Payload bytes a second sent, of late.
    #[serde(default)]
    pub upload_rate: u64,
    /// When this was written, Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated: Option<u64>,
}

/// Where one file stands.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FileState {
    /// Below the save path, `/` between names.
    pub path: String,
    /// Bytes in all.
    pub length: u64,
    /// Bytes of completed pieces.
    pub completed: u64,
    /// Whether it is to be downloaded.
    #[serde(default = "wanted")]
    pub selected: bool,
}

const fn wanted() -> bool {
    true
}

impl State {
    /// Reads a state. Pieces are sorted, and repeated ones dropped.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn read(input: impl Read) -> Result<Self, StateError> {
        let mut text = Vec::new();
        input.take(BYTES_MAX + 1).read_to_end(&mut text)?;
        if text.len() as u64 > BYTES_MAX {
            return Err(StateError::TooLong);
        }
        let mut state: Self = serde_json::from_slice(&text).map_err(StateError::Json)?;
        if state.total > PIECES_MAX {
            return Err(StateError::Total(state.total));
        }
        sort(&mut state.completed);
        if let Some(verified) = &mut state.verified {
            sort(verified);
        }
        state.partial.values_mut().for_each(sort);
        let verified = state.verified.iter().flatten();
        let named = state.completed.iter().chain(verified).chain(state.partial.keys());
        if let Some(&piece) = named.max().filter(|&&piece| piece >= state.total) {
            let total = state.total;
            return Err(StateError::Piece { piece, total });
        }
        Ok(state)
    }

    /// Writes it: a member a line, so that people find what they look for, and lists of pieces on one line each.
    ///
    /// # Errors
    ///
    /// [`StateError::Io`] if the sink fails.
    pub fn write(&self, mut out: impl Write) -> Result<(), StateError> {
        let value = serde_json::to_value(self).map_err(StateError::Json)?;
        let members = value.as_object().into_iter().flatten();
        let mut before = "{\n  ";
        for (key, value) in members {
            write!(out, "{before}{}: {value}", Value::from(key.as_str()))?;
            before = ",\n  ";
        }
        out.write_all(b"\n}\n")?;
        Ok(())
    }
}

fn sort(pieces: &mut Vec<u32>) {
    pieces.sort_unstable();
    pieces.dedup();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<State, StateError> {
        State::read(text.as_bytes())
    }

    #[test]
    fn the_simple_form_is_read() {
        let state = read(r#"{"completed":[1,0,1],"total":6,"file":"data.bin","more":{}}"#).unwrap();
        assert_eq!(
            (state.completed, state.total, state.name),
            (vec![0, 1], 6, "data.bin".to_owned())
        );
    }

    #[test]
    fn what_it_shows_is_a_member_a_line() {
        let state = State {
            name: "data.bin".into(),
            completed: vec![0, 1],
            total: 6,
            files: vec![FileState {
                path: "data.bin".into(),
                length: 9,
                completed: 3,
                selected: true,
            }],
            info_hash: Some("ab".into()),
            updated: Some(1_700_000_000),
            ..State::default()
        };
        let mut out = Vec::new();
        state.write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("{\n  \"") && text.ends_with("\n}\n"), "{text}");
        let lines: Vec<_> = text.lines().map(|line| line.trim().trim_end_matches(',')).collect();
        for line in [
            r#""completed": [0,1]"#,
            r#""total": 6"#,
            r#""file": "data.bin""#,
            r#""files": [{"path":"data.bin","length":9,"completed":3,"selected":true}]"#,
        ] {
            let sorted = |line: &str| {
                let mut letters: Vec<char> = line.chars().collect();
                letters.sort_unstable();
                letters
            };
            // Members within an object come in any order.
            assert!(
                lines.iter().any(|other| sorted(other) == sorted(line)),
                "{line} is not in\n{text}"
            );
        }
        assert_eq!(read(&text).unwrap(), state);
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (text, told) in [
            ("[]", "not a state: "),
            ("{}", "not a state: "),
            (r#"{"completed":[6],"total":6,"file":""}"#, "piece 6 of 6 cannot be"),
            (
                r#"{"completed":[],"total":6,"file":"","partial":{"9":[0]}}"#,
                "piece 9 of 6 cannot be",
            ),
            (r#"{"completed":[-1],"total":6}"#, "not a state: "),
            (
                r#"{"completed":[],"total":4000000000,"file":""}"#,
                "`total` is 4000000000",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(told), "{text}: {error}");
        }
        let endless = io::repeat(b' ');
        assert!(matches!(State::read(endless), Err(StateError::TooLong)));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            name: String,
            total in 1u32..1_000,
            pieces in proptest::collection::btree_set(0u32..1_000, 0..50),
            counts: [u64; 4],
            path: String,
            selected: bool,
        ) {
            let completed: Vec<u32> = pieces.into_iter().filter(|piece| *piece < total).collect();
            let state = State {
                name,
                partial: completed.iter().map(|piece| (*piece, vec![0, 3])).collect(),
                verified: selected.then(|| completed.clone()),
                completed,
                total,
                files: vec![FileState { path, length: counts[0], completed: counts[1], selected }],
                downloaded: counts[2],
                uploaded: counts[3],
                ..State::default()
            };
            let mut out = Vec::new();
            state.write(&mut out).unwrap();
            prop_assert_eq!(State::read(&out[..]).unwrap(), state);
        }
    }
}
