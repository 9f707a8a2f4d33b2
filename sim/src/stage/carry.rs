//! How bytes of streams get from one end to the other: turns on the line up, a window, turns on the line down.

use std::collections::VecDeque;

use world::{Closed, ConnId, Time};

use super::line::{BLOCK, End, Flow, turn};
use super::net::{Inbound, Life, Net, Passing, What};
use super::stream::{Item, State, Stream};

/// Blocks that may be on their way beyond what the path holds.
const SLACK: usize = 4 * BLOCK;

impl Net {
    /// The end of a connection that a party may speak of.
    fn end_of(&self, party: usize, conn: ConnId) -> Option<End> {
        self.hosts[party].conns.get(&conn).copied()
    }

    pub(super) fn write(&mut self, now: Time, party: usize, conn: ConnId, bytes: &[u8]) {
        let Some(end) = self.end_of(party, conn) else {
            return;
        };
        let most = self.limits.kernel + self.limits.unsent;
        let Some(half) = self.half(end) else { return };
        if half.state == State::Dead {
            return;
        }
        half.backlog.extend(bytes);
        if half.backlog.len() > most {
            self.hosts[party].traffic.congested += 1;
            self.fail(now, end, Closed::Congested, now);
        } else {
            self.offer(now, end);
        }
    }

    pub(super) fn report(&mut self, now: Time, party: usize, conn: ConnId) {
        let kernel = self.limits.kernel;
        let Some(end) = self.end_of(party, conn) else {
            return;
        };
        let Some(half) = self.half(end) else { return };
        if half.backlog.len() <= kernel && half.state == State::Open {
            self.tell(now, party, Inbound::Flushed(conn));
        } else {
            half.reports = true;
        }
    }

    pub(super) fn close(&mut self, now: Time, party: usize, conn: ConnId) {
        let Some((id, side)) = self.hosts[party].conns.remove(&conn) else {
            return;
        };
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let half = &mut stream.halves[side];
        let mut unread = VecDeque::new();
        if half.state != State::Dead {
            half.state = State::Closed;
            half.reports = false;
            unread = std::mem::take(&mut half.landed);
            half.ends = true;
        }
        if stream.halves[1 - side].state == State::Uncalled || stream.is_over() {
            self.streams.remove(&id);
        } else {
            self.offer(now, (id, side));
        }
        for item in unread {
            self.acknowledge(now, (id, side), &item);
        }
    }

    /// A stream breaks: this end is told now, the other by a reset that goes out at `leaves`.
    fn fail(&mut self, now: Time, end: End, why: Closed, leaves: Time) {
        let (id, side) = end;
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let half = &mut stream.halves[side];
        half.end(State::Dead);
        let (party, conn) = (half.party, half.conn);
        let target = stream.halves[1 - side].party;
        self.tell(now, party, Inbound::Closed(conn, why));
        let at = leaves + self.delay(party, target);
        self.push(at, What::Rst((id, 1 - side)));
    }

    /// A reset arrives.
    pub(super) fn reset(&mut self, (id, side): End) -> Option<(usize, Inbound)> {
        let stream = self.streams.get_mut(&id)?;
        let half = &mut stream.halves[side];
        let (party, conn) = (half.party, half.conn);
        half.end(State::Dead);
        if stream.is_over() {
            self.streams.remove(&id);
        }
        self.hosts[party].conns.remove(&conn)?;
        Some((party, Inbound::Closed(conn, Closed::Reset)))
    }

    /// Bytes that an end may have on their way: twice what the path holds, and something to begin with.
    fn window(&self, from: usize, to: usize) -> usize {
        let rate = self.hosts[from].line.up.min(self.hosts[to].line.down);
        let held = u128::from(rate) * (2 * self.delay(from, to)).as_micros() / 1_000_000;
        SLACK + 2 * usize::try_from(held).unwrap_or(usize::MAX / 4)
    }

    fn pair(&self, (id, side): End) -> Option<(usize, usize)> {
        let stream = self.streams.get(&id)?;
        Some((stream.halves[side].party, stream.halves[1 - side].party))
    }

    /// Gets an end into the line of its party, if it has something to send.
    pub(super) fn offer(&mut self, now: Time, end: End) {
        let Some((party, target)) = self.pair(end) else {
            return;
        };
        let window = self.window(party, target);
        let Some(half) = self.half(end) else { return };
        if !half.is_queued && half.wants_turn(window) {
            half.is_queued = true;
            self.hosts[party].up.flows.push_back(Flow::Stream(end));
            self.start_up(now, party);
        }
    }

    /// Gives a line up to who is next.
    pub(super) fn start_up(&mut self, now: Time, party: usize) {
        while !self.hosts[party].up.is_busy
            && let Some(flow) = self.hosts[party].up.flows.pop_front()
        {
            match flow {
                Flow::Stream(end) => self.stream_up(now, party, end),
                Flow::Datagrams => self.datagram_up(now, party),
                Flow::Web(_) => {}
            }
        }
    }

    fn datagram_up(&mut self, now: Time, party: usize) {
        let host = &mut self.hosts[party];
        let Some(datagram) = host.outbox.pop_front() else {
            return;
        };
        let (len, rate) = (datagram.2.len(), host.line.up);
        let at = host.up.pass(now, len, rate);
        host.up.datagram_passed(len, rate, !host.outbox.is_empty());
        self.push(at, What::Free(party));
        self.depart(at, party, datagram);
    }

    fn stream_up(&mut self, now: Time, party: usize, end: End) {
        let (id, side) = end;
        let Some((_, target)) = self.pair(end) else {
            return;
        };
        let other = (id, 1 - side);
        let (window, delay) = (self.window(party, target), self.delay(party, target));
        let rate = self.hosts[party].line.up;
        let most = turn(rate.min(self.hosts[target].line.down));
        let kernel = self.limits.kernel;
        let mut bytes = self.buffer();
        let Some(half) = self.half(end) else { return };
        half.is_queued = false;
        if !half.wants_turn(window) {
            return self.recycle(bytes);
        }
        if half.backlog.is_empty() {
            half.fin_sent = true;
            let at = half.arrives_after(now + delay);
            self.recycle(bytes);
            return self.push(at, What::Landed(other, Item::Fin));
        }
        let len = most.min(half.backlog.len()).min(window - half.in_flight);
        let (head, tail) = half.backlog.as_slices();
        let from_head = len.min(head.len());
        bytes.extend_from_slice(&head[..from_head]);
        bytes.extend_from_slice(&tail[..len - from_head]);
        half.backlog.drain(..len);
        let offset = half.sent;
        half.sent += len as u64;
        half.in_flight += len;
        let flushed = half.reports && half.backlog.len() <= kernel;
        half.reports &= !flushed;
        let conn = half.conn;
        let goes_on = half.up_left.pass(len, rate);
        half.is_queued = half.wants_turn(window);
        if half.is_queued {
            self.hosts[party].up.queue(Flow::Stream(end), goes_on);
        } else {
            half.up_left.end();
        }
        if flushed {
            self.tell(now, party, Inbound::Flushed(conn));
        }
        let is_cut = self.spoil(party, end, offset, &mut bytes);
        let host = &mut self.hosts[party];
        host.traffic.sent += bytes.len() as u64;
        let at = host.up.pass(now, bytes.len(), host.line.up);
        self.push(at, What::Free(party));
        let lands = self.half(end).map_or(at, |half| half.arrives_after(at + delay));
        self.push(lands, What::Landed(other, Item::Bytes(bytes)));
        if is_cut {
            self.fail(now, end, Closed::Reset, at);
        }
    }

    /// Does to bytes what a party's noise does to that part of a stream; whether the connection ends behind them.
    fn spoil(&mut self, party: usize, (id, side): End, offset: u64, bytes: &mut Vec<u8>) -> bool {
        let host = &mut self.hosts[party];
        let noise = host.noise;
        if noise.garbled <= 0.0 && noise.cut <= 0.0 {
            return false;
        }
        let dice = self.noise.of(2 * id + side as u64);
        let block = BLOCK as u64;
        let end = offset + bytes.len() as u64;
        for number in offset / block..end.div_ceil(block) {
            // Which byte of a block is meant is drawn once, whichever turns it goes in.
            let place = |draw| {
                let at = number * block + dice.below(number, draw, block);
                (offset..end).contains(&at).then(|| (at - offset) as usize)
            };
            if dice.happens(number, 0, noise.garbled)
                && let Some(at) = place(1)
            {
                bytes[at] ^= 1 << dice.below(number, 2, 8);
                host.traffic.garbled += 1;
            }
            if dice.happens(number, 3, noise.cut)
                && let Some(at) = place(4)
            {
                bytes.truncate(at);
                host.traffic.cut += 1;
                return true;
            }
        }
        false
    }

    /// Something arrives before a line down.
    pub(super) fn landed(&mut self, now: Time, end: End, item: Item) {
        let (id, side) = end;
        let Some((party, target)) = self.pair(end) else {
            return;
        };
        let life = self.hosts[party].life;
        let Some(half) = self.half(end) else { return };
        match half.state {
            State::Open => {
                half.landed.push_back(item);
                if !half.is_landing {
                    half.is_landing = true;
                    self.hosts[party].down.flows.push_back(Flow::Stream(end));
                    self.start_down(now, party);
                }
            }
            State::Dead if life != Life::Dark => {
                let at = now + self.delay(party, target);
                self.push(at, What::Rst((id, 1 - side)));
            }
            State::Closed => self.acknowledge(now, end, &item),
            _ => {}
        }
    }

    /// Who sent something is told that it went through, or that nobody wants it.
    fn acknowledge(&mut self, now: Time, (id, side): End, item: &Item) {
        let other = (id, 1 - side);
        let Some((target, party)) = self.pair(other) else {
            return;
        };
        match item {
            Item::Bytes(bytes) => {
                let at = now + self.delay(party, target);
                self.push(at, What::Credit(other, bytes.len()));
            }
            Item::Fin => self.fin_arrives(other),
        }
    }

    /// All that this end wrote is at the other.
    fn fin_arrives(&mut self, end: End) {
        if let Some(half) = self.half(end) {
            half.fin_arrived = true;
        }
        if self.streams.get(&end.0).is_some_and(Stream::is_over) {
            self.streams.remove(&end.0);
        }
    }

    /// Gives a line down to who is next.
    pub(super) fn start_down(&mut self, now: Time, party: usize) {
        while !self.hosts[party].down.is_busy
            && let Some(flow) = self.hosts[party].down.flows.pop_front()
        {
            let passing = match flow {
                Flow::Stream(end) => self.half(end).and_then(|half| {
                    let item = half.landed.pop_front();
                    half.is_landing = item.is_some();
                    Some(Passing::Stream(end, item?))
                }),
                Flow::Datagrams => {
                    let datagram = self.hosts[party].inbox.pop_front();
                    datagram.map(|(from, to, bytes)| Passing::Datagram { from, to, bytes })
                }
                Flow::Web(fetch) => self.chunk(fetch).map(|bytes| Passing::Web(fetch, bytes)),
            };
            let Some(passing) = passing else { continue };
            let len = match &passing {
                Passing::Stream(_, item) => item.len(),
                Passing::Datagram { bytes, .. } | Passing::Web(_, bytes) => bytes.len(),
            };
            let host = &mut self.hosts[party];
            let at = host.down.pass(now, len, host.line.down);
            host.passing = Some(passing);
            self.push(at, What::Passed(party));
        }
    }

    /// Something has passed a line down.
    pub(super) fn passed(&mut self, now: Time, party: usize) -> Option<(usize, Inbound)> {
        let host = &mut self.hosts[party];
        host.down.is_busy = false;
        let passing = host.passing.take();
        let inbound = match passing {
            Some(Passing::Stream(end, item)) => self.delivered(now, party, end, item),
            Some(Passing::Datagram { from, to, bytes }) => {
                let rate = host.line.down;
                host.down.datagram_passed(bytes.len(), rate, !host.inbox.is_empty());
                (host.life == Life::Up).then(|| {
                    host.traffic.datagrams_received += 1;
                    Inbound::Datagram { from, to, bytes }
                })
            }
            Some(Passing::Web(fetch, bytes)) => self.chunk_passed(now, fetch, bytes),
            None => None,
        };
        self.start_down(now, party);
        inbound.map(|inbound| (party, inbound))
    }

    fn delivered(&mut self, now: Time, party: usize, end: End, item: Item) -> Option<Inbound> {
        let rate = self.hosts[party].line.down;
        let half = self.half(end)?;
        let (conn, state) = (half.conn, half.state);
        let goes_on = half.down_left.pass(item.len(), rate);
        half.is_landing = !half.landed.is_empty();
        if half.is_landing {
            self.hosts[party].down.queue(Flow::Stream(end), goes_on);
        } else {
            half.down_left.end();
        }
        if state != State::Open {
            self.landed(now, end, item);
            return None;
        }
        if item == Item::Fin {
            self.half(end)?.end(State::Closed);
            self.hosts[party].conns.remove(&conn);
            self.fin_arrives((end.0, 1 - end.1));
            return Some(Inbound::Closed(conn, Closed::ByRemote));
        }
        self.acknowledge(now, end, &item);
        let Item::Bytes(bytes) = item else { return None };
        if bytes.is_empty() {
            return None;
        }
        self.hosts[party].traffic.received += bytes.len() as u64;
        Some(Inbound::Received(conn, bytes))
    }
}
