//! What is claimed to be on disk, and when: data, fdatasync, record, fdatasync (see [`journal`](crate::journal)).

use world::disk::{Folder, Source};
use world::{DiskOp, Time};

use super::{Ending, Job, Torrent};
use crate::bits::Bits;
use crate::desk::Desk;
use crate::journal::{Record, Resume};
use crate::picker::BlockState;
use crate::{Event, JournalPlace, State};

/// How far what an earlier run left is believed (D-15).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verify {
    /// The journal is true: only what is suspect is hashed.
    Trust,
    /// Everything that is there is hashed.
    All,
}

/// The journal of one torrent, and what is not in it yet.
#[derive(Debug)]
pub(super) struct Durable {
    place: Option<JournalPlace>,
    resume: Option<Resume>,
    pub(super) verify: Verify,
    /// Bytes of the journal.
    at: u64,
    /// Pieces that are written, not known to be on stable storage, and not noted as suspect yet (the last `unnoted`).
    fresh: Vec<u32>,
    unnoted: usize,
    bytes: u64,
    /// Pieces that are being brought to stable storage.
    syncing: Vec<u32>,
    phase: Phase,
    /// The last claim.
    since: Time,
    /// The last note of what is suspect.
    noted: Time,
    /// Pieces that turned out not to be at hand, to be said.
    lost: Vec<u32>,
    /// The journal cannot be written: nothing more is claimed.
    broken: bool,
    /// The last words are on their way, or said.
    last_words: bool,
    /// Pieces claimed in all, for status.
    pub(super) claimed: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Idle,
    Data,
    Record,
    Journal,
}

impl Durable {
    pub(super) fn new(now: Time, place: Option<JournalPlace>, resume: Resume, verify: Verify) -> Self {
        Self {
            place,
            at: resume.length,
            resume: Some(resume),
            verify,
            fresh: Vec::new(),
            unnoted: 0,
            bytes: 0,
            syncing: Vec::new(),
            phase: Phase::Idle,
            since: now,
            noted: now,
            lost: Vec::new(),
            broken: false,
            last_words: false,
            claimed: 0,
        }
    }

    pub(super) fn take_resume(&mut self) -> Option<Resume> {
        self.resume.take()
    }

    /// These pieces are claimed already.
    pub(super) fn begin(&mut self, have: &Bits) {
        self.claimed = have.count();
        self.last_words = false;
    }

    /// A piece is with the system.
    pub(super) fn written(&mut self, piece: u32, length: u32) {
        self.fresh.push(piece);
        self.unnoted += 1;
        self.bytes += u64::from(length);
    }

    /// A piece is not at hand after all.
    pub(super) fn lost(&mut self, piece: u32) {
        self.lost.push(piece);
    }

    /// The torrent is opened again, with this at hand.
    pub(super) fn begin_anew(&mut self, resume: Resume) {
        self.resume = Some(resume);
        self.broken = false;
    }

    /// What is at hand is to be hashed when the torrent is opened again.
    pub(super) fn verify_all(&mut self) {
        self.verify = Verify::All;
    }

    /// The disk failed: what was to be claimed is not.
    pub(super) fn give_up(&mut self) {
        self.phase = Phase::Idle;
        self.fresh.append(&mut self.syncing);
    }

    /// A sync failed: pieces of which it is not known any more whether they are on the disk, nor will be.
    pub(super) fn in_doubt(&mut self) -> Vec<u32> {
        self.phase = Phase::Idle;
        self.unnoted = 0;
        self.bytes = 0;
        let mut doubtful = std::mem::take(&mut self.syncing);
        doubtful.append(&mut self.fresh);
        self.lost.extend_from_slice(&doubtful);
        doubtful
    }

    fn is_quiet(&self) -> bool {
        self.phase == Phase::Idle && self.fresh.is_empty() && self.syncing.is_empty()
    }
}

impl Torrent {
    /// Names the journal's file, and begins it if it is new.
    pub(super) fn open_journal(&mut self, desk: &mut Desk) {
        let Some(place) = &self.durable.place else { return };
        let mut bytes = Vec::new();
        Folder::encode(&mut bytes, &place.folder, [(place.file.as_str(), 0)]);
        let op = DiskOp::Open { len: bytes.len() };
        self.disk(desk, self.journal_store(), Job::JournalOpen, op, &bytes);
        if self.durable.at == 0 {
            let (info_hash, pieces) = (self.info_hash, self.layout.pieces());
            let mut record = Vec::new();
            Record::Begin { info_hash, pieces }.encode(&mut record);
            self.append(desk, &record);
        }
    }

    /// Writes to the end of the journal.
    fn append(&mut self, desk: &mut Desk, record: &[u8]) {
        if self.durable.place.is_none() || self.durable.broken || record.is_empty() {
            return;
        }
        let op = DiskOp::Write {
            file: 0,
            at: self.durable.at,
            source: Source::Payload { len: record.len() },
        };
        self.durable.at += record.len() as u64;
        self.disk(desk, self.journal_store(), Job::JournalWrite, op, record);
    }

    /// A piece is at hand: it is noted with those of a moment, so that a kill costs little and a fast line few notes.
    pub(super) fn note_soon(&mut self, desk: &mut Desk, now: Time) {
        let due = self.durable.noted + desk.config.deadlines.suspect;
        if due <= now {
            self.note(desk, now);
        } else {
            desk.notes_due = Some(desk.notes_due.map_or(due, |other| other.min(due)));
        }
    }

    /// Notes what is suspect; claims what is due.
    pub(crate) fn note(&mut self, desk: &mut Desk, now: Time) {
        let mut record = Vec::new();
        let durable = &mut self.durable;
        durable.noted = now;
        if !durable.lost.is_empty() {
            Record::Lost(&durable.lost).encode(&mut record);
            durable.lost.clear();
        }
        let noted = durable.fresh.len() - durable.unnoted.min(durable.fresh.len());
        if durable.unnoted > 0
            && let Some(unnoted) = durable.fresh.get(noted..)
        {
            Record::Suspect(unnoted).encode(&mut record);
            durable.unnoted = 0;
        }
        self.append(desk, &record);
        let deadlines = &desk.config.deadlines;
        let durable = &self.durable;
        let is_due = now.since(durable.since) >= deadlines.durable || durable.bytes >= deadlines.durable_bytes;
        if is_due && !durable.fresh.is_empty() {
            self.claim(desk, now);
        }
    }

    /// Brings to stable storage what is written, to claim it then. Without a journal there is nothing to claim.
    pub(super) fn claim(&mut self, desk: &mut Desk, now: Time) {
        let durable = &mut self.durable;
        if durable.phase != Phase::Idle || durable.fresh.is_empty() {
            return;
        }
        durable.since = now;
        durable.bytes = 0;
        durable.unnoted = 0;
        durable.syncing.append(&mut durable.fresh);
        durable.phase = Phase::Data;
        self.disk(desk, self.store(), Job::Sync, DiskOp::Sync, &[]);
    }

    /// The content is on stable storage: that can be said.
    pub(super) fn content_is_safe(&mut self, desk: &mut Desk) {
        if self.durable.phase != Phase::Data {
            return;
        }
        let mut record = Vec::new();
        if !self.durable.syncing.is_empty() {
            Record::Durable(&self.durable.syncing).encode(&mut record);
        }
        Record::Counters(self.counters).encode(&mut record);
        if self.durable.last_words {
            self.encode_last_words(&mut record);
        }
        self.durable.phase = Phase::Record;
        self.append(desk, &record);
        self.sync_journal(desk);
    }

    fn sync_journal(&mut self, desk: &mut Desk) {
        self.durable.phase = Phase::Journal;
        if self.durable.place.is_none() || self.durable.broken {
            return self.journal_is_safe(desk);
        }
        self.disk(desk, self.journal_store(), Job::JournalSync, DiskOp::Sync, &[]);
    }

    /// The claim is on stable storage, too.
    pub(super) fn journal_is_safe(&mut self, desk: &mut Desk) {
        if self.durable.phase != Phase::Journal {
            return;
        }
        self.durable.claimed += u32::try_from(self.durable.syncing.len()).unwrap_or(0);
        self.durable.syncing.clear();
        self.durable.phase = Phase::Idle;
        self.wind_up(desk);
    }

    /// The journal cannot be written. The torrent goes on; after an unclean end more has to be hashed.
    pub(super) fn journal_failed(&mut self, desk: &mut Desk) {
        self.durable.broken = true;
        if matches!(self.durable.phase, Phase::Record | Phase::Journal) {
            self.durable.phase = Phase::Journal;
            self.journal_is_safe(desk);
        }
    }

    /// A torrent that is ending has said its last words when this comes to rest.
    pub(super) fn wind_up(&mut self, desk: &mut Desk) {
        let Some(ending) = self.ending else { return };
        let is_writing = self.jobs.values().any(|job| {
            matches!(job, Job::Write { left, .. } if *left > 0)
                || matches!(job, Job::Check(_) | Job::Allocate(_) | Job::Open)
        });
        if is_writing || self.durable.phase != Phase::Idle {
            return;
        }
        if !self.durable.last_words {
            self.durable.last_words = true;
            let durable = &mut self.durable;
            durable.unnoted = 0;
            durable.syncing.append(&mut durable.fresh);
            durable.phase = Phase::Data;
            self.disk(desk, self.store(), Job::Sync, DiskOp::Sync, &[]);
            return;
        }
        if self.durable.is_quiet() || self.state == State::Failed {
            self.ended(desk, ending);
        }
    }

    /// What a clean end says: blocks of pieces that are not whole, and that nothing is suspect.
    fn encode_last_words(&self, record: &mut Vec<u8>) {
        for (piece, blocks) in self.partial_blocks() {
            let blocks = &blocks;
            Record::Blocks { piece, blocks }.encode(record);
        }
        Record::Clean.encode(record);
    }

    /// The blocks that are at hand of pieces that are not.
    fn partial_blocks(&self) -> Vec<(u32, Bits)> {
        let blocks_of = |partial: crate::picker::Begun<'_>| {
            let mut blocks = Bits::new(self.layout.blocks(partial.piece()));
            for (number, block) in (0..blocks.len()).zip(partial.blocks()) {
                if matches!(block.state, BlockState::Writing | BlockState::Done) {
                    blocks.set(number);
                }
            }
            (partial.piece(), blocks)
        };
        let partial = self.picker.partials().map(blocks_of);
        partial.filter(|(_, blocks)| !blocks.is_empty_set()).collect()
    }

    /// All is written and claimed.
    fn ended(&mut self, desk: &mut Desk, ending: Ending) {
        match ending {
            Ending::Pause => {
                self.ending = None;
                self.paused = true;
                self.disk(desk, self.store(), Job::Release, DiskOp::Release, &[]);
                desk.tell(Event::Paused(self.id));
            }
            Ending::Remove { delete } => {
                self.ending = Some(Ending::Gone);
                let op = if delete { DiskOp::Delete } else { DiskOp::Release };
                self.disk(desk, self.store(), Job::Delete, op, &[]);
            }
            Ending::Gone => {}
        }
    }

    /// The journal as it would be written anew, for export.
    pub(crate) fn resume_data(&self) -> Resume {
        Resume {
            have: self.picker.we_have().clone(),
            suspect: Vec::new(),
            partial: self.partial_blocks(),
            counters: self.counters,
            clean: self.paused,
            length: 0,
        }
    }
}
