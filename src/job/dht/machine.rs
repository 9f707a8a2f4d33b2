//! One question as a machine.

use std::net::SocketAddr;

use crawler::{Answer, Event, Node, Plan, Question, Target};
use world::{Input, Machine, Output, Time};

/// What is to be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// One node one question.
    Ask(SocketAddr, Question),
    /// The network, by a lookup.
    Lookup(Target),
}

/// What it tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// A result of a lookup.
    Line(String),
    /// One node's answer.
    Answer(SocketAddr, Box<Answer>),
    /// Something about the lookup.
    Note(String),
    /// Nothing follows.
    Over,
}

/// The inquiry.
pub struct Inquiry {
    node: Node,
    wish: Wish,
    overall: Option<Time>,
    begun: bool,
    over: bool,
    later: Vec<Said>,
}

impl Inquiry {
    /// Asks `wish` through `node`, until `overall` at the latest. A lookup begins once the node has joined.
    pub fn new(node: Node, wish: Wish, overall: Option<Time>) -> Self {
        Self {
            node,
            wish,
            overall,
            begun: false,
            over: false,
            later: Vec::new(),
        }
    }

    fn begin(&mut self, now: Time) {
        match self.wish {
            Wish::Ask(to, question) => {
                self.node.ask(now, to, question);
            }
            Wish::Lookup(_) if !self.node.is_joined() => return,
            Wish::Lookup(Target::Node(target)) => {
                self.node.find_node(now, target);
            }
            Wish::Lookup(Target::Swarm(info_hash)) => {
                self.node.get_peers(now, info_hash, Plan::full());
            }
        }
        self.begun = true;
    }

    fn on_event(&mut self, event: Event) -> Option<Said> {
        let Wish::Lookup(wanted) = self.wish else {
            let Event::Answer { from, answer, .. } = event else {
                return None;
            };
            self.later.push(Said::Over);
            return Some(Said::Answer(from, answer));
        };
        match event {
            Event::Peers { peer, .. } => Some(Said::Line(peer.to_string())),
            Event::LookupDone(done) if self.begun && done.target == wanted => {
                self.later.push(Said::Over);
                let note = format!(
                    "{} queries sent, {} answered, {} peers named",
                    done.queries, done.answered, done.peers
                );
                self.later.push(Said::Note(note));
                if let Target::Node(_) = wanted {
                    let lines = done
                        .closest
                        .iter()
                        .rev()
                        .map(|node| Said::Line(format!("{} {}", node.id, node.addr)));
                    self.later.extend(lines);
                }
                self.later.pop()
            }
            _ => None,
        }
    }
}

impl Machine for Inquiry {
    type Event = Said;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        match input {
            Input::Stop => self.overall = Some(now),
            other => self.node.handle(now, other),
        }
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Said>> {
        if self.over {
            return None;
        }
        if let Some(said) = self.later.pop() {
            self.over = said == Said::Over;
            return Some(Output::Event(said));
        }
        if self.overall.is_some_and(|end| now >= end) {
            self.later.push(Said::Over);
            return Some(Output::Event(Said::Note(
                "no more answers in the time given".to_owned(),
            )));
        }
        if !self.begun {
            self.begin(now);
        }
        while let Some(output) = self.node.poll(now, payload) {
            match output {
                Output::Effect(effect) => return Some(Output::Effect(effect)),
                Output::Event(event) => {
                    if let Some(said) = self.on_event(event) {
                        return Some(Output::Event(said));
                    }
                }
            }
        }
        // The node may have joined by what it was just told.
        if !self.begun && self.node.is_joined() {
            self.begin(now);
            return self.poll(now, payload);
        }
        None
    }

    fn deadline(&self) -> Option<Time> {
        if self.over {
            None
        } else {
            self.overall.into_iter().chain(self.node.deadline()).min()
        }
    }
}
