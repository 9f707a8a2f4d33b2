//! What is wanted: a list in a file or on stdin, or infohashes and magnet links as typed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use store::ReadError;
use store::wants::{Asked, Kind, Place};
use wire::InfoHash;
use wire::magnet::Magnet;

use super::feed::{End, Feed};
use super::list::{List, Reading};
use crate::args::FetchArgs;
use crate::bad_input;
use crate::config::Net;
use crate::report::{note, plain};

/// Bad rows that are told one by one; further ones are counted.
const TOLD: u64 = 10;

/// What is wanted, and whether the DHT has to be asked.
pub(super) struct Wanted {
    supply: Supply,
    /// Read from the list to see whether there is anything.
    first: Vec<Result<Asked, ReadError>>,
    /// Bad rows before it that are told as a count only.
    more_bad: u64,
    /// Infohashes without a peer are among it.
    pub(super) needs_dht: bool,
}

enum Supply {
    Typed(Vec<Asked>),
    Read(List, Box<Reading>),
}

impl Wanted {
    /// Reads what was typed, and of a list the first usable row.
    ///
    /// # Errors
    ///
    /// [`BadInput`](crate::exit::BadInput) for what is neither an infohash, nor a magnet link, nor a file, and for a list without a usable row.
    pub(super) fn read(args: &FetchArgs) -> anyhow::Result<Self> {
        if let Some(what) = &args.magnets {
            return Self::list(args, what, Kind::Links);
        }
        if !args.what.iter().any(|what| is_table(what)) {
            return typed(args);
        }
        if args.what.len() > 1 {
            bad_input!(
                "one peers.csv at a time, and nothing beside it; `cat a.csv b.csv | estudely fetch -` reads both"
            );
        }
        Self::list(args, &args.what[0], Kind::Table)
    }

    fn list(args: &FetchArgs, what: &str, kind: Kind) -> anyhow::Result<Self> {
        if !args.peer.is_empty() {
            bad_input!("--peer goes with an infohash or a magnet link; a list names its own peers");
        }
        let list = List::find(what, kind)?;
        let name = plain(list.name().as_bytes());
        let mut reading = match list.open(Place::default()) {
            Ok(reading) => reading,
            Err(error) => bad_input!("cannot read {name}: {error}"),
        };
        let (mut first, mut bad) = (Vec::new(), 0);
        let asked = loop {
            match reading.next() {
                Some(Ok(asked)) => break asked,
                // Those beyond the first ones are told as a count.
                Some(Err(fault @ ReadError::Row { .. })) => {
                    bad += 1;
                    if bad <= TOLD {
                        first.push(Err(fault));
                    }
                }
                Some(Err(error)) => bad_input!(
                    "{name}: {error}, and no usable row before; wanted are {}",
                    columns(kind)
                ),
                None => {
                    for fault in first.iter().filter_map(|item| item.as_ref().err()) {
                        note(&passed_over(&name, fault));
                    }
                    let lines = reading.place().line;
                    bad_input!("{name}: no usable row in {lines} lines; wanted are {}", columns(kind));
                }
            }
        };
        let needs_dht = args.lookup || kind == Kind::Links || asked.peers.is_empty();
        let more_bad = bad - first.len() as u64;
        first.push(Ok(asked));
        Ok(Self {
            supply: Supply::Read(list, Box::new(reading)),
            first,
            more_bad,
            needs_dht,
        })
    }

    /// The list that it is read from.
    pub(super) fn source(&self) -> Option<&List> {
        match &self.supply {
            Supply::Typed(_) => None,
            Supply::Read(list, _) => Some(list),
        }
    }

    /// Goes on at `place` of the list instead of at its beginning.
    ///
    /// # Errors
    ///
    /// When the file cannot be read again.
    pub(super) fn skip_to(&mut self, place: Place) -> std::io::Result<()> {
        if let Supply::Read(list, reading) = &mut self.supply {
            **reading = list.open(place)?;
            self.first.clear();
            self.more_bad = 0;
        }
        Ok(())
    }

    /// Brings everything that is wanted to `feed`, on a thread of its own that may be left behind: a pipe can be silent for
    /// ever.
    ///
    /// # Errors
    ///
    /// When the thread cannot be had.
    pub(super) fn spawn(self, net: &Net, feed: Arc<Feed>) -> std::io::Result<()> {
        let carrier = Carrier {
            forbidden: Forbidden::new(net),
            feed,
            bad: self.more_bad,
            told: 0,
        };
        let thread = std::thread::Builder::new().name("list".to_owned());
        thread.spawn(move || carrier.carry(self)).map(drop)
    }
}

fn is_table(what: &str) -> bool {
    what == "-" || Path::new(what).exists()
}

fn columns(kind: Kind) -> &'static str {
    match kind {
        Kind::Table => "the columns infohash,peer_ip,peer_port",
        Kind::Links => "magnet links or infohashes, one a line",
    }
}

fn passed_over(name: &str, fault: &ReadError) -> String {
    format!("{name}: {}; passed over", plain(fault.to_string().as_bytes()))
}

/// Infohashes and magnet links, each infohash once.
fn typed(args: &FetchArgs) -> anyhow::Result<Wanted> {
    let mut list: Vec<Asked> = Vec::new();
    for what in &args.what {
        let magnet = match Magnet::from_link_or_hash(what) {
            Ok(magnet) => magnet,
            Err(error) => bad_input!("{what}: {error}; and no such file (for a table of peers, name its file)"),
        };
        for info_hash in magnet.swarm_hashes() {
            let at = list
                .iter()
                .position(|asked| asked.info_hash == info_hash)
                .unwrap_or_else(|| {
                    list.push(Asked {
                        info_hash,
                        peers: Vec::new(),
                        surplus: 0,
                        place: Place::default(),
                    });
                    list.len() - 1
                });
            let named = magnet.peers.iter().filter_map(wire::HostPort::socket_addr);
            for peer in args.peer.iter().copied().chain(named) {
                if !list[at].peers.contains(&peer) {
                    list[at].peers.push(peer);
                }
            }
        }
    }
    let needs_dht = list.iter().any(|asked| asked.peers.is_empty());
    Ok(Wanted {
        supply: Supply::Typed(list),
        first: Vec::new(),
        more_bad: 0,
        needs_dht,
    })
}

/// What the user forbids.
struct Forbidden {
    net: Net,
    opt_out: BTreeSet<InfoHash>,
}

impl Forbidden {
    fn new(net: &Net) -> Self {
        Self {
            net: net.clone(),
            opt_out: net.opt_out.iter().copied().collect(),
        }
    }

    /// Takes away what is forbidden; gives the number of peers taken, and whether anything is left. An infohash that loses
    /// all its peers is left out, too: it was not asked to be looked up.
    fn obey(&self, asked: &mut Asked) -> (u64, bool) {
        let named = asked.peers.len();
        asked.peers.retain(|peer| !self.net.is_blocked(peer.ip()));
        let blocked = named - asked.peers.len();
        let lost_all = named > 0 && asked.peers.is_empty();
        (blocked as u64, !lost_all && !self.opt_out.contains(&asked.info_hash))
    }
}

/// Who brings the list to the feed.
struct Carrier {
    forbidden: Forbidden,
    feed: Arc<Feed>,
    bad: u64,
    told: u64,
}

impl Carrier {
    fn carry(mut self, wanted: Wanted) {
        let end = match wanted.supply {
            Supply::Typed(list) => {
                for asked in list {
                    self.bring(asked, 0);
                }
                End::At(Place::default())
            }
            Supply::Read(list, mut reading) => {
                let name = plain(list.name().as_bytes());
                let end = self.read(&name, wanted.first, &list, &mut reading);
                if self.bad > self.told {
                    self.feed.leave_note(format!("{name}: {} bad rows in all", self.bad));
                }
                end
            }
        };
        self.feed.finish(end);
    }

    fn read(&mut self, name: &str, first: Vec<Result<Asked, ReadError>>, list: &List, reading: &mut Reading) -> End {
        for item in first.into_iter().chain(reading.by_ref()) {
            match item {
                Ok(asked) => {
                    if !self.bring(asked, list.read()) {
                        return End::Unwanted;
                    }
                }
                Err(ReadError::Io(error)) => {
                    let line = reading.place().line;
                    let trouble =
                        format!("{name}: cannot be read beyond line {line}: {error}; what came before was used");
                    return End::Trouble(trouble);
                }
                Err(fault) => {
                    self.bad += 1;
                    if self.told < TOLD {
                        self.told += 1;
                        self.feed.leave_note(passed_over(name, &fault));
                    }
                    self.feed.count(|counts| counts.bad += 1);
                }
            }
        }
        End::At(reading.place())
    }

    /// False when nobody takes anything any more.
    fn bring(&self, mut asked: Asked, source_bytes: u64) -> bool {
        let (blocked, is_left) = self.forbidden.obey(&mut asked);
        if blocked > 0 || !is_left {
            self.feed.count(|counts| {
                counts.blocked += blocked;
                counts.left_out += u64::from(!is_left);
            });
        }
        !is_left || self.feed.push(asked, source_bytes)
    }
}
