//! Tables that split, fill up and age.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::contacts::K;

const CONFIG: config::Routing = config::Routing {
    max_fail_count: 20,
    questionable_after: Duration::from_secs(900),
    refresh_after: Duration::from_secs(900),
};

fn table() -> Table {
    Table::new(Family::V4, NodeId::new([0; 20]), CONFIG, false, Seed::from_number(1))
}

/// A node with the given first two bytes of its id, on a host of its own.
fn node(first: u8, second: u8) -> Contact {
    let mut id = [0x55; 20];
    (id[0], id[1]) = (first, second);
    Contact {
        id: NodeId::new(id),
        addr: SocketAddr::from(([10, 1, first, second], 6881)),
    }
}

fn holds(table: &Table, contact: Contact) -> bool {
    table.nodes().any(|held| held == contact)
}

fn full_far_half() -> Table {
    let mut table = table();
    (0..8).for_each(|n| table.answered(Time::ZERO, node(0x80, n)));
    (0..8).for_each(|n| table.answered(Time::ZERO, node(0x40, n)));
    table
}

#[test]
fn the_bucket_around_us_splits_and_others_do_not() {
    let mut table = full_far_half();
    assert_eq!((table.size().nodes, table.size().buckets), (16, 2));
    table.answered(Time::ZERO, node(0x80, 99));
    assert_eq!((table.size().nodes, table.size().spares), (16, 1));
}

#[test]
fn a_failing_node_is_replaced_at_once_by_a_spare() {
    let mut table = full_far_half();
    table.answered(Time::ZERO, node(0x80, 99));
    table.silent(Time::ZERO, &node(0x80, 3));
    assert!(!holds(&table, node(0x80, 3)));
    assert!(holds(&table, node(0x80, 99)));
    assert_eq!(table.size().spares, 0);
}

#[test]
fn without_a_spare_a_failing_node_stays_until_it_failed_often() {
    let mut table = full_far_half();
    for _ in 0..19 {
        table.silent(Time::ZERO, &node(0x80, 3));
        assert!(holds(&table, node(0x80, 3)));
    }
    table.silent(Time::ZERO, &node(0x80, 3));
    assert!(!holds(&table, node(0x80, 3)));
}

#[test]
fn a_good_node_takes_the_place_of_a_failing_one() {
    let mut table = full_far_half();
    table.silent(Time::ZERO, &node(0x80, 3));
    assert!(table.wants(&node(0x80, 99)));
    table.answered(Time::ZERO, node(0x80, 99));
    assert!(holds(&table, node(0x80, 99)));
    assert!(!holds(&table, node(0x80, 3)));
}

#[test]
fn one_node_of_a_host_unless_in_a_lab() {
    let twin = Contact {
        id: node(0x40, 1).id,
        addr: SocketAddr::new(node(0x80, 1).addr.ip(), 9),
    };
    for (lab, expected) in [(false, 1), (true, 2)] {
        let mut table = Table::new(Family::V4, NodeId::new([0; 20]), CONFIG, lab, Seed::from_number(1));
        table.answered(Time::ZERO, node(0x80, 1));
        table.answered(Time::ZERO, twin);
        assert_eq!(table.size().nodes, expected);
    }
}

#[test]
fn nobody_takes_the_place_of_a_good_node_by_claiming_its_id() {
    let mut table = table();
    table.answered(Time::ZERO, node(0x80, 1));
    let thief = Contact {
        id: node(0x80, 1).id,
        addr: node(0x80, 2).addr,
    };
    table.answered(Time::ZERO, thief);
    assert!(holds(&table, node(0x80, 1)));
    table.silent(Time::ZERO, &node(0x80, 1));
    table.answered(Time::ZERO, thief);
    assert!(holds(&table, thief));
}

#[test]
fn closest_agrees_with_sorting_everything() {
    let mut table = table();
    let mut rng = Seed::from_number(3).rng();
    for n in 0..2000_u32 {
        let mut id = [0; 20];
        rng.fill_bytes(&mut id);
        let addr = SocketAddr::from(((0x0a00_0000 + n).to_be_bytes(), 6881));
        table.answered(
            Time::ZERO,
            Contact {
                id: NodeId::new(id),
                addr,
            },
        );
    }
    for _ in 0..200 {
        let mut target = [0; 20];
        rng.fill_bytes(&mut target);
        // Points near us too.
        if target[19] % 2 == 0 {
            target[0] = 0;
        }
        let target = NodeId::new(target);
        let mut all: Vec<Contact> = table.nodes().collect();
        all.sort_by_key(|held| held.id.distance(&target));
        assert_eq!(table.closest(&target, Family::V4)[..], all[..K]);
    }
}

#[test]
fn closest_names_no_failing_node_and_no_other_family() {
    let mut table = full_far_half();
    table.silent(Time::ZERO, &node(0x80, 3));
    let near = table.closest(&node(0x80, 3).id, Family::V4);
    assert!(!near.contains(&node(0x80, 3)));
    assert!(table.closest(&node(0x80, 3).id, Family::V6).is_empty());
}

#[test]
fn a_node_is_pinged_after_a_quarter_of_an_hour_of_silence() {
    let mut table = table();
    table.answered(Time::ZERO, node(0x80, 1));
    table.buckets[0].refresh_due = Time::MAX;
    assert_eq!(table.upkeep(Time::from_secs(899)), None);
    assert_eq!(table.upkeep(Time::from_secs(900)), Some(Upkeep::Ping(node(0x80, 1))));
    assert_eq!(table.upkeep(Time::from_secs(900)), None);
    table.answered(Time::from_secs(901), node(0x80, 1));
    assert_eq!(table.upkeep(Time::from_secs(1800)), None);
}

#[test]
fn a_quiet_bucket_is_refreshed_by_a_walk_into_it() {
    let mut table = full_far_half();
    table.answered(Time::ZERO, node(0x20, 0));
    let mut walks = Vec::new();
    for at in [0, 20, 900] {
        while let Some(step) = table.upkeep(Time::from_secs(at)) {
            if let Upkeep::Refresh(target) = step {
                walks.push((at, table.index(&target)));
            }
        }
    }
    // The new bucket around us soon, the full ones when they have been quiet.
    assert_eq!(walks, [(20, 2), (900, 0), (900, 1)]);
}

#[test]
fn wake_is_exact_after_a_look_and_never_late() {
    let mut table = full_far_half();
    while table.upkeep(Time::from_secs(20)).is_some() {}
    assert_eq!(table.wake(), Time::from_secs(900));
    let step = Upkeep::Ping(node(0x80, 1));
    table.put_off(&step, Time::from_secs(7));
    assert_eq!(table.wake(), Time::from_secs(7));
    assert_eq!(table.upkeep(Time::from_secs(7)), Some(step));
}

#[test]
fn a_suspect_leaves_the_table() {
    let mut table = table();
    table.answered(Time::ZERO, node(0x80, 1));
    table.suspect(&node(0x80, 1));
    assert_eq!(table.size().nodes, 0);
}

#[test]
fn another_id_of_ours_keeps_the_nodes() {
    let table = full_far_half();
    let rebuilt = table.rebuilt(Time::from_secs(1), NodeId::new([0xff; 20]), Seed::from_number(2));
    assert_eq!(rebuilt.size().nodes, 16);
    assert_eq!(rebuilt.me(), NodeId::new([0xff; 20]));
}
