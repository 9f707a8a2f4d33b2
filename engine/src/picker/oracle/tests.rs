//! After any sequence of steps, the picker does and says what the oracle would.

use proptest::collection::vec;
use proptest::option;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Has(u32, u32),
    Lost(u32, u32),
    /// A peer leaves, and its key goes to one that has these pieces, or all.
    Replace(u32, Option<Vec<bool>>),
    Level(u32, u8),
    Levels(Vec<u8>),
    Order(Order, bool, u32),
    Pick(Request),
    /// One of the requests, counted around, is answered; or not.
    Answer(usize, bool),
    Live(Slot, Life),
    /// The hash of the piece, counted around among the complete ones, is compared.
    Hash(usize, bool),
    Have(u32),
    Lose(u32),
    Resume(Vec<bool>),
}

/// What happens to any block.
#[derive(Clone, Copy, Debug)]
enum Life {
    Arrive(u32),
    Adopt(u32),
    Abandon(u32),
    Done,
    Written,
    Reopen,
}

fn life() -> impl Strategy<Value = Life> {
    prop_oneof![
        2 => (0..PEERS).prop_map(Life::Arrive),
        2 => (0..PEERS).prop_map(Life::Adopt),
        1 => (0..PEERS).prop_map(Life::Abandon),
        1 => Just(Life::Done),
        3 => Just(Life::Written),
        2 => Just(Life::Reopen),
    ]
}

fn slot() -> impl Strategy<Value = Slot> {
    (0..=PIECES, 0..4_u32).prop_map(|(piece, block)| Slot { piece, block })
}

fn request() -> impl Strategy<Value = Request> {
    let speed = prop::sample::select(vec![Speed::Slow, Speed::Medium, Speed::Fast]);
    let allowed = option::weighted(0.15, vec(0..PIECES, 0..6));
    let flags = (prop::bool::weighted(0.3), prop::bool::weighted(0.2), 0..4_u8);
    (0..PEERS, 0..9_usize, speed, flags, allowed, option::of(0..PIECES)).prop_map(
        |(peer, want, speed, (whole_pieces, parole, copies), allowed, suggested)| Request {
            peer,
            want,
            speed,
            whole_pieces,
            parole,
            copies,
            allowed,
            suggested,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let order = prop::sample::select(vec![Order::RarestFirst, Order::Sequential, Order::RoundRobin]);
    let set = || vec(any::<bool>(), index(PIECES));
    prop_oneof![
        6 => (0..PEERS, 0..=PIECES).prop_map(|(peer, piece)| Step::Has(peer, piece)),
        2 => (0..PEERS, 0..=PIECES).prop_map(|(peer, piece)| Step::Lost(peer, piece)),
        3 => (0..PEERS, option::weighted(0.8, set())).prop_map(|(peer, set)| Step::Replace(peer, set)),
        3 => (0..=PIECES, 0..9_u8).prop_map(|(piece, level)| Step::Level(piece, level)),
        1 => vec(0..8_u8, index(PIECES)).prop_map(Step::Levels),
        1 => (order, any::<bool>(), 0..6_u32).prop_map(|(order, prefer, random)| Step::Order(order, prefer, random)),
        20 => request().prop_map(Step::Pick),
        20 => (any::<usize>(), prop::bool::weighted(0.7)).prop_map(|(which, comes)| Step::Answer(which, comes)),
        11 => (slot(), life()).prop_map(|(slot, life)| Step::Live(slot, life)),
        6 => (any::<usize>(), prop::bool::weighted(0.6)).prop_map(|(which, right)| Step::Hash(which, right)),
        1 => (0..PIECES).prop_map(Step::Have),
        1 => (0..PIECES).prop_map(Step::Lose),
        1 => set().prop_map(Step::Resume),
    ]
}

fn bits(set: &[bool]) -> Bits {
    let mut bits = Bits::new(PIECES);
    (0..).zip(set).filter(|(_, is)| **is).for_each(|(piece, _)| {
        bits.set(piece);
    });
    bits
}

fn both(model: &mut Model, picker: &mut Picker, step: Step) -> Result<(), TestCaseError> {
    match step {
        Step::Has(peer, piece) => {
            if model.peers[index(peer)].as_mut().is_some_and(|has| has.set(piece)) {
                picker.peer_has(piece);
            }
        }
        Step::Lost(peer, piece) => {
            if model.peers[index(peer)].as_mut().is_some_and(|has| has.clear(piece)) {
                picker.peer_lost(piece);
            }
        }
        Step::Replace(peer, set) => replace(model, picker, peer, set.map(|set| bits(&set))),
        Step::Level(piece, level) => {
            picker.set_priority(piece, level);
            if piece < PIECES {
                model.thing(piece).level = level.min(7);
            }
        }
        Step::Levels(levels) => {
            picker.set_priorities(|piece| levels[index(piece)]);
            let things = model.things.iter_mut().zip(levels);
            things.for_each(|(thing, level)| thing.level = level);
        }
        Step::Order(order, prefer, random) => {
            (model.order, model.prefer, model.random_first) = (order, prefer, random);
            picker.set_order(order);
            picker.set_prefer_partial(prefer);
            picker.set_random_first(random);
        }
        Step::Pick(request) => return pick(model, picker, &request),
        Step::Have(piece) => {
            picker.have(piece);
            model.have(piece);
        }
        Step::Lose(piece) => {
            picker.lose(piece);
            model.thing(piece).have = false;
        }
        Step::Resume(set) => {
            picker.set_have(&bits(&set));
            for (piece, have) in (0..).zip(set) {
                match have {
                    true => model.have(piece),
                    false => model.thing(piece).have = false,
                }
            }
        }
        Step::Hash(which, is_right) => hash(model, picker, which, is_right),
        Step::Answer(which, comes) => {
            let requests = model.requests();
            if let Some(&(slot, peer)) = requests.get(which % requests.len().max(1)) {
                let block = if comes { Life::Arrive(peer) } else { Life::Abandon(peer) };
                return live(model, picker, slot, block);
            }
        }
        Step::Live(slot, life) => return live(model, picker, slot, life),
    }
    Ok(())
}

fn live(model: &mut Model, picker: &mut Picker, slot: Slot, life: Life) -> Result<(), TestCaseError> {
    let mut cancel = Vec::new();
    match life {
        Life::Arrive(peer) => {
            let arrived = picker.arrived(slot, PeerKey(peer), &mut cancel);
            let cancel: BTreeSet<u32> = cancel.into_iter().map(|peer| peer.0).collect();
            prop_assert_eq!((arrived, cancel), model.arrived(slot, peer, false));
        }
        Life::Adopt(peer) => {
            let kept = picker.adopt(slot, PeerKey(peer), &mut cancel);
            let cancel: BTreeSet<u32> = cancel.into_iter().map(|peer| peer.0).collect();
            let (arrived, others) = model.arrived(slot, peer, true);
            prop_assert_eq!((kept, cancel), (arrived == Arrived::Fresh, others));
        }
        Life::Abandon(peer) => {
            prop_assert_eq!(picker.abandon(slot, PeerKey(peer)), model.abandon(slot, peer));
        }
        Life::Done => {
            let is_had = model.things.get(index(slot.piece)).is_none_or(|thing| thing.have);
            let block = model.block(slot).filter(|block| !is_had && **block == Block::Open);
            prop_assert_eq!(picker.mark_done(slot), block.is_some());
            if let Some(block) = block {
                *block = Block::Here {
                    giver: None,
                    is_written: true,
                };
            }
        }
        Life::Written => {
            let is = match model.block(slot) {
                Some(Block::Here { is_written, .. }) => !std::mem::replace(is_written, true),
                _ => false,
            };
            prop_assert_eq!(picker.written(slot), is);
        }
        Life::Reopen => prop_assert_eq!(picker.reopen(slot), model.reopen(slot)),
    }
    Ok(())
}

fn replace(model: &mut Model, picker: &mut Picker, peer: u32, has: Option<Bits>) {
    for (slot, of) in model.requests() {
        if of == peer {
            assert!(model.abandon(slot, peer) && picker.abandon(slot, PeerKey(peer)));
        }
    }
    match &model.peers[index(peer)] {
        Some(had) => picker.remove(had),
        None => picker.remove_seed(),
    }
    match &has {
        Some(has) => picker.add(has),
        None => picker.add_seed(),
    }
    model.peers[index(peer)] = has;
}

fn hash(model: &mut Model, picker: &mut Picker, which: usize, is_right: bool) {
    let complete: Vec<u32> = (0..PIECES).filter(|&piece| picker.is_complete(piece)).collect();
    let Some(&piece) = complete.get(which % complete.len().max(1)) else {
        return;
    };
    if is_right {
        picker.passed(piece);
        model.have(piece);
    } else {
        picker.failed(piece);
        model.thing(piece).forget();
    }
}

fn pick(model: &mut Model, picker: &mut Picker, request: &Request) -> Result<(), TestCaseError> {
    model.decide();
    let has = model.peers[index(request.peer)].clone();
    let ask = Ask {
        has: has.as_ref().map_or(Has::All, Has::Some),
        peer: PeerKey(request.peer),
        want: request.want,
        speed: request.speed,
        whole_pieces: request.whole_pieces,
        spread: 1,
        parole: request.parole,
        copies: request.copies,
        allowed: request.allowed.as_deref(),
        suggested: request.suggested,
    };
    let mut out = Vec::new();
    let picked = picker.pick(&ask, &mut out);
    model.picked(request, &out, picked)
}

/// Everything that can be asked of a picker, against the model.
fn compare(model: &Model, picker: &Picker) -> Result<(), TestCaseError> {
    let things = || (0..).zip(&model.things);
    let missing: Vec<u32> = things()
        .filter(|(_, thing)| thing.is_missing())
        .map(|(piece, _)| piece)
        .collect();
    let open = things()
        .filter(|(_, thing)| thing.is_missing())
        .map(|(_, thing)| thing.open())
        .sum::<usize>();
    prop_assert_eq!(index(picker.wanted_left()), missing.len());
    prop_assert_eq!(picker.is_finished(), missing.is_empty());
    prop_assert_eq!(picker.open_blocks_left(), u64::try_from(open).unwrap());
    let begun: BTreeSet<u32> = things()
        .filter(|(_, thing)| thing.is_begun())
        .map(|(piece, _)| piece)
        .collect();
    prop_assert_eq!(index(picker.begun()), begun.len());
    prop_assert_eq!(
        picker
            .partials()
            .map(|partial| partial.piece())
            .collect::<BTreeSet<_>>(),
        begun
    );
    for (piece, thing) in things() {
        prop_assert_eq!(picker.we_have().get(piece), thing.have);
        prop_assert_eq!(picker.wants(piece), thing.is_missing());
        prop_assert_eq!(picker.priority(piece), thing.level);
        prop_assert_eq!(picker.availability(piece), model.copies(piece));
        let here = thing.count(|block| matches!(block, Block::Here { .. }));
        prop_assert_eq!(picker.is_complete(piece), here == thing.blocks.len());
        let givers: Vec<(u32, u32)> = picker.givers(piece).map(|(block, peer)| (block, peer.0)).collect();
        prop_assert_eq!(givers, thing.givers());
        prop_assert_eq!(picker.partial_of(piece).and_then(|begun| begun.speed()), thing.speed);
        for (at, block) in (0..).zip(&thing.blocks) {
            compare_block(picker.block(piece, at), block)?;
        }
    }
    let requests = model.requests();
    prop_assert_eq!(picker.asked(), u64::try_from(requests.len()).unwrap());
    for peer in 0..PEERS {
        let asked = requests.iter().filter(|&&(_, of)| of == peer).count();
        let gave = things().any(|(_, thing)| thing.givers().iter().any(|&(_, giver)| giver == peer));
        prop_assert_eq!(index(picker.asked_of(PeerKey(peer))), asked);
        prop_assert_eq!(picker.is_named(PeerKey(peer)), asked > 0 || gave);
        let has = model.peers[index(peer)].as_ref().map_or(Has::All, Has::Some);
        let wanted = missing.iter().filter(|&&piece| model.has(peer, piece)).count();
        prop_assert_eq!(index(picker.wanted_of(has)), wanted);
        prop_assert_eq!(picker.is_interesting(has), wanted > 0);
    }
    let copies: Vec<u32> = (0..PIECES).map(|piece| model.copies(piece)).collect();
    let least = copies.iter().copied().min().unwrap();
    let more = copies.iter().filter(|&&of| of > least).count();
    let expected = (!picker.we_have().is_full()).then_some(least as f32 + more as f32 / PIECES as f32);
    prop_assert_eq!(picker.distributed_copies(), expected);
    Ok(())
}

fn compare_block(info: Option<BlockInfo>, block: &Block) -> Result<(), TestCaseError> {
    let Some(info) = info else {
        prop_assert_eq!(block, &Block::Open);
        return Ok(());
    };
    let peer = info.peer.map(|peer| peer.0);
    match block {
        Block::Open => prop_assert_eq!((info.state, peer, info.askers), (BlockState::Open, None, 0)),
        Block::Asked(askers) => {
            prop_assert_eq!(
                (info.state, usize::from(info.askers)),
                (BlockState::Asked, askers.len())
            );
            prop_assert!(peer.is_some_and(|peer| askers.contains(&peer)));
        }
        Block::Here { giver, is_written } => {
            let state = if *is_written {
                BlockState::Done
            } else {
                BlockState::Writing
            };
            prop_assert_eq!((info.state, peer, info.askers), (state, *giver, 0));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn it_does_what_one_that_looks_at_everything_would(steps in vec(step(), 0..160), seed: u64) {
        let mut model = Model::new();
        let mut picker = Picker::new(SHAPE, Seed::from_number(seed));
        for step in steps {
            both(&mut model, &mut picker, step)?;
            picker.check_invariants();
            compare(&model, &picker)?;
        }
    }
}
