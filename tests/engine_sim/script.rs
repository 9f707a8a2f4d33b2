//! Peers that do what a test tells them, well or ill.

use std::collections::VecDeque;
use std::time::Duration;

use engine::Event;
use wire::handshake::{self, Handshake};
use wire::message::{Block, Frames, Message};
use wire::{InfoHash, PeerId};
use world::{ConnId, Effect, Input, Output, Time};

use crate::made::Made;

/// What it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// Unchokes, takes requests, and gives nothing.
    Silent,
    /// Gives each block after a time.
    Slow(Duration),
    /// Says that it has all; rejects each request.
    LiesAboutPieces,
    /// Chokes and unchokes without end, and gives what it is asked for in between, of every request list the first.
    Flapping,
    /// Sends blocks that nobody asked for, wrong ones.
    Unasked,
    /// Is interested, and asks for far more than is served, again and again.
    Floods,
    /// Gives every block twice, and every message of state ten times.
    Repeats,
    /// Sends a frame of a length that nobody has.
    Endless,
    /// Has nothing at first, then one piece more each time, as a bitfield; at last all. Gives what it is asked for.
    Gains,
    /// Tells bitfields each of which has less than the one before.
    Loses,
    /// Has nothing, and asks once for every block in full, also where a file ends (libtorrent 2.0 in v2).
    Aligned,
    /// Asks for pieces that are not there, begins beyond ends, lengths of 2^32-1.
    Absurd,
}

/// A peer that has everything and plays a part. It speaks BEP 3 and BEP 6, and accepts calls.
pub(crate) struct Script {
    part: Part,
    made: Made,
    name: InfoHash,
    conns: Vec<Conn>,
    wants: VecDeque<(Effect, Vec<u8>)>,
    /// When it does something by itself.
    next: Option<Time>,
    /// Blocks to be given at a time.
    later: VecDeque<(Time, ConnId, Block)>,
    /// Bytes of blocks that it was given, requests that it got, cancels, and connections that others closed.
    pub(crate) got: u64,
    pub(crate) asked: u64,
    pub(crate) cancels: u64,
    pub(crate) closed: u64,
    turns: u32,
}

struct Conn {
    id: ConnId,
    greeting: Vec<u8>,
    frames: Frames,
}

impl Script {
    pub(crate) fn new(part: Part, made: &Made) -> Self {
        Self {
            part,
            name: made.info_hash(),
            made: made.clone(),
            conns: Vec::new(),
            wants: VecDeque::new(),
            next: None,
            later: VecDeque::new(),
            got: 0,
            asked: 0,
            cancels: 0,
            closed: 0,
            turns: 0,
        }
    }

    fn write(&mut self, conn: ConnId, bytes: Vec<u8>) {
        let len = bytes.len();
        self.wants.push_back((Effect::Write { conn, len }, bytes));
    }

    fn say(&mut self, conn: ConnId, messages: &[Message<'_>]) {
        let mut bytes = Vec::new();
        messages.iter().for_each(|message| message.encode(&mut bytes));
        self.write(conn, bytes);
    }

    fn give(&mut self, conn: ConnId, block: Block) {
        let Block { piece, begin, length } = block;
        let bytes = self.made.block(piece, begin, length);
        let bytes = &bytes;
        self.say(conn, &[Message::Piece { piece, begin, bytes }]);
    }

    pub(crate) fn handle(&mut self, now: Time, input: Input<'_>) {
        match input {
            Input::Accepted { conn, .. } => self.conns.push(Conn {
                id: conn,
                greeting: Vec::new(),
                frames: Frames::new(1 << 20),
            }),
            Input::Received { conn, bytes } => self.received(now, conn, bytes),
            Input::Closed { conn, .. } => {
                self.closed += 1;
                self.conns.retain(|other| other.id != conn);
                self.later.retain(|(_, other, _)| *other != conn);
            }
            Input::Tick => {
                while let Some(&(at, conn, block)) = self.later.front()
                    && at <= now
                {
                    self.later.pop_front();
                    self.give(conn, block);
                }
                if self.next.is_some_and(|at| at <= now) {
                    self.next = None;
                    self.turn(now);
                }
            }
            _ => {}
        }
    }

    fn received(&mut self, now: Time, id: ConnId, mut bytes: &[u8]) {
        let Some(at) = self.conns.iter().position(|conn| conn.id == id) else {
            return;
        };
        let conn = &mut self.conns[at];
        if conn.greeting.len() < handshake::LEN {
            let (head, rest) = bytes.split_at(bytes.len().min(handshake::LEN - conn.greeting.len()));
            conn.greeting.extend(head);
            bytes = rest;
            if conn.greeting.len() < handshake::LEN {
                return;
            }
            self.greet(now, id);
        }
        let mut heard = Vec::new();
        let conn = &mut self.conns[at];
        while let Ok(Some(frame)) = conn.frames.next_frame(&mut bytes) {
            match Message::decode(frame) {
                Ok(Message::Request(block)) => heard.push(block),
                Ok(Message::Piece { bytes, .. }) => self.got += bytes.len() as u64,
                Ok(Message::Cancel(_)) => self.cancels += 1,
                _ => {}
            }
        }
        self.asked += heard.len() as u64;
        self.answer(now, id, &heard);
    }

    fn greet(&mut self, now: Time, id: ConnId) {
        // Peers of one name are one peer: the number of the connection is part of it.
        let mut name = [b'x'; 20];
        name[..8].copy_from_slice(&id.0.to_be_bytes());
        name[8] = self.part.number();
        let mut bytes = Vec::new();
        Handshake::new(self.name, PeerId::new(name))
            .with_fast()
            .encode(&mut bytes);
        self.write(id, bytes);
        let has = match self.part {
            Part::Floods | Part::Gains | Part::Aligned => Message::HaveNone,
            _ => Message::HaveAll,
        };
        if self.part != Part::Loses {
            self.say(id, &[has]);
        }
        self.say(id, &[Message::Interested]);
        if self.part != Part::Unasked {
            self.say(id, &[Message::Unchoke]);
        }
        if !matches!(self.part, Part::Silent | Part::Slow(_) | Part::LiesAboutPieces) {
            self.next = Some(now + Duration::from_millis(50));
        }
    }

    fn answer(&mut self, now: Time, id: ConnId, asked: &[Block]) {
        match self.part {
            Part::Silent
            | Part::Floods
            | Part::Unasked
            | Part::Endless
            | Part::Absurd
            | Part::Loses
            | Part::Aligned => {}
            Part::Gains => asked.iter().for_each(|block| self.give(id, *block)),
            Part::Slow(after) => self.later.extend(asked.iter().map(|block| (now + after, id, *block))),
            Part::LiesAboutPieces => asked.iter().for_each(|block| self.say(id, &[Message::Reject(*block)])),
            Part::Flapping => {
                if let Some((first, rest)) = asked.split_first() {
                    self.give(id, *first);
                    rest.iter().for_each(|block| self.say(id, &[Message::Reject(*block)]));
                }
            }
            Part::Repeats => {
                for block in asked {
                    self.give(id, *block);
                    self.give(id, *block);
                    let state = [Message::Unchoke, Message::Interested, Message::Have(block.piece)];
                    (0..10).for_each(|_| self.say(id, &state));
                }
            }
        }
    }

    /// What it does twenty times a second.
    fn turn(&mut self, now: Time) {
        self.turns += 1;
        let pieces = self.made.pieces();
        for id in self.conns.iter().map(|conn| conn.id).collect::<Vec<_>>() {
            let piece = self.turns % pieces;
            match self.part {
                Part::Flapping => {
                    let state = if self.turns.is_multiple_of(2) {
                        Message::Choke
                    } else {
                        Message::Unchoke
                    };
                    self.say(id, &[state]);
                }
                Part::Unasked => {
                    let (begin, bytes) = (0, [0xba; 16 << 10].as_slice());
                    self.say(id, &[Message::Piece { piece, begin, bytes }]);
                }
                Part::Floods => {
                    let block = |at: u32| Block {
                        piece: at % pieces,
                        begin: 0,
                        length: 16 << 10,
                    };
                    let many: Vec<Message<'_>> = (0..2_000).map(|at| Message::Request(block(at))).collect();
                    self.say(id, &many);
                }
                Part::Gains | Part::Loses => {
                    let left = pieces.saturating_sub(self.turns);
                    let has = if self.part == Part::Gains { pieces - left } else { left };
                    let mut bits = vec![0; pieces.div_ceil(8) as usize];
                    (0..has).for_each(|piece| bits[piece as usize / 8] |= 0x80 >> (piece % 8));
                    self.say(id, &[Message::Bitfield(&bits)]);
                }
                Part::Aligned if self.turns == 40 => {
                    let layout = self.made.layout();
                    let blocks =
                        (0..pieces).flat_map(|piece| (0..layout.blocks(piece)).map(move |block| (piece, block)));
                    let all = blocks.map(|(piece, block)| Block {
                        piece,
                        begin: block << 14,
                        // The last piece ends where the torrent does.
                        length: if piece + 1 == pieces {
                            layout.block_len(piece, block)
                        } else {
                            16 << 10
                        },
                    });
                    let all: Vec<Message<'_>> = all.map(Message::Request).collect();
                    self.say(id, &all);
                }
                Part::Endless => self.write(id, vec![0xff; 64]),
                Part::Absurd => self.say_absurdities(id),
                _ => {}
            }
        }
        if !self.conns.is_empty() {
            self.next = Some(now + Duration::from_millis(50));
        }
    }

    /// Numbers that cannot be.
    fn say_absurdities(&mut self, id: ConnId) {
        let absurd = [
            (u32::MAX, 0, 16 << 10),
            (0, u32::MAX, 16 << 10),
            (0, 0, u32::MAX),
            (self.made.pieces() - 1, 1 << 30, 1),
            (0, 0, 0),
        ];
        for (piece, begin, length) in absurd {
            let block = Block { piece, begin, length };
            self.say(
                id,
                &[Message::Request(block), Message::Cancel(block), Message::Reject(block)],
            );
        }
        self.say(id, &[Message::AllowedFast(u32::MAX), Message::Suggest(u32::MAX)]);
    }

    pub(crate) fn poll(&mut self, payload: &mut Vec<u8>) -> Option<Output<Event>> {
        let (effect, bytes) = self.wants.pop_front()?;
        payload.extend(bytes);
        Some(Output::Effect(effect))
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let later = self.later.front().map(|(at, ..)| *at);
        [self.next, later].into_iter().flatten().min()
    }
}

impl Part {
    /// One of its own, for the names of peers.
    const fn number(self) -> u8 {
        match self {
            Self::Silent => 1,
            Self::Slow(_) => 2,
            Self::LiesAboutPieces => 3,
            Self::Flapping => 4,
            Self::Unasked => 5,
            Self::Floods => 6,
            Self::Repeats => 7,
            Self::Endless => 8,
            Self::Absurd => 9,
            Self::Gains => 10,
            Self::Loses => 11,
            Self::Aligned => 12,
        }
    }
}
