//! The surroundings of a point: who is nearest to it and answers, beyond what a walk has found.
//!
//! All nodes near a point name the same eight, and of these four in ten are dead. So each of the nearest is asked for its own
//! neighbours, and so is whoever is named and nearer than the eighth that answers.

use std::collections::BTreeMap;

use crawler::{Answer, AskId, Contact, Family, K, Node, Question};
use wire::NodeId;
use wire::id::Distance;
use world::Time;

/// Questions on their way at once.
const AT_ONCE: usize = 3;

/// Questions in all: four times what was ever needed; who invents neighbours without end costs no more.
const MOST: u32 = 100;

/// Somebody near the point.
#[derive(Clone, Copy, Debug)]
struct Near {
    contact: Contact,
    asked: bool,
    answers: bool,
}

/// Who is near a point, of one address family.
#[derive(Debug)]
pub(in crate::job) struct Around {
    point: NodeId,
    family: Family,
    near: BTreeMap<Distance, Near>,
    waiting: BTreeMap<AskId, Distance>,
    asked: u32,
}

impl Around {
    /// Begins with those that a walk to `point` found: they answered. `None` if they are too few.
    pub(in crate::job) fn new(point: NodeId, family: Family, closest: &[Contact]) -> Option<Self> {
        let of_family = closest.iter().filter(|node| Family::of(&node.addr) == family);
        let near = of_family.map(|contact| {
            let near = Near {
                contact: *contact,
                asked: false,
                answers: true,
            };
            (point.distance(&contact.id), near)
        });
        let around = Self {
            point,
            family,
            near: near.collect(),
            waiting: BTreeMap::new(),
            asked: 0,
        };
        around.eighth().is_some().then_some(around)
    }

    pub(in crate::job) const fn point(&self) -> &NodeId {
        &self.point
    }

    pub(in crate::job) const fn family(&self) -> Family {
        self.family
    }

    /// How far the eighth nearest is that answers.
    fn eighth(&self) -> Option<Distance> {
        let answering = self.near.iter().filter(|(_, near)| near.answers);
        answering.map(|(distance, _)| *distance).nth(K - 1)
    }

    /// The same as a share of the key space.
    pub(in crate::job) fn share(&self) -> Option<f64> {
        self.eighth().map(|eighth| eighth.share())
    }

    /// The nearest that has not been asked.
    fn next(&self) -> Option<Distance> {
        let eighth = self.eighth()?;
        let inside = self.near.range(..=eighth);
        let unasked = inside.into_iter().find(|(_, near)| !near.asked);
        unasked.map(|(distance, _)| *distance).filter(|_| self.asked < MOST)
    }

    /// Asks whose turn it is for its own neighbours.
    pub(in crate::job) fn ask(&mut self, now: Time, node: &mut Node) {
        self.ask_by(|contact| node.ask_named(now, contact, Question::FindNode(contact.id)));
    }

    fn ask_by(&mut self, mut ask: impl FnMut(Contact) -> AskId) {
        while self.waiting.len() < AT_ONCE
            && let Some(distance) = self.next()
            && let Some(near) = self.near.get_mut(&distance)
        {
            near.asked = true;
            self.asked += 1;
            self.waiting.insert(ask(near.contact), distance);
        }
    }

    /// A question ended; whether it was one of these.
    pub(in crate::job) fn heard(&mut self, ask: AskId, answer: &Answer) -> bool {
        let Some(distance) = self.waiting.remove(&ask) else {
            return false;
        };
        if let Some(near) = self.near.get_mut(&distance)
            && let Answer::Reply { id, nodes, .. } = answer
            && *id == near.contact.id
        {
            near.answers = true;
            for contact in nodes.iter().filter(|node| Family::of(&node.addr) == self.family) {
                self.near.entry(self.point.distance(&contact.id)).or_insert(Near {
                    contact: *contact,
                    asked: false,
                    answers: false,
                });
            }
        }
        true
    }

    /// Questions so far.
    pub(in crate::job) const fn asked(&self) -> u32 {
        self.asked
    }

    /// Whether all that are nearer than the eighth have been asked.
    pub(in crate::job) fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;

    const POINT: NodeId = NodeId::new([0; 20]);

    /// A node so far from the point.
    fn node(far: u16) -> Contact {
        let mut id = [0; 20];
        id[..2].copy_from_slice(&far.to_be_bytes());
        Contact {
            id: NodeId::new(id),
            addr: SocketAddr::from(([8, 8, (far >> 8) as u8, far as u8], 6881)),
        }
    }

    fn reply(from: Contact, nodes: Vec<Contact>) -> Answer {
        Answer::Reply {
            id: from.id,
            version: None,
            rtt: Duration::ZERO,
            nodes,
            peers: Vec::new(),
            samples: None,
            num: None,
            interval: None,
            token: false,
            filters: None,
        }
    }

    /// Asks until all is over, by what each says; how many were asked.
    fn ask_all(around: &mut Around, says: impl Fn(Contact) -> Answer) -> u64 {
        let mut asked = Vec::new();
        let mut number = 0;
        while !around.is_over() {
            around.ask_by(|contact| {
                number += 1;
                asked.push((AskId(number), contact));
                AskId(number)
            });
            for (ask, contact) in asked.drain(..) {
                assert!(around.heard(ask, &says(contact)));
            }
        }
        number
    }

    fn walked_to(far: impl Iterator<Item = u16>) -> Around {
        let closest: Vec<Contact> = far.map(node).collect();
        Around::new(POINT, Family::V4, &closest).unwrap()
    }

    #[test]
    fn a_neighbour_that_the_walk_missed_counts_and_a_silent_one_does_not() {
        let mut around = walked_to((1..=8).map(|far| far * 100));
        let asked = ask_all(&mut around, |contact| {
            if contact == node(150) {
                return Answer::Timeout;
            }
            reply(contact, vec![node(150), node(250), node(10_000)])
        });
        // Of the nine that answer, 700 is the eighth: 800 need not be there.
        assert_eq!(around.share(), Some(POINT.distance(&node(700).id).share()));
        assert!((9..=10).contains(&asked), "{asked}");
    }

    #[test]
    fn who_answers_under_another_id_does_not_count() {
        let mut around = walked_to((1..=8).map(|far| far * 100));
        ask_all(&mut around, |contact| {
            let other = if contact == node(50) { node(51) } else { contact };
            reply(other, vec![node(50)])
        });
        assert_eq!(around.share(), Some(POINT.distance(&node(800).id).share()));
    }

    #[test]
    fn neighbours_invented_without_end_are_asked_a_hundred_times_at_the_most() {
        let mut around = walked_to(5_000..5_008);
        let asked = ask_all(&mut around, |contact| {
            let [high, low, ..] = *contact.id.as_bytes();
            reply(contact, vec![node(u16::from_be_bytes([high, low]).saturating_sub(8))])
        });
        assert_eq!(asked, u64::from(MOST));
    }

    #[test]
    fn a_walk_that_found_too_few_has_no_surroundings() {
        let closest: Vec<Contact> = (1..8).map(node).collect();
        assert!(Around::new(POINT, Family::V4, &closest).is_none());
        assert!(Around::new(POINT, Family::V6, &closest).is_none());
    }
}
