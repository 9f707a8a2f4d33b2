//! Web seeds (BEP 19): HTTP servers that have the files, as sources that are never choked.

use std::collections::BTreeMap;
use std::sync::Arc;

use world::disk::Source;
use world::{DiskOp, Effect, HttpPart, Time, WebId};

use super::Torrent;
use crate::desk::Desk;
use crate::picker::{Ask, BlockState, Has, Slot, Speed};
use crate::progress::{Bytes, Taken};
use crate::webseed::{WebFile, WebFiles, WebSeed, WebTold};
use crate::{BLOCK, Event, PeerKey, State, TorrentId};

/// Web seeds of one torrent; more are not asked.
const MOST: usize = 16;
/// The key of the first web seed, where no peer's is.
const FIRST_KEY: u32 = 4_096;
/// Numbers of the requests of one web seed, and the bits that say whose they are.
const IDS: u64 = 1 << 24;
const SEED_BITS: u32 = 4;
/// Set in the numbers of all requests of web seeds.
const WEB_SEED: u64 = 1 << 63;

/// A web seed, and blocks of it that come in parts out of order: they lie in several files.
#[derive(Debug)]
pub(super) struct HttpSource {
    seed: WebSeed,
    parts: BTreeMap<Slot, Vec<(u32, Vec<u8>)>>,
}

impl Torrent {
    /// The torrent of a request's number.
    pub(crate) const fn of_web(id: WebId) -> TorrentId {
        TorrentId((((id.0 & !WEB_SEED) / IDS) >> SEED_BITS) as u32)
    }

    /// Takes the web seeds that a torrent names.
    pub(crate) fn add_webseeds(&mut self, desk: &Desk, now: Time, urls: &[String]) {
        let info = self.layout.info();
        let is_single = info.is_single_file();
        let files: Vec<(Vec<&[u8]>, u64, u64, bool)> = info
            .files()
            .map(|file| {
                let path = if is_single { Vec::new() } else { file.path() };
                (path, file.offset, file.length, file.pad)
            })
            .collect();
        let files: Vec<WebFile<'_>> = files
            .iter()
            .map(|(path, offset, len, pad)| WebFile {
                path,
                offset: *offset,
                length: *len,
                is_pad: *pad,
            })
            .collect();
        let files = Arc::new(WebFiles::new(
            &info.name,
            is_single,
            u64::from(self.layout.piece_length()),
            &files,
        ));
        for (index, url) in (0..).zip(urls.iter().take(MOST)) {
            let first = WEB_SEED + (u64::from(self.id.0) << SEED_BITS | index) * IDS;
            let ids = first..first + IDS;
            self.webseeds.push(HttpSource {
                seed: WebSeed::new(now, url, Arc::clone(&files), ids, desk.config.webseed),
                parts: BTreeMap::new(),
            });
            // Pieces that nobody has are not looked for: to the picker it is one more seed, until it is dropped.
            self.picker.add_seed();
        }
    }

    const fn web_key(index: usize) -> PeerKey {
        PeerKey(FIRST_KEY + index as u32)
    }

    /// Gives web seeds that have nothing to do pieces that nobody else works on.
    pub(super) fn feed_webseeds(&mut self, desk: &mut Desk, now: Time) {
        if self.state != State::Downloading || !self.is_active() || self.webseeds.is_empty() {
            return;
        }
        let mut told = Vec::new();
        for index in 0..self.webseeds.len() {
            told.clear();
            self.feed_webseed(desk, now, index, &mut told);
            self.told_by_web(desk, now, index, &told, &[]);
        }
        desk.web_work.push_back(self.id);
    }

    fn feed_webseed(&mut self, desk: &mut Desk, now: Time, index: usize, told: &mut Vec<WebTold>) {
        let blocks = self.layout.piece_length().div_ceil(BLOCK) as usize;
        let Some(source) = self.webseeds.get_mut(index) else {
            return;
        };
        let room = source.seed.room(now) as usize;
        if room == 0 || source.seed.ended().is_some() || desk.unwritten > desk.config.limits.unwritten {
            return;
        }
        let mut slots = std::mem::take(&mut desk.slots);
        slots.clear();
        let mut ask = Ask {
            has: Has::All,
            peer: Self::web_key(index),
            want: room.saturating_mul(blocks),
            speed: Speed::Fast,
            whole_pieces: true,
            spread: 1,
            // Whole pieces that nobody else works on.
            parole: true,
            copies: 1,
            allowed: None,
            suggested: None,
        };
        let picked = self.picker.pick(&ask, &mut slots);
        if picked.blocks == 0 && picked.withheld {
            // Others began what is left: of these pieces what nobody is asked for now is taken, and what is here is dropped.
            ask.parole = false;
            self.picker.pick(&ask, &mut slots);
        }
        slots.sort_unstable();
        let mut pieces: Vec<u32> = slots.iter().map(|slot| slot.piece).collect();
        pieces.dedup();
        for piece in pieces {
            // A pick may end within a piece: then the rest would have to be fetched once more.
            let open = self.picker.partial_of(piece).map_or(0, |begun| {
                let open = begun.blocks().filter(|block| block.state == BlockState::Open);
                open.count()
            });
            if source.seed.has(piece) && source.seed.room(now) > 0 && open == 0 {
                source.seed.want(now, piece, 1, told);
            } else {
                for slot in slots.iter().filter(|slot| slot.piece == piece) {
                    self.picker.abandon(*slot, Self::web_key(index));
                }
            }
        }
        desk.slots = slots;
    }

    /// The next request of a web seed.
    pub(crate) fn web_asks(&mut self, payload: &mut Vec<u8>) -> Option<Effect> {
        self.webseeds.iter_mut().find_map(|source| source.seed.poll(payload))
    }

    /// Part of an answer to a web seed.
    pub(crate) fn web_says(&mut self, desk: &mut Desk, now: Time, id: WebId, part: HttpPart<'_>) {
        let Some(index) = self.webseeds.iter().position(|source| source.seed.owns(id)) else {
            return;
        };
        let mut told = Vec::new();
        if let Some(source) = self.webseeds.get_mut(index) {
            source.seed.handle(now, id, part, &mut told);
        }
        let body = match part {
            HttpPart::Body(body) => body,
            _ => &[],
        };
        self.told_by_web(desk, now, index, &told, body);
        self.feed_webseeds(desk, now);
    }

    /// Lets time pass for web seeds.
    pub(super) fn tick_webseeds(&mut self, desk: &mut Desk, now: Time) {
        for index in 0..self.webseeds.len() {
            let mut told = Vec::new();
            if let Some(source) = self.webseeds.get_mut(index) {
                source.seed.tick(now, &mut told);
            }
            self.told_by_web(desk, now, index, &told, &[]);
        }
        self.feed_webseeds(desk, now);
    }

    /// Web seeds have nothing to do any more.
    pub(super) fn stop_webseeds(&mut self, desk: &mut Desk) {
        for index in 0..self.webseeds.len() {
            if let Some(source) = self.webseeds.get_mut(index) {
                source.seed.cancel();
                source.parts.clear();
            }
            self.web_gives_back(index);
        }
        desk.web_work.push_back(self.id);
    }

    /// What a web seed was asked for is open to others.
    fn web_gives_back(&mut self, index: usize) {
        let key = Self::web_key(index);
        let asked: Vec<Slot> = self
            .picker
            .partials()
            .flat_map(|begun| {
                let piece = begun.piece();
                let blocks = (0..).zip(begun.blocks());
                let mine = blocks.filter(|(_, block)| block.peer == Some(key) && block.state == BlockState::Asked);
                mine.map(move |(block, _)| Slot { piece, block }).collect::<Vec<_>>()
            })
            .collect();
        for slot in asked {
            self.picker.abandon(slot, key);
        }
        self.begun.values_mut().for_each(|begun| begun.progress.forget(key));
    }

    fn told_by_web(&mut self, desk: &mut Desk, now: Time, index: usize, told: &[WebTold], body: &[u8]) {
        for told in told {
            match *told {
                WebTold::Bytes {
                    piece,
                    begin,
                    at,
                    len,
                    completes,
                } => {
                    let run = Bytes {
                        input: body,
                        start: at,
                        len: u32::try_from(len).unwrap_or(0),
                    };
                    self.web_brings(desk, now, index, (piece, begin, completes), run, true);
                }
                WebTold::Zeros {
                    piece,
                    begin,
                    len,
                    completes,
                } => {
                    self.settle(desk, now, body);
                    let zeros = vec![0; len];
                    self.web_brings(desk, now, index, (piece, begin, completes), Bytes::all(&zeros), false);
                    self.settle(desk, now, &zeros);
                }
                WebTold::Failed { .. } => self.web_failed(desk, now, index),
                WebTold::Dropped(why) => {
                    self.picker.remove_seed();
                    self.web_failed(desk, now, index);
                    if let Some(source) = self.webseeds.get(index) {
                        desk.tell(Event::WebSeedDropped(self.id, source.seed.url().to_owned(), why));
                    }
                }
            }
        }
        self.settle(desk, now, body);
    }

    fn web_failed(&mut self, desk: &mut Desk, now: Time, index: usize) {
        if let Some(source) = self.webseeds.get_mut(index) {
            source.parts.clear();
        }
        self.web_gives_back(index);
        self.ask_all(desk, now);
    }

    /// Bytes of a block; whether they are of the input, and so can be written from there.
    fn web_brings(
        &mut self,
        desk: &mut Desk,
        now: Time,
        index: usize,
        (piece, begin, completes): (u32, u32, bool),
        run: Bytes<'_>,
        in_input: bool,
    ) {
        let slot = Slot {
            piece,
            block: begin / BLOCK,
        };
        let offset = begin % BLOCK;
        // Whole pieces are fetched: of one that was begun some blocks are here, or come from peers.
        let key = Self::web_key(index);
        let is_asked = |info: crate::picker::BlockInfo| info.state == BlockState::Asked && info.peer == Some(key);
        if !self.picker.block(slot.piece, slot.block).is_some_and(is_asked) {
            self.redundant += u64::from(run.len);
            desk.totals.redundant += u64::from(run.len);
            return;
        }
        let taken = match in_input {
            true => self.take(desk, now, slot, offset, key, run),
            false => Taken::Not,
        };
        let Some(source) = self.webseeds.get_mut(index) else {
            return;
        };
        if taken == Taken::Not {
            source.parts.entry(slot).or_default().push((offset, run.get().to_vec()));
        }
        let mut whole = taken == Taken::Whole;
        if completes && let Some(mut parts) = source.parts.remove(&slot) {
            parts.sort_unstable();
            // They lie elsewhere than what was noted until now.
            self.settle(desk, now, run.input);
            for (offset, bytes) in parts {
                whole |= self.take_copied(desk, now, slot, offset, key, &bytes) == Taken::Whole;
                self.settle(desk, now, &bytes);
            }
        }
        if whole {
            self.came(desk, key, slot);
        } else if completes {
            self.picker.abandon(slot, key);
        }
    }

    /// As [`take`](Self::take), of bytes that are not in the input.
    fn take_copied(
        &mut self,
        desk: &mut Desk,
        now: Time,
        slot: Slot,
        offset: u32,
        key: PeerKey,
        bytes: &[u8],
    ) -> Taken {
        let Some((taken, job)) = self.note_taken(desk, now, slot, offset, key, Bytes::all(bytes)) else {
            return Taken::Not;
        };
        let (store, number) = (self.store(), self.job_id(job));
        let mut rest = bytes;
        let len = u32::try_from(bytes.len()).unwrap_or(0);
        let mut padding = 0;
        for slice in self.layout.map_block(slot.piece, slot.block * BLOCK + offset, len) {
            let Some((part, behind)) = rest.split_at_checked(slice.len as usize) else {
                break;
            };
            rest = behind;
            match slice.file {
                None => padding += part.len(),
                Some(file) => {
                    let source = Source::Payload { len: part.len() };
                    let at = slice.at;
                    desk.disk(store, number, DiskOp::Write { file, at, source }, part);
                }
            }
        }
        self.padded(desk, job, padding);
        taken
    }

    /// A wrong piece of which a web seed gave all speaks against it.
    pub(super) fn blame_webseed(&mut self, desk: &mut Desk, now: Time, piece: u32) {
        let keys = || self.picker.givers(piece).map(|(_, key)| key.0);
        let first = keys().next().filter(|key| *key >= FIRST_KEY);
        let is_only = keys().all(|key| Some(key) == first);
        let Some(index) = first.filter(|_| is_only).map(|key| (key - FIRST_KEY) as usize) else {
            return;
        };
        let mut told = Vec::new();
        if let Some(source) = self.webseeds.get_mut(index) {
            source.seed.blame(&mut told);
        }
        self.told_by_web(desk, now, index, &told, &[]);
    }
}
