//! What a picker costs: memory for each piece, and no allocation for a block in the steady state.

use allocation_counter::measure;
use engine::picker::{Arrived, Ask, Has, Picker, Shape, Speed};
use engine::{Bits, PeerKey};
use world::Seed;

const PEERS: u32 = 50;

fn picker(pieces: u32) -> Picker {
    let shape = Shape {
        pieces,
        blocks_per_piece: 16,
        blocks_in_last: 16,
    };
    Picker::new(shape, Seed::from_number(1))
}

#[test]
fn a_piece_costs_fifteen_bytes() {
    let made = measure(|| {
        std::hint::black_box(picker(1_000_000));
    });
    assert!(made.bytes_max < 15_000_000, "{made:?}");
}

#[test]
fn blocks_are_asked_for_and_taken_without_allocating() {
    let mut picker = picker(20_000);
    let has = Bits::full(20_000);
    (0..PEERS).for_each(|_| picker.add(&has));
    let (mut out, mut cancel) = (Vec::with_capacity(64), Vec::new());
    let mut asked = Vec::with_capacity(10_000);
    let mut turn = |picker: &mut Picker, number: u32| {
        let peer = PeerKey(number % PEERS);
        let ask = Ask {
            has: Has::Some(&has),
            peer,
            want: 8,
            speed: Speed::Medium,
            whole_pieces: number.is_multiple_of(3),
            spread: 1,
            parole: false,
            copies: 1,
            allowed: None,
            suggested: None,
        };
        out.clear();
        picker.pick(&ask, &mut out);
        asked.extend(out.iter().map(|&slot| (slot, peer)));
        while asked.len() > 500 {
            let (slot, peer) = asked.swap_remove(0);
            assert_eq!(picker.arrived(slot, peer, &mut cancel), Arrived::Fresh);
            if picker.is_complete(slot.piece) {
                picker.passed(slot.piece);
            }
        }
        picker.peer_lost(number % 20_000);
        picker.peer_has(number % 20_000);
    };
    (0..5_000).for_each(|number| turn(&mut picker, number));
    let counted = measure(|| (5_000..15_000).for_each(|number| turn(&mut picker, number)));
    assert_eq!(counted.count_total, 0, "{counted:?}");
    assert!(picker.we_have().count() > 4_000);
}
