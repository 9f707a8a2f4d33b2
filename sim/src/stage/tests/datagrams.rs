//! Datagrams, and scripted servers of them.

use super::*;

#[test]
fn a_datagram_takes_the_delay_of_its_path() {
    let mut stage = stage(&[PLAIN, PLAIN]);
    puppet(&mut stage, 1).echoes = true;
    puppet(&mut stage, 0).send(addr(1), &[b'x'; 1_000]);
    play(&mut stage, 1);
    assert_eq!(
        puppet(&mut stage, 1).told()[0].0,
        22,
        "a millisecond up, 20 on its way, one down"
    );
    assert_eq!(puppet(&mut stage, 0).told()[0].0, 44);
}

#[test]
fn datagrams_are_lost_doubled_and_overtaken_in_the_shares_that_were_asked_for() {
    let lossy = Line {
        loss: 0.05,
        duplicates: 0.1,
        jitter: millis(20),
        ..Line::new(10_000_000, 10_000_000, millis(5))
    };
    let mut stage = stage(&[lossy, PLAIN]);
    for number in 0..2_000_u64 {
        puppet(&mut stage, 0).send(addr(1), format!("{number:05}").as_bytes());
        play(&mut stage, 0);
        let _ = stage.next(Time::from_micros(number * 1_000));
    }
    play(&mut stage, 9);
    let told: Vec<String> = puppet(&mut stage, 1)
        .told
        .iter()
        .map(|(_, told)| told.clone())
        .collect();
    let mut sorted = told.clone();
    sorted.sort_unstable();
    assert_ne!(told, sorted, "overtaken");
    sorted.dedup();
    assert!((1_870..1_930).contains(&sorted.len()), "{}", sorted.len());
    assert_eq!(stage.traffic(0).datagrams_lost, 2_000 - sorted.len() as u64);
    let doubled = told.len() - sorted.len();
    assert!((150..230).contains(&doubled), "{doubled}");
}

#[test]
fn a_line_that_is_full_drops_datagrams() {
    let mut stage = stage(&[PLAIN, Line::new(1_000, 100_000, millis(1))]);
    for _ in 0..2_000 {
        puppet(&mut stage, 0).send(addr(1), &[0; 1_000]);
    }
    play(&mut stage, 60);
    let (sent, got) = (stage.traffic(0), stage.traffic(1));
    assert!(sent.datagrams_lost > 900 && got.datagrams_received < 1_100);
    assert_eq!(sent.datagrams_lost + got.datagrams_lost + got.datagrams_received, 2_000);
}

#[test]
fn datagrams_and_a_stream_share_a_line() {
    let mut stage = stage(&[Line::new(200_000, 200_000, millis(1)), PLAIN, PLAIN]);
    puppet(&mut stage, 0).pump = 1 << 20;
    puppet(&mut stage, 1).dial(1, addr(0));
    play(&mut stage, 1);
    for _ in 0..500 {
        puppet(&mut stage, 0).send(addr(2), &[0; 1_000]);
    }
    let before = stage.traffic(1).received;
    play(&mut stage, 3);
    let stream = (stage.traffic(1).received - before) as f64 / 2.0;
    let datagrams = stage.traffic(2).datagrams_received as f64 * 1_000.0 / 2.0;
    assert!(
        (stream + datagrams - 200_000.0).abs() < 4_000.0,
        "{stream} and {datagrams}"
    );
    assert!((stream / datagrams - 1.0).abs() < 0.3, "{stream} and {datagrams}");
}

#[test]
fn a_multicast_reaches_all_others() {
    let mut stage = stage(&[PLAIN; 3]);
    puppet(&mut stage, 0).send("239.192.152.143:6771".parse().unwrap(), b"search");
    play(&mut stage, 1);
    for party in 1..3 {
        assert_eq!(puppet(&mut stage, party).told(), [(20, "datagram search")]);
    }
    assert!(puppet(&mut stage, 0).told.is_empty());
}

#[test]
fn a_server_answers_from_its_address() {
    let mut stage = stage(&[PLAIN]);
    let tracker = SocketAddr::from(([192, 0, 2, 1], 6969));
    stage.serve(tracker, millis(30), |_, from, bytes| {
        vec![bytes.repeat(2), from.to_string().into_bytes()]
    });
    puppet(&mut stage, 0).send(tracker, b"ab");
    play(&mut stage, 1);
    let told = puppet(&mut stage, 0).told();
    assert_eq!(told, [(80, "datagram abab"), (80, "datagram 10.0.0.1:6881")]);
}
