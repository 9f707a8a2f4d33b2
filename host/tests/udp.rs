//! Datagrams, timers and stopping, on real sockets on loopback.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

mod support;

use std::net::{SocketAddr, UdpSocket};
use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use host::{HostError, Setup, Stage, Why, run};
use support::{Acts, Scripted, play, setup};
use world::{Input, Time};

fn client(server: SocketAddr) -> UdpSocket {
    let local = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let client = UdpSocket::bind(local).unwrap();
    client.connect(server).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    client
}

#[test]
fn datagrams_of_both_families_are_answered_from_where_they_were_sent_to() {
    let mut udp = vec!["127.0.0.1:0".parse().unwrap()];
    // Some containers have no IPv6 at all.
    if UdpSocket::bind("[::1]:0").is_ok() {
        udp.push("[::1]:0".parse().unwrap());
    }
    let stage = Stage::open(&Setup { udp, ..setup() }).unwrap();
    let addrs = stage.udp_addrs();
    let clients = thread::spawn({
        let addrs = addrs.clone();
        move || {
            for addr in addrs {
                let client = client(addr);
                client.send(b"hello").unwrap();
                let mut buffer = [0; 16];
                let len = client.recv(&mut buffer).unwrap();
                assert_eq!(&buffer[..len], b"hello");
            }
        }
    });
    let mut told = Vec::new();
    let ended = play(
        stage,
        |_| (),
        |acts, _, input| {
            if let Input::Datagram { from, to, bytes } = input {
                told.push(to);
                acts.send(from, bytes);
                if told.len() == addrs.len() {
                    acts.done();
                }
            }
        },
    );
    clients.join().unwrap();
    assert_eq!(told, addrs);
    assert_eq!(ended.why, Why::Sink);
    let count = u64::try_from(addrs.len()).unwrap();
    assert_eq!(
        (ended.counters.datagrams_in, ended.counters.datagrams_out),
        (count, count)
    );
}

#[test]
fn a_burst_of_many_batches_arrives_whole() {
    const COUNT: usize = 500;
    let stage = Stage::open(&setup()).unwrap();
    let client = client(stage.udp_addrs()[0]);
    for _ in 0..COUNT / 5 {
        // All of it waits in the socket before the run begins; a few at a time keep within small kernel buffers.
        client.send(&[7; 20]).unwrap();
    }
    let mut seen = 0;
    play(
        stage,
        |_| (),
        |acts, _, input| {
            if let Input::Datagram { bytes, .. } = input {
                assert_eq!(bytes, [7; 20]);
                seen += 1;
                if seen % (COUNT / 5) == 0 && seen < COUNT {
                    (0..COUNT / 5).for_each(|_| assert!(client.send(&[7; 20]).is_ok()));
                }
                if seen == COUNT {
                    acts.done();
                }
            }
        },
    );
    assert_eq!(seen, COUNT);
}

#[test]
fn datagrams_for_nobody_are_counted_and_forgotten() {
    // Nobody listens there: on an unconnected socket the ICMP error is nobody's business.
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stage = Stage::open(&setup()).unwrap();
    let own = stage.udp_addrs()[0];
    let begin = |acts: &mut Acts| {
        acts.send(closed, b"x");
        acts.send("[::1]:9".parse().unwrap(), b"no socket of this family");
        acts.send(own, &[0; 66_000]);
        acts.send(own, b"y");
    };
    let ended = play(stage, begin, |acts, _, input| {
        if matches!(input, Input::Datagram { .. }) {
            acts.done();
        }
    });
    assert_eq!(ended.counters.send_errors.no_socket, 1);
    assert_eq!(ended.counters.send_errors.too_long, 1);
    assert_eq!(ended.counters.datagrams_out, 2);
}

#[test]
fn a_tick_comes_at_the_deadline_even_when_it_moved() {
    let stage = Stage::open(&Setup {
        udp: vec![],
        listen: None,
        ..setup()
    })
    .unwrap();
    let later = |millis| Time::ZERO + Duration::from_millis(millis);
    let mut ticks = Vec::new();
    play(
        stage,
        |acts| acts.wake = Some(later(5)),
        |acts, now, input| {
            assert_eq!(input, Input::Tick);
            ticks.push(now);
            match ticks.len() {
                1 => acts.wake = Some(later(30)),
                2 => acts.wake = Some(later(0)),
                _ => acts.done(),
            }
        },
    );
    assert!(ticks[0] >= later(5) && ticks[1] >= later(30) && ticks[2] >= ticks[1]);
}

#[test]
fn a_run_that_waits_for_nothing_can_be_woken() {
    let stage = Stage::open(&setup()).unwrap();
    let waker = stage.waker();
    // Before the run and while it sleeps: both are heard.
    waker.wake();
    let mut ticks = 0;
    play(
        stage,
        |_| (),
        |acts, _, input| {
            assert_eq!(input, Input::Tick);
            ticks += 1;
            if ticks == 2 {
                return acts.done();
            }
            let waker = waker.clone();
            thread::spawn(move || waker.wake());
        },
    );
}

#[test]
fn the_first_stop_is_told_and_the_second_ends_the_run() {
    let stage = Stage::open(&setup()).unwrap();
    let stopper = stage.stopper();
    let again = stopper.clone();
    stopper.stop();
    let mut stops = 0;
    let ended = play(
        stage,
        |_| (),
        |_, _, input| {
            assert_eq!(input, Input::Stop);
            stops += 1;
            let again = again.clone();
            thread::spawn(move || again.stop());
        },
    );
    assert_eq!((stops, ended.why), (1, Why::Stopped));
}

#[test]
fn the_sink_may_give_commands() {
    let stage = Stage::open(&setup()).unwrap();
    let own = stage.udp_addrs()[0];
    let mut machine = Scripted {
        react: |acts: &mut Acts, _, _: Input<'_>| acts.done(),
        acts: Acts::default(),
    };
    machine.acts.done();
    let mut events = 0;
    run(stage, &mut machine, |_, machine, ()| {
        events += 1;
        machine.acts.send(own, b"from the sink");
        if events == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })
    .unwrap();
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let stage = Stage::open(&setup()).unwrap();
    let taken = stage.udp_addrs()[0];
    let error = Stage::open(&Setup {
        udp: vec![taken],
        ..setup()
    })
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "UDP port {} is in use on 127.0.0.1; choose another with --bind",
            taken.port()
        )
    );
    let foreign = "192.0.2.1:0".parse().unwrap();
    let error = Stage::open(&Setup {
        udp: vec![foreign],
        ..setup()
    })
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "this machine has no address 192.0.2.1; choose another with --bind"
    );
    let twice = Stage::open(&Setup {
        udp: vec![foreign, taken],
        ..setup()
    });
    assert!(matches!(
        twice,
        Err(HostError::NotOurs { .. } | HostError::TwoOfAFamily { .. })
    ));
}
