//! Nodes that are not ready, the first due first: a binary heap whose members know their place.

use super::node::{NONE, Node};

/// The heap: numbers of nodes, ordered by [`Node::due`].
#[derive(Default)]
pub(super) struct Later {
    heap: Vec<u32>,
}

impl Later {
    /// The number of the first due.
    pub(super) fn first(&self) -> Option<u32> {
        self.heap.first().copied()
    }

    /// Adds a node that is not in the heap.
    pub(super) fn push(&mut self, nodes: &mut [Node], number: u32) {
        if self.heap.len() == self.heap.capacity() {
            self.heap.reserve_exact(self.heap.len() / 16 + 64);
        }
        self.heap.push(number);
        self.rise(nodes, self.heap.len() - 1);
    }

    /// Takes a node out, if it is in.
    pub(super) fn remove(&mut self, nodes: &mut [Node], number: u32) {
        let at = nodes[number as usize].heap;
        if at == NONE {
            return;
        }
        nodes[number as usize].heap = NONE;
        let at = at as usize;
        self.heap.swap_remove(at);
        if at < self.heap.len() {
            self.sink(nodes, at);
            self.rise(nodes, at);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.heap.capacity() * size_of::<u32>()
    }

    fn due(&self, nodes: &[Node], at: usize) -> u32 {
        nodes[self.heap[at] as usize].due
    }

    fn rise(&mut self, nodes: &mut [Node], at: usize) {
        let mut at = at;
        while at > 0 {
            let above = (at - 1) / 2;
            if self.due(nodes, above) <= self.due(nodes, at) {
                break;
            }
            self.heap.swap(at, above);
            nodes[self.heap[at] as usize].heap = at as u32;
            at = above;
        }
        nodes[self.heap[at] as usize].heap = at as u32;
    }

    fn sink(&mut self, nodes: &mut [Node], at: usize) {
        let mut at = at;
        loop {
            let below = (2 * at + 1..self.heap.len().min(2 * at + 3)).min_by_key(|&below| self.due(nodes, below));
            let Some(below) = below.filter(|&below| self.due(nodes, below) < self.due(nodes, at)) else {
                break;
            };
            self.heap.swap(at, below);
            nodes[self.heap[at] as usize].heap = at as u32;
            at = below;
        }
        nodes[self.heap[at] as usize].heap = at as u32;
    }
}
