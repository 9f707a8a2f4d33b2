//! Machines that end, and what the others hear of it.

use super::*;

/// Two with a connection; the second end has the world's number.
fn connected() -> (Stage<Puppet>, ConnId) {
    let mut stage = stage(&[PLAIN, PLAIN]);
    let conn = puppet(&mut stage, 0).dial(1, addr(1));
    play(&mut stage, 1);
    (stage, conn)
}

#[test]
fn a_killed_process_resets_its_connections_and_refuses_calls() {
    let (mut stage, _) = connected();
    assert!(stage.kill(1).is_some() && stage.kill(1).is_none());
    puppet(&mut stage, 0).dial(2, addr(1));
    play(&mut stage, 9);
    let told = puppet(&mut stage, 0).told();
    assert_eq!(told[1..], [(60, "closed 1 Reset"), (80, "closed 2 Refused")]);
    assert!(stage.machine(1).is_none());
    assert_eq!(stage.streams(), 0);
}

#[test]
fn a_party_without_power_says_nothing_until_it_is_back() {
    let (mut stage, conn) = connected();
    stage.lose_power(1);
    puppet(&mut stage, 0).write(conn, b"hello?");
    puppet(&mut stage, 0).dial(2, addr(1));
    puppet(&mut stage, 0).send(addr(1), b"hello?");
    play(&mut stage, 9);
    assert_eq!(puppet(&mut stage, 0).told.len(), 1, "silence");
    stage.start(1, Puppet::default());
    puppet(&mut stage, 0).write(conn, b"hello?");
    puppet(&mut stage, 0).dial(3, addr(1));
    play(&mut stage, 19);
    let told: Vec<&str> = puppet(&mut stage, 0).told().iter().map(|told| told.1).collect();
    assert_eq!(told[1..], ["opened 3", "closed 1 Reset"]);
    assert_eq!(
        puppet(&mut stage, 1).told(),
        [(80, "accepted 10.0.0.1")],
        "the new machine knows of nothing else"
    );
}

#[test]
fn what_was_on_its_way_to_the_old_machine_is_not_given_to_the_new_one() {
    let (mut stage, conn) = connected();
    puppet(&mut stage, 0).write(conn, b"for the old one");
    stage.stop(1);
    let old = stage.kill(1).unwrap();
    assert!(!old.has_heard("Stop"));
    stage.start(1, Puppet::default());
    play(&mut stage, 9);
    let new = puppet(&mut stage, 1);
    assert!(new.told.is_empty() && new.bytes.is_empty());
}

#[test]
fn a_caller_that_dies_is_forgotten() {
    let mut stage = stage(&[PLAIN, PLAIN]);
    puppet(&mut stage, 0).dial(1, addr(1));
    play(&mut stage, 0);
    stage.lose_power(0);
    play(&mut stage, 9);
    assert!(puppet(&mut stage, 1).told.is_empty());
    assert_eq!(stage.streams(), 0);
}
