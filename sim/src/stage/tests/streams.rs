//! Calls, and what becomes of what is written.

use rand::RngExt;

use super::*;

fn line(up: u64, down: u64, delay: u64) -> Line {
    Line::new(up, down, millis(delay))
}

/// Within two in a hundred.
#[track_caller]
fn assert_near(what: &str, is: f64, should: f64) {
    assert!((is / should - 1.0).abs() < 0.02, "{what}: {is} is not about {should}");
}

#[test]
fn a_call_takes_a_round_trip_and_its_answer_half_of_one() {
    let mut stage = stage(&[PLAIN, PLAIN]);
    puppet(&mut stage, 0).dial(1, addr(1));
    assert_eq!(play(&mut stage, 9), Ended::Idle);
    assert_eq!(puppet(&mut stage, 0).told(), [(40, "opened 1")]);
    assert_eq!(puppet(&mut stage, 1).told(), [(20, "accepted 10.0.0.1")]);
    stage.set_delay(1, 0, millis(100));
    puppet(&mut stage, 0).dial(2, addr(1));
    play(&mut stage, 9);
    assert_eq!(puppet(&mut stage, 0).told()[1], (240, "opened 2"));
}

#[test]
fn calls_end_as_the_place_says() {
    let mut stage = stage(&[PLAIN; 4]);
    stage.set_reach(1, Reach::Refuses);
    stage.set_reach(2, Reach::Silent);
    let puppet_0 = puppet(&mut stage, 0);
    puppet_0.dial(1, addr(1));
    puppet_0.dial(2, addr(2));
    puppet_0.dial(3, SocketAddr::new(addr(3).ip(), 1));
    puppet_0.dial(4, addr(99));
    let (conn, via, to) = (ConnId(5), Some(Via::Utp), addr(3));
    puppet_0.want(Effect::Dial { conn, to, via }, &[]);
    play(&mut stage, 9);
    let told = puppet(&mut stage, 0).told();
    assert_eq!(
        told,
        [
            (0, "closed 5 Unreachable"),
            (40, "closed 1 Refused"),
            (40, "closed 3 Refused")
        ]
    );
}

#[test]
fn a_call_that_is_given_up_never_opens() {
    for (after, heard) in [(0, 0), (30, 2)] {
        let mut stage = stage(&[PLAIN, PLAIN]);
        let conn = puppet(&mut stage, 0).dial(1, addr(1));
        play(&mut stage, 0);
        let _ = stage.next(Time::ZERO + millis(after));
        puppet(&mut stage, 0).want(Effect::Close { conn }, &[]);
        play(&mut stage, 9);
        assert_eq!(puppet(&mut stage, 0).told(), []);
        assert_eq!(
            puppet(&mut stage, 1).told.len(),
            heard,
            "called and hung up on, or not at all"
        );
        assert_eq!(stage.streams(), 0);
    }
}

#[test]
fn bytes_arrive_in_order_and_behind_them_the_end() {
    let mut stage = stage(&[PLAIN, line(3_000_000, 700_000, 90)]);
    puppet(&mut stage, 0).pump = 1_000_000;
    puppet(&mut stage, 1).dial(9, addr(0));
    assert_eq!(play(&mut stage, 60), Ended::Idle);
    let one = puppet(&mut stage, 1);
    assert!(one.bytes[&ConnId(9)] == pumped(1_000_000));
    assert_eq!(one.told().last().unwrap().1, "closed 9 ByRemote");
    assert_eq!((stage.streams(), stage.traffic(0).sent), (0, 1_000_000));
}

#[test]
fn a_stream_runs_at_the_slower_of_two_rates_on_any_path() {
    for (up, down, delay) in [
        (1_000_000, 8_000_000, 0),
        (8_000_000, 1_000_000, 10),
        (20_000_000, 20_000_000, 150),
        (50_000, 9_000_000, 40),
        (9_000_000, 50_000, 40),
    ] {
        let mut stage = stage(&[line(up, 1_000, delay), line(1_000, down, delay)]);
        let rate = up.min(down);
        let bytes = 5 * rate as usize;
        puppet(&mut stage, 0).pump = bytes;
        puppet(&mut stage, 1).dial(1, addr(0));
        play(&mut stage, 60);
        assert_eq!(puppet(&mut stage, 1).all_bytes(), bytes);
        let last = puppet(&mut stage, 1).last[&ConnId(1)];
        let took = last.since(Time::ZERO).as_secs_f64() - 4.0 * delay as f64 / 1e3;
        assert_near(&format!("{up} up, {down} down"), bytes as f64 / took, rate as f64);
    }
}

#[test]
fn the_streams_of_one_writer_share_its_line_evenly() {
    // A far one, one whose line is little more than its share, and two plain ones.
    let lines = [
        line(4_000_000, 1, 10),
        line(1, 5_000_000, 10),
        line(1, 5_000_000, 200),
        line(1, 1_100_000, 10),
        line(1, 5_000_000, 0),
    ];
    let mut stage = stage(&lines);
    puppet(&mut stage, 0).pump = 1 << 30;
    for party in 1..5 {
        puppet(&mut stage, party).dial(1, addr(0));
    }
    play(&mut stage, 1);
    let before: Vec<u64> = (0..5).map(|party| stage.traffic(party).received).collect();
    play(&mut stage, 21);
    let rates: Vec<f64> = (1..5)
        .map(|party| (stage.traffic(party).received - before[party]) as f64 / 20.0)
        .collect();
    assert_near("in all", rates.iter().sum(), 4_000_000.0);
    for rate in rates {
        assert_near("a share", rate, 1_000_000.0);
    }
}

#[test]
fn the_writers_of_one_reader_share_its_line_and_leave_none_of_it_unused() {
    let lines = [
        line(1, 2_000_000, 10),
        line(100_000, 1, 10),
        line(5_000_000, 1, 10),
        line(5_000_000, 1, 300),
        line(5_000_000, 1, 0),
    ];
    let mut stage = stage(&lines);
    for party in 1..5 {
        puppet(&mut stage, party).pump = 1 << 30;
        puppet(&mut stage, 0).dial(party as u64, addr(party));
    }
    play(&mut stage, 5);
    let before: Vec<usize> = (1..5)
        .map(|conn| puppet(&mut stage, 0).bytes[&ConnId(conn)].len())
        .collect();
    play(&mut stage, 25);
    let rates: Vec<f64> = (1..5)
        .zip(before)
        .map(|(conn, before)| (puppet(&mut stage, 0).bytes[&ConnId(conn)].len() - before) as f64 / 20.0)
        .collect();
    assert_near("in all", rates.iter().sum(), 2_000_000.0);
    assert_near("the slow one", rates[0], 100_000.0);
    for rate in &rates[1..] {
        assert_near("a fast one", *rate, 633_333.0);
    }
}

#[test]
fn both_directions_run_at_full_rate() {
    let mut stage = stage(&[line(500_000, 2_000_000, 20), line(1_500_000, 2_000_000, 20)]);
    puppet(&mut stage, 0).pump = 5_000_000;
    puppet(&mut stage, 1).pump = 15_000_000;
    puppet(&mut stage, 0).dial(1, addr(1));
    play(&mut stage, 9);
    assert_near("there", stage.traffic(1).received as f64, 500_000.0 * 8.92);
    assert_near("back", stage.traffic(0).received as f64, 1_500_000.0 * 8.92);
}

#[test]
fn a_small_message_waits_for_a_turn_not_for_a_queue() {
    let mut stage = stage(&[line(200_000, 200_000, 10), PLAIN, PLAIN, PLAIN]);
    puppet(&mut stage, 0).pump = 1 << 20;
    for party in 1..3 {
        puppet(&mut stage, party).dial(1, addr(0));
    }
    play(&mut stage, 2);
    puppet(&mut stage, 0).pump = 0;
    let conn = puppet(&mut stage, 0).dial(7, addr(3));
    play(&mut stage, 3);
    puppet(&mut stage, 0).write(conn, b"have");
    play(&mut stage, 4);
    let last = *puppet(&mut stage, 3).last.values().next().unwrap();
    let waited = last.since(Time::from_secs(3));
    assert!(waited < millis(20 + 30), "{waited:?}");
}

#[test]
fn who_writes_more_than_the_buffer_holds_is_congested() {
    let mut stage = stage(&[line(1_000, 1_000, 10), PLAIN]);
    let conn = puppet(&mut stage, 0).dial(1, addr(1));
    play(&mut stage, 1);
    puppet(&mut stage, 0).write(conn, &vec![0; LIMITS.kernel + LIMITS.unsent]);
    play(&mut stage, 0);
    assert!(!puppet(&mut stage, 0).has_heard("closed"));
    puppet(&mut stage, 0).write(conn, &[0; 10_000]);
    play(&mut stage, 9);
    assert_eq!(puppet(&mut stage, 0).told()[1], (40, "closed 1 Congested"));
    assert_eq!(puppet(&mut stage, 1).told().last().unwrap().1, "closed 1 Reset");
    assert_eq!((stage.streams(), stage.traffic(0).congested), (0, 1));
}

#[test]
fn a_report_comes_when_the_system_has_what_was_written() {
    let mut stage = stage(&[line(100_000, 1, 0), PLAIN]);
    let conn = puppet(&mut stage, 0).dial(1, addr(1));
    puppet(&mut stage, 0).want(Effect::Report { conn }, &[]);
    play(&mut stage, 1);
    assert_eq!(puppet(&mut stage, 0).told(), [(20, "opened 1"), (20, "flushed")]);
    puppet(&mut stage, 0).write(conn, &vec![0; LIMITS.kernel]);
    puppet(&mut stage, 0).want(Effect::Report { conn }, &[]);
    assert_eq!(stage.next(Time::from_micros(20_000)), Err(Ended::TimeUp));
    assert_eq!(puppet(&mut stage, 0).told()[2], (20, "flushed"), "at once");
    puppet(&mut stage, 0).write(conn, &[0; 100_000]);
    puppet(&mut stage, 0).want(Effect::Report { conn }, &[]);
    play(&mut stage, 9);
    let flushed = puppet(&mut stage, 0).told()[3].0;
    // What is beyond the buffer of the system went at 100 kB/s.
    assert!((1_000..1_040).contains(&flushed), "{flushed}");
}

#[test]
fn a_reader_that_closes_early_ends_its_writer() {
    let mut stage = stage(&[PLAIN, PLAIN]);
    puppet(&mut stage, 0).pump = 5_000_000;
    let conn = puppet(&mut stage, 1).dial(1, addr(0));
    play(&mut stage, 2);
    puppet(&mut stage, 1).want(Effect::Close { conn }, &[]);
    assert_eq!(play(&mut stage, 60), Ended::Idle);
    assert_eq!(puppet(&mut stage, 0).told().last().unwrap().1, "closed 1 ByRemote");
    assert!(
        !puppet(&mut stage, 1).has_heard("closed"),
        "final: nothing more is heard of the number"
    );
    assert_eq!(stage.streams(), 0);
}

#[test]
fn noise_garbles_and_cuts_the_share_that_was_asked_for_and_nobody_elses_bytes() {
    let mut stage = stage(&[PLAIN, PLAIN, PLAIN]);
    let (garbled, cut) = (0.05, 0.0);
    stage.set_noise(0, Noise { garbled, cut });
    puppet(&mut stage, 0).pump = 16_384 * 1_000;
    puppet(&mut stage, 1).pump = 16_384 * 10;
    puppet(&mut stage, 2).dial(1, addr(0));
    puppet(&mut stage, 2).dial(2, addr(1));
    play(&mut stage, 60);
    let wrong = |conn| {
        let got = &stage.machine(2).unwrap().bytes[&ConnId(conn)];
        let wrong = got.iter().enumerate().filter(|&(place, byte)| *byte != byte_at(place));
        (got.len(), wrong.count())
    };
    let (len, garbled) = wrong(1);
    assert!(len == 16_384_000 && (30..75).contains(&garbled), "{garbled}");
    assert_eq!(garbled as u64, stage.traffic(0).garbled);
    assert_eq!(wrong(2), (163_840, 0));
}

#[test]
fn a_cut_resets_both_ends() {
    let mut stage = stage(&[line(50_000_000, 1, 1), line(1, 50_000_000, 1)]);
    let (garbled, cut) = (0.0, 0.05);
    stage.set_noise(0, Noise { garbled, cut });
    puppet(&mut stage, 0).pump = 16_384;
    for number in 1..=1_000 {
        puppet(&mut stage, 1).dial(number, addr(0));
    }
    play(&mut stage, 60);
    let resets = |party| {
        let puppet: &Puppet = stage.machine(party).unwrap();
        puppet.told.iter().filter(|(_, told)| told.ends_with("Reset")).count()
    };
    // The writer has closed most of its ends by the time that they break.
    assert!((30..75).contains(&resets(1)), "{}", resets(1));
    assert_eq!(resets(1) as u64, stage.traffic(0).cut);
    assert_eq!(stage.streams(), 0);
}

/// Everybody calls everybody, writes a random number of bytes and closes, on random lines that change meanwhile.
#[test]
fn nothing_is_lost_doubled_or_left_over_whatever_the_lines() {
    for seed in 0..20 {
        let mut rng = Seed::from_number(seed).rng();
        let count = rng.random_range(2..6);
        let mut draw = || {
            let mut rate = || 10_u64.pow(rng.random_range(5..8));
            let (up, down) = (rate(), rate());
            line(up, down, rng.random_range(0..200))
        };
        let lines: Vec<Line> = (0..count).map(|_| draw()).collect();
        let mut stage = stage(&lines);
        let pump = 300_000 + 7_777 * seed as usize;
        for party in 0..count {
            puppet(&mut stage, party).pump = pump;
            puppet(&mut stage, party).waits = true;
            for other in (0..count).filter(|other| *other > party) {
                puppet(&mut stage, party).dial(other as u64, addr(other));
            }
        }
        for second in 1..10 {
            play(&mut stage, second);
            stage.set_line(second as usize % count, draw());
        }
        assert_eq!(play(&mut stage, 3_600), Ended::Idle);
        assert_eq!(stage.streams(), 0);
        let mut whole = 0;
        for party in 0..count {
            for bytes in puppet(&mut stage, party).bytes.values() {
                assert!(*bytes == pumped(pump));
                whole += 1;
            }
        }
        assert_eq!(whole, count * (count - 1));
    }
}

#[test]
fn a_seed_gives_the_same_run() {
    let run = |seed, jitter| {
        let mut stage = Stage::new(LIMITS, Seed::from_number(seed));
        for number in 0..4 {
            let mut place = Place::new(addr(number), PLAIN);
            place.noise.cut = 0.01;
            place.line.jitter = millis(jitter);
            stage.add(place, Puppet::pumping(1_000_000));
        }
        for party in 0..4 {
            puppet(&mut stage, party).dial(1, addr((party + 1) % 4));
            puppet(&mut stage, party).send(addr((party + 2) % 4), b"x");
        }
        play(&mut stage, 60);
        stage.fingerprint()
    };
    assert_eq!(run(1, 5), run(1, 5));
    assert_ne!(run(1, 5), run(2, 5));
    assert_ne!(run(1, 5), run(1, 6));
}
