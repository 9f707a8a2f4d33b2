//! The runner, with clients that do one thing.

use std::net::Ipv4Addr;

use wire::NodeId;
use wire::krpc::{Body, Message, Method, Query, Want};
use world::Seed;

use super::*;
use crate::population::Config;
use crate::profile::Profile;

/// Does what its list says at once, and writes down what it is told.
#[derive(Default)]
struct Scripted {
    wants: Vec<(Effect, Vec<u8>)>,
    told: Vec<(Time, String)>,
    wake: Option<Time>,
}

impl Machine for Scripted {
    type Event = Time;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        let name = match input {
            Input::Tick => {
                self.wake = None;
                "tick".to_owned()
            }
            Input::Datagram { from, .. } => format!("datagram from {from}"),
            Input::Opened { conn, .. } => format!("opened {}", conn.0),
            Input::Closed { conn, why } => format!("closed {} {why:?}", conn.0),
            Input::Stop => "stop".to_owned(),
            other => format!("{other:?}"),
        };
        self.told.push((now, name));
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Time>> {
        if let Some((effect, bytes)) = self.wants.pop() {
            payload.extend_from_slice(&bytes);
            return Some(Output::Effect(effect));
        }
        (now == Time::from_secs(3) && self.wake.is_none()).then(|| {
            self.wake = Some(Time::from_secs(9));
            Output::Event(now)
        })
    }

    fn deadline(&self) -> Option<Time> {
        self.wake
    }
}

fn lab() -> Lab {
    let mut profile = Profile::ideal();
    profile.nodes.inbound_per_second = 0.0;
    let config = Config {
        nodes: 10,
        torrents: 5,
        port: 6881,
        profile,
    };
    Lab::new(config, Seed::from_number(1))
}

fn plan() -> Plan {
    Plan {
        client: SocketAddr::from((Ipv4Addr::LOCALHOST, 5000)),
        until: Time::from_secs(60),
        stop: None,
    }
}

fn play(client: &mut Scripted, plan: &Plan) -> (Time, Ended) {
    run(plan, client, &mut lab(), Time::ZERO, &mut |_, _, _| {
        ControlFlow::Continue(())
    })
}

fn told(client: &Scripted) -> Vec<(u64, &str)> {
    client
        .told
        .iter()
        .map(|(at, what)| (at.as_micros() / 1000, what.as_str()))
        .collect()
}

#[test]
fn a_question_is_answered_after_a_round_trip() {
    let query = Query {
        id: NodeId::new([1; 20]),
        method: Method::Ping,
        want: Want::default(),
    };
    let mut bytes = Vec::new();
    Message::new(b"q", Body::Query(query)).encode(&mut bytes);
    let (to, len) = (lab().bootstrap(), bytes.len());
    let mut client = Scripted::default();
    client.wants.push((Effect::Send { from: None, to, len }, bytes));
    assert_eq!(play(&mut client, &plan()).1, Ended::Idle);
    assert_eq!(told(&client), [(20, format!("datagram from {to}").as_str())]);
}

#[test]
fn dials_end_as_the_population_says() {
    let mut client = Scripted::default();
    let peer = lab()
        .population()
        .truth()
        .find_map(|row| row.peers.first().copied())
        .unwrap();
    for (number, port) in [(1, 6881), (2, 6882), (3, 6883)] {
        let (conn, to) = (ConnId(number), SocketAddr::new(peer.ip(), port));
        client.wants.push((Effect::Dial { conn, to, via: None }, Vec::new()));
    }
    play(&mut client, &plan());
    assert_eq!(told(&client), [(20, "closed 3 Refused"), (20, "opened 1")]);
}

#[test]
fn a_dial_that_is_given_up_never_opens() {
    let mut client = Scripted::default();
    let (conn, to) = (ConnId(1), SocketAddr::from(([127, 9, 9, 9], 6881)));
    // Wants are taken from the end.
    client.wants.push((Effect::Close { conn }, Vec::new()));
    client.wants.push((Effect::Dial { conn, to, via: None }, Vec::new()));
    play(&mut client, &plan());
    assert!(client.told.is_empty());
}

#[test]
fn time_jumps_to_the_earliest_deadline() {
    let mut client = Scripted {
        wake: Some(Time::from_secs(3)),
        ..Scripted::default()
    };
    let mut events = Vec::new();
    let mut sink = |now, _: &mut Scripted, event| {
        events.push((now, event));
        ControlFlow::Continue(())
    };
    let (end, ended) = run(&plan(), &mut client, &mut lab(), Time::ZERO, &mut sink);
    assert_eq!((end, ended), (Time::from_secs(9), Ended::Idle));
    assert_eq!(events, [(Time::from_secs(3), Time::from_secs(3))]);
    assert_eq!(told(&client), [(3000, "tick"), (9000, "tick")]);
}

#[test]
fn a_run_ends_with_its_time_or_by_its_sink() {
    let mut late = Scripted {
        wake: Some(Time::from_secs(61)),
        ..Scripted::default()
    };
    assert_eq!(play(&mut late, &plan()), (Time::from_secs(60), Ended::TimeUp));
    let mut client = Scripted {
        wake: Some(Time::from_secs(3)),
        ..Scripted::default()
    };
    let ended = run(&plan(), &mut client, &mut lab(), Time::ZERO, &mut |_, _, _| {
        ControlFlow::Break(())
    });
    assert_eq!(ended, (Time::from_secs(3), Ended::Broken));
}

#[test]
fn a_client_is_told_to_stop() {
    let stop = Some(Time::from_secs(5));
    let mut client = Scripted::default();
    play(&mut client, &Plan { stop, ..plan() });
    assert_eq!(told(&client), [(5000, "stop")]);
}

#[test]
fn a_machine_that_never_sleeps_is_stuck() {
    struct Restless;
    impl Machine for Restless {
        type Event = ();
        fn handle(&mut self, _: Time, _: Input<'_>) {}
        fn poll(&mut self, _: Time, _: &mut Vec<u8>) -> Option<Output<()>> {
            None
        }
        fn deadline(&self) -> Option<Time> {
            Some(Time::ZERO)
        }
    }
    let ended = run(&plan(), &mut Restless, &mut lab(), Time::ZERO, &mut |_, _, ()| {
        ControlFlow::Continue(())
    });
    assert_eq!(ended, (Time::ZERO, Ended::Stuck));
}
