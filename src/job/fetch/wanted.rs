//! What is wanted: a peers.csv, or infohashes and magnet links as typed.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use anyhow::Context;
use store::peers;
use wire::InfoHash;
use wire::magnet::Magnet;

use super::Want;
use crate::args::FetchArgs;
use crate::bad_input;
use crate::config::Net;
use crate::report::note;

/// Bad rows that are told one by one; further ones are counted.
const TOLD: usize = 10;

/// The list, in the order of first mention.
pub(super) struct Wanted {
    /// Each infohash once.
    pub(super) list: Vec<Want>,
    /// Read from a table: then rows go to stdout even if it is a terminal, and no names are told.
    pub(super) is_batch: bool,
}

impl Wanted {
    /// Drops what the user forbids: infohashes of the opt-out list, and peers in blocked networks. An infohash that loses
    /// all its peers is dropped, too: it was not asked to be looked up.
    pub(super) fn obey(&mut self, net: &Net) {
        let (before, mut blocked) = (self.list.len(), 0);
        self.list.retain_mut(|want| {
            let named = want.peers.len();
            want.peers.retain(|peer| !net.is_blocked(peer.ip()));
            blocked += named - want.peers.len();
            let lost_all = named > 0 && want.peers.is_empty();
            !lost_all && !net.opt_out.contains(&want.info_hash)
        });
        let dropped = before - self.list.len();
        if dropped + blocked > 0 {
            note(&format!(
                "{dropped} infohashes and {blocked} peers are left out: --opt-out, --blocklist"
            ));
        }
    }
}

/// Reads what was typed.
///
/// # Errors
///
/// [`BadInput`](crate::exit::BadInput) for what is neither an infohash, nor a magnet link, nor a file.
pub(super) fn read(args: &FetchArgs) -> anyhow::Result<Wanted> {
    let is_batch = args.what.iter().any(|what| is_table(what));
    if is_batch {
        if args.what.len() > 1 {
            bad_input!(
                "one peers.csv at a time, and nothing beside it; `cat a.csv b.csv | estudely fetch -` reads both"
            );
        }
        if !args.peer.is_empty() {
            bad_input!("--peer goes with an infohash or a magnet link; a peers.csv names its own peers");
        }
        return Ok(Wanted {
            list: read_table(&args.what[0])?,
            is_batch,
        });
    }
    let mut list = List::default();
    for what in &args.what {
        let magnet = match Magnet::from_link_or_hash(what) {
            Ok(magnet) => magnet,
            Err(error) => bad_input!("{what}: {error}; and no such file (for a table of peers, name its file)"),
        };
        for info_hash in magnet.swarm_hashes() {
            list.want(info_hash);
            let named = magnet.peers.iter().filter_map(wire::HostPort::socket_addr);
            for peer in args.peer.iter().copied().chain(named) {
                list.peer(info_hash, peer);
            }
        }
    }
    Ok(Wanted {
        list: list.wants,
        is_batch,
    })
}

fn is_table(what: &str) -> bool {
    what == "-" || Path::new(what).exists()
}

/// Reads a peers.csv; bad rows are told by line number and passed over.
fn read_table(what: &str) -> anyhow::Result<Vec<Want>> {
    let (name, bytes): (&str, Box<dyn BufRead>) = if what == "-" {
        ("stdin", Box::new(BufReader::new(io::stdin())))
    } else {
        let Some(bytes) = host::read_file(Path::new(what))? else {
            bad_input!("{what}: no such file")
        };
        (what, Box::new(io::Cursor::new(bytes)))
    };
    let (mut list, mut bad) = (List::default(), 0_usize);
    for row in peers::rows(bytes) {
        match row {
            Ok(row) => {
                list.want(row.info_hash);
                list.peer(row.info_hash, row.peer);
            }
            Err(store::ReadError::Io(error)) => return Err(error).with_context(|| format!("cannot read {name}")),
            Err(fault) => {
                bad += 1;
                if bad <= TOLD {
                    note(&format!("{name}: {fault}; passed over"));
                }
            }
        }
    }
    if bad > TOLD {
        note(&format!("{name}: {bad} bad rows in all"));
    }
    if list.wants.is_empty() && bad > 0 {
        bad_input!("{name}: no usable row; wanted are the columns {}", peers::HEADER);
    }
    Ok(list.wants)
}

/// Infohashes in the order of first mention, each with its peers.
#[derive(Default)]
struct List {
    wants: Vec<Want>,
    places: BTreeMap<InfoHash, usize>,
}

impl List {
    fn want(&mut self, info_hash: InfoHash) {
        self.places.entry(info_hash).or_insert_with(|| {
            self.wants.push(Want {
                info_hash,
                peers: Vec::new(),
            });
            self.wants.len() - 1
        });
    }

    fn peer(&mut self, info_hash: InfoHash, peer: std::net::SocketAddr) {
        if let Some(want) = self.places.get(&info_hash).and_then(|&place| self.wants.get_mut(place))
            && !want.peers.contains(&peer)
        {
            want.peers.push(peer);
        }
    }
}
