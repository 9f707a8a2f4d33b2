//! Carries out what an engine wants: lines to peers and documents.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use wire::InfoHash;
use wire::fuzz::Steps;
use world::{ConnId, DiskOp, Effect, Machine, Output, Time, WebId};

use super::disk::Disk;
use super::peers::Line;
use crate::{Engine, Event, State};

/// Effects and events that one input may bring at most: each torrent, peer and block of this small world, several times.
const MOST_OUTPUTS: usize = 20_000;

/// The world's end of everything.
#[derive(Debug, Default)]
pub(super) struct World {
    lines: BTreeMap<ConnId, Line>,
    used: BTreeSet<ConnId>,
    pub(super) reports: VecDeque<ConnId>,
    pub(super) resolves: VecDeque<WebId>,
    /// Documents that are on their way, and from where.
    web: BTreeMap<WebId, Option<u64>>,
    pub(super) disk: Disk,
    pub(super) stopped: bool,
    /// What peers may call for.
    names: Vec<InfoHash>,
    payload: Vec<u8>,
}

impl World {
    /// Carries out everything that the engine wants, which was told `bytes` last, and checks the promises that hold at all
    /// times.
    pub(super) fn look(&mut self, engine: &mut Engine, now: Time, bytes: &[u8]) {
        self.payload.clear();
        let mut outputs = 0;
        while let Some(output) = engine.poll(now, &mut self.payload) {
            outputs += 1;
            assert!(outputs <= MOST_OUTPUTS, "it does not come to an end");
            match output {
                Output::Effect(effect) => self.effect(effect, bytes),
                Output::Event(event) => self.event(engine, &event),
            }
            self.payload.clear();
        }
        let (lines, peers) = (self.lines.len(), engine.connections());
        // Two may not have said yet what they want.
        assert!(
            (peers..=peers + 2).contains(&lines),
            "{lines} connections, {peers} peers"
        );
        assert!(peers <= 6, "too many peers");
        if self.names.is_empty() {
            self.names = engine.torrents().flat_map(|id| engine.names(id)).collect();
        }
    }

    fn effect(&mut self, effect: Effect, bytes: &[u8]) {
        match effect {
            Effect::Dial { conn, .. } => {
                assert!(!conn.is_accepted() && self.used.insert(conn), "a number is used twice");
                self.lines.insert(conn, Line::new(false));
            }
            Effect::Write { conn, len } => {
                assert_eq!(len, self.payload.len());
                let line = self.lines.get_mut(&conn).filter(|line| line.open);
                assert!(line.is_some(), "writes to a connection that is not open");
                if let Some(line) = line {
                    line.written(&self.payload);
                }
            }
            Effect::Close { conn } => {
                assert!(self.lines.contains_key(&conn), "closes twice");
                self.closed(conn);
            }
            Effect::Report { conn } => {
                assert!(
                    self.lines.contains_key(&conn),
                    "asks about a connection that is not there"
                );
                self.reports.push_back(conn);
            }
            Effect::Disk { store, job, op } => {
                if let DiskOp::Open { len }
                | DiskOp::Hash { len, .. }
                | DiskOp::Rename { len, .. }
                | DiskOp::Move { len } = op
                {
                    assert_eq!(len, self.payload.len());
                }
                self.disk.ask(store, job, op, &self.payload, bytes);
            }
            Effect::Fetch { id, get, .. } => {
                let from = get.range.map(|range| range.0);
                assert!(self.web.insert(id, from).is_none(), "asks twice");
            }
            Effect::CancelFetch { id } => {
                self.web.remove(&id);
                self.resolves.retain(|resolve| *resolve != id);
            }
            Effect::Resolve { id, .. } => self.resolves.push_back(id),
            Effect::Send { .. } => {}
        }
    }

    fn event(&mut self, engine: &Engine, event: &Event) {
        match event {
            Event::Piece(id, piece) => {
                let is_there = engine.layout(*id).is_some_and(|layout| {
                    let slices = layout.map_block(*piece, 0, layout.piece_len(*piece));
                    self.disk.is_right(*id, slices)
                });
                assert!(is_there, "piece {piece} of {id:?} is not there");
            }
            Event::State(id, State::Seeding) => {
                let status = engine.file_progress(*id);
                assert!(status.iter().all(|bytes| *bytes > 0), "it has not everything");
            }
            Event::Stopped => self.stopped = true,
            _ => {}
        }
    }

    /// Connections that are open, or still being dialled.
    pub(super) fn lines(&self, open: bool) -> Vec<ConnId> {
        let lines = self.lines.iter().filter(|(_, line)| line.open == open);
        lines.map(|(&conn, _)| conn).collect()
    }

    pub(super) fn opened(&mut self, conn: ConnId) {
        if let Some(line) = self.lines.get_mut(&conn) {
            line.open = true;
        }
    }

    /// A stranger calls.
    pub(super) fn called(&mut self, conn: ConnId) {
        self.lines.insert(conn, Line::new(true));
    }

    pub(super) fn closed(&mut self, conn: ConnId) {
        self.lines.remove(&conn);
        self.reports.retain(|report| *report != conn);
    }

    /// What the peer on `conn` says next.
    pub(super) fn words(&mut self, conn: ConnId, steps: &mut Steps<'_>, out: &mut Vec<u8>) {
        if let Some(line) = self.lines.get_mut(&conn) {
            line.words(&self.names, steps, out);
        }
    }

    /// Documents that are on their way.
    pub(super) fn fetches(&self) -> Vec<WebId> {
        self.web.keys().copied().collect()
    }

    /// Where in the document a request begins.
    pub(super) fn range_of(&self, id: WebId) -> Option<u64> {
        self.web.get(&id).copied().flatten()
    }

    pub(super) fn fetched(&mut self, id: WebId) {
        self.web.remove(&id);
    }
}
