//! Downloading and seeding as a machine: the engine, the DHT that names peers, the pool that fetches what a magnet link
//! lacks, and the transport that carries the streams of both.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crawler::guard::Admission;
use crawler::{LookupId, Node, Plan, Target};
use engine::roster::Sources;
use engine::{Engine, TorrentId};
use fetcher::Pool;
use transport::{Above, Transport};
use wire::InfoHash;
use world::disk::{DiskOp, Source};
use world::{ConnId, Effect, Input, KeyedMap, Machine, Output, Seed, Time};

/// Numbers of the engine's connections begin here; the pool's are below.
pub const ENGINE_CONNS: u64 = 1 << 60;

/// How often the world is given occasion to look.
const PULSE: Duration = Duration::from_secs(1);

/// From the end of a search for a magnet's peers that found no metadata to the next one.
const SEARCH_AGAIN: Duration = Duration::from_secs(20);

/// What a download tells.
#[derive(Debug)]
pub enum Event {
    /// The engine has something to say.
    Engine(engine::Event),
    /// A magnet link's info dictionary is there, from this peer.
    Metadata(InfoHash, Arc<Vec<u8>>, SocketAddr),
    /// It was looked for in vain; it is looked for again.
    NoMetadata(InfoHash),
    /// Another second has passed.
    Pulse,
}

/// An info dictionary that is looked for.
#[derive(Debug, Default)]
struct Magnet {
    lookup: Option<LookupId>,
    /// Peers named for it, in the order they came.
    peers: Vec<SocketAddr>,
    fetching: bool,
    again: Option<Time>,
}

/// See the module.
pub struct Download {
    node: Option<Node>,
    pool: Pool,
    transport: Transport,
    engine: Engine,
    /// Whom others may name.
    admission: Admission,
    magnets: KeyedMap<InfoHash, Magnet>,
    /// Lookups of the DHT that are for the engine.
    lookups: Vec<(LookupId, TorrentId)>,
    /// What the engine decided about bytes that only the transport has: kept with what goes with it.
    decided: VecDeque<(Output<engine::Event>, usize)>,
    decided_bytes: VecDeque<u8>,
    scratch: Vec<u8>,
    pulse: Time,
    stopping: bool,
    /// What carries datagrams to trackers, if they are not to see us.
    relay: Option<SocketAddr>,
}

impl Download {
    /// Without a node, peers come from trackers, from peers and from the user.
    pub fn new(
        node: Option<Node>,
        pool: Pool,
        transport: Transport,
        engine: Engine,
        admission: Admission,
        seed: Seed,
    ) -> Self {
        Self {
            node,
            pool,
            transport,
            engine,
            admission,
            magnets: KeyedMap::with_hasher(seed.derive("magnets").hasher()),
            lookups: Vec::new(),
            decided: VecDeque::new(),
            decided_bytes: VecDeque::new(),
            scratch: Vec::new(),
            pulse: Time::ZERO + PULSE,
            stopping: false,
            relay: None,
        }
    }

    /// Datagrams to trackers are sent to this [`host::Relay`], from here on.
    pub const fn relay_by(&mut self, relay: SocketAddr) {
        self.relay = Some(relay);
    }

    /// The engine.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine, to command it.
    pub const fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// The DHT mind, if there is one.
    pub const fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// What carries the streams.
    pub const fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Strangers who call encrypted may name this torrent, too.
    pub fn admit(&mut self, info_hash: InfoHash) {
        self.transport.admit(info_hash);
    }

    /// Whether somebody else may name this peer.
    pub fn admits(&self, peer: &SocketAddr) -> bool {
        self.admission.admits(peer)
    }

    /// Begins to look for an info dictionary, of `peers` and of those that the DHT names.
    pub fn look_for(&mut self, now: Time, info_hash: InfoHash, peers: &[SocketAddr]) {
        self.magnets.entry(info_hash).or_default();
        self.transport.admit(info_hash);
        for &peer in peers {
            self.learn(now, info_hash, peer);
        }
        self.search(now, info_hash);
    }

    /// Somebody names a peer of a magnet link.
    pub fn offer_magnet_peer(&mut self, now: Time, info_hash: InfoHash, peer: SocketAddr) {
        self.learn(now, info_hash, peer);
    }

    /// Peers that were named for a magnet link.
    pub fn peers_of(&self, info_hash: &InfoHash) -> &[SocketAddr] {
        self.magnets.get(info_hash).map_or(&[], |magnet| &magnet.peers)
    }

    /// Info dictionaries that are looked for.
    pub fn magnets(&self) -> usize {
        self.magnets.len()
    }

    /// An info dictionary is looked for no more.
    pub fn forget_magnet(&mut self, now: Time, info_hash: InfoHash) {
        if let Some(magnet) = self.magnets.remove(&info_hash) {
            self.pool.cancel(now, info_hash);
            if let (Some(lookup), Some(node)) = (magnet.lookup, &mut self.node) {
                node.cancel_lookup(now, lookup);
            }
        }
    }

    fn search(&mut self, now: Time, info_hash: InfoHash) {
        let Some(magnet) = self.magnets.get_mut(&info_hash) else {
            return;
        };
        magnet.again = None;
        for peer in std::mem::take(&mut magnet.peers) {
            self.learn(now, info_hash, peer);
        }
        let lookup = self
            .node
            .as_mut()
            .map(|node| node.get_peers(now, info_hash, Plan::full()));
        if let Some(magnet) = self.magnets.get_mut(&info_hash) {
            magnet.lookup = lookup;
        }
        if lookup.is_none() {
            self.searched(now, info_hash);
        }
    }

    /// The DHT has named all that it will.
    fn searched(&mut self, now: Time, info_hash: InfoHash) {
        let Some(magnet) = self.magnets.get_mut(&info_hash) else {
            return;
        };
        magnet.lookup = None;
        if magnet.fetching {
            self.pool.no_more_peers(info_hash);
        } else {
            magnet.again = Some(now + SEARCH_AGAIN);
        }
    }

    /// A peer of a magnet link is named.
    fn learn(&mut self, now: Time, info_hash: InfoHash, peer: SocketAddr) {
        let Some(magnet) = self.magnets.get_mut(&info_hash) else {
            return;
        };
        if !magnet.peers.contains(&peer) && magnet.peers.len() < crate::config::PEERS_PER_MAGNET {
            magnet.peers.push(peer);
        }
        if !std::mem::replace(&mut magnet.fetching, true) {
            self.pool.start(now, info_hash);
        }
        self.pool.offer(info_hash, peer);
    }

    fn pool_says(&mut self, now: Time, event: fetcher::Event) -> Option<Event> {
        match event {
            fetcher::Event::Metadata {
                info_hash, raw, from, ..
            } => {
                let magnet = self.magnets.get(&info_hash)?;
                if let (Some(lookup), Some(node)) = (magnet.lookup, &mut self.node) {
                    node.cancel_lookup(now, lookup);
                }
                Some(Event::Metadata(info_hash, raw, from))
            }
            fetcher::Event::GaveUp { info_hash, .. } => {
                let magnet = self.magnets.get_mut(&info_hash)?;
                magnet.fetching = false;
                if magnet.lookup.is_none() {
                    magnet.again = Some(now + SEARCH_AGAIN);
                }
                Some(Event::NoMetadata(info_hash))
            }
            fetcher::Event::Named {
                info_hash,
                peer,
                by,
                flags,
            } => {
                if self.admission.admits(&peer) {
                    self.pool.offer_named(info_hash, peer, by, flags);
                }
                None
            }
            fetcher::Event::Attempt { .. } => None,
        }
    }

    fn node_says(&mut self, now: Time, event: &crawler::Event) {
        match event {
            crawler::Event::Peers { info_hash, peer, .. } => {
                if self.magnets.contains_key(info_hash) {
                    self.learn(now, *info_hash, *peer);
                } else if let Some(id) = self.engine.find(info_hash) {
                    self.engine.offer_peer(now, id, *peer, Sources::DHT);
                }
            }
            crawler::Event::LookupDone(done) => {
                self.lookups.retain(|(lookup, _)| *lookup != done.lookup);
                if let Target::Swarm(info_hash) = done.target {
                    let ours = self
                        .magnets
                        .get(&info_hash)
                        .is_some_and(|magnet| magnet.lookup == Some(done.lookup));
                    if ours {
                        self.searched(now, info_hash);
                    }
                }
            }
            _ => {}
        }
    }

    /// The engine wants to know or to do something that others do for it.
    fn engine_says(&mut self, now: Time, event: &engine::Event) {
        match event {
            engine::Event::WantsPeers(id) => {
                let busy = self.lookups.iter().any(|(_, torrent)| torrent == id);
                let Some(node) = self.node.as_mut().filter(|_| !busy) else {
                    return;
                };
                let is_whole = matches!(self.engine.state(*id), Some(engine::State::Seeding));
                for name in self.engine.names(*id) {
                    let lookup = node.announce(now, name, is_whole);
                    self.lookups.push((lookup, *id));
                }
            }
            engine::Event::DhtNode(addr) => {
                if let Some(node) = &mut self.node {
                    node.add_node(now, *addr);
                }
            }
            _ => {}
        }
    }

    fn is_relay(&self, from: SocketAddr) -> bool {
        let is = |relay: SocketAddr| (relay.ip(), relay.port()) == (from.ip().to_canonical(), from.port());
        self.relay.is_some_and(is)
    }

    /// What the engine says to a tracker in a datagram goes to the relay, if there is one. To the local network it does not.
    fn by_relay(&self, effect: Effect, payload: &mut Vec<u8>) -> Effect {
        match (effect, self.relay) {
            (Effect::Send { from, to, len }, Some(relay)) if !wire::lsd::is_group(&to) => {
                let head = host::enclose(to);
                let len = len + head.len();
                payload.splice(0..0, head);
                Effect::Send { from, to: relay, len }
            }
            (effect, _) => effect,
        }
    }

    /// A datagram came from the relay: the engine knows whether it asked.
    fn relayed(&mut self, now: Time, input: Input<'_>) {
        if let Input::Datagram { bytes, to, .. } = input
            && let Some((from, bytes)) = host::disclose(bytes)
            && wire::tracker::udp::begins(bytes)
        {
            self.engine.handle(now, Input::Datagram { from, to, bytes });
        }
    }

    /// Whose a connection is: the engine has its own numbers, and all who call.
    const fn is_engines(conn: ConnId) -> bool {
        conn.is_accepted() || conn.0 & ENGINE_CONNS != 0
    }

    /// Passes on what concerns a stream, or all.
    fn route(&mut self, now: Time, input: Input<'_>) {
        match input {
            Input::Opened { conn, .. }
            | Input::Received { conn, .. }
            | Input::Closed { conn, .. }
            | Input::Flushed { conn }
                if !Self::is_engines(conn) =>
            {
                self.pool.handle(now, input);
            }
            Input::Tick | Input::Stop => {
                self.pool.handle(now, input);
                self.engine.handle(now, input);
            }
            _ => self.engine.handle(now, input),
        }
    }

    /// Something happened to a stream that has its bytes from the transport, not from the world.
    fn heard(&mut self, now: Time, above: Above, payload: &[u8]) {
        if let Above::Accepted { conn, from, .. } = above
            && self.admission.is_blocked(from.ip())
        {
            self.transport.act(now, Effect::Close { conn }, &[]);
            return;
        }
        if let Above::Rerouted { conn, via } = above {
            if Self::is_engines(conn) {
                self.engine.rerouted(conn, via);
            } else {
                self.pool.rerouted(conn, via);
            }
            return;
        }
        let Some(input) = above.input(payload) else { return };
        self.route(now, input);
        if matches!(input, Input::Received { conn, .. } if Self::is_engines(conn)) {
            self.keep_decided(now, payload);
        }
    }

    /// What the engine decides about bytes that are not the world's: they go along.
    fn keep_decided(&mut self, now: Time, bytes: &[u8]) {
        let mut scratch = std::mem::take(&mut self.scratch);
        loop {
            scratch.clear();
            let Some(mut output) = self.engine.poll(now, &mut scratch) else {
                break;
            };
            let mut with = scratch.as_slice();
            if let Output::Effect(Effect::Disk {
                op: DiskOp::Write { source, .. },
                ..
            }) = &mut output
                && let Source::Input { start, len } = *source
            {
                with = bytes.get(start..start + len).unwrap_or_default();
                *source = Source::Payload { len: with.len() };
            }
            self.decided_bytes.extend(with);
            self.decided.push_back((output, with.len()));
        }
        self.scratch = scratch;
    }

    fn next_of_engine(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<engine::Event>> {
        if let Some((output, len)) = self.decided.pop_front() {
            payload.extend(self.decided_bytes.drain(..len));
            return Some(output);
        }
        self.engine.poll(now, payload)
    }

    fn again(&mut self, now: Time) {
        let due: Vec<InfoHash> = self
            .magnets
            .iter()
            .filter(|(_, magnet)| magnet.again.is_some_and(|again| again <= now))
            .map(|(info_hash, _)| *info_hash)
            .collect();
        for info_hash in due {
            self.search(now, info_hash);
        }
    }
}

impl Machine for Download {
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        self.stopping |= input == Input::Stop;
        match input {
            Input::Datagram { from, .. } if self.is_relay(from) => return self.relayed(now, input),
            Input::Datagram { bytes, to, .. } => {
                if wire::tracker::udp::begins(bytes) || wire::lsd::is_group(&to) {
                    return self.engine.handle(now, input);
                }
                if !Transport::claims(bytes) {
                    if let Some(node) = &mut self.node {
                        node.handle(now, input);
                    }
                    return;
                }
            }
            Input::Tick | Input::Stop => {
                if let Some(node) = &mut self.node {
                    node.handle(now, input);
                }
            }
            _ => {}
        }
        if let Some(input) = self.transport.receive(now, input) {
            self.route(now, input);
        }
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Event>> {
        loop {
            if let Some(output) = self.next_of_engine(now, payload) {
                match output {
                    Output::Effect(effect) => {
                        let effect = self.by_relay(effect, payload);
                        if let Some(effect) = self.transport.act(now, effect, payload) {
                            return Some(Output::Effect(effect));
                        }
                        payload.clear();
                    }
                    Output::Event(event) => {
                        self.engine_says(now, &event);
                        return Some(Output::Event(Event::Engine(event)));
                    }
                }
                continue;
            }
            if let Some(output) = self.node.as_mut().and_then(|node| node.poll(now, payload)) {
                match output {
                    Output::Effect(effect) => return Some(Output::Effect(effect)),
                    Output::Event(event) => self.node_says(now, &event),
                }
                continue;
            }
            if let Some(output) = self.pool.poll(now, payload) {
                match output {
                    Output::Effect(effect) => {
                        if let Some(effect) = self.transport.act(now, effect, payload) {
                            return Some(Output::Effect(effect));
                        }
                        payload.clear();
                    }
                    Output::Event(event) => {
                        if let Some(event) = self.pool_says(now, event) {
                            return Some(Output::Event(event));
                        }
                    }
                }
                continue;
            }
            match self.transport.poll(now, payload) {
                Some(Output::Effect(effect)) => {
                    // A stream is a flow like any other to the NAT in between (crawlers R11).
                    if let (Effect::Dial { to, .. } | Effect::Send { to, .. }, Some(node)) = (effect, &mut self.node) {
                        node.touch_flow(now, to);
                    }
                    return Some(Output::Effect(effect));
                }
                Some(Output::Event(above)) => {
                    self.heard(now, above, payload);
                    payload.clear();
                    continue;
                }
                None => {}
            }
            if now >= self.pulse {
                self.pulse = now + PULSE;
                self.again(now);
                return Some(Output::Event(Event::Pulse));
            }
            return None;
        }
    }

    fn deadline(&self) -> Option<Time> {
        let node = self.node.as_ref().and_then(Machine::deadline);
        let others = [Some(self.pulse), self.pool.deadline(), self.engine.deadline(), node];
        others.into_iter().flatten().chain(self.transport.deadline()).min()
    }
}
