//! Tokens given, and who is told.

use wire::NodeId;

use super::*;
use crate::guard::Refusal;

const LOOKUP: LookupId = LookupId(7);
const HASH: InfoHash = InfoHash::new([0; 20]);

/// A node whose id starts with `first`, which is its distance.
fn node(first: u8) -> Contact {
    let mut id = [0x55; 20];
    id[0] = first;
    Contact {
        id: NodeId::new(id),
        addr: SocketAddr::from(([10, 0, 0, first], 6881)),
    }
}

fn node6(first: u8) -> Contact {
    let addr = SocketAddr::from(([0x2600, 0, 0, 0, 0, 0, 0, first.into()], 6881));
    Contact { addr, ..node(first) }
}

fn begun() -> Announces {
    let mut announces = Announces::new();
    announces.listen(51413);
    announces.begin(LOOKUP, HASH, true);
    announces
}

/// The destinations and tokens of all that may be sent now.
fn told(announces: &mut Announces, now: Time) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut told = Vec::new();
    while let Some(errand) = announces.next(now, |_| Verdict::Go) {
        let Errand::Ask(Call {
            to,
            request: Request::Announce { info_hash, number },
            ..
        }) = errand
        else {
            panic!("{errand:?}");
        };
        let announce = announces.take(now, number).unwrap();
        let Method::AnnouncePeer { token, .. } = announce.method(info_hash) else {
            panic!("{announce:?}");
        };
        told.push((to, token.to_vec()));
    }
    told
}

#[test]
fn the_nearest_eight_of_each_dht_get_back_their_own_tokens() {
    let mut announces = begun();
    for first in [9, 3, 7, 1, 8, 2, 6, 4, 5, 10] {
        announces.offer(Time::ZERO, LOOKUP, node(first), &[first; 4]);
    }
    announces.offer(Time::ZERO, LOOKUP, node6(200), &[200; 20]);
    assert_eq!(told(&mut announces, Time::ZERO), [], "before the lookup is over");
    assert_eq!(announces.end(Time::ZERO, LOOKUP), 0);
    let mut expected: Vec<_> = (1..=8).map(|first| (node(first).addr, vec![first; 4])).collect();
    expected.push((node6(200).addr, vec![200; 20]));
    assert_eq!(told(&mut announces, Time::ZERO), expected);
    assert!(announces.is_idle());
}

#[test]
fn a_token_of_absurd_length_makes_way_for_the_next_nearest() {
    let mut announces = begun();
    announces.offer(Time::ZERO, LOOKUP, node(1), &[1; MAX_TOKEN + 1]);
    announces.offer(Time::ZERO, LOOKUP, node(2), &[2; MAX_TOKEN]);
    announces.end(Time::ZERO, LOOKUP);
    assert_eq!(told(&mut announces, Time::ZERO), [(node(2).addr, vec![2; MAX_TOKEN])]);
}

#[test]
fn tokens_given_to_other_lookups_are_not_kept() {
    let mut announces = begun();
    announces.offer(Time::ZERO, LookupId(8), node(1), b"token");
    announces.end(Time::ZERO, LookupId(8));
    announces.end(Time::ZERO, LOOKUP);
    assert!(announces.is_idle());
}

#[test]
fn an_old_token_is_not_used() {
    let mut announces = begun();
    announces.offer(Time::ZERO, LOOKUP, node(1), b"token");
    announces.end(Time::from_secs(60), LOOKUP);
    let number = announces.made;
    assert!(announces.take(Time::from_secs(301), number).is_none());
    assert!(announces.forget(number), "it was never sent");
    assert!(!announces.forget(number));
}

#[test]
fn what_finds_no_room_is_given_up_and_counted() {
    let mut announces = begun();
    for number in 0..129 {
        let lookup = LookupId(100 + number);
        announces.begin(lookup, HASH, false);
        (1..=8).for_each(|first| announces.offer(Time::ZERO, lookup, node(first), b"token"));
        let given_up = announces.end(Time::ZERO, lookup);
        assert_eq!(given_up, if number < 128 { 0 } else { 8 });
    }
    assert_eq!(announces.unsent.len(), MAX_WAITING);
}

#[test]
fn a_lookup_called_off_tells_nobody() {
    let mut announces = begun();
    announces.offer(Time::ZERO, LOOKUP, node(1), b"token");
    announces.cancel(LOOKUP);
    announces.end(Time::ZERO, LOOKUP);
    assert!(announces.is_idle());
}

#[test]
fn who_must_be_waited_for_is_told_later_and_who_may_not_be_asked_never() {
    let mut announces = begun();
    announces.offer(Time::ZERO, LOOKUP, node(1), b"token");
    announces.offer(Time::ZERO, LOOKUP, node(2), b"token");
    announces.end(Time::ZERO, LOOKUP);
    let manners = |to: SocketAddr| {
        if to == node(1).addr {
            Verdict::Wait(Time::from_secs(5))
        } else {
            Verdict::Never(Refusal::Blocked)
        }
    };
    let refused = announces.next(Time::ZERO, manners);
    assert!(matches!(refused, Some(Errand::Refused(call, _)) if call.to == node(2).addr));
    assert!(announces.next(Time::ZERO, manners).is_none());
    assert_eq!(announces.wake(), Some(Time::from_secs(5)));
    assert_eq!(told(&mut announces, Time::from_secs(5)).len(), 1);
}
