//! The groups of local discovery, on the loopback network of this machine.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

mod support;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use host::{LsdReach, Setup, Stage};
use support::{play, setup};
use world::{Input, Time};

/// Hears the groups on loopback; none, with a line, where that is not to be had.
fn hear() -> Option<(Stage, Vec<SocketAddr>)> {
    let mut stage = Stage::open(&Setup {
        listen: None,
        ..setup()
    })
    .unwrap();
    let groups = stage.hear_lsd(LsdReach::Loopback);
    if groups.is_empty() {
        println!("skipped: no multicast on this machine");
        return None;
    }
    Some((stage, groups))
}

/// What only this run of the tests asks.
fn question() -> Vec<u8> {
    [b"ask".as_slice(), &std::process::id().to_le_bytes()].concat()
}

#[test]
fn what_is_sent_to_a_group_is_heard_by_all_who_hear_it_and_by_the_sender() {
    let Some((stage, groups)) = hear() else {
        return;
    };
    let Some((other, _)) = hear() else {
        return;
    };
    // The first stage asks, the second one answers, and both hear both.
    let answerer = std::thread::spawn(move || {
        let mut heard = Vec::new();
        play(
            other,
            |acts| acts.wake = Some(Time::from_secs(20)),
            |acts, now, input| match input {
                Input::Datagram { from, to, bytes } if bytes == question() => {
                    assert!(from.ip().is_loopback() && from.port() == 6771, "{from}");
                    heard.push(to);
                    acts.send(to, b"answer");
                    acts.wake = Some(now + Duration::from_secs(1));
                }
                Input::Tick => acts.done(),
                _ => {}
            },
        );
        heard
    });
    let ask = question();
    let (mut own, mut answers) = (Vec::new(), Vec::new());
    let asked = groups.clone();
    let ended = play(
        stage,
        |acts| {
            // The other one may hear a moment later than we speak.
            acts.wake = Some(Time::ZERO);
        },
        |acts, now, input| match input {
            Input::Tick => {
                assert!(now < Time::from_secs(20), "heard {own:?}, answers {answers:?}");
                asked
                    .iter()
                    .filter(|group| !answers.contains(*group))
                    .for_each(|group| acts.send(*group, &ask));
                acts.wake = Some(now + Duration::from_millis(200));
            }
            Input::Datagram { to, bytes, .. } if bytes == ask => own.push(to),
            Input::Datagram { to, bytes, .. } if bytes == b"answer" => {
                answers.push(to);
                if asked.iter().all(|group| answers.contains(group) && own.contains(group)) {
                    acts.done();
                }
            }
            _ => {}
        },
    );
    let heard = answerer.join().unwrap();
    assert!(groups.iter().all(|group| heard.contains(group)));
    assert_eq!(ended.counters.send_errors.total(), 0);
}

#[test]
fn what_is_sent_to_the_port_and_not_to_a_group_is_not_heard() {
    let Some((stage, groups)) = hear() else {
        return;
    };
    let group = *groups.iter().find(|group| group.is_ipv4()).unwrap();
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut heard = Vec::new();
    play(
        stage,
        |acts| {
            // Nobody may be there to take it, and then the kernel says so.
            let _ = stranger.send_to(b"direct", (Ipv4Addr::LOCALHOST, 6771));
            acts.send(group, b"to the group");
        },
        |acts, _, input| {
            if let Input::Datagram { bytes, .. } = input {
                heard.push(bytes.to_vec());
                if bytes == b"to the group" {
                    acts.done();
                }
            }
        },
    );
    assert!(!heard.contains(&b"direct".to_vec()));
}

#[test]
fn a_group_that_is_not_heard_is_a_counted_error() {
    let stage = Stage::open(&setup()).unwrap();
    let ended = play(
        stage,
        |acts| {
            acts.send("239.192.152.143:6771".parse().unwrap(), b"x");
            acts.done();
        },
        |_, _, _| {},
    );
    assert_eq!(ended.counters.send_errors.no_socket, 1);
}
