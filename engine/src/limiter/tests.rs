//! What a limiter lets pass, in virtual time.

use proptest::prelude::*;

use super::*;
use crate::key::BLOCK;

const CONFIG: Config = Config {
    tick: Duration::from_millis(10),
    burst: Duration::from_millis(50),
    least_burst: BLOCK as u64,
    grain: 512,
};
const BLOCK_BYTES: u64 = BLOCK as u64;

fn millis(millis: u64) -> Time {
    Time::from_micros(millis * 1_000)
}

/// A flow that always wants more.
#[derive(Clone, Copy)]
struct Greedy {
    flow: Flow,
    want: u64,
    least: u64,
    got: u64,
}

impl Greedy {
    fn new(flow: Flow, want: u64) -> Self {
        Self {
            flow,
            want,
            least: 1,
            got: 0,
        }
    }
}

/// Lets everybody take what they can until `end`; each wake comes `late`.
fn run(limiter: &mut Limiter, flows: &mut [Greedy], from: Time, end: Time, late: Duration) {
    let mut now = from;
    while now < end {
        while let Some((flow, granted)) = limiter.grant(now) {
            let greedy = flows.iter_mut().find(|greedy| greedy.flow == flow).unwrap();
            assert!((greedy.least..=greedy.want).contains(&granted));
            greedy.got += granted;
        }
        for greedy in flows.iter_mut() {
            loop {
                let granted = limiter.take(now, greedy.flow, greedy.want, greedy.least);
                greedy.got += granted;
                if granted == 0 {
                    break;
                }
            }
        }
        assert_eq!(limiter.waiting(), flows.len());
        now = limiter.deadline().unwrap().max(now) + late;
    }
}

fn limiter(limit: Option<u64>, flows: usize, want: u64) -> (Limiter, Vec<Greedy>) {
    let mut limiter = Limiter::new(Time::ZERO, CONFIG, limit);
    let torrent = limiter.open_torrent();
    let flows = (0..flows).map(|_| Greedy::new(limiter.open(torrent), want)).collect();
    (limiter, flows)
}

fn total(flows: &[Greedy]) -> u64 {
    flows.iter().map(|greedy| greedy.got).sum()
}

#[track_caller]
fn assert_near(got: u64, expected: u64, thousandths: u64) {
    let off = got.abs_diff(expected);
    assert!(
        off * 1_000 <= expected * thousandths,
        "{got} instead of {expected} is off by {} in a thousand",
        off * 1_000 / expected
    );
}

#[test]
fn a_limit_is_kept_at_any_rate() {
    for rate in [4_096, 102_400, 10_000_000, 1_000_000_000] {
        for count in [1, 7] {
            for late in [0, 3] {
                let (mut limiter, mut flows) = limiter(Some(rate), count, BLOCK_BYTES.max(rate / 500));
                let late = Duration::from_millis(late);
                run(&mut limiter, &mut flows, Time::ZERO, Time::from_secs(10), late);
                assert_near(total(&flows), rate * 10, 30);
            }
        }
    }
}

#[test]
fn a_block_that_goes_whole_passes_a_limit_below_its_length() {
    let (mut limiter, mut flows) = limiter(Some(4_096), 2, BLOCK_BYTES);
    for greedy in &mut flows {
        greedy.least = BLOCK_BYTES;
    }
    run(
        &mut limiter,
        &mut flows,
        Time::ZERO,
        Time::from_secs(400),
        Duration::ZERO,
    );
    assert_near(total(&flows), 4_096 * 400, 15);
    assert!(flows[0].got.abs_diff(flows[1].got) <= 2 * BLOCK_BYTES);
}

#[test]
fn the_first_need_not_wait() {
    let (mut limiter, flows) = limiter(Some(4_096), 1, BLOCK_BYTES);
    assert_eq!(limiter.take(Time::ZERO, flows[0].flow, 1_000, 1), 512);
    assert_eq!(limiter.take(Time::ZERO, flows[0].flow, 700, 1), 0);
    assert_eq!(limiter.deadline(), Some(millis(125)));
    assert_eq!(limiter.grant(millis(124)), None);
    assert_eq!(limiter.grant(millis(125)), Some((flows[0].flow, 512)));
    // The rest of what was asked for is still waited for.
    assert_eq!(limiter.deadline(), Some(Time::from_micros(170_899)));
    assert_eq!(limiter.grant(millis(171)), Some((flows[0].flow, 188)));
    assert_eq!((limiter.deadline(), limiter.waiting()), (None, 0));
}

#[test]
fn no_limit_lets_everything_pass() {
    let (mut limiter, flows) = limiter(None, 1, BLOCK_BYTES);
    assert_eq!(limiter.take(Time::ZERO, flows[0].flow, u64::MAX, 1), u64::MAX);
    assert_eq!(limiter.deadline(), None);
}

#[test]
fn who_asks_often_and_for_much_has_no_more_than_others() {
    for rate in [20_480, 1_000_000, 100_000_000] {
        let (mut limiter, mut flows) = limiter(Some(rate), 5, 64 * BLOCK_BYTES);
        // One asks for no more than it was late to ask for; one for all there is.
        flows[1].want = BLOCK_BYTES;
        flows[2].want = 1 << 40;
        run(
            &mut limiter,
            &mut flows,
            Time::ZERO,
            Time::from_secs(30),
            Duration::ZERO,
        );
        // It has a block a turn, and the others what it leaves.
        let equal = (total(&flows) - flows[1].got) / 4;
        for greedy in [flows[0], flows[2], flows[3], flows[4]] {
            assert_near(greedy.got, equal, 60);
        }
        assert!(flows[1].got > BLOCK_BYTES && flows[1].got <= equal * 105 / 100);
    }
}

#[test]
fn a_newcomer_waits_behind_those_that_wait() {
    let (mut limiter, flows) = limiter(Some(1_000), 3, 512);
    let [a, b, c] = [flows[0].flow, flows[1].flow, flows[2].flow];
    assert_eq!(limiter.take(Time::ZERO, a, 512, 1), 512);
    assert_eq!(limiter.take(Time::ZERO, b, 512, 1), 0);
    // There is enough for one now, and it is not for who comes last.
    assert_eq!(limiter.take(millis(600), c, 512, 1), 0);
    assert_eq!(limiter.grant(millis(600)), Some((b, 512)));
    assert_eq!(limiter.grant(millis(600)), None);
    assert_eq!(limiter.grant(millis(1_100)), Some((c, 512)));
}

#[test]
fn each_level_has_its_own_limit() {
    let mut limiter = Limiter::new(Time::ZERO, CONFIG, Some(1_000_000));
    let limited = limiter.open_torrent();
    let open = limiter.open_torrent();
    limiter.limit_torrent(Time::ZERO, limited, Some(200_000));
    let slow = limiter.open(limited);
    limiter.limit_flow(Time::ZERO, slow, Some(20_000));
    let others = [limiter.open(limited), limiter.open(open), limiter.open(open)];
    let mut flows: Vec<Greedy> = [slow]
        .iter()
        .chain(&others)
        .map(|flow| Greedy::new(*flow, BLOCK_BYTES))
        .collect();
    run(
        &mut limiter,
        &mut flows,
        Time::ZERO,
        Time::from_secs(10),
        Duration::ZERO,
    );
    assert_near(flows[0].got, 200_000, 30);
    assert_near(flows[1].got, 1_800_000, 30);
    assert_near(flows[2].got, 4_000_000, 30);
    assert_near(flows[3].got, 4_000_000, 30);
}

#[test]
fn a_limit_above_the_global_one_changes_nothing() {
    let (mut limiter, mut flows) = limiter(Some(100_000), 2, BLOCK_BYTES);
    limiter.limit_flow(Time::ZERO, flows[0].flow, Some(10_000_000));
    run(
        &mut limiter,
        &mut flows,
        Time::ZERO,
        Time::from_secs(10),
        Duration::ZERO,
    );
    assert_near(flows[0].got, 500_000, 30);
    assert_near(flows[1].got, 500_000, 30);
}

#[test]
fn another_limit_holds_at_once() {
    let (mut limiter, mut flows) = limiter(Some(1_000), 2, BLOCK_BYTES);
    run(&mut limiter, &mut flows, Time::ZERO, Time::from_secs(1), Duration::ZERO);
    let before = total(&flows);
    limiter.limit(Time::from_secs(1), Some(1_000_000));
    run(
        &mut limiter,
        &mut flows,
        Time::from_secs(1),
        Time::from_secs(11),
        Duration::ZERO,
    );
    assert_near(total(&flows) - before, 10_000_000, 30);
}

#[test]
fn lifting_a_limit_frees_who_waits() {
    let mut limiter = Limiter::new(Time::ZERO, CONFIG, None);
    let torrent = limiter.open_torrent();
    limiter.limit_torrent(Time::ZERO, torrent, Some(0));
    let flow = limiter.open(torrent);
    let granted = limiter.take(Time::ZERO, flow, 4_096, 1);
    assert_eq!(limiter.take(Time::ZERO, flow, 4_096, 1), 0);
    // Nothing ever comes of a limit of nothing.
    assert_eq!((granted, limiter.deadline()), (512, None));
    limiter.limit_torrent(Time::from_secs(9), torrent, None);
    assert_eq!(limiter.deadline(), Some(Time::from_secs(9)));
    assert_eq!(limiter.grant(Time::from_secs(9)), Some((flow, 4_096)));
}

#[test]
fn what_is_given_back_is_there_for_others() {
    let (mut limiter, flows) = limiter(Some(1_000_000), 2, BLOCK_BYTES);
    let [a, b] = [flows[0].flow, flows[1].flow];
    let granted = limiter.take(Time::ZERO, a, BLOCK_BYTES, 1);
    assert_eq!(limiter.take(Time::ZERO, b, 1_000, 1), 0);
    limiter.give_back(Time::ZERO, a, granted);
    assert_eq!(limiter.deadline(), Some(Time::ZERO));
    assert_eq!(limiter.grant(Time::ZERO), Some((b, 1_000)));
}

#[test]
fn what_passes_without_asking_is_waited_for() {
    let (mut limiter, flows) = limiter(Some(100_000), 1, BLOCK_BYTES);
    limiter.charge(Time::ZERO, flows[0].flow, 101_000);
    assert_eq!(limiter.take(Time::ZERO, flows[0].flow, BLOCK_BYTES, 1), 0);
    // 1,000 bytes were there, and 1,000 more are worth a wake.
    assert_eq!(limiter.deadline(), Some(millis(1_010)));
}

#[test]
fn who_is_gone_waits_no_more() {
    let (mut limiter, flows) = limiter(Some(1_000), 3, BLOCK_BYTES);
    limiter.charge(Time::ZERO, flows[0].flow, 10_000);
    for greedy in &flows {
        limiter.take(Time::ZERO, greedy.flow, BLOCK_BYTES, 1);
    }
    limiter.close(flows[0].flow);
    limiter.withdraw(flows[1].flow);
    assert!(!limiter.is_waiting(flows[1].flow) && limiter.is_waiting(flows[2].flow));
    let at = limiter.deadline().unwrap();
    assert_eq!(limiter.grant(at).unwrap().0, flows[2].flow);
    assert_eq!(limiter.grant(at), None);
    limiter.withdraw(flows[2].flow);
    assert_eq!((limiter.waiting(), limiter.deadline()), (0, None));
}

#[test]
fn places_are_used_again_without_the_limits_they_had() {
    let mut limiter = Limiter::new(Time::ZERO, CONFIG, None);
    let torrent = limiter.open_torrent();
    limiter.limit_torrent(Time::ZERO, torrent, Some(10));
    let flow = limiter.open(torrent);
    limiter.limit_flow(Time::ZERO, flow, Some(10));
    limiter.close(flow);
    limiter.close_torrent(torrent);
    let torrent = limiter.open_torrent();
    let flow = limiter.open(torrent);
    assert_eq!(limiter.take(Time::ZERO, flow, 1 << 30, 1), 1 << 30);
    assert_eq!(limiter.buckets.len(), 3);
}

#[test]
fn headers_are_a_few_in_a_hundred() {
    let v4 = overhead(1_460_000, false);
    assert_eq!((v4.carried, v4.acknowledged), (40_000, 20_000));
    let v6 = overhead(1, true);
    assert_eq!((v6.carried, v6.acknowledged), (60, 60));
    assert_eq!(overhead(0, false).carried, 0);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Take { flow: usize, want: u64, whole: bool },
    Charge { flow: usize, bytes: u64 },
    Back { flow: usize, tenths: u64 },
    Withdraw { flow: usize },
    Wait { micros: u64 },
}

const FLOWS: usize = 4;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..FLOWS, 1u64..40_000, any::<bool>()).prop_map(|(flow, want, whole)| Step::Take { flow, want, whole }),
        1 => (0..FLOWS, 1u64..5_000).prop_map(|(flow, bytes)| Step::Charge { flow, bytes }),
        1 => (0..FLOWS, 0u64..=10).prop_map(|(flow, tenths)| Step::Back { flow, tenths }),
        1 => (0..FLOWS).prop_map(|flow| Step::Withdraw { flow }),
        4 => (0u64..400_000).prop_map(|micros| Step::Wait { micros }),
    ]
}

/// What passed a bucket: when, and how much.
type Passed = Vec<(Time, i64)>;

/// Between any two moments no more passes than the rate brings, what can be saved, one ask that went whole, and what was
/// `kept` for flows that had paid here and waited elsewhere.
fn is_conserved(passed: &Passed, rate: u64, kept: u64) -> bool {
    let most = (rate / 20).max(BLOCK_BYTES) + 40_000 + kept;
    (0..passed.len()).all(|first| {
        let mut sum = 0;
        passed[first..].iter().all(|(at, bytes)| {
            sum += *bytes;
            let brought = u128::from(rate) * at.since(passed[first].0).as_micros() / 1_000_000;
            i128::from(sum) <= i128::try_from(brought).unwrap() + i128::from(most)
        })
    })
}

proptest! {
    #[test]
    fn nothing_passes_beyond_rate_and_burst_and_nobody_is_forgotten(
        rates in (1_000u64..2_000_000, 1_000u64..2_000_000, 1_000u64..2_000_000),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut limiter = Limiter::new(Time::ZERO, CONFIG, Some(rates.0));
        let torrents = [limiter.open_torrent(), limiter.open_torrent()];
        limiter.limit_torrent(Time::ZERO, torrents[0], Some(rates.1));
        let flows: [Flow; FLOWS] = std::array::from_fn(|at| limiter.open(torrents[at % 2]));
        limiter.limit_flow(Time::ZERO, flows[0], Some(rates.2));
        // Flow 0 has all three, flow 2 the torrent's and the global one, the others the global one.
        let mut passed: [Passed; 3] = Default::default();
        let mut last = [0u64; FLOWS];
        let mut now = Time::ZERO;
        let mut note = |now: Time, flow: usize, bytes: i64| {
            passed[0].push((now, bytes));
            if flow.is_multiple_of(2) {
                passed[1].push((now, bytes));
            }
            if flow == 0 {
                passed[2].push((now, bytes));
            }
        };
        for step in steps {
            match step {
                Step::Take { flow, want, whole } => {
                    let waited = limiter.is_waiting(flows[flow]);
                    let granted = limiter.take(now, flows[flow], want, if whole { want } else { 1 });
                    prop_assert!(granted <= want);
                    prop_assert_eq!(limiter.is_waiting(flows[flow]), granted == 0);
                    prop_assert!(!waited || granted == 0);
                    if granted > 0 {
                        last[flow] = granted;
                        note(now, flow, granted.cast_signed());
                    }
                }
                Step::Charge { flow, bytes } => limiter.charge(now, flows[flow], bytes),
                Step::Back { flow, tenths } => {
                    let back = last[flow] * tenths / 10;
                    last[flow] -= back;
                    limiter.give_back(now, flows[flow], back);
                    note(now, flow, -back.cast_signed());
                }
                Step::Withdraw { flow } => {
                    limiter.withdraw(flows[flow]);
                    prop_assert!(!limiter.is_waiting(flows[flow]));
                }
                Step::Wait { micros } => now = now + Duration::from_micros(micros),
            }
            while let Some((flow, granted)) = limiter.grant(now) {
                let at = flows.iter().position(|known| *known == flow).unwrap();
                last[at] = granted;
                note(now, at, granted.cast_signed());
                prop_assert!(granted > 0);
            }
            let waiting = flows.iter().filter(|flow| limiter.is_waiting(**flow)).count();
            prop_assert_eq!(limiter.waiting(), waiting);
            // Whoever waits has an alarm ahead.
            prop_assert_eq!(limiter.deadline().is_some(), waiting > 0);
        }
        // Left alone, everybody has their turn.
        for _ in 0..2_000 {
            let Some(at) = limiter.deadline() else { break };
            prop_assert!(at >= now);
            now = at;
            while limiter.grant(now).is_some() {}
        }
        prop_assert_eq!(limiter.waiting(), 0);
        for (passed, rate, kept) in [(&passed[0], rates.0, 0), (&passed[1], rates.1, 80_000), (&passed[2], rates.2, 40_000)] {
            prop_assert!(is_conserved(passed, rate, kept));
        }
    }
}
