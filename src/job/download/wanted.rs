//! What a download was asked for: .torrent files, magnet links, infohashes, or a choice of a metadata.txt.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;

use regex::Regex;
use wire::InfoHash;
use wire::host_port::HostPort;
use wire::magnet::{Magnet, Selection};
use wire::metainfo::Torrent;

use crate::args::DownloadArgs;
use crate::bad_input;
use crate::exit::BadInput;

/// A torrent that is wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    /// What is known of it.
    pub(super) what: What,
    /// Peers to dial first.
    pub(super) peers: Vec<SocketAddr>,
    /// Peers by name, to be looked up.
    pub(super) named_peers: Vec<HostPort>,
    /// The files that are wanted; `None` for all.
    pub(super) select: Option<Selection>,
}

/// What is known of a torrent.
#[derive(Debug)]
pub(super) enum What {
    /// All.
    Torrent(Box<Torrent>),
    /// Its name, and who may know more.
    Magnet(Box<Magnet>),
}

impl Wanted {
    /// Its name in the swarm.
    pub(super) fn info_hash(&self) -> Option<InfoHash> {
        match &self.what {
            What::Torrent(torrent) => {
                let v2 = || torrent.info_hash_v2().map(|hash| hash.truncated());
                torrent.info_hash_v1().or_else(v2)
            }
            What::Magnet(magnet) => magnet.swarm_hashes().next(),
        }
    }
}

/// All that is wanted, each torrent once.
///
/// # Errors
///
/// [`BadInput`] for what cannot be read, or is no torrent.
pub(super) fn all(args: &DownloadArgs) -> anyhow::Result<Vec<Wanted>> {
    let select = args
        .select
        .as_deref()
        .map(|list| {
            list.parse::<Selection>()
                .map_err(|error| BadInput(format!("--select {list}: {error}")))
        })
        .transpose()?;
    let mut wanted: Vec<Wanted> = Vec::new();
    for what in &args.what {
        wanted.push(one(what)?);
    }
    if let Some(from) = &args.from {
        wanted.extend(chosen(from, args)?);
    }
    let mut names = Vec::new();
    wanted.retain(|wanted| {
        let name = wanted.info_hash();
        let is_new = !names.contains(&name);
        names.push(name);
        is_new
    });
    for wanted in &mut wanted {
        wanted.peers.splice(0..0, args.swarm.peer.iter().copied());
        if select.is_some() {
            wanted.select.clone_from(&select);
        }
        from_disk(wanted, &args.swarm.data_dir)?;
    }
    if wanted.is_empty() {
        bad_input!("nothing to download: no torrent of {} fits", from_name(args));
    }
    Ok(wanted)
}

fn from_name(args: &DownloadArgs) -> String {
    args.from
        .as_ref()
        .map_or_else(|| "the list".to_owned(), |from| from.display().to_string())
}

/// What one argument names.
fn one(what: &str) -> anyhow::Result<Wanted> {
    let path = Path::new(what);
    if !what.starts_with("magnet:") && (path.extension().is_some_and(|end| end == "torrent") || path.is_file()) {
        return torrent_file(path);
    }
    let magnet = Magnet::from_link_or_hash(what).map_err(|error| {
        BadInput(format!(
            "{what}: {error}; give an infohash, a magnet link or a .torrent file"
        ))
    })?;
    Ok(of_magnet(magnet))
}

fn of_magnet(magnet: Magnet) -> Wanted {
    let (named, peers): (Vec<_>, Vec<_>) = magnet
        .peers
        .iter()
        .cloned()
        .partition(|peer| peer.socket_addr().is_none());
    Wanted {
        peers: peers.iter().filter_map(HostPort::socket_addr).collect(),
        named_peers: named,
        select: magnet.select.clone(),
        what: What::Magnet(Box::new(magnet)),
    }
}

/// A .torrent file.
///
/// # Errors
///
/// [`BadInput`] if it cannot be read, or is none.
pub(super) fn torrent_file(path: &Path) -> anyhow::Result<Wanted> {
    let bytes = host::read_file(path)
        .map_err(|error| BadInput(error.to_string()))?
        .ok_or_else(|| BadInput(format!("{}: no such file", path.display())))?;
    let torrent = Torrent::parse(&bytes).map_err(|error| BadInput(format!("{}: {error}", path.display())))?;
    Ok(Wanted {
        what: What::Torrent(Box::new(torrent)),
        peers: Vec::new(),
        named_peers: Vec::new(),
        select: None,
    })
}

/// An info dictionary that an earlier run, or the crawl, has fetched saves asking for it.
fn from_disk(wanted: &mut Wanted, data_dir: &Path) -> anyhow::Result<()> {
    let (What::Magnet(magnet), Some(info_hash)) = (&wanted.what, wanted.info_hash()) else {
        return Ok(());
    };
    let path = torrent_path(data_dir, &info_hash);
    let Some(bytes) = host::read_file(&path)? else {
        return Ok(());
    };
    if let Ok(mut torrent) = Torrent::parse(&bytes)
        && wire::metainfo::matches(torrent.raw_info(), &info_hash)
    {
        torrent
            .announce_list
            .extend(magnet.trackers.iter().map(|url| vec![url.clone()]));
        torrent.url_list.extend(magnet.web_seeds.iter().cloned());
        wanted.what = What::Torrent(Box::new(torrent));
    }
    Ok(())
}

/// Where the .torrent of an info dictionary is kept that was fetched.
pub(super) fn torrent_path(data_dir: &Path, info_hash: &InfoHash) -> std::path::PathBuf {
    data_dir.join("torrents").join(format!("{info_hash}.torrent"))
}

/// Torrents of a metadata.txt that fit, in the order in which they stand there, with the peers of their rows.
fn chosen(from: &Path, args: &DownloadArgs) -> anyhow::Result<Vec<Wanted>> {
    let file = File::open(from).map_err(|error| {
        BadInput(format!(
            "cannot read {}: {error}; name a metadata.txt with --from",
            from.display()
        ))
    })?;
    let matching = args
        .matching
        .as_deref()
        .map(|pattern| Regex::new(pattern).map_err(|error| BadInput(format!("--match {pattern}: {error}"))))
        .transpose()?;
    let mut order: Vec<InfoHash> = Vec::new();
    let mut found: BTreeMap<InfoHash, (String, Vec<SocketAddr>)> = BTreeMap::new();
    for row in store::metadata::rows(BufReader::new(file)) {
        let row = row.map_err(|error| BadInput(format!("{}: {error}", from.display())))?;
        let fits = row.metadata_ok
            && matching.as_ref().is_none_or(|matching| matching.is_match(&row.name))
            && args.max_bytes.is_none_or(|most| row.total_bytes <= most);
        if !fits {
            continue;
        }
        if !found.contains_key(&row.info_hash) {
            if args.limit.is_some_and(|limit| order.len() >= limit) {
                continue;
            }
            order.push(row.info_hash);
        }
        let (_, peers) = found
            .entry(row.info_hash)
            .or_insert_with(|| (row.name.clone(), Vec::new()));
        peers.extend(row.peer);
    }
    let wanted = order.into_iter().filter_map(|info_hash| {
        let (name, peers) = found.remove(&info_hash)?;
        let magnet = Magnet {
            info_hash: Some(info_hash),
            name: Some(name),
            ..Magnet::default()
        };
        Some(Wanted {
            peers,
            ..of_magnet(magnet)
        })
    });
    Ok(wanted.collect())
}
