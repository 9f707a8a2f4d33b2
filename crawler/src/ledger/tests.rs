//! Who is known, who is near, whose turn it is; and what a full ledger does.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rand::Rng;

use super::*;

fn seed() -> Seed {
    Seed::from_number(1)
}

fn ledger(max_nodes: usize) -> Ledger {
    Ledger::new(max_nodes, seed())
}

fn addr(number: u32) -> SocketAddr {
    let [_, b, c, d] = number.to_be_bytes();
    SocketAddr::from(([127, b, c, d], 6881))
}

fn addr6(number: u16) -> SocketAddr {
    SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, number], 6881))
}

/// Random ids, the same in each run.
fn contacts(count: u32) -> Vec<Contact> {
    let mut rng = seed().derive("ids").rng();
    let contact = |number| {
        let mut id = [0; 20];
        rng.fill_bytes(&mut id);
        Contact {
            id: NodeId::new(id),
            addr: addr(number),
        }
    };
    (0..count).map(contact).collect()
}

fn learn(ledger: &mut Ledger, contact: &Contact) -> Entry {
    match ledger.learn(contact, Provenance::Named) {
        Learned::New(entry) | Learned::Known(entry) => entry,
        Learned::Full => panic!("no room"),
    }
}

fn answered(ledger: &mut Ledger, contact: &Contact) -> Entry {
    let entry = learn(ledger, contact);
    ledger.update(entry, |node| node.standing = Standing::Samples);
    entry
}

#[test]
fn a_node_is_found_by_its_address() {
    let mut ledger = ledger(1_000);
    for contact in contacts(900) {
        let entry = learn(&mut ledger, &contact);
        assert_eq!(ledger.find(&contact.addr), Some(entry));
        assert_eq!(ledger.contact(entry), contact);
    }
    assert_eq!((ledger.len(), ledger.find(&addr(901))), (900, None));
}

#[test]
fn ipv6_nodes_are_kept_apart_and_their_addresses_reused() {
    let mut ledger = ledger(100);
    for (number, contact) in (0..50).zip(contacts(50)) {
        let contact = Contact {
            addr: addr6(number),
            ..contact
        };
        let entry = answered(&mut ledger, &contact);
        assert_eq!(ledger.contact(entry), contact);
        if number % 2 == 0 {
            ledger.remove(entry);
        }
    }
    assert_eq!((ledger.len_of(Family::V6), ledger.len_of(Family::V4)), (25, 0));
    assert!(ledger.closest(&NodeId::new([0; 20]), Family::V4).is_empty());
    assert_eq!(ledger.closest(&NodeId::new([0; 20]), Family::V6).len(), K);
}

#[test]
fn the_closest_are_the_closest() {
    let mut ledger = ledger(100_000);
    let all = contacts(3_000);
    for contact in &all {
        answered(&mut ledger, contact);
    }
    for target in contacts(50).iter().map(|contact| contact.id) {
        let mut nearest = all.clone();
        nearest.sort_by_key(|contact| contact.id.distance(&target));
        assert_eq!(*ledger.closest(&target, Family::V4), nearest[..K]);
    }
}

#[test]
fn who_never_answered_is_not_among_the_closest() {
    let mut ledger = ledger(100);
    let all = contacts(2);
    learn(&mut ledger, &all[0]);
    answered(&mut ledger, &all[1]);
    assert_eq!(*ledger.closest(&all[0].id, Family::V4), [all[1]]);
}

#[test]
fn any_part_of_a_sweep_is_spread_evenly() {
    let mut ledger = ledger(8 * 4_096);
    for contact in contacts(8 * 4_096 / 2) {
        ledger.learn(&contact, Provenance::Named);
    }
    // Sixteenths of the key space; each gets its share of any run of asks, whatever its place in the sweep.
    let mut cursor = 0;
    for _ in 0..10 {
        let mut shares = [0; 16];
        for _ in 0..160 {
            let entry = ledger.next_ready(Turn::First, &mut cursor).unwrap();
            shares[usize::from(ledger.node(entry).id.as_bytes()[0] >> 4)] += 1;
            ledger.put_off(entry, 1);
        }
        assert!(shares.iter().all(|share| (8..=12).contains(share)), "{shares:?}");
    }
}

#[test]
fn a_full_ledger_displaces_the_unanswering_and_refuses_the_rest() {
    let mut ledger = ledger(16);
    let all = contacts(18);
    for contact in &all[..15] {
        answered(&mut ledger, contact);
    }
    let silent = learn(&mut ledger, &all[15]);
    // The one bucket of a ledger this small is everybody's.
    let bucket_mate = Contact {
        id: all[15].id,
        ..all[16]
    };
    assert_eq!(ledger.learn(&bucket_mate, Provenance::Named), Learned::Full);
    ledger.update(silent, |node| node.failures = 1);
    assert!(matches!(ledger.learn(&bucket_mate, Provenance::Named), Learned::New(_)));
    assert_eq!(
        (ledger.find(&all[15].addr), ledger.evicted(), ledger.len()),
        (None, 1, 16)
    );
}

#[test]
fn who_is_forgotten_may_not_be_asked() {
    let mut ledger = ledger(16);
    let entry = learn(&mut ledger, &contacts(1)[0]);
    assert!(ledger.is_next(entry, Turn::First));
    ledger.remove(entry);
    assert!(!ledger.is_next(entry, Turn::First));
}

#[test]
fn a_crowd_near_one_key_fills_one_bucket() {
    let mut ledger = ledger(100_000);
    for number in 0..1_000 {
        let contact = Contact {
            id: NodeId::new([7; 20]),
            addr: addr(number),
        };
        ledger.learn(&contact, Provenance::Named);
    }
    assert_eq!(ledger.len(), MAX_BUCKET);
}

#[test]
fn renames_do_not_crowd_a_bucket() {
    let mut ledger = ledger(100_000);
    for contact in contacts(1_000) {
        let entry = learn(&mut ledger, &contact);
        ledger.update(entry, |node| node.failures = 1);
        let crowded = Contact {
            id: NodeId::new([7; 20]),
            ..contact
        };
        learn(&mut ledger, &crowded);
    }
    let crowd = ledger.bucket(&NodeId::new([7; 20]));
    assert!(ledger.bucket_of(crowd).count() <= MAX_BUCKET);
}

#[test]
fn an_id_is_doubted_only_after_silence() {
    let mut ledger = ledger(100);
    let [first, other]: [Contact; 2] = contacts(2).try_into().unwrap();
    let other = Contact { id: other.id, ..first };
    let entry = learn(&mut ledger, &first);
    learn(&mut ledger, &other);
    assert_eq!(ledger.contact(entry), first);
    ledger.update(entry, |node| node.failures = 1);
    learn(&mut ledger, &other);
    assert_eq!(ledger.contact(entry), other);
    ledger.learn(&first, Provenance::Answered);
    assert_eq!(ledger.contact(entry), first);
}

#[test]
fn a_full_ledger_takes_64_bytes_a_node() {
    let full = 1 << 15;
    let mut ledger = ledger(full);
    let mut rng = seed().rng();
    for number in 0..full as u32 {
        let mut id = [0; 20];
        rng.fill_bytes(&mut id);
        let contact = Contact {
            id: NodeId::new(id),
            addr: addr(number),
        };
        if let Learned::New(entry) = ledger.learn(&contact, Provenance::Named) {
            ledger.put_off(entry, number);
        }
    }
    assert!(ledger.len() > full * 999 / 1_000);
    let each = ledger.memory_bytes() as f64 / ledger.len() as f64;
    // Vectors grow by a sixteenth, so the last growth may have been too generous by that much.
    assert!(each < 64.0 + 56.0 / 16.0, "{each}");
}

#[derive(Clone, Debug)]
enum Step {
    Learn(u8),
    Standing(u8, u8),
    PutOff(u8, u32),
    Asked(u8, u32),
    Wake(u32),
    Remove(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => any::<u8>().prop_map(Step::Learn),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(node, standing)| Step::Standing(node, standing)),
        2 => (any::<u8>(), 0..20_u32).prop_map(|(node, due)| Step::PutOff(node, due)),
        1 => (any::<u8>(), 0..20_u32).prop_map(|(node, due)| Step::Asked(node, due)),
        1 => (0..20_u32).prop_map(Step::Wake),
        1 => any::<u8>().prop_map(Step::Remove),
    ];
    prop::collection::vec(step, 0..300)
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Model {
    Ready,
    Waiting(u32),
    Asked(u32),
}

proptest! {
    /// The schedule is that of a map from node to place, and the index finds exactly what is there.
    #[test]
    fn agrees_with_a_map(steps in steps()) {
        let all = contacts(256);
        let mut ledger = ledger(2_048);
        let mut model = BTreeMap::<u8, Model>::new();
        for step in steps {
            let of = |ledger: &Ledger, node: u8| ledger.find(&all[usize::from(node)].addr);
            match step {
                Step::Learn(node) => {
                    learn(&mut ledger, &all[usize::from(node)]);
                    model.entry(node).or_insert(Model::Ready);
                }
                Step::Standing(node, standing) => if let Some(entry) = of(&ledger, node) {
                    let standings = [Standing::Hearsay, Standing::Alive, Standing::Samples, Standing::Never];
                    ledger.update(entry, |node| {
                        node.standing = standings[usize::from(standing) % 4];
                        node.num = u16::from(standing);
                    });
                },
                Step::PutOff(node, due) => if let Some(entry) = of(&ledger, node) {
                    ledger.put_off(entry, due);
                    model.insert(node, Model::Waiting(due));
                },
                Step::Asked(node, due) => if let Some(entry) = of(&ledger, node) {
                    ledger.ask(entry, Probe::Sample, 0, due);
                    model.insert(node, Model::Asked(due));
                },
                Step::Wake(now) => {
                    while let Some(overdue) = ledger.wake(now) {
                        if let Some(entry) = overdue {
                            let node = all.iter().position(|contact| *contact == ledger.contact(entry)).unwrap() as u8;
                            prop_assert!(matches!(model.remove(&node), Some(Model::Asked(due)) if due <= now));
                            ledger.remove(entry);
                        }
                    }
                    for place in model.values_mut() {
                        match *place {
                            Model::Waiting(due) if due <= now => *place = Model::Ready,
                            Model::Asked(due) => prop_assert!(due > now),
                            _ => {}
                        }
                    }
                }
                Step::Remove(node) => if let Some(entry) = of(&ledger, node) {
                    ledger.remove(entry);
                    model.remove(&node);
                },
            }
            check_schedule(&ledger, &model)?;
        }
        check_index(&ledger, &model, &all)?;
        let ready = model.values().filter(|&&place| place == Model::Ready).count();
        prop_assert_eq!(drain(&mut ledger), ready);
    }
}

fn check_schedule(ledger: &Ledger, model: &BTreeMap<u8, Model>) -> Result<(), TestCaseError> {
    prop_assert_eq!(ledger.len(), model.len());
    let first = model.values().filter_map(|place| match place {
        Model::Ready => None,
        Model::Waiting(due) | Model::Asked(due) => Some(*due),
    });
    prop_assert_eq!(ledger.first_due(), first.min());
    let any_ready = model.values().any(|&place| place == Model::Ready);
    prop_assert_eq!(ledger.any_ready(), any_ready);
    Ok(())
}

fn check_index(ledger: &Ledger, model: &BTreeMap<u8, Model>, all: &[Contact]) -> Result<(), TestCaseError> {
    for (node, contact) in (0..=u8::MAX).zip(all) {
        let found = ledger.find(&contact.addr).map(|entry| ledger.node(entry).place);
        let expected = model.get(&node).map(|place| match place {
            Model::Ready => Place::Ready,
            Model::Waiting(_) => Place::Waiting,
            Model::Asked(_) => Place::Asked(Probe::Sample),
        });
        prop_assert_eq!(found, expected);
    }
    Ok(())
}

/// Takes all that are ready, and counts them.
fn drain(ledger: &mut Ledger) -> usize {
    let mut count = 0;
    for turn in Turn::ALL {
        let mut cursor = 0;
        while let Some(entry) = ledger.next_ready(turn, &mut cursor) {
            ledger.put_off(entry, 99);
            count += 1;
        }
    }
    count
}
