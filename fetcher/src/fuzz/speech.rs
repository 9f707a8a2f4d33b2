//! What a peer says next: mostly what belongs here.

use wire::compact::put_addr;
use wire::extended::{self, ExtendedHandshake};
use wire::fuzz::Steps;
use wire::handshake::Handshake;
use wire::lt_metadata::{LtMetadata, Parts};
use wire::message::extended_frame;
use wire::ut_holepunch::{Refusal, UtHolepunch};
use wire::ut_metadata::{BLOCK, UtMetadata};
use wire::ut_pex::UtPex;
use wire::{InfoHash, PeerId};
use world::ConnId;

use super::{Run, TORRENTS, named_peer, torrent};

/// Numbers of the extensions in most extended handshakes of peers.
pub(super) const LT_METADATA: u8 = 4;
const UT_PEX: u8 = 5;
const UT_HOLEPUNCH: u8 = 6;

impl Run {
    pub(super) fn speech(&mut self, conn: ConnId, steps: &mut Steps<'_>) -> Vec<u8> {
        let turn = self.judge.turn(conn);
        let other = if steps.next() < 128 {
            self.shelved
        } else {
            torrent(steps)
        };
        let wanted = turn.info_hash.filter(|_| steps.next() < 240);
        let info_hash = wanted.unwrap_or(other);
        let kind = if steps.next() < 160 {
            turn.kind
        } else {
            steps.next() % 8
        };
        let len = TORRENTS.iter().find(|(_, hash)| info_hash.to_string() == **hash);
        let len = len.map_or(0, |&(len, _)| len);
        let numbers = super::config().extensions;
        let mut out = Vec::new();
        match kind {
            0 => greet(info_hash, steps, &mut out),
            1 => offer(len, steps, &mut out),
            2 => {
                if let Some(parts) = self.judge.owed_parts(conn) {
                    give_parts(parts, len, numbers.lt_metadata, steps, &mut out);
                } else {
                    let piece = self.judge.owed(conn).unwrap_or(u32::from(steps.next()));
                    answer(piece, len, steps, &mut out);
                }
            }
            3 => extended_frame(&mut out, numbers.ut_pex, |out| name(steps, out)),
            4 => {
                let message = meeting(steps);
                extended_frame(&mut out, numbers.ut_holepunch, |out| message.encode(out));
            }
            5 => {
                let piece = u32::from(steps.next() % 3);
                let request = UtMetadata::Request { piece };
                extended_frame(&mut out, numbers.ut_metadata, |out| request.encode(out));
            }
            6 => {
                let parts = Parts::new(steps.next(), steps.next()).unwrap_or(Parts::FIRST);
                let request = LtMetadata::Request(parts);
                extended_frame(&mut out, numbers.lt_metadata, |out| request.encode(out));
            }
            _ => {
                let len = usize::from(steps.next());
                out.extend_from_slice(steps.take(len));
            }
        }
        out
    }
}

fn greet(info_hash: InfoHash, steps: &mut Steps<'_>, out: &mut Vec<u8>) {
    let plain = Handshake::new(info_hash, PeerId::new([0; 20]));
    let greeting = if steps.next() < 8 { plain } else { plain.with_extended() };
    greeting.encode(out);
}

/// An extended handshake, mostly with the right size.
fn offer(len: usize, steps: &mut Steps<'_>, out: &mut Vec<u8>) {
    let odd = steps.next() < 64;
    let metadata_size = if odd {
        steps
            .one_of(&[
                None,
                None,
                Some(0),
                Some(39_000),
                Some(40_000),
                Some(40_001),
                Some(i64::MAX),
            ])
            .flatten()
    } else {
        i64::try_from(len).ok()
    };
    let offered = |number: u8, steps: &mut Steps<'_>| (steps.next() < 200).then_some(number);
    let offer = ExtendedHandshake {
        ut_metadata: steps
            .one_of(&[Some(3), Some(3), Some(3), Some(255), Some(1), Some(0), None])
            .flatten(),
        lt_metadata: offered(LT_METADATA, steps),
        ut_pex: offered(UT_PEX, steps),
        ut_holepunch: offered(UT_HOLEPUNCH, steps),
        port: offered(7, steps).map(|_| 1_000 + u16::from(steps.next() % 2)),
        your_ip: Some([192, 0, 2, 99].into()),
        metadata_size,
        ..ExtendedHandshake::default()
    };
    extended_frame(out, extended::HANDSHAKE, |out| offer.encode(out));
}

/// A piece of zeros as long as it should be, mostly.
fn answer(piece: u32, len: usize, steps: &mut Steps<'_>, out: &mut Vec<u8>) {
    let at = usize::try_from(piece).unwrap_or(0).saturating_mul(BLOCK);
    let mut bytes = vec![0; len.saturating_sub(at).min(BLOCK)];
    let (wrong, rejects) = (steps.next() < 64, steps.next() < 24);
    if wrong {
        bytes.fill(1);
    }
    let data = UtMetadata::Data {
        piece,
        total_size: i64::try_from(len).unwrap_or(0),
        bytes: &bytes,
    };
    let answer = if rejects { UtMetadata::Reject { piece } } else { data };
    extended_frame(out, super::config().extensions.ut_metadata, |out| answer.encode(out));
}

/// Zeros for the parts that were asked for, mostly.
fn give_parts(parts: Parts, len: usize, number: u8, steps: &mut Steps<'_>, out: &mut Vec<u8>) {
    let range = parts.bytes(u32::try_from(len).unwrap_or(0));
    let bytes = vec![u8::from(steps.next() < 32); range.len()];
    let metadata = LtMetadata::Metadata {
        total_size: i32::try_from(len).unwrap_or(0),
        offset: i32::try_from(range.start)
            .unwrap_or(0)
            .wrapping_add(i32::from(steps.next() < 16)),
        bytes: &bytes,
    };
    let answer = if steps.next() < 16 {
        LtMetadata::DontHave
    } else {
        metadata
    };
    extended_frame(out, number, |out| answer.encode(out));
}

fn name(steps: &mut Steps<'_>, out: &mut Vec<u8>) {
    let mut added = Vec::new();
    for _ in 0..steps.next() % 6 {
        put_addr(&named_peer(steps), &mut added);
    }
    let flags = [steps.next(), steps.next()];
    let pex = UtPex {
        added: &added,
        added_flags: &flags,
        ..UtPex::default()
    };
    pex.encode(out);
}

fn meeting(steps: &mut Steps<'_>) -> UtHolepunch {
    let peer = named_peer(steps);
    match steps.next() % 4 {
        0 => UtHolepunch::Rendezvous(peer),
        1 | 2 => UtHolepunch::Connect(peer),
        _ => UtHolepunch::Error(peer, Refusal::NoSuchPeer),
    }
}
