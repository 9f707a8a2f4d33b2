//! HTTP trackers: what they hear, and what becomes of their answers (TRK-01, 02, 11 to 19, 25).

use super::*;

#[test]
fn the_first_announce_says_who_we_are_and_what_we_lack() {
    let mut world = World::new(config());
    world.stats = Stats {
        uploaded: 0,
        downloaded: 0,
        left: 2_147_483_648,
    };
    world.add(1, &[&[A]]);
    world.drain();
    let url = &world.fetches[0].1;
    let head = "http://a.example/announce?info_hash=%01%01";
    assert!(url.starts_with(head), "{url}");
    for pair in [
        "peer_id=-ES0100-abcdefghijkl",
        "port=6881",
        "uploaded=0",
        "downloaded=0",
        "left=2147483648",
        "compact=1",
        "event=started",
        "numwant=200",
        "supportcrypto=1",
    ] {
        assert!(url.split('&').any(|other| other == pair), "{pair} in {url}");
    }
    assert!(!url.contains("&ip="));
}

#[test]
fn an_address_to_report_is_reported() {
    let mut world = World::new(Config {
        announce_ip: Some("203.0.113.7".parse().unwrap()),
        ..config()
    });
    world.add(1, &[&[A]]);
    world.drain();
    assert!(world.fetches[0].1.contains("&ip=203.0.113.7"));
}

#[test]
fn the_key_stays_and_is_the_torrents_own() {
    let mut world = World::new(config());
    world.answers("http://", reply(600));
    world.add(1, &[&[A]]);
    world.add(2, &[&[B]]);
    world.run_to(700);
    let key = |at: usize| world.fetches[at].1.split("&key=").nth(1).unwrap()[..8].to_owned();
    let (a, b): (Vec<usize>, Vec<usize>) = (0..4).partition(|&at| world.fetches[at].1.starts_with(A));
    assert_eq!((key(a[0]), key(b[0])), (key(a[1]), key(b[1])));
    assert_ne!(key(a[0]), key(b[0]));
}

#[test]
fn a_failure_is_tried_again_after_one_second_then_two_then_four() {
    let mut world = World::new(config());
    world.add(1, &[&[A]]);
    world.run_to(20);
    assert_eq!(world.times(A), [0, 1, 3, 7, 15]);
    world.run_to(20_000);
    let times = world.times(A);
    let last: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).rev().take(3).collect();
    assert_eq!(last, [1_800; 3]);
}

#[test]
fn an_answer_brings_peers_counts_and_the_time_of_the_next_announce() {
    let mut world = World::new(config());
    world.answers(A, reply(1_800));
    world.add(1, &[&[A]]);
    world.run_to(2_000);
    let tracker: Arc<str> = A.into();
    let counts = Counts {
        complete: Some(3),
        incomplete: Some(4),
        ..Counts::default()
    };
    let peers = vec![addr("1.2.3.4:6753"), addr("5.6.7.8:6753")];
    let round = |event| {
        let tracker = || tracker.clone();
        [
            Told::Asking {
                torrent: 1,
                tracker: tracker(),
                event,
            },
            Told::Counts {
                torrent: 1,
                tracker: tracker(),
                counts,
                scraped: false,
            },
            Told::Peers {
                torrent: 1,
                tracker: tracker(),
                peers: peers.clone(),
            },
            Told::Announced {
                torrent: 1,
                tracker: tracker(),
                event,
                peers: 2,
            },
        ]
    };
    assert_eq!(world.heard(), [round(Event::Started), round(Event::None)].concat());
    assert_eq!(world.times(A), [0, 1_800]);
}

#[test]
fn no_tracker_is_asked_more_often_than_the_floor_allows() {
    let mut world = World::new(config());
    world.answers(A, reply(1));
    world.add(1, &[&[A]]);
    world.run_to(700);
    assert_eq!(world.times(A), [0, 300, 600]);
}

#[test]
fn a_minimum_interval_above_the_interval_counts() {
    let mut world = World::new(config());
    world.answers(
        A,
        Answer::Body(b"d8:intervali60e12:min intervali900e5:peers0:e".to_vec(), 0),
    );
    world.add(1, &[&[A]]);
    world.run_to(1_000);
    assert_eq!(world.times(A), [0, 900]);
}

#[test]
fn a_tracker_without_interval_is_asked_by_our_own() {
    let mut world = World::new(config());
    world.answers(A, Answer::Body(b"d8:intervali-5e5:peers0:e".to_vec(), 0));
    world.add(1, &[&[A]]);
    world.run_to(2_000);
    assert_eq!(world.times(A), [0, 1_800]);
}

#[test]
fn who_is_short_of_peers_may_ask_after_the_minimum_interval() {
    let mut world = World::new(config());
    world.answers(
        A,
        Answer::Body(b"d8:intervali1800e12:min intervali400e5:peers0:e".to_vec(), 0),
    );
    world.add(1, &[&[A]]);
    world.run_to(10);
    world.mind.want_peers(world.now, 1);
    world.run_to(1_000);
    assert_eq!(world.times(A), [0, 400]);
}

#[test]
fn a_silent_tracker_has_failed_after_20_seconds() {
    let mut world = World::new(config());
    world.answers(A, Answer::Silence);
    world.add(1, &[&[A]]);
    world.run_to(20);
    assert_eq!(world.failures(), [(20, Failure::Silent)]);
    assert_eq!(world.cancels, 1);
    world.run_to(22);
    assert_eq!(world.times(A), [0, 21]);
}

#[test]
fn a_tracker_that_trickles_has_failed_after_60_seconds() {
    let mut world = World::new(config());
    world.answers(A, Answer::Trickle);
    world.add(1, &[&[A]]);
    world.run_to(60);
    assert_eq!((world.failures(), world.cancels), (vec![(60, Failure::Slow)], 1));
}

#[test]
fn a_longer_answer_than_allowed_is_broken_off() {
    let mut world = World::new(config());
    world.answers(A, Answer::Body(vec![b'd'; (1 << 21) + 2], 0));
    world.add(1, &[&[A]]);
    world.run_to(0);
    assert_eq!(
        (world.failures(), world.cancels),
        (vec![(0, Failure::Web(WebFault::TooLong))], 1)
    );
}

#[test]
fn each_kind_of_failure_says_what_it_was() {
    for (answer, failure) in [
        (Answer::Status(401), Failure::Status(401)),
        (Answer::Fault(WebFault::Untrusted), Failure::Web(WebFault::Untrusted)),
        (Answer::Body(b"<html>".to_vec(), 0), Failure::Malformed),
        (
            Answer::Body(b"d14:failure reason2:noe".to_vec(), 0),
            Failure::Refused("no".into()),
        ),
    ] {
        let mut world = World::new(config());
        world.answers(A, answer);
        world.add(1, &[&[A]]);
        world.run_to(0);
        assert_eq!(world.failures(), [(0, failure)]);
    }
}

#[test]
fn a_tracker_that_names_its_time_is_left_alone_until_then() {
    let mut world = World::new(config());
    world.answers(A, Answer::Body(b"d14:failure reason4:busy8:retry in1:5e".to_vec(), 0));
    world.add(1, &[&[A]]);
    world.run_to(650);
    assert_eq!(world.times(A), [0, 300, 600]);
}

#[test]
fn a_tracker_that_says_never_is_asked_again_only_by_force() {
    let mut world = World::new(config());
    world.answers(
        A,
        Answer::Body(b"d14:failure reason4:none8:retry in5:nevere".to_vec(), 0),
    );
    world.add(1, &[&[A]]);
    world.run_to(100_000);
    assert_eq!(world.times(A), [0]);
    world.answers(A, reply(600));
    world.mind.reannounce(world.now, 1, Duration::ZERO);
    world.run_to(100_700);
    assert_eq!(world.times(A), [0, 100_000, 100_600]);
}

#[test]
fn a_warning_is_told_and_the_peers_are_used() {
    let mut world = World::new(config());
    world.answers(
        A,
        Answer::Body(
            b"d8:intervali900e5:peers6:\x01\x02\x03\x04\x00\x0515:warning message4:slowe".to_vec(),
            0,
        ),
    );
    world.add(1, &[&[A]]);
    world.run_to(0);
    let (tracker, message): (Arc<str>, _) = (A.into(), "slow".to_owned());
    assert_eq!(
        world.heard()[1],
        Told::Warning {
            torrent: 1,
            tracker,
            message
        }
    );
    assert!(matches!(&world.heard()[2], Told::Peers { peers, .. } if *peers == [addr("1.2.3.4:5")]));
    let trackers: Vec<_> = world.mind.trackers(1).collect();
    assert_eq!((trackers[0].warning, trackers[0].working), (Some("slow"), true));
}

#[test]
fn our_address_as_a_tracker_sees_it_is_told() {
    let mut world = World::new(config());
    world.answers(
        A,
        Answer::Body(
            b"d11:external ip4:\x05\x06\x07\x088:intervali900e5:peers0:e".to_vec(),
            0,
        ),
    );
    world.add(1, &[&[A]]);
    world.run_to(0);
    let ip = IpAddr::from([5, 6, 7, 8]);
    assert!(world.heard().contains(&Told::ExternalIp { tracker: A.into(), ip }));
}

#[test]
fn a_trackers_id_is_sent_back() {
    let mut world = World::new(config());
    world.answers(
        A,
        Answer::Body(b"d8:intervali900e5:peers0:10:tracker id3:a&be".to_vec(), 0),
    );
    world.add(1, &[&[A]]);
    world.run_to(900);
    let with: Vec<bool> = world
        .fetches
        .iter()
        .map(|(_, url)| url.contains("&trackerid=a%26b"))
        .collect();
    assert_eq!(with, [false, true]);
}

#[test]
fn a_login_goes_into_the_url() {
    let mut world = World::new(config());
    let swarm = Swarm {
        login: Some(("me".into(), "p:w".into())),
        ..swarm(1)
    };
    world.mind.add(world.now, 1, swarm, &[vec![A.to_owned()]]);
    world.drain();
    assert!(world.fetches[0].1.starts_with("http://me:p%3Aw@a.example/announce?"));
    assert_eq!(world.mind.trackers(1).next().unwrap().url.as_ref(), A);
}

#[test]
fn a_scrape_gives_counts_and_an_error_if_it_fails() {
    let mut world = World::new(config());
    world.answers(A, reply(1_800));
    world.add(1, &[&[A]]);
    world.run_to(10);
    assert!(world.mind.scrape(world.now, 1));
    world.run_to(11);
    let failure = Failure::Web(WebFault::NoConnection);
    assert_eq!(
        world.heard().last(),
        Some(&Told::ScrapeFailed {
            torrent: 1,
            tracker: A.into(),
            failure
        })
    );
    assert_eq!(world.mind.status(1).unwrap().last_scrape, None);
    let mut body = b"d5:filesd20:".to_vec();
    body.extend([1; 20]);
    body.extend(b"d8:completei5e10:downloadedi50e10:incompletei10eeee");
    world.answers("http://a.example/scrape?info_hash=%01", Answer::Body(body, 0));
    assert!(world.mind.scrape(world.now, 1));
    world.run_to(12);
    let status = world.mind.status(1).unwrap();
    let counts = (
        status.counts.complete,
        status.counts.incomplete,
        status.counts.downloaded,
    );
    assert_eq!(
        (counts, status.last_scrape),
        ((Some(5), Some(10), Some(50)), Some(Time::from_secs(11)))
    );
    assert!(matches!(world.heard().last(), Some(Told::Counts { scraped: true, .. })));
}

#[test]
fn a_malformed_scrape_leaves_counts_unknown() {
    let mut world = World::new(config());
    world.answers("http://a.example/scrape", Answer::Body(b"d5:filesdee".to_vec(), 0));
    world.add(1, &[&[A]]);
    world.mind.scrape(world.now, 1);
    world.run_to(0);
    assert!(matches!(world.heard().last(), Some(Told::Counts { counts, .. }) if *counts == Counts::default()));
}

#[test]
fn what_cannot_be_scraped_says_so() {
    let mut world = World::new(config());
    world.add(1, &[&["http://a.example/x"]]);
    assert!(!world.mind.scrape(world.now, 1) && !world.mind.scrape(world.now, 2));
}
