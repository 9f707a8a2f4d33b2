//! Questions, and what may come back.

use super::*;

fn rpc(max_outstanding: usize) -> Rpc {
    let config = config::Rpc {
        initial_timeout: Duration::from_secs(2),
        min_timeout: Duration::from_millis(100),
        max_timeout: Duration::from_secs(15),
        max_outstanding,
    };
    Rpc::new(config, Seed::from_number(1))
}

fn host(last: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, last], 6881))
}

fn id(first: u8) -> NodeId {
    NodeId::new([first; 20])
}

fn ping(last: u8) -> Call {
    Call {
        to: host(last),
        id: Some(id(last)),
        ..NOWHERE
    }
}

#[test]
fn an_answer_that_matches_settles_its_question_with_the_round_trip() {
    let mut rpc = rpc(4);
    let transaction = rpc.begin(Time::ZERO, ping(1)).unwrap();
    let answer = rpc.settle(Time::from_micros(5), host(1), &transaction, Some(id(1)));
    assert_eq!(answer, Ok((ping(1), Duration::from_micros(5))));
    assert_eq!(rpc.deadline(), None);
}

#[test]
fn an_answer_from_another_address_is_dropped_and_the_question_stays() {
    let mut rpc = rpc(4);
    let transaction = rpc.begin(Time::ZERO, ping(1)).unwrap();
    assert_eq!(
        rpc.settle(Time::ZERO, host(2), &transaction, Some(id(1))),
        Err(Mismatch::WrongAddress)
    );
    assert!(rpc.settle(Time::ZERO, host(1), &transaction, Some(id(1))).is_ok());
}

#[test]
fn an_answer_under_another_id_ends_the_question() {
    let mut rpc = rpc(4);
    let transaction = rpc.begin(Time::ZERO, ping(1)).unwrap();
    assert_eq!(
        rpc.settle(Time::ZERO, host(1), &transaction, Some(id(9))),
        Err(Mismatch::WrongId(ping(1)))
    );
    assert_eq!(rpc.outstanding(), 0);
}

#[test]
fn a_guessed_transaction_finds_nothing() {
    let mut rpc = rpc(4);
    rpc.begin(Time::ZERO, ping(1)).unwrap();
    for guess in [&[0; 6][..], &[0; 2], &[], &[0, 1, 0, 0, 0, 0], &[255; 6], &[0; 7]] {
        assert_eq!(
            rpc.settle(Time::ZERO, host(1), guess, None),
            Err(Mismatch::UnknownTransaction)
        );
    }
}

#[test]
fn silence_times_out_at_two_seconds_at_first() {
    let mut rpc = rpc(4);
    rpc.begin(Time::from_secs(1), ping(1)).unwrap();
    assert_eq!(rpc.deadline(), Some(Time::from_secs(3)));
    assert_eq!(rpc.expire(Time::from_micros(2_999_999)), None);
    assert_eq!(rpc.expire(Time::from_secs(3)), Some(ping(1)));
    assert_eq!(rpc.expire(Time::from_secs(3)), None);
}

#[test]
fn the_timeout_follows_the_round_trips() {
    let mut rpc = rpc(4);
    for _ in 0..40 {
        let transaction = rpc.begin(Time::ZERO, ping(1)).unwrap();
        rpc.settle(Time::from_micros(200_000), host(1), &transaction, None)
            .unwrap();
    }
    assert!(
        (Duration::from_millis(400)..Duration::from_millis(500)).contains(&rpc.timeout()),
        "{:?}",
        rpc.timeout()
    );
}

#[test]
fn late_answers_are_told_once_and_lengthen_the_timeout() {
    let mut rpc = rpc(100);
    for _ in 0..40 {
        let transaction = rpc.begin(Time::ZERO, ping(1)).unwrap();
        rpc.settle(Time::from_micros(1000), host(1), &transaction, None)
            .unwrap();
    }
    assert_eq!(rpc.timeout(), Duration::from_millis(100));
    for _ in 0..40 {
        let transaction = rpc.begin(Time::ZERO, ping(1)).unwrap();
        rpc.expire(Time::from_secs(16)).unwrap();
        assert_eq!(
            rpc.settle(Time::from_secs(16), host(1), &transaction, Some(id(1))),
            Err(Mismatch::Late(Some(ping(1))))
        );
        assert_eq!(
            rpc.settle(Time::from_secs(17), host(1), &transaction, Some(id(1))),
            Err(Mismatch::Late(None))
        );
    }
    assert!(rpc.timeout() > Duration::from_secs(1));
}

#[test]
fn a_full_table_takes_no_question() {
    let mut rpc = rpc(2);
    assert!(rpc.begin(Time::ZERO, ping(1)).is_some());
    assert!(rpc.begin(Time::ZERO, ping(2)).is_some());
    assert!(!rpc.has_room());
    assert_eq!(rpc.begin(Time::ZERO, ping(3)), None);
    rpc.expire(Time::from_secs(2)).unwrap();
    assert!(rpc.begin(Time::from_secs(2), ping(3)).is_some());
}

#[test]
fn transactions_repeat_with_the_seed_and_differ_from_one_another() {
    let draw = || {
        let mut rpc = rpc(4);
        [rpc.begin(Time::ZERO, ping(1)), rpc.begin(Time::ZERO, ping(1))]
    };
    assert_eq!(draw(), draw());
    assert_ne!(draw()[0], draw()[1]);
}
