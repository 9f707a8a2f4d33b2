//! What a picker does, by example.

use std::collections::BTreeSet;

use super::*;

const A: PeerKey = PeerKey(0);
const B: PeerKey = PeerKey(1);
const C: PeerKey = PeerKey(2);

/// Of so many pieces of 4 blocks, nothing at random.
fn picker(pieces: u32) -> Picker {
    seeded(pieces, 1)
}

fn seeded(pieces: u32, seed: u64) -> Picker {
    let shape = Shape {
        pieces,
        blocks_per_piece: 4,
        blocks_in_last: 4,
    };
    let mut picker = Picker::new(shape, Seed::from_number(seed));
    picker.set_random_first(0);
    picker
}

/// One block of a peer that has everything.
fn ask(peer: PeerKey) -> Ask<'static> {
    Ask {
        has: Has::All,
        peer,
        want: 1,
        speed: Speed::Medium,
        whole_pieces: false,
        spread: 1,
        parole: false,
        copies: 1,
        allowed: None,
        suggested: None,
    }
}

fn pick(picker: &mut Picker, ask: &Ask<'_>) -> Vec<(u32, u32)> {
    let mut out = Vec::new();
    let picked = picker.pick(ask, &mut out);
    picker.check_invariants();
    assert_eq!(picked.blocks, out.len());
    out.into_iter().map(|slot| (slot.piece, slot.block)).collect()
}

/// The pieces that a pick of so many blocks is of, in order.
fn pieces(picker: &mut Picker, ask: &Ask<'_>, want: usize) -> Vec<u32> {
    let mut pieces: Vec<u32> = pick(picker, &Ask { want, ..*ask }).iter().map(|slot| slot.0).collect();
    pieces.dedup();
    pieces
}

fn set(len: u32, pieces: impl IntoIterator<Item = u32>) -> Bits {
    let mut bits = Bits::new(len);
    for piece in pieces {
        bits.set(piece);
    }
    bits
}

/// Makes as many peers have each piece.
fn available(picker: &mut Picker, counts: &[u32]) {
    for (piece, &count) in (0..).zip(counts) {
        (0..count).for_each(|_| picker.peer_has(piece));
    }
}

fn arrive(picker: &mut Picker, (piece, block): (u32, u32), peer: PeerKey) -> (Arrived, Vec<PeerKey>) {
    let mut cancel = Vec::new();
    let arrived = picker.arrived(Slot { piece, block }, peer, &mut cancel);
    picker.check_invariants();
    (arrived, cancel)
}

#[test]
fn the_rarest_piece_is_picked_first() {
    let mut picker = picker(5);
    available(&mut picker, &[5, 3, 1, 2, 5]);
    assert_eq!(pieces(&mut picker, &ask(A), 12), [2, 3, 1]);
}

#[test]
fn four_pieces_are_random_and_the_fifth_is_the_rarest() {
    let mut firsts: BTreeSet<u32> = BTreeSet::new();
    for seed in 0..40 {
        let mut picker = seeded(64, seed);
        picker.set_random_first(4);
        available(&mut picker, &[vec![5; 63], vec![1]].concat());
        let order = pieces(&mut picker, &ask(A), 20);
        assert!(order[..5].contains(&63), "{order:?}");
        assert!(order[4] == 63 || order[..4].contains(&63));
        firsts.extend(&order[..4]);
    }
    assert!(firsts.len() > 48, "only {} of 64 pieces are ever first", firsts.len());
}

#[test]
fn equals_are_picked_in_any_order() {
    assert!(pick(&mut picker(4), &ask(A)).is_empty(), "nobody has any");
    let first = |seed| {
        let mut picker = seeded(4, seed);
        picker.add_seed();
        pieces(&mut picker, &ask(A), 1)
    };
    assert_eq!((0..40).flat_map(first).collect::<BTreeSet<u32>>().len(), 4);
}

#[test]
fn a_peer_is_asked_for_what_it_has() {
    let mut picker = picker(6);
    let has = set(6, [1, 4]);
    picker.add_seed();
    picker.add(&has);
    let ask = Ask {
        has: Has::Some(&has),
        ..ask(A)
    };
    assert_eq!(
        pieces(&mut picker, &ask, 99).into_iter().collect::<BTreeSet<_>>(),
        [1, 4].into()
    );
    assert!(pick(&mut picker, &ask).is_empty());
}

#[test]
fn sequential_is_by_number_whatever_is_rare() {
    let mut picker = picker(5);
    picker.set_order(Order::Sequential);
    available(&mut picker, &[3, 3, 1, 3, 3]);
    assert_eq!(pieces(&mut picker, &ask(A), 8), [0, 1]);
    picker.failed(0);
    assert!(picker.abandon(Slot { piece: 0, block: 2 }, A));
    assert_eq!(pick(&mut picker, &ask(B)), [(0, 2)]);
    picker.set_priority(4, 7);
    assert_eq!(pieces(&mut picker, &ask(A), 5), [4, 2]);
}

#[test]
fn round_robin_goes_on_where_it_was_and_around() {
    let mut picker = picker(4);
    picker.set_order(Order::RoundRobin);
    picker.add_seed();
    picker.add_seed();
    picker.peer_has(1);
    let has = set(4, [2]);
    let some = Ask {
        has: Has::Some(&has),
        ..ask(B)
    };
    assert_eq!(pieces(&mut picker, &ask(A), 4), [0]);
    assert_eq!(pieces(&mut picker, &some, 2), [2]);
    assert_eq!(pieces(&mut picker, &ask(A), 99), [2, 3, 1]);
}

#[test]
fn level_0_is_never_picked_and_7_first_of_all() {
    let mut picker = picker(4);
    available(&mut picker, &[1, 2, 9, 3]);
    picker.set_priority(0, 0);
    picker.set_priority(2, 7);
    assert_eq!(pieces(&mut picker, &ask(A), 99), [2, 1, 3]);
    assert_eq!(
        (picker.wanted_left(), picker.wants(0), picker.priority(2)),
        (3, false, 7)
    );
}

#[test]
fn a_level_that_falls_to_0_keeps_what_arrived() {
    let mut picker = picker(1);
    picker.add_seed();
    pick(&mut picker, &Ask { want: 2, ..ask(A) });
    arrive(&mut picker, (0, 0), A);
    picker.set_priority(0, 0);
    assert!(picker.is_finished() && pick(&mut picker, &ask(B)).is_empty());
    assert_eq!(arrive(&mut picker, (0, 1), A).0, Arrived::Fresh);
    picker.set_priority(0, 1);
    assert_eq!(pick(&mut picker, &Ask { want: 9, ..ask(B) }), [(0, 2), (0, 3)]);
}

#[test]
fn begun_pieces_wait_for_rarer_ones_unless_preferred() {
    for (prefer, expected) in [(false, [0, 1]), (true, [1, 0])] {
        let mut picker = picker(2);
        available(&mut picker, &[1, 2]);
        picker.mark_done(Slot { piece: 1, block: 0 });
        picker.set_prefer_partial(prefer);
        assert_eq!(pieces(&mut picker, &ask(A), 7), expected);
    }
}

#[test]
fn too_many_begun_pieces_go_first_anyway() {
    let mut picker = picker(8);
    available(&mut picker, &[1, 2, 2, 2, 2, 2, 2, 2]);
    for piece in 1..=2 {
        picker.mark_done(Slot { piece, block: 0 });
    }
    assert_eq!(pieces(&mut picker, &ask(A), 1), [0], "two are not many");
    for piece in 3..=7 {
        picker.mark_done(Slot { piece, block: 0 });
    }
    assert_ne!(pieces(&mut picker, &ask(B), 1), [0]);
}

#[test]
fn a_slow_peer_joins_a_fast_piece_only_if_nothing_else_is_left() {
    let mut picker = picker(2);
    available(&mut picker, &[1, 2]);
    let (fast, slow) = (
        Ask {
            speed: Speed::Fast,
            ..ask(A)
        },
        Ask {
            speed: Speed::Slow,
            ..ask(B)
        },
    );
    assert_eq!(pick(&mut picker, &fast), [(0, 0)]);
    assert_eq!(pieces(&mut picker, &slow, 5), [1, 0]);
}

#[test]
fn a_peer_joins_pieces_of_its_speed_first() {
    let mut picker = picker(2);
    available(&mut picker, &[1, 2]);
    assert_eq!(pick(&mut picker, &ask(A)), [(0, 0)]);
    assert_eq!(pick(&mut picker, &ask(B)), [(0, 1)]);
}

#[test]
fn a_fast_peer_gets_whole_pieces() {
    let mut picker = picker(3);
    available(&mut picker, &[3, 2, 1]);
    let whole = |peer| Ask {
        whole_pieces: true,
        want: 2,
        ..ask(peer)
    };
    assert_eq!(pick(&mut picker, &whole(A)), [(2, 0), (2, 1)]);
    assert_eq!(pick(&mut picker, &whole(B)), [(1, 0), (1, 1)]);
    // It stays with its piece, although there is a rarer one now.
    picker.peer_lost(0);
    picker.peer_lost(0);
    picker.peer_has(2);
    assert_eq!(pick(&mut picker, &whole(A)), [(2, 2), (2, 3)]);
    assert_eq!(pieces(&mut picker, &Ask { want: 9, ..whole(A) }, 9), [0, 1]);
}

#[test]
fn what_a_fast_peer_is_asked_for_is_spread_over_pieces_by_turns() {
    let shape = Shape {
        pieces: 9,
        blocks_per_piece: 8,
        blocks_in_last: 8,
    };
    let mut picker = Picker::new(shape, Seed::from_number(1));
    picker.set_random_first(0);
    picker.add_seed();
    let spread = |peer, want| Ask {
        whole_pieces: true,
        spread: 3,
        want,
        ..ask(peer)
    };
    let runs = |picked: Vec<(u32, u32)>| -> Vec<(u32, u32)> {
        let runs = picked.chunks(RUN);
        runs.map(|run| {
            assert!(run.windows(2).all(|two| two[1] == (two[0].0, two[0].1 + 1)), "{run:?}");
            run[0]
        })
        .collect()
    };
    let first = runs(pick(&mut picker, &spread(A, 12)));
    assert_eq!(first.iter().map(|run| run.1).collect::<Vec<_>>(), [0, 0, 0]);
    // Another is asked for pieces of its own.
    let other = runs(pick(&mut picker, &spread(B, 12)));
    assert!(
        other
            .iter()
            .all(|(piece, _)| first.iter().all(|(taken, _)| taken != piece))
    );
    // What is begun is finished first, and then new pieces are begun.
    let mut rest = runs(pick(&mut picker, &spread(A, 12)));
    rest.sort_unstable();
    let mut behind: Vec<_> = first.iter().map(|&(piece, _)| (piece, 4)).collect();
    behind.sort_unstable();
    assert_eq!(rest, behind);
    // In order is in order.
    picker.set_order(Order::Sequential);
    let blocks = pick(&mut picker, &spread(PeerKey(9), 8));
    assert!(blocks.iter().all(|(piece, _)| *piece == blocks[0].0), "{blocks:?}");
}

#[test]
fn a_peer_on_parole_shares_no_piece() {
    let mut picker = picker(2);
    picker.add_seed();
    picker.set_priority(0, 7);
    pick(&mut picker, &ask(A));
    let parole = Ask {
        parole: true,
        copies: 2,
        want: 99,
        ..ask(B)
    };
    let mut out = Vec::new();
    let picked = picker.pick(&parole, &mut out);
    assert!(out.iter().all(|slot| slot.piece == 1) && picked.withheld);
    assert_eq!((picked.blocks, picked.doubled), (4, 0));
    // Once the other one has left without having given anything, it is nobody's.
    assert!(picker.abandon(Slot { piece: 0, block: 0 }, A));
    assert_eq!(pick(&mut picker, &parole).len(), 4);
}

#[test]
fn a_piece_that_somebody_gave_blocks_of_is_not_for_parole() {
    let mut picker = picker(1);
    picker.add_seed();
    pick(&mut picker, &ask(A));
    arrive(&mut picker, (0, 0), A);
    let parole = |peer| Ask {
        parole: true,
        ..ask(peer)
    };
    assert!(pick(&mut picker, &parole(B)).is_empty());
    assert_eq!(pick(&mut picker, &parole(A)), [(0, 1)]);
}

#[test]
fn a_choking_peer_is_asked_for_what_it_grants() {
    let mut picker = picker(4);
    available(&mut picker, &[1, 2, 3, 1]);
    let granted = Ask {
        allowed: Some(&[2, 1, 1]),
        want: 8,
        ..ask(A)
    };
    let picked = pick(&mut picker, &granted);
    assert_eq!((picked[0].0, picked[4].0, picked.len()), (1, 2, 8));
}

#[test]
fn a_suggested_piece_goes_first_among_its_equals() {
    for seed in 0..8 {
        let mut picker = seeded(5, seed);
        available(&mut picker, &[2, 2, 2, 2, 1]);
        let suggested = Ask {
            suggested: Some(3),
            ..ask(A)
        };
        assert_eq!(pieces(&mut picker, &suggested, 8), [4, 3]);
    }
}

#[test]
fn the_last_blocks_are_asked_of_two_and_cancelled() {
    let mut picker = picker(1);
    picker.add_seed();
    assert_eq!(pick(&mut picker, &Ask { want: 4, ..ask(A) }).len(), 4);
    assert_eq!(picker.open_blocks_left(), 0);
    let endgame = |peer| Ask {
        copies: 2,
        want: 3,
        ..ask(peer)
    };
    assert!(pick(&mut picker, &ask(B)).is_empty(), "not yet");
    assert_eq!(pick(&mut picker, &endgame(B)), [(0, 0), (0, 1), (0, 2)]);
    assert_eq!(pick(&mut picker, &endgame(C)), [(0, 3)]);
    assert!(pick(&mut picker, &endgame(C)).is_empty(), "each is asked of two");
    assert_eq!(picker.asked(), 8);
    assert_eq!(arrive(&mut picker, (0, 0), B), (Arrived::Fresh, vec![A]));
    assert_eq!(arrive(&mut picker, (0, 1), A), (Arrived::Fresh, vec![B]));
    // The cancel came too late.
    assert_eq!(arrive(&mut picker, (0, 0), A), (Arrived::Redundant, vec![]));
    assert_eq!(picker.asked(), 4);
}

#[test]
fn a_block_that_one_of_two_gives_up_is_still_asked_for() {
    let mut picker = picker(1);
    picker.add_seed();
    pick(&mut picker, &Ask { want: 4, ..ask(A) });
    pick(&mut picker, &Ask { copies: 2, ..ask(B) });
    assert!(picker.abandon(Slot { piece: 0, block: 0 }, A));
    assert_eq!(picker.open_blocks_left(), 0);
    assert_eq!(picker.block(0, 0).unwrap().peer, Some(B));
    assert!(picker.abandon(Slot { piece: 0, block: 0 }, B));
    assert_eq!(picker.open_blocks_left(), 1);
    assert!(!picker.abandon(Slot { piece: 0, block: 0 }, B));
}

#[test]
fn a_block_goes_through_all_its_states() {
    let mut picker = picker(1);
    picker.add_seed();
    let slot = Slot { piece: 0, block: 0 };
    let state = |picker: &Picker| picker.block(0, 0).map(|block| (block.state, block.peer));
    assert_eq!(state(&picker), None);
    pick(&mut picker, &ask(A));
    assert_eq!(state(&picker), Some((BlockState::Asked, Some(A))));
    arrive(&mut picker, (0, 0), A);
    assert_eq!(state(&picker), Some((BlockState::Writing, Some(A))));
    assert!(picker.written(slot) && !picker.written(slot));
    assert_eq!(state(&picker), Some((BlockState::Done, Some(A))));
    assert!(picker.reopen(slot) && !picker.reopen(slot));
    assert_eq!((state(&picker), picker.begun()), (None, 0));
    let begun = |picker: &Picker| picker.partials().flat_map(|piece| piece.blocks()).count();
    assert_eq!(begun(&picker), 0);
    picker.mark_done(slot);
    assert_eq!((begun(&picker), state(&picker)), (4, Some((BlockState::Done, None))));
}

#[test]
fn a_piece_that_fails_is_open_again_and_its_givers_are_known_before() {
    let mut picker = picker(1);
    picker.add_seed();
    picker.mark_done(Slot { piece: 0, block: 0 });
    pick(&mut picker, &Ask { want: 2, ..ask(A) });
    pick(&mut picker, &ask(B));
    for (block, peer) in [(1, A), (2, A), (3, B)] {
        assert!(!picker.is_complete(0));
        arrive(&mut picker, (0, block), peer);
    }
    assert!(picker.is_complete(0));
    assert_eq!(picker.givers(0).collect::<Vec<_>>(), [(1, A), (2, A), (3, B)]);
    assert!(picker.is_named(B) && picker.asked_of(B) == 0);
    picker.failed(0);
    assert!(!picker.is_named(B) && picker.givers(0).next().is_none());
    assert_eq!(pick(&mut picker, &Ask { want: 9, ..ask(C) }).len(), 4);
}

#[test]
fn a_piece_that_passes_is_had_and_can_be_lost() {
    let mut picker = picker(2);
    picker.add_seed();
    picker.set_priority(0, 7);
    for slot in pick(&mut picker, &Ask { want: 4, ..ask(A) }) {
        arrive(&mut picker, slot, A);
    }
    picker.passed(0);
    assert_eq!(
        (picker.we_have().count(), picker.wanted_left(), picker.begun()),
        (1, 1, 0)
    );
    assert_eq!(arrive(&mut picker, (0, 0), A).0, Arrived::Redundant);
    assert!(!picker.is_interesting(Has::Some(&set(2, [0]))) && picker.is_interesting(Has::All));
    picker.lose(0);
    assert_eq!(pieces(&mut picker, &ask(B), 1), [0]);
}

#[test]
fn a_late_block_can_be_kept() {
    let mut picker = picker(1);
    picker.add_seed();
    pick(&mut picker, &ask(A));
    picker.abandon(Slot { piece: 0, block: 0 }, A);
    pick(&mut picker, &ask(B));
    assert_eq!(arrive(&mut picker, (0, 0), A).0, Arrived::Unasked);
    let mut cancel = Vec::new();
    assert!(picker.adopt(Slot { piece: 0, block: 0 }, A, &mut cancel));
    assert_eq!((cancel, picker.asked_of(B)), (vec![B], 0));
    assert_eq!(picker.givers(0).collect::<Vec<_>>(), [(0, A)]);
}

#[test]
fn copies_are_those_of_the_rarest_and_the_share_of_more() {
    let mut picker = picker(4);
    available(&mut picker, &[2, 2, 3, 3]);
    assert_eq!(picker.distributed_copies(), Some(2.5));
    picker.add_seed();
    assert_eq!(picker.distributed_copies(), Some(3.5));
    picker.set_have(&Bits::full(4));
    assert_eq!(picker.distributed_copies(), None);
}

#[test]
fn the_last_piece_is_shorter() {
    let shape = Shape {
        pieces: 2,
        blocks_per_piece: 4,
        blocks_in_last: 1,
    };
    let mut picker = Picker::new(shape, Seed::from_number(1));
    picker.add_seed();
    assert_eq!(picker.open_blocks_left(), 5);
    assert_eq!(pick(&mut picker, &Ask { want: 9, ..ask(A) }).len(), 5);
}

#[test]
fn a_torrent_without_pieces_is_finished() {
    let mut picker = picker(0);
    picker.add_seed();
    assert!(picker.is_finished() && pick(&mut picker, &ask(A)).is_empty());
    assert_eq!(picker.distributed_copies(), None);
}

#[test]
fn a_key_beyond_the_table_gets_nothing() {
    let mut picker = picker(1);
    picker.add_seed();
    pick(&mut picker, &ask(A));
    for key in [1 << 16, u32::MAX] {
        let greedy = Ask {
            copies: 9,
            ..ask(PeerKey(key))
        };
        assert!(pick(&mut picker, &greedy).is_empty());
    }
}

#[test]
fn a_peer_that_lacks_all_rare_pieces_gets_the_rarest_that_it_has() {
    let mut picker = picker(5_000);
    let has = set(5_000, (0..5_000).filter(|piece| piece % 10 == 0));
    picker.add_seed();
    picker.add(&has);
    picker.add(&has);
    picker.peer_lost(770);
    let ask = Ask {
        has: Has::Some(&has),
        ..ask(A)
    };
    assert_eq!(pieces(&mut picker, &ask, 1), [770]);
}

#[test]
fn a_peer_that_lacks_all_rare_pieces_of_many_gets_a_good_one() {
    let mut picker = picker(40_000);
    let has = set(40_000, 20_000..40_000);
    picker.add_seed();
    picker.add(&has);
    // One in ten of them is more common: the best of a thousand is not one of these.
    (20_000..22_000).for_each(|piece| picker.peer_has(piece * 10 % 20_000 + 20_000));
    let ask = Ask {
        has: Has::Some(&has),
        want: 400,
        ..ask(A)
    };
    let mut out = Vec::new();
    picker.pick(&ask, &mut out);
    assert_eq!(out.len(), 400);
    assert!(
        out.iter()
            .all(|slot| has.get(slot.piece) && picker.availability(slot.piece) == 2)
    );
}

#[test]
fn peers_that_come_and_go_leave_no_trace() {
    let mut picker = picker(200);
    let sets = [set(200, 0..5), set(200, 0..150), Bits::full(200)];
    for has in &sets {
        picker.add(has);
        picker.check_invariants();
    }
    assert_eq!((picker.availability(0), picker.availability(199)), (3, 1));
    for has in &sets {
        picker.remove(has);
        picker.check_invariants();
    }
    assert_eq!(picker.distributed_copies(), Some(0.0));
}
