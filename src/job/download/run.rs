//! A run of `download` or `seed`: what is added when, when it is over, and what is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::PathBuf;

use engine::roster::Sources;
use engine::{State, Status, TorrentId};
use host::{Counters, Resolver, Stopper};
use wire::InfoHash;
use wire::magnet::{Magnet, Selection};
use wire::metainfo::{self, Torrent};
use world::{Member, Time};

use super::adding::{self, Manner};
use super::machine::{Download, Event};
use super::resume;
use super::summary;
use super::wanted::{Wanted, What, torrent_path};
use crate::args::SwarmArgs;
use crate::config;
use crate::exit::Exit;
use crate::report::{self, Downloads, note};

/// When a run is over by itself.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum End {
    /// When all that is wanted is there.
    Complete,
    /// When so many bytes went out for each that came in.
    Ratio(f64),
    /// When it is told to stop.
    Never,
}

/// A magnet link whose info dictionary is not there yet.
#[derive(Debug)]
struct Waiting {
    magnet: Box<Magnet>,
    peers: Vec<SocketAddr>,
    select: Option<Selection>,
    /// Its trackers are asked under this number.
    announced: Option<TorrentId>,
}

/// A run under way.
pub(super) struct Run {
    manner: Manner,
    end: End,
    stopper: Stopper,
    display: Downloads,
    data_dir: PathBuf,
    until: Option<Time>,
    waiting: BTreeMap<InfoHash, Waiting>,
    /// Torrents that were added, in order.
    torrents: Vec<TorrentId>,
    /// Those that the disk failed.
    failed: Vec<TorrentId>,
    failure: Option<anyhow::Error>,
    leaving: bool,
    interrupted: bool,
}

impl Run {
    /// Adds all that is wanted.
    ///
    /// # Errors
    ///
    /// As [`adding::prepare`].
    pub(super) fn begin(
        args: &SwarmArgs,
        wanted: Vec<Wanted>,
        manner: Manner,
        end: End,
        stopper: Stopper,
        download: &mut Download,
    ) -> anyhow::Result<Self> {
        let mut run = Self {
            manner,
            end,
            stopper,
            display: Downloads::new(args.json),
            data_dir: args.data_dir.clone(),
            until: (args.overall_timeout > 0).then(|| Time::from_secs(args.overall_timeout)),
            waiting: BTreeMap::new(),
            torrents: Vec::new(),
            failed: Vec::new(),
            failure: None,
            leaving: false,
            interrupted: false,
        };
        for wanted in wanted {
            run.want(download, wanted)?;
        }
        Ok(run)
    }

    fn want(&mut self, download: &mut Download, wanted: Wanted) -> anyhow::Result<()> {
        let mut peers = wanted.peers;
        if !wanted.named_peers.is_empty() {
            let places: Vec<String> = wanted.named_peers.iter().map(ToString::to_string).collect();
            for resolved in Resolver::new(config::RESOLVE_WITHIN).resolve(&places)? {
                peers.extend(resolved.addrs.unwrap_or_default());
            }
        }
        match wanted.what {
            What::Torrent(torrent) => self.add(Time::ZERO, download, &torrent, wanted.select.as_ref(), &peers),
            What::Magnet(magnet) => {
                let Some(info_hash) = magnet.swarm_hashes().next() else {
                    return Ok(());
                };
                let tiers: Vec<Vec<String>> = self.trackers_of(&magnet);
                let announced =
                    (!tiers.is_empty()).then(|| download.engine_mut().announce_only(Time::ZERO, info_hash, &tiers));
                download.look_for(Time::ZERO, info_hash, &peers);
                let waiting = Waiting {
                    magnet,
                    peers,
                    select: wanted.select,
                    announced,
                };
                self.waiting.insert(info_hash, waiting);
                Ok(())
            }
        }
    }

    fn trackers_of(&self, magnet: &Magnet) -> Vec<Vec<String>> {
        if !self.manner.use_trackers {
            return Vec::new();
        }
        let all = self.manner.trackers.iter().chain(&magnet.trackers);
        all.map(|url| vec![url.clone()]).collect()
    }

    fn add(
        &mut self,
        now: Time,
        download: &mut Download,
        torrent: &Torrent,
        select: Option<&Selection>,
        peers: &[SocketAddr],
    ) -> anyhow::Result<()> {
        let (add, known) = adding::prepare(torrent, select, &self.manner)?;
        let names = [Some(add.info_hash), add.other_hash];
        let name = add.name.clone();
        match download.engine_mut().add(now, add) {
            Ok(id) => {
                for name in names.into_iter().flatten() {
                    download.admit(name);
                }
                known.banned.iter().for_each(|ip| {
                    download.engine_mut().ban(now, id, *ip);
                });
                for &peer in peers {
                    download.engine_mut().offer_peer(now, id, peer, Sources::GIVEN);
                }
                for peer in known
                    .peers
                    .into_iter()
                    .filter(|peer| download.admits(peer))
                    .collect::<Vec<_>>()
                {
                    download.engine_mut().offer_peer(now, id, peer, Sources::RESUME);
                }
                self.torrents.push(id);
            }
            Err(error) => self.display.note(&format!("{name}: {error}")),
        }
        Ok(())
    }

    /// Something happened; breaks when the run is over.
    pub(super) fn on_event(&mut self, now: Time, download: &mut Download, event: Event) -> ControlFlow<()> {
        match event {
            Event::Pulse => self.pulse(now, download),
            Event::Metadata(info_hash, raw, from) => {
                if let Err(error) = self.has_metadata(now, download, info_hash, &raw, from) {
                    self.fail(error);
                }
            }
            Event::NoMetadata(info_hash) => {
                self.display
                    .note(&format!("{info_hash}: nobody has given its metadata yet; looking on"));
            }
            Event::Engine(engine::Event::Stopped) => return ControlFlow::Break(()),
            Event::Engine(event) => self.on_engine(now, download, &event),
        }
        ControlFlow::Continue(())
    }

    fn on_engine(&mut self, now: Time, download: &mut Download, event: &engine::Event) {
        self.display.event(now, event, |id| download.engine().status(now, id));
        match event {
            engine::Event::Named(id, peer, _) => {
                if !download.admits(peer) {
                    return;
                }
                let magnet = self.waiting.iter().find(|(_, waiting)| waiting.announced == Some(*id));
                match magnet.map(|(info_hash, _)| *info_hash) {
                    Some(info_hash) => download.offer_magnet_peer(now, info_hash, *peer),
                    None => download.engine_mut().offer_peer(now, *id, *peer, Sources::PEX),
                }
            }
            engine::Event::Neighbour(id, peer) if download.admits(peer) || is_near(peer) => {
                download.engine_mut().offer_peer(now, *id, *peer, Sources::LSD);
            }
            engine::Event::Finished(_) => self.end_if_done(now, download),
            engine::Event::DiskFailed(id, fault, _) => {
                let name = download
                    .engine()
                    .status(now, *id)
                    .map_or_else(String::new, |status| status.name);
                let name = report::plain(name.as_bytes());
                self.display
                    .note(&format!("{name}: {}: {}", fault.label(), advice(*fault)));
                self.failed.push(*id);
                self.end_if_done(now, download);
            }
            _ => {}
        }
    }

    /// The info dictionary of a magnet link is there.
    fn has_metadata(
        &mut self,
        now: Time,
        download: &mut Download,
        info_hash: InfoHash,
        raw: &[u8],
        from: SocketAddr,
    ) -> anyhow::Result<()> {
        let Some(waiting) = self.waiting.remove(&info_hash) else {
            return Ok(());
        };
        let mut peers = vec![from];
        peers.extend(
            waiting
                .peers
                .iter()
                .chain(download.peers_of(&info_hash))
                .filter(|peer| **peer != from),
        );
        download.forget_magnet(now, info_hash);
        if let Some(id) = waiting.announced {
            download.engine_mut().remove(now, id, false);
        }
        let bytes = metainfo::wrap(raw, &waiting.magnet.trackers);
        let path = torrent_path(&self.data_dir, &info_hash);
        if let Some(folder) = path.parent() {
            host::create_dir(folder)?;
        }
        host::replace_file(&path, &bytes)?;
        let mut torrent =
            Torrent::parse(&bytes).map_err(|error| anyhow::anyhow!("{info_hash}: its metadata: {error}"))?;
        torrent.url_list.extend(waiting.magnet.web_seeds.iter().cloned());
        self.add(now, download, &torrent, waiting.select.as_ref(), &peers)
    }

    fn pulse(&mut self, now: Time, download: &Download) {
        let statuses = self.statuses(now, download);
        self.display.show(now, &statuses, self.waiting.len());
        if self.until.is_some_and(|until| now >= until) {
            self.leave();
        }
        self.end_if_done(now, download);
    }

    fn statuses(&self, now: Time, download: &Download) -> Vec<Status> {
        let ids = self.torrents.iter();
        ids.filter_map(|id| download.engine().status(now, *id)).collect()
    }

    /// The run is over when every torrent is as far as it should come, or can come no further.
    fn end_if_done(&mut self, now: Time, download: &Download) {
        if !self.waiting.is_empty() || self.leaving {
            return;
        }
        let is_done = |id: &TorrentId| {
            let Some(status) = download.engine().status(now, *id) else {
                return true;
            };
            let is_whole = matches!(status.state, State::Finished | State::Seeding);
            match (status.state, self.end) {
                (State::Failed, _) => true,
                (_, End::Complete) => is_whole,
                (_, End::Ratio(ratio)) => {
                    let size = status.all_downloaded.max(status.wanted);
                    is_whole && status.all_uploaded as f64 >= ratio * size as f64
                }
                (_, End::Never) => false,
            }
        };
        if self.torrents.iter().all(is_done) {
            self.leave();
        }
    }

    fn fail(&mut self, error: anyhow::Error) {
        self.failure.get_or_insert(error);
        if self.torrents.is_empty() && self.waiting.is_empty() {
            self.leave();
        }
    }

    fn leave(&mut self) {
        if !std::mem::replace(&mut self.leaving, true) {
            self.stopper.stop();
        }
    }

    /// The summary, and what the run came to.
    ///
    /// # Errors
    ///
    /// What went wrong with a torrent, while others went on.
    pub(super) fn finish(mut self, now: Time, download: &Download, counters: &Counters) -> anyhow::Result<Exit> {
        self.interrupted = !self.leaving;
        let statuses = self.statuses(now, download);
        self.display.finish();
        let lines: String = statuses.iter().map(summary::torrent).collect();
        report::text(&lines);
        report::text(&summary::figures(&statuses, download, counters, now).text());
        for status in &statuses {
            let saved = resume::export(&self.manner, download.engine(), status);
            // Of a torrent that the disk failed that was said, and what to do; it is beside the journal, for others.
            if status.state != State::Failed {
                saved?;
            }
        }
        let unfinished = statuses
            .iter()
            .filter(|status| status.wanted_done < status.wanted)
            .count()
            + self.waiting.len();
        if self.interrupted && unfinished > 0 {
            note(&format!(
                "{unfinished} not complete; what came is kept: run the same command again to go on"
            ));
        }
        if let Some(error) = self.failure {
            return Err(error);
        }
        let is_bad = !self.failed.is_empty() || (!self.interrupted && unfinished > 0);
        Ok(if is_bad { Exit::Failed } else { Exit::Done })
    }
}

/// Whether an address is one that only the network at hand can have: who announces itself there may be dialled there.
const fn is_near(peer: &SocketAddr) -> bool {
    match peer.ip() {
        std::net::IpAddr::V4(ip) => ip.is_private() || ip.is_link_local(),
        std::net::IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// What to do about what the disk failed of.
const fn advice(fault: world::DiskFault) -> &'static str {
    use world::DiskFault;
    match fault {
        DiskFault::Full => "free some space, or name another --output-dir, and run the same command again",
        DiskFault::Gone => "a file or folder has vanished; run the same command again to make it anew",
        DiskFault::Denied => "name a folder that can be written with --output-dir",
        DiskFault::InTheWay => "move away what is there, or name another --output-dir",
        DiskFault::Unfit => "name a folder on another file system with --output-dir",
        DiskFault::Device => "the device does not read or write; look at it before going on",
    }
}
