//! One question as a machine.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crawler::{Answer, Event, Node, Plan, Question, Target};
use wire::InfoHash;
use world::{Input, Machine, Output, Seed, Time};

use super::scrape::Scrape;
use super::size::Size;

/// What is to be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// One node one question.
    Ask(SocketAddr, Question),
    /// The network, by a lookup.
    Lookup(Target),
    /// The network, how large it is, by so many lookups to points drawn from this seed.
    Size(u32, Seed),
    /// The nodes nearest to a torrent, how many peers it has.
    Scrape(InfoHash),
}

/// What it tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// A result.
    Line(String),
    /// One node's answer.
    Answer(SocketAddr, Box<Answer>),
    /// Something about the results.
    Note(String),
    /// Nothing follows.
    Over,
}

/// The inquiry.
pub struct Inquiry {
    node: Node,
    task: Task,
    overall: Option<Time>,
    begun: bool,
    over: bool,
    later: VecDeque<Said>,
}

enum Task {
    Ask(SocketAddr, Question),
    Lookup(Target),
    Size(Size),
    Scrape(Scrape),
}

impl Inquiry {
    /// Asks `wish` through `node`, until `overall` at the latest. A lookup begins once the node has joined.
    pub fn new(node: Node, wish: Wish, overall: Option<Time>) -> Self {
        let task = match wish {
            Wish::Ask(to, question) => Task::Ask(to, question),
            Wish::Lookup(target) => Task::Lookup(target),
            Wish::Size(lookups, seed) => Task::Size(Size::new(lookups, seed)),
            Wish::Scrape(info_hash) => Task::Scrape(Scrape::new(info_hash)),
        };
        Self {
            node,
            task,
            overall,
            begun: false,
            over: false,
            later: VecDeque::new(),
        }
    }

    fn begin(&mut self, now: Time) {
        if !matches!(self.task, Task::Ask(..)) && !self.node.is_joined() {
            return;
        }
        match &mut self.task {
            Task::Ask(to, question) => {
                self.node.ask(now, *to, *question);
            }
            Task::Lookup(Target::Node(target)) => {
                self.node.find_node(now, *target);
            }
            Task::Lookup(Target::Swarm(info_hash)) => {
                self.node.get_peers(now, *info_hash, Plan::full());
            }
            Task::Size(size) => size.begin(now, &mut self.node),
            Task::Scrape(scrape) => scrape.begin(now, &mut self.node),
        }
        self.begun = true;
    }

    /// What an event says, into `later`.
    fn on_event(&mut self, now: Time, event: Event) {
        let is_last = match (&mut self.task, event) {
            (Task::Ask(..), Event::Answer { from, answer, .. }) => {
                self.later.push_back(Said::Answer(from, answer));
                true
            }
            (Task::Lookup(_), Event::Peers { peer, .. }) => {
                self.later.push_back(Said::Line(peer.to_string()));
                false
            }
            (Task::Lookup(wanted), Event::LookupDone(done)) if self.begun && done.target == *wanted => {
                if let Target::Node(_) = wanted {
                    let lines = done.closest.iter().map(|node| format!("{} {}", node.id, node.addr));
                    self.later.extend(lines.map(Said::Line));
                }
                self.later.push_back(Said::Note(format!(
                    "{} queries sent, {} answered, {} peers named",
                    done.queries, done.answered, done.peers
                )));
                true
            }
            (Task::Size(size), Event::LookupDone(done)) if self.begun => {
                let is_last = size.note(now, &mut self.node, &done);
                size.begin(now, &mut self.node);
                is_last
            }
            (Task::Size(size), Event::Answer { ask, answer, .. }) => {
                let is_last = size.heard(now, &mut self.node, ask, &answer);
                size.begin(now, &mut self.node);
                is_last
            }
            (Task::Scrape(scrape), Event::LookupDone(done)) if self.begun => scrape.found(now, &mut self.node, &done),
            (Task::Scrape(scrape), Event::Answer { answer, .. }) => scrape.heard(&answer),
            _ => false,
        };
        if is_last {
            self.conclude();
        }
    }

    /// All that there is to tell, and the end.
    fn conclude(&mut self) {
        match &self.task {
            Task::Size(size) => self.later.extend(size.told()),
            Task::Scrape(scrape) => self.later.extend(scrape.told()),
            Task::Ask(..) | Task::Lookup(_) => {}
        }
        self.later.push_back(Said::Over);
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
        if let Some(said) = self.later.pop_front() {
            self.over = said == Said::Over;
            return Some(Output::Event(said));
        }
        if self.overall.is_some_and(|end| now >= end) {
            self.conclude();
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
                    self.on_event(now, event);
                    if let Some(said) = self.later.pop_front() {
                        self.over = said == Said::Over;
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
