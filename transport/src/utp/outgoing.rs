//! The sending half of a stream: what was written, what is on its way, what was lost.

use std::collections::VecDeque;
use std::time::Duration;

use wire::utp::Sack;
use world::Time;

use super::SEGMENT;

/// Packets on their way at most. libtorrent keeps about 950 out of order, libutp 1,024.
const MAX_SEGMENTS: usize = 512;
/// So many later packets acknowledged mean that one was lost (BEP 29).
const DUPLICATES: u8 = 3;

/// What became of a packet that was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Flying,
    Lost,
    Arrived,
}

/// A packet that was sent. uTP counts packets, so it can only be sent again as it was.
#[derive(Clone, Copy, Debug)]
struct Segment {
    /// Where its payload begins in the stream.
    start: u64,
    sent: Time,
    len: u16,
    sends: u8,
    fate: Fate,
}

/// What an acknowledgement brought.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Acked {
    /// Packets that it is news of.
    pub(super) packets: u32,
    /// Their payload.
    pub(super) bytes: u32,
    /// Shortest round trip of those that were sent only once.
    pub(super) rtt: Option<Duration>,
}

/// A packet to send now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    pub(super) seq_nr: u16,
    pub(super) fin: bool,
    pub(super) again: bool,
    /// Where its payload stands among the bytes kept.
    at: usize,
    pub(super) len: usize,
}

/// Everything written that is not acknowledged. Nothing is allocated while there is nothing.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Bytes not acknowledged, sent or not; the first one is at `base` in the stream.
    bytes: VecDeque<u8>,
    base: u64,
    /// Where in the stream those begin that were never sent.
    fresh: u64,
    segments: VecDeque<Segment>,
    /// Number of the first segment, or of the next packet if there is none.
    first: u16,
    flying: u16,
    lost: u16,
    flying_bytes: u32,
    duplicates: u8,
    /// Nothing will be written any more.
    finish: bool,
    fin_sent: bool,
}

impl Outgoing {
    /// Whose first packet has the number `first`.
    pub(super) const fn new(first: u16) -> Self {
        Self {
            bytes: VecDeque::new(),
            base: 0,
            fresh: 0,
            segments: VecDeque::new(),
            first,
            flying: 0,
            lost: 0,
            flying_bytes: 0,
            duplicates: 0,
            finish: false,
            fin_sent: false,
        }
    }

    /// Keeps `bytes`, or says that they do not fit into `limit`.
    pub(super) fn write(&mut self, bytes: &[u8], limit: usize) -> bool {
        if self.finish || bytes.len() > limit.saturating_sub(self.bytes.len()) {
            return false;
        }
        self.bytes.extend(bytes);
        true
    }

    /// Bytes not acknowledged.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Says that nothing will be written any more: a FIN follows what was.
    pub(super) const fn finish(&mut self) {
        self.finish = true;
    }

    /// Whether the FIN was sent, and so nothing new follows.
    pub(super) const fn is_fin_sent(&self) -> bool {
        self.fin_sent
    }

    /// Whether everything was acknowledged, the FIN too.
    pub(super) fn is_delivered(&self) -> bool {
        self.fin_sent && self.segments.is_empty()
    }

    /// Whether anything waits to be sent or acknowledged.
    pub(super) fn is_busy(&self) -> bool {
        !self.segments.is_empty() || !self.bytes.is_empty() || (self.finish && !self.fin_sent)
    }

    /// Whether anything is on its way.
    pub(super) const fn is_flying(&self) -> bool {
        self.flying > 0
    }

    /// Payload on its way, bytes.
    pub(super) const fn flying_bytes(&self) -> u32 {
        self.flying_bytes
    }

    /// Number of the oldest packet that was not acknowledged, or of the next one.
    pub(super) const fn oldest(&self) -> u16 {
        self.first
    }

    /// Number of the next packet that was never sent.
    pub(super) fn next_seq(&self) -> u16 {
        self.first
            .wrapping_add(u16::try_from(self.segments.len()).unwrap_or(u16::MAX))
    }

    /// Whether `ack_nr` could have been said: nothing that was never sent, and not much less than was said before.
    pub(super) fn is_plausible(&self, ack_nr: u16, slack: u16) -> bool {
        let oldest = self.first.wrapping_sub(1).wrapping_sub(slack);
        let span = self.next_seq().wrapping_sub(1).wrapping_sub(oldest);
        ack_nr.wrapping_sub(oldest) <= span
    }

    /// All packets up to `ack_nr` arrived, and those of `sack`.
    pub(super) fn acknowledge(&mut self, now: Time, ack_nr: u16, sack: Sack<'_>, bare: bool) -> Acked {
        let mut acked = Acked::default();
        let up_to = usize::from(ack_nr.wrapping_sub(self.first).wrapping_add(1));
        let up_to = if up_to <= self.segments.len() { up_to } else { 0 };
        for at in 0..up_to {
            self.arrived(now, at, &mut acked);
        }
        let repeated = ack_nr == self.first.wrapping_sub(1);
        for behind in sack.received() {
            let at = ack_nr.wrapping_add(behind).wrapping_sub(self.first);
            self.arrived(now, usize::from(at), &mut acked);
        }
        // Nobody may take a selective acknowledgement back, so these are done with, too (libutp).
        while self.segments.front().is_some_and(|first| first.fate == Fate::Arrived) {
            self.forget_first();
        }
        if up_to > 0 || !repeated || self.segments.is_empty() {
            self.duplicates = 0;
        } else if bare {
            self.duplicates = self.duplicates.saturating_add(1);
        }
        acked
    }

    fn arrived(&mut self, now: Time, at: usize, acked: &mut Acked) {
        let Some(segment) = self.segments.get_mut(at) else {
            return;
        };
        match segment.fate {
            Fate::Arrived => return,
            Fate::Lost => self.lost -= 1,
            Fate::Flying => {
                self.flying -= 1;
                self.flying_bytes -= u32::from(segment.len);
            }
        }
        segment.fate = Fate::Arrived;
        acked.packets += 1;
        acked.bytes += u32::from(segment.len);
        if segment.sends == 1 {
            let trip = now.since(segment.sent);
            acked.rtt = Some(acked.rtt.map_or(trip, |rtt| rtt.min(trip)));
        }
    }

    fn forget_first(&mut self) {
        let Some(segment) = self.segments.pop_front() else {
            return;
        };
        self.first = self.first.wrapping_add(1);
        let len = usize::from(segment.len).min(self.bytes.len());
        self.bytes.drain(..len);
        self.base += u64::from(segment.len);
    }

    /// Takes packets for lost after which three arrived. Says whether there are any.
    pub(super) fn find_lost(&mut self, sack: Sack<'_>) -> bool {
        let before = self.lost;
        if !sack.is_empty() {
            self.overtaken();
        }
        // A receiver that tells no more than "still waiting": once for each packet, until it is answered.
        if self.duplicates == DUPLICATES
            && let Some(first) = self.segments.front_mut()
            && first.fate == Fate::Flying
            && first.sends == 1
        {
            first.fate = Fate::Lost;
            let len = first.len;
            self.grounded(len);
        }
        self.lost > before
    }

    /// Three that were sent after it arrived: it is lost. Of what was sent again only packets sent after that count.
    fn overtaken(&mut self) {
        let mut latest = [Time::ZERO; DUPLICATES as usize];
        let mut arrived = 0_usize;
        let (mut packets, mut bytes) = (0, 0);
        for segment in self.segments.iter_mut().rev() {
            match segment.fate {
                Fate::Arrived => {
                    arrived += 1;
                    if let Some(last) = latest.last_mut() {
                        *last = segment.sent.max(*last);
                    }
                    latest.sort_unstable_by(|a, b| b.cmp(a));
                }
                Fate::Flying if arrived >= latest.len() => {
                    let third = latest.last().copied().unwrap_or_default();
                    if third > segment.sent || (segment.sends == 1 && third == segment.sent) {
                        segment.fate = Fate::Lost;
                        packets += 1;
                        bytes += u32::from(segment.len);
                    }
                }
                Fate::Flying | Fate::Lost => {}
            }
        }
        self.flying -= packets;
        self.lost += packets;
        self.flying_bytes -= bytes;
    }

    fn grounded(&mut self, len: u16) {
        self.flying -= 1;
        self.lost += 1;
        self.flying_bytes -= u32::from(len);
    }

    /// Nothing was answered in time: all that flies is lost.
    pub(super) fn lose_all(&mut self) {
        for segment in &mut self.segments {
            if segment.fate == Fate::Flying {
                segment.fate = Fate::Lost;
            }
        }
        self.lost += self.flying;
        (self.flying, self.flying_bytes, self.duplicates) = (0, 0, 0);
    }

    /// Whether a packet may go while `window` bytes may fly. A `probe` may always go if nothing flies.
    pub(super) fn may_send(&self, window: u32, probe: bool) -> bool {
        if self.lost > 0 {
            let lost = self.segments.iter().find(|segment| segment.fate == Fate::Lost);
            return lost.is_some_and(|lost| self.fits(lost.len, window, probe));
        }
        self.fresh_len(window, probe).is_some()
    }

    fn fits(&self, len: u16, window: u32, probe: bool) -> bool {
        let alone = self.flying == 0 && (window > 0 || probe);
        alone || self.flying_bytes.saturating_add(u32::from(len)) <= window
    }

    /// Payload of the next new packet; 0 for a FIN.
    fn fresh_len(&self, window: u32, probe: bool) -> Option<u16> {
        if self.segments.len() >= MAX_SEGMENTS || self.fin_sent {
            return None;
        }
        let sent = usize::try_from(self.fresh - self.base).ok()?;
        let unsent = u32::try_from(self.bytes.len().checked_sub(sent)?).unwrap_or(u32::MAX);
        if unsent == 0 {
            // A FIN takes no room.
            return self.finish.then_some(0);
        }
        let whole = unsent.min(SEGMENT);
        let room = window.saturating_sub(self.flying_bytes);
        let len = if room >= whole {
            whole
        } else if self.flying > 0 {
            // Small packets would only be followed by more of them (RFC 813).
            return None;
        } else if room > 0 {
            room
        } else if probe {
            // The least that makes the other side say how large its window is.
            1
        } else {
            return None;
        };
        u16::try_from(len).ok()
    }

    /// The next packet to send while `window` bytes may fly, as sent at `now`: first what was lost.
    pub(super) fn next(&mut self, now: Time, window: u32, probe: bool) -> Option<Piece> {
        if self.lost > 0 {
            let at = self.segments.iter().position(|segment| segment.fate == Fate::Lost)?;
            let segment = *self.segments.get(at)?;
            if !self.fits(segment.len, window, probe) {
                return None;
            }
            self.lost -= 1;
            return self.take_off(now, at, true);
        }
        let len = self.fresh_len(window, probe)?;
        self.segments.push_back(Segment {
            start: self.fresh,
            sent: now,
            len,
            sends: 0,
            fate: Fate::Lost,
        });
        self.fresh += u64::from(len);
        self.fin_sent |= len == 0;
        self.take_off(now, self.segments.len() - 1, false)
    }

    fn take_off(&mut self, now: Time, at: usize, again: bool) -> Option<Piece> {
        let seq_nr = self.first.wrapping_add(u16::try_from(at).ok()?);
        let segment = self.segments.get_mut(at)?;
        segment.sent = now;
        segment.sends = segment.sends.saturating_add(1);
        segment.fate = Fate::Flying;
        self.flying += 1;
        self.flying_bytes += u32::from(segment.len);
        Some(Piece {
            seq_nr,
            fin: segment.len == 0,
            again,
            at: usize::try_from(segment.start - self.base).ok()?,
            len: usize::from(segment.len),
        })
    }

    /// Appends the payload of a packet that [`next`](Self::next) gave just now.
    pub(super) fn payload(&self, piece: &Piece, out: &mut Vec<u8>) {
        let (front, back) = self.bytes.as_slices();
        let end = piece.at + piece.len;
        let split = front.len();
        out.extend_from_slice(front.get(piece.at.min(split)..end.min(split)).unwrap_or_default());
        let back = back.get(piece.at.saturating_sub(split)..end.saturating_sub(split));
        out.extend_from_slice(back.unwrap_or_default());
    }

    /// Gives memory back while nothing is kept.
    pub(super) fn shrink(&mut self) {
        if self.bytes.is_empty() && self.segments.is_empty() {
            self.bytes = VecDeque::new();
            self.segments = VecDeque::new();
        }
    }
}
