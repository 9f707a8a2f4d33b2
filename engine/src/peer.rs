//! One connection to a peer: what it has, wants and was promised.

use std::collections::VecDeque;
use std::net::SocketAddr;

use wire::message::{Block, HashRange, Message};
use wire::{PeerId, handshake};
use world::{ConnId, Time, Via};

use crate::bits::Bits;
use crate::intake::Intake;
use crate::limiter::Flow;
use crate::picker::{Has, Slot};
use crate::rate::Meter;
use crate::window::Window;

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Not open yet.
    Dialling,
    /// Open; the peer's handshake has not come.
    Greeting,
    /// Handshakes are exchanged.
    Open,
}

/// The extensions of a peer, by its own numbers for them (BEP 10); 0 for none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extensions {
    pub(crate) ut_pex: u8,
    pub(crate) ut_metadata: u8,
}

/// Pieces that a peer has.
#[derive(Debug)]
pub(crate) enum Having {
    All,
    Some(Bits),
}

/// A connection to a peer.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) conn: ConnId,
    /// Its address; of a caller not where it can be called.
    pub(crate) addr: SocketAddr,
    /// What the roster calls it.
    pub(crate) name: SocketAddr,
    /// Where it says that it listens, or where we dialled it.
    pub(crate) listens: Option<SocketAddr>,
    pub(crate) via: Via,
    pub(crate) phase: Phase,
    pub(crate) since: Time,
    pub(crate) intake: Intake,
    /// The first bytes of its handshake.
    pub(crate) greeting: Vec<u8>,
    pub(crate) id: PeerId,
    /// What it calls itself (BEP 10 `v`), at most 64 bytes.
    pub(crate) client: String,
    pub(crate) fast: bool,
    pub(crate) extended: bool,
    pub(crate) v2: bool,
    pub(crate) extensions: Extensions,
    pub(crate) has: Having,
    /// It told what it has; before that a bitfield may come.
    pub(crate) told_has: bool,
    pub(crate) upload_only: bool,
    /// It will not serve us.
    pub(crate) choking: bool,
    /// It wants something of us.
    pub(crate) interested: bool,
    /// We do not serve it.
    pub(crate) choked: bool,
    /// We said that we want something.
    pub(crate) wanting: bool,
    pub(crate) optimistic: bool,
    pub(crate) unchoked_at: Time,
    /// It took part in a piece that failed (PWP-19).
    pub(crate) parole: bool,
    /// Pieces that it gives while it chokes us.
    pub(crate) allowed: Vec<u32>,
    /// Pieces that we give while we choke it.
    pub(crate) granted: Vec<u32>,
    pub(crate) suggested: Option<u32>,
    /// Blocks that it was asked for, oldest first.
    pub(crate) asked: VecDeque<Slot>,
    /// The block that is arriving, if its bytes are to be kept.
    pub(crate) arriving: Option<Slot>,
    pub(crate) window: Window,
    /// Its places in the limits.
    pub(crate) down_flow: Flow,
    pub(crate) up_flow: Flow,
    /// Hashes that it was asked for, oldest first (BEP 52).
    pub(crate) owes: VecDeque<(HashRange, Time)>,
    /// Blocks that it asked for, oldest first; at most the limit.
    pub(crate) requests: VecDeque<Block>,
    /// Content being read for it, or written and not yet with the kernel, bytes.
    pub(crate) reading: usize,
    pub(crate) unsent: usize,
    /// Of the same kind, since we asked to be told.
    pub(crate) unsent_later: usize,
    /// We asked to be told when that is gone.
    pub(crate) reporting: bool,
    /// Payload to it.
    pub(crate) up: Meter,
    /// What it gave and got when the choker last looked, bytes.
    pub(crate) down_before: u64,
    /// What it had given when the peers of least use were last exchanged.
    pub(crate) down_at_turnover: u64,
    pub(crate) up_before: u64,
    pub(crate) given_since_unchoke: u64,
    pub(crate) down_total: u64,
    pub(crate) last_heard: Time,
    pub(crate) last_said: Time,
    /// When either side was last interested.
    pub(crate) last_interest: Time,
    pub(crate) last_pex: Time,
    /// Whom we told it of (BEP 11), at most 200.
    pub(crate) told_peers: Vec<SocketAddr>,
    pub(crate) hash_fails: u32,
    /// Bytes to be said when all that came in is handled.
    pub(crate) say: Vec<u8>,
    pub(crate) speaking: bool,
}

impl Peer {
    pub(crate) fn new(
        now: Time,
        conn: ConnId,
        addr: SocketAddr,
        via: Via,
        window: Window,
        flows: (Flow, Flow),
        frame_limit: u32,
    ) -> Self {
        Self {
            conn,
            addr,
            name: addr,
            listens: (!conn.is_accepted()).then_some(addr),
            via,
            phase: Phase::Dialling,
            since: now,
            intake: Intake::new(frame_limit),
            greeting: Vec::new(),
            id: PeerId::new([0; 20]),
            client: String::new(),
            fast: false,
            extended: false,
            v2: false,
            extensions: Extensions::default(),
            has: Having::Some(Bits::new(0)),
            told_has: false,
            upload_only: false,
            choking: true,
            interested: false,
            choked: true,
            wanting: false,
            optimistic: false,
            unchoked_at: now,
            parole: false,
            allowed: Vec::new(),
            granted: Vec::new(),
            suggested: None,
            asked: VecDeque::new(),
            arriving: None,
            window,
            down_flow: flows.0,
            up_flow: flows.1,
            owes: VecDeque::new(),
            requests: VecDeque::new(),
            reading: 0,
            unsent: 0,
            unsent_later: 0,
            reporting: false,
            up: Meter::new(now),
            down_before: 0,
            down_at_turnover: 0,
            up_before: 0,
            given_since_unchoke: 0,
            down_total: 0,
            last_heard: now,
            last_said: now,
            last_interest: now,
            last_pex: now,
            told_peers: Vec::new(),
            hash_fails: 0,
            say: Vec::new(),
            speaking: false,
        }
    }

    /// Which pieces it has, for the picker.
    pub(crate) fn has(&self) -> Has<'_> {
        match &self.has {
            Having::All => Has::All,
            Having::Some(bits) => Has::Some(bits),
        }
    }

    pub(crate) fn is_seed(&self) -> bool {
        match &self.has {
            Having::All => true,
            Having::Some(bits) => bits.len() > 0 && bits.is_full(),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Adds a message to what is to be said.
    pub(crate) fn tell(&mut self, message: &Message<'_>) {
        message.encode(&mut self.say);
    }

    /// Content of it that is ahead of the kernel, bytes.
    pub(crate) fn ahead(&self) -> usize {
        self.reading + self.unsent + self.unsent_later
    }

    /// Takes a request off the list of what it was asked for.
    pub(crate) fn forget_asked(&mut self, slot: Slot) -> bool {
        // Answers come in the order of asking, or nearly.
        let at = self.asked.iter().position(|asked| *asked == slot);
        at.and_then(|at| self.asked.remove(at)).is_some()
    }

    /// Takes in bytes of its handshake; gives the 68 when they are there, and how many of `bytes` were used.
    pub(crate) fn greet(&mut self, bytes: &[u8]) -> (usize, Option<[u8; handshake::LEN]>) {
        let missing = handshake::LEN.saturating_sub(self.greeting.len());
        let taken = bytes.get(..missing).unwrap_or(bytes);
        self.greeting.extend_from_slice(taken);
        let whole = self.greeting.first_chunk::<{ handshake::LEN }>().copied();
        if whole.is_some() {
            self.greeting = Vec::new();
        }
        (taken.len(), whole)
    }
}
