//! What was given: a file or a link, and what is in it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use store::fastresume::{FastResume, ResumeError};
use wire::bencode::{self, Limits};
use wire::magnet::Magnet;
use wire::metainfo::{self, Fault, Field, Info, MetainfoError, Salvaged, Torrent};
use wire::{InfoHash, InfoHashV2};

use crate::bad_input;
use crate::report::{plain, size};

/// Largest file that is read, bytes. The largest torrents in the wild have some 20 MiB; a film given by mistake has more.
const MAX_FILE: u64 = 64 << 20;

/// How a magnet link begins, in either case.
const SCHEME: &str = "magnet:";

/// Something that tells of a torrent.
#[derive(Debug)]
pub(in crate::job) enum Subject {
    /// A .torrent file; or a sound info dictionary, which is one that has nothing beside it.
    Torrent(Box<Torrent>),
    /// An info dictionary in which something is wrong.
    Salvaged(Box<Remains>),
    /// What libtorrent keeps of a torrent between sessions.
    Resume(Box<FastResume>),
    /// A magnet link, or the infohash of one.
    Magnet(Magnet),
}

/// What could be read of an info dictionary.
#[derive(Debug)]
pub(in crate::job) struct Remains {
    pub(in crate::job) info: Info,
    /// The first thing that is wrong.
    pub(in crate::job) problem: MetainfoError,
    /// Unknown unless the dictionary is whole: a hash over a part names nothing.
    pub(in crate::job) info_hash: Option<InfoHash>,
    pub(in crate::job) info_hash_v2: Option<InfoHashV2>,
}

impl Subject {
    /// Reads what was typed: a magnet link, else a file, else an infohash.
    ///
    /// # Errors
    ///
    /// [`BadInput`](crate::exit::BadInput), in one line.
    pub(in crate::job) fn find(what: &str) -> anyhow::Result<Self> {
        let name = plain(what.as_bytes());
        let scheme = what.trim_start().get(..SCHEME.len());
        if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME)) {
            match what.parse() {
                Ok(magnet) => return Ok(Self::Magnet(magnet)),
                Err(error) => bad_input!("{error}"),
            }
        }
        let path = Path::new(what);
        match fs::metadata(path) {
            Ok(file) if file.is_dir() => bad_input!("{name}: a directory; name a .torrent file in it"),
            // A device or a pipe has no length to check first, and may have no end.
            Ok(file) if !file.is_file() => bad_input!("{name}: not a regular file"),
            Ok(file) if file.len() > MAX_FILE => {
                bad_input!(
                    "{name}: too large for a torrent: {} is the most that is read",
                    size(MAX_FILE)
                )
            }
            Ok(_) => {}
            Err(error) => match Magnet::from_link_or_hash(what) {
                Ok(magnet) => return Ok(Self::Magnet(magnet)),
                Err(_) if error.kind() == ErrorKind::NotFound => {
                    bad_input!("{name}: no such file, and neither a magnet link nor an infohash")
                }
                Err(_) => bad_input!("{name}: {error}"),
            },
        }
        match host::read_file(path) {
            Ok(Some(raw)) => match Self::read(&raw) {
                Ok(subject) => Ok(subject),
                Err(reason) => bad_input!("{name}: not a torrent: {reason}"),
            },
            Ok(None) => bad_input!("{name}: no such file"),
            Err(error) => bad_input!("{}", plain(error.to_string().as_bytes())),
        }
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    ///
    /// Which field is wrong and why, if they are neither a .torrent file nor an info dictionary with a name or a file, nor
    /// resume data.
    pub(in crate::job) fn read(raw: &[u8]) -> Result<Self, String> {
        // First: an info dictionary may lie within.
        match FastResume::decode(raw) {
            Ok(resume) => return Ok(Self::Resume(Box::new(resume))),
            Err(ResumeError::NotResume | ResumeError::Bencode(_)) => {}
            Err(error) => return Err(error.to_string()),
        }
        match Torrent::parse(raw) {
            Ok(torrent) => Ok(Self::Torrent(Box::new(torrent))),
            Err(MetainfoError::Field {
                field: Field::Info,
                fault: Fault::Missing,
            }) => Self::read_info(raw)
                .map_err(|error| format!("it has no `info`, and is no info dictionary either: {error}")),
            // The offset of such an error counts from where `info` begins.
            Err(error @ MetainfoError::Bencode(_)) if has_info(raw) => Err(format!("`info` is {error}")),
            Err(error @ MetainfoError::Bencode(_)) => Self::read_info(raw).map_err(|_| error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Reads an info dictionary. Bytes after it are ignored, as they are after a .torrent file's.
    fn read_info(raw: &[u8]) -> Result<Self, MetainfoError> {
        let whole = bencode::decode_prefix(raw, &Limits::METAINFO)
            .ok()
            .map(|(dict, _)| dict.raw());
        let raw = whole.unwrap_or(raw);
        let Salvaged { info, problem } = Info::salvage(raw)?;
        let problem = match problem {
            Some(problem) => problem,
            None => match Torrent::parse(&metainfo::wrap::<&str>(raw, &[])) {
                Ok(torrent) => return Ok(Self::Torrent(Box::new(torrent))),
                // It nests as deep as may be, and lies one deeper now.
                Err(problem) => problem,
            },
        };
        Ok(Self::Salvaged(Box::new(Remains {
            info_hash: whole.filter(|_| info.version.has_v1()).map(metainfo::info_hash_v1),
            info_hash_v2: whole.filter(|_| info.version.has_v2()).map(metainfo::info_hash_v2),
            info,
            problem,
        })))
    }
}

/// Whether the bytes are a sound dictionary with an entry `info`.
fn has_info(raw: &[u8]) -> bool {
    let value = bencode::decode_prefix(raw, &Limits::METAINFO).ok();
    value.is_some_and(|(dict, _)| dict.get(b"info").is_some())
}
