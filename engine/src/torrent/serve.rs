//! What peers ask of us: blocks are read in runs, and written in one go.

use wire::message::{Block, Message, id};
use world::{DiskOp, Effect, Time};

use super::{Job, Torrent};
use crate::desk::Desk;
use crate::{BLOCK, PeerKey};

/// Content that is read at once for one peer, bytes.
const RUN: usize = 16 * BLOCK as usize;

/// Content that is being read for a peer.
#[derive(Debug)]
pub(super) struct Reading {
    peer: PeerKey,
    conn: world::ConnId,
    /// The blocks, one after the other in one piece.
    blocks: Vec<Block>,
    /// What came so far, of a run that lies in several files.
    parts: Vec<u8>,
    /// Parts that are still to come, in order.
    left: std::collections::VecDeque<Part>,
    bytes: usize,
}

/// A part of a run.
#[derive(Clone, Copy, Debug)]
enum Part {
    File { file: u32, at: u64, len: u32 },
    Zeros(u32),
}

impl Torrent {
    /// A peer asks for a block.
    pub(super) fn requested(&mut self, desk: &mut Desk, key: PeerKey, block: Block) {
        let most = desk.config.limits.requests;
        let is_there = self.can_give(block);
        let Some(peer) = self.peer_mut(key) else { return };
        let may = !peer.choked || peer.granted.contains(&block.piece);
        if is_there && may && peer.requests.len() < most {
            // Served when all that came in is handled: requests that follow one another are read as one run.
            peer.requests.push_back(block);
        } else if peer.fast {
            peer.tell(&Message::Reject(block));
            self.speak(desk, key);
        }
    }

    /// Whether we have what a request names, and it names something that may be asked for.
    fn can_give(&self, block: Block) -> bool {
        self.layout.can_give(block) && block.length <= 2 * BLOCK && self.picker.we_have().get(block.piece)
    }

    /// A peer takes a request back.
    pub(super) fn cancelled(&mut self, desk: &mut Desk, key: PeerKey, block: Block) {
        let Some(peer) = self.peer_mut(key) else { return };
        let Some(at) = peer.requests.iter().position(|request| *request == block) else {
            return;
        };
        peer.requests.remove(at);
        if peer.fast {
            peer.tell(&Message::Reject(block));
            self.speak(desk, key);
        }
    }

    /// Reads for a peer what it asked for, as far ahead of the kernel as is allowed.
    pub(super) fn serve(&mut self, desk: &mut Desk, now: Time, key: PeerKey) {
        let ahead = desk.config.limits.send_ahead;
        while self.is_active() {
            let Some(peer) = self.peers.get_mut(key.0 as usize).and_then(Option::as_deref_mut) else {
                return;
            };
            // Half of what may be ahead is free: then a long run is read, not a block at a time.
            if peer.ahead() > ahead / 2 || peer.requests.is_empty() {
                return;
            }
            let most = (ahead - peer.ahead()).min(RUN) as u64;
            let want = most.min(peer.requests.iter().map(|block| u64::from(block.length)).sum());
            let granted = if desk.limits.exempts(&peer.addr) {
                want
            } else {
                desk.limits.up.take(now, peer.up_flow, want)
            };
            if granted == 0 {
                return;
            }
            self.serve_with(desk, now, key, granted);
        }
    }

    /// Reads for a peer so many bytes of what it asked for, which the limits allow.
    pub(crate) fn serve_with(&mut self, desk: &mut Desk, now: Time, key: PeerKey, bytes: u64) {
        let mut left = bytes;
        while left > 0
            && let Some((blocks, bytes)) = self.next_run(key, left)
        {
            left = left.saturating_sub(bytes as u64);
            let Some(&first) = blocks.first() else { return };
            let Some(peer) = self.peer_mut(key) else { return };
            peer.reading += bytes;
            let conn = peer.conn;
            let length = u32::try_from(bytes).unwrap_or(0);
            let slices = self.layout.map_block(first.piece, first.begin, length);
            let mut beyond = length;
            let mut left: std::collections::VecDeque<Part> = slices
                .inspect(|slice| beyond -= slice.len)
                .map(|slice| match slice.file {
                    None => Part::Zeros(slice.len),
                    Some(file) => Part::File {
                        file,
                        at: slice.at,
                        len: slice.len,
                    },
                })
                .collect();
            if beyond > 0 {
                left.push_back(Part::Zeros(beyond));
            }
            let number = self.next_reading;
            self.next_reading += 1;
            let reading = Reading {
                peer: key,
                conn,
                blocks,
                parts: Vec::new(),
                left,
                bytes,
            };
            self.readings.insert(number, reading);
            self.read_on(desk, now, number);
        }
        if let Some(peer) = self.peers.get_mut(key.0 as usize).and_then(Option::as_deref_mut)
            && !desk.limits.exempts(&peer.addr)
        {
            desk.limits.up.give_back(now, peer.up_flow, left);
        }
    }

    /// Takes requests that follow one another off the list, of about `bytes` bytes; one at least.
    fn next_run(&mut self, key: PeerKey, bytes: u64) -> Option<(Vec<Block>, usize)> {
        let peer = self.peer_mut(key)?;
        let first = *peer.requests.front()?;
        let most = usize::try_from(bytes).unwrap_or(RUN).min(RUN);
        let mut blocks = Vec::new();
        let mut end = first.begin;
        let mut bytes = 0;
        while let Some(&next) = peer.requests.front()
            && next.piece == first.piece
            && next.begin == end
            && (bytes == 0 || bytes + next.length as usize <= most)
        {
            bytes += next.length as usize;
            end += next.length;
            blocks.push(next);
            peer.requests.pop_front();
        }
        Some((blocks, bytes))
    }

    /// Reads the next part of a run, or sends it when all are there.
    fn read_on(&mut self, desk: &mut Desk, now: Time, number: u64) {
        loop {
            let Some(reading) = self.readings.get_mut(&number) else {
                return;
            };
            match reading.left.front().copied() {
                Some(Part::Zeros(len)) => {
                    reading.parts.resize(reading.parts.len() + len as usize, 0);
                    reading.left.pop_front();
                }
                Some(Part::File { file, at, len }) => {
                    let op = DiskOp::Read { file, at, len };
                    self.disk(desk, self.store(), Job::Read(number), op, &[]);
                    return;
                }
                None => {
                    let parts = std::mem::take(&mut reading.parts);
                    return self.send(desk, now, number, &parts);
                }
            }
        }
    }

    /// The disk has read a part.
    pub(super) fn has_read(&mut self, desk: &mut Desk, now: Time, number: u64, bytes: &[u8]) {
        let Some(reading) = self.readings.get_mut(&number) else {
            return;
        };
        reading.left.pop_front();
        if reading.left.is_empty() && reading.parts.is_empty() {
            return self.send(desk, now, number, bytes);
        }
        reading.parts.extend_from_slice(bytes);
        self.read_on(desk, now, number);
    }

    /// The disk could not read: the blocks are not given.
    pub(super) fn cannot_read(&mut self, desk: &mut Desk, number: u64) {
        let Some(reading) = self.readings.remove(&number) else {
            return;
        };
        let Some(peer) = self.peer_mut(reading.peer).filter(|peer| peer.conn == reading.conn) else {
            return;
        };
        peer.reading -= reading.bytes;
        if peer.fast {
            for block in reading.blocks {
                peer.tell(&Message::Reject(block));
            }
            self.speak(desk, reading.peer);
        }
    }

    /// A run is there: it goes to the peer that asked for it, if it is still there.
    fn send(&mut self, desk: &mut Desk, now: Time, number: u64, content: &[u8]) {
        let Some(reading) = self.readings.remove(&number) else {
            return;
        };
        let Some(peer) = self.peer_mut(reading.peer).filter(|peer| peer.conn == reading.conn) else {
            return;
        };
        peer.reading -= reading.bytes;
        let mut rest = content;
        for block in &reading.blocks {
            let Some((bytes, behind)) = rest.split_at_checked(block.length as usize) else {
                break;
            };
            rest = behind;
            peer.say.extend_from_slice(&(block.length + 9).to_be_bytes());
            peer.say.push(id::PIECE);
            peer.say.extend_from_slice(&block.piece.to_be_bytes());
            peer.say.extend_from_slice(&block.begin.to_be_bytes());
            peer.say.extend_from_slice(bytes);
        }
        if peer.reporting {
            peer.unsent_later += reading.bytes;
        } else {
            peer.unsent += reading.bytes;
        }
        peer.given_since_unchoke += reading.bytes as u64;
        peer.up.add(now, reading.bytes as u64);
        self.up.add(now, reading.bytes as u64);
        desk.totals.up.add(now, reading.bytes as u64);
        self.counters.uploaded += reading.bytes as u64;
        self.speak(desk, reading.peer);
        self.serve(desk, now, reading.peer);
    }

    /// All that was written to a peer is with the kernel.
    pub(crate) fn flushed(&mut self, desk: &mut Desk, now: Time, key: PeerKey) {
        let Some(peer) = self.peer_mut(key) else { return };
        peer.unsent = std::mem::take(&mut peer.unsent_later);
        peer.reporting = peer.unsent > 0;
        if peer.reporting {
            desk.outbox.effect(Effect::Report { conn: peer.conn });
        }
        self.serve(desk, now, key);
    }

    /// What is to be said to a peer, as one write; and a wish to hear when it is gone, if content is in it.
    pub(crate) fn say(&mut self, key: PeerKey, now: Time, payload: &mut Vec<u8>) -> Option<(Effect, Option<Effect>)> {
        let peer = self.peer_mut(key)?;
        peer.speaking = false;
        if peer.say.is_empty() || !peer.is_open() {
            return None;
        }
        let len = peer.say.len();
        if payload.is_empty() {
            std::mem::swap(payload, &mut peer.say);
        } else {
            payload.append(&mut peer.say);
        }
        peer.last_said = now;
        let conn = peer.conn;
        let report = (peer.unsent > 0 && !peer.reporting).then_some(Effect::Report { conn });
        peer.reporting |= report.is_some();
        Some((Effect::Write { conn, len }, report))
    }
}
