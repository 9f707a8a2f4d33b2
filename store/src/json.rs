//! Results as JSON, one object a line.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use wire::InfoHash;

use crate::form::Form;
use crate::journal::Done;
use crate::metadata::Torrent;
use crate::name::clean;

/// Bytes of a line that files may fill: the whole line stays below [`LINE_MAX`](crate::LINE_MAX).
const FILE_BYTES_MAX: usize = 40 * 1024;

/// Files that a line has room for at the most, however short their paths.
pub const FILES_MAX: usize = 1_024;

/// The table, to be continued: it has no header.
pub const FORM: Form = Form {
    header: "",
    begins: BEGINS,
    done,
};

const BEGINS: &str = "{\"infohash\":\"";
const OK: &[u8] = b"\",\"metadata_ok\":true,";

/// What a success is told with.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// What its info dictionary says.
    pub torrent: Torrent<'a>,
    /// Its files without padding: path and bytes. As many are written as fit into 40 KiB.
    pub files: Vec<(String, u64)>,
    /// Who gave the last piece.
    pub peer: Option<SocketAddr>,
    /// How that peer was reached.
    pub via: Option<&'static str>,
}

/// What it took.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Peers dialled.
    pub tried: u32,
    /// From taking it in work to the end.
    pub took: Duration,
}

#[derive(Serialize)]
struct File<'a> {
    path: &'a str,
    length: u64,
}

#[derive(Serialize)]
struct Success<'a> {
    infohash: String,
    metadata_ok: bool,
    name: &'a str,
    file_count: u64,
    total_bytes: u64,
    piece_length: u64,
    files: Vec<File<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<&'static str>,
    tried: u32,
    ms: u64,
}

#[derive(Serialize)]
struct Failure<'a> {
    infohash: String,
    metadata_ok: bool,
    reason: &'a str,
    peers: &'a [SocketAddr],
    tried: u32,
    ms: u64,
}

/// Appends the line of a success.
pub fn put_found(info_hash: InfoHash, found: &Found<'_>, effort: Effort, out: &mut Vec<u8>) {
    let Torrent {
        name,
        file_count,
        total_bytes,
        piece_length,
    } = found.torrent;
    let mut room = FILE_BYTES_MAX;
    let paths: Vec<_> = found
        .files
        .iter()
        .map(|(path, length)| (clean(path), *length))
        .collect();
    let fitting = paths.iter().take_while(|(path, _)| {
        // A character is at most six bytes when escaped; the rest is keys and digits.
        let bytes = path.len() * 2 + 40;
        room = room.saturating_sub(bytes);
        room > 0
    });
    let files = fitting.map(|(path, length)| File { path, length: *length });
    put(
        &Success {
            infohash: info_hash.to_string(),
            metadata_ok: true,
            name: &clean(name),
            file_count,
            total_bytes,
            piece_length,
            files: files.collect(),
            peer: found.peer,
            via: found.via,
            tried: effort.tried,
            ms: millis(effort),
        },
        out,
    );
}

/// Appends the line of a failure: `reason` from a closed list, `peers` as they were named.
pub fn put_failed(info_hash: InfoHash, reason: &str, peers: &[SocketAddr], effort: Effort, out: &mut Vec<u8>) {
    put(
        &Failure {
            infohash: info_hash.to_string(),
            metadata_ok: false,
            reason,
            peers,
            tried: effort.tried,
            ms: millis(effort),
        },
        out,
    );
}

fn millis(effort: Effort) -> u64 {
    u64::try_from(effort.took.as_millis()).unwrap_or(u64::MAX)
}

fn put(line: &impl Serialize, out: &mut Vec<u8>) {
    // Text, numbers and addresses: neither the format nor memory refuses them.
    let _ = serde_json::to_writer(&mut *out, line);
    out.push(b'\n');
}

fn done(line: &[u8]) -> Option<Done> {
    let (digits, rest) = line.strip_prefix(BEGINS.as_bytes())?.split_at_checked(40)?;
    Some(Done {
        info_hash: InfoHash::from_hex(std::str::from_utf8(digits).ok()?).ok()?,
        metadata_ok: rest.starts_with(OK),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::LINE_MAX;

    const EFFORT: Effort = Effort {
        tried: 2,
        took: Duration::from_millis(345),
    };

    fn found<'a>(name: &'a str, files: &[(&str, u64)]) -> Found<'a> {
        Found {
            torrent: Torrent {
                name,
                file_count: 1,
                total_bytes: 2,
                piece_length: 3,
            },
            files: files
                .iter()
                .map(|(path, length)| ((*path).to_owned(), *length))
                .collect(),
            peer: Some("1.2.3.4:5".parse().unwrap()),
            via: Some("tcp"),
        }
    }

    #[test]
    fn the_format_is_what_data_readme_says() {
        let hash = InfoHash::new([0xab; 20]);
        let mut out = Vec::new();
        put_found(hash, &found("n", &[("a/b", 2)]), EFFORT, &mut out);
        put_failed(hash, "unreachable", &["[::1]:6".parse().unwrap()], EFFORT, &mut out);
        let text = String::from_utf8(out).unwrap();
        let success = "\"name\":\"n\",\"file_count\":1,\"total_bytes\":2,\"piece_length\":3,\"files\":[{\"path\":\"a/b\",\"length\":2}],\
                       \"peer\":\"1.2.3.4:5\",\"via\":\"tcp\",\"tried\":2,\"ms\":345}";
        let failure = "\"reason\":\"unreachable\",\"peers\":[\"[::1]:6\"],\"tried\":2,\"ms\":345}";
        assert_eq!(
            text,
            format!(
                "{{\"infohash\":\"{hash}\",\"metadata_ok\":true,{success}\n{{\"infohash\":\"{hash}\",\"metadata_ok\":false,{failure}\n"
            )
        );
    }

    proptest! {
        #[test]
        fn any_torrent_is_one_line_that_its_form_knows(name: String, path: String, count in 0usize..3000) {
            let files: Vec<_> = (0..count).map(|_| (&path[..], 1)).collect();
            let mut out = Vec::new();
            let hash = InfoHash::new([7; 20]);
            put_found(hash, &found(&name, &files), EFFORT, &mut out);
            prop_assert!(out.len() < LINE_MAX);
            prop_assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 1);
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
            prop_assert_eq!((FORM.done)(&out), Some(Done { info_hash: hash, metadata_ok: true }));
        }
    }
}
