//! `run.json`: what a run was, so that its files can be understood and its chance repeated.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The manifest of one run. Written at its start, without an end, and again at its end: a manifest without an end is
/// that of a run that was killed or still goes on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The program's version.
    pub version: String,
    /// The command, as `crawl`.
    pub command: String,
    /// Every setting of the run, defaults included.
    pub config: serde_json::Value,
    /// The seed from which all of its chance came, as `--seed` takes it, or 64 hex digits.
    pub seed: String,
    /// Start, Unix seconds.
    pub started: u64,
    /// End, Unix seconds.
    pub ended: Option<u64>,
    /// What was counted, by group.
    pub counters: Counters,
}

/// Counted things by name.
pub type Counters = BTreeMap<String, Counter>;

/// One counted thing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Counter {
    /// A count.
    Count(u64),
    /// A ratio or a rate.
    Figure(f64),
    /// Counters that belong together.
    Group(Counters),
}

impl From<u64> for Counter {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<f64> for Counter {
    fn from(figure: f64) -> Self {
        Self::Figure(figure)
    }
}

impl From<Counters> for Counter {
    fn from(group: Counters) -> Self {
        Self::Group(group)
    }
}

/// Why a manifest could not be written or read.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// The source or the sink failed.
    #[error(transparent)]
    Io(io::Error),
    /// The text is not a manifest.
    #[error("not a manifest: {0}")]
    Json(serde_json::Error),
}

impl From<serde_json::Error> for ManifestError {
    fn from(error: serde_json::Error) -> Self {
        if error.is_io() {
            Self::Io(error.into())
        } else {
            Self::Json(error)
        }
    }
}

impl Manifest {
    /// Writes it as JSON for people to read, with a newline at the end.
    ///
    /// # Errors
    ///
    /// [`ManifestError::Io`] if the sink fails.
    pub fn write(&self, mut out: impl Write) -> Result<(), ManifestError> {
        serde_json::to_writer_pretty(&mut out, self)?;
        out.write_all(b"\n").map_err(ManifestError::Io)
    }

    /// Reads one. Members that this version does not know are passed over.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] if the source fails or is not a manifest.
    pub fn read(input: impl Read) -> Result<Self, ManifestError> {
        Ok(serde_json::from_reader(input)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let dht = Counters::from([("asked".into(), 7.into()), ("per_infohash".into(), 1.5.into())]);
        Manifest {
            version: "0.1.0".into(),
            command: "crawl".into(),
            config: serde_json::json!({ "rate": 100, "bootstrap": ["127.0.0.1:6881"] }),
            seed: "7".into(),
            started: 1_700_000_000,
            ended: None,
            counters: Counters::from([("dht".into(), dht.into())]),
        }
    }

    #[test]
    fn a_manifest_reads_back_as_written() {
        let mut text = Vec::new();
        manifest().write(&mut text).unwrap();
        assert!(text.ends_with(b"}\n"));
        assert_eq!(Manifest::read(&text[..]).unwrap(), manifest());
    }

    #[test]
    fn other_text_is_refused_in_words() {
        let error = Manifest::read(&b"{\"version\": 3}"[..]).unwrap_err();
        assert!(error.to_string().starts_with("not a manifest: "), "{error}");
    }
}
