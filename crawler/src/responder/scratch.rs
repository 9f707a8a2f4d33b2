//! The lists of one answer, in buffers that are kept to be filled again.

use std::net::SocketAddr;

use wire::krpc::{Reply, Values, Want};
use wire::{InfoHash, NodeId, compact};

use super::Call;
use super::room::{self, Room};
use crate::Family;

#[derive(Default)]
pub(super) struct Scratch {
    nodes: Vec<u8>,
    nodes6: Vec<u8>,
    pub(super) samples: Vec<u8>,
    pub(super) peers: Vec<SocketAddr>,
}

impl Scratch {
    /// Empties all lists.
    pub(super) fn clear(&mut self) {
        self.nodes.clear();
        self.nodes6.clear();
        self.samples.clear();
        self.peers.clear();
    }

    /// Names the nodes nearest to `target`, of the families that are wanted: if `want` says nothing, of the asker's
    /// (BEP 32). The asker's own comes first, should there be room for only one.
    pub(super) fn name_nodes(&mut self, room: &mut Room, call: &Call<'_>, target: &NodeId) {
        let (want, asker) = (call.query.want, call.family());
        let unsaid = want == Want::default();
        let mut order = [Family::V4, Family::V6];
        if asker == Family::V6 {
            order.reverse();
        }
        for family in order {
            let (wanted, list, each) = match family {
                Family::V4 => (want.n4, &mut self.nodes, compact::NODE4_LEN),
                Family::V6 => (want.n6, &mut self.nodes6, compact::NODE6_LEN),
            };
            if !(wanted || unsaid && family == asker) {
                continue;
            }
            let few = call.our.nodes.closest(target, family);
            if room.take(room::NODES + few.len() * each) {
                for contact in few.iter() {
                    list.extend_from_slice(contact.id.as_bytes());
                    compact::put_addr(&contact.addr, list);
                }
            }
        }
    }

    /// Shows `samples`.
    pub(super) fn show(&mut self, samples: &[InfoHash]) {
        for info_hash in samples {
            self.samples.extend_from_slice(info_hash.as_bytes());
        }
    }

    /// An answer with the nodes named.
    pub(super) fn reply(&self, id: NodeId) -> Reply<'_> {
        Reply {
            nodes: &self.nodes,
            nodes6: &self.nodes6,
            ..Reply::new(id)
        }
    }

    /// The peers, to be written.
    pub(super) fn values(&self) -> Values<'_> {
        Values::from(self.peers.as_slice())
    }
}
