//! Sixteen chains of SHA-1 in the lanes of AVX-512.

use std::arch::x86_64::__m512i;

use pulp::NullaryFnOnce;
use pulp::x86::V4;

use super::{LANES, Lane, STEP, WORTH};

/// The first words of sixteen states, their second words, and so on.
type States = [[u32; LANES]; 5];

/// What a lane without bytes is given.
const ZEROS: [u8; STEP] = [0; STEP];
/// Where each byte comes from when those of each word are turned round; in each 128 bits, as the instruction has it.
const TURNED: [[u8; 16]; 4] = [[3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12]; 4];

/// Leave to use the instructions, if the processor has them. It is looked for once, and known then.
pub(super) fn simd() -> Option<V4> {
    V4::try_new()
}

/// Carries all lanes that have whole steps on, as far as each of them has. Whether enough have, so that it was worth it.
pub(super) fn step(simd: V4, input: &[u8], lanes: &mut [Lane]) -> bool {
    let mut steps = usize::MAX;
    let mut ready = 0;
    for lane in lanes.iter_mut() {
        let has = lane.align(input);
        if has > 0 {
            steps = steps.min(has);
            ready += 1;
        }
    }
    if ready < WORTH {
        return false;
    }
    let mut states = [[0; LANES]; 5];
    let mut data: [&[[u8; STEP]]; LANES] = [&[]; LANES];
    for (at, (lane, data)) in lanes.iter().zip(&mut data).enumerate() {
        let (has, _) = lane.next(input).as_chunks();
        if lane.running.filled() == 0 {
            *data = has.get(..steps).unwrap_or_default();
        }
        for (words, word) in states.iter_mut().zip(lane.running.state) {
            if let Some(to) = words.get_mut(at) {
                *to = word;
            }
        }
    }
    let op = Compress {
        simd,
        states: &mut states,
        data: &data,
        steps,
    };
    simd.vectorize(op);
    for (at, (lane, data)) in lanes.iter_mut().zip(&data).enumerate() {
        if data.is_empty() {
            continue;
        }
        for (words, word) in states.iter().zip(&mut lane.running.state) {
            *word = words.get(at).copied().unwrap_or(*word);
        }
        lane.running.length += (steps * STEP) as u64;
        lane.pass(steps * STEP);
    }
    true
}

struct Compress<'a> {
    simd: V4,
    states: &'a mut States,
    /// The steps of each lane; a lane without goes through zeros, for nothing.
    data: &'a [&'a [[u8; STEP]]; LANES],
    steps: usize,
}

impl NullaryFnOnce for Compress<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let zeros: __m512i = pulp::cast(ZEROS);
        let mut state = [zeros; 5];
        for (state, words) in state.iter_mut().zip(&*self.states) {
            *state = pulp::cast(*words);
        }
        for step in 0..self.steps {
            let mut lanes = [zeros; LANES];
            for (words, lane) in lanes.iter_mut().zip(self.data) {
                *words = pulp::cast(*lane.get(step).unwrap_or(&ZEROS));
            }
            let mut words = transpose(self.simd, big_endian(self.simd, lanes));
            state = rounds(self.simd, state, &mut words);
        }
        for (words, state) in self.states.iter_mut().zip(state) {
            *words = pulp::cast(state);
        }
    }
}

// From here on all is inlined into `call`, closures not excepted: what is called is not compiled for these instructions.

/// Turns the bytes of each word round.
#[inline(always)]
fn big_endian(simd: V4, mut lanes: [__m512i; LANES]) -> [__m512i; LANES] {
    let order = pulp::cast(TURNED);
    for words in &mut lanes {
        *words = simd.avx512bw._mm512_shuffle_epi8(*words, order);
    }
    lanes
}

/// From sixteen words of each lane to a word of each of sixteen lanes.
#[inline(always)]
fn transpose(simd: V4, lanes: [__m512i; LANES]) -> [__m512i; LANES] {
    let [a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q] = lanes;
    let [a0, a1, a2, a3] = four(simd, [a, b, c, d]);
    let [b0, b1, b2, b3] = four(simd, [e, g, h, i]);
    let [c0, c1, c2, c3] = four(simd, [j, k, l, m]);
    let [d0, d1, d2, d3] = four(simd, [n, o, p, q]);
    let [w0, w4, w8, w12] = column(simd, [a0, b0, c0, d0]);
    let [w1, w5, w9, w13] = column(simd, [a1, b1, c1, d1]);
    let [w2, w6, w10, w14] = column(simd, [a2, b2, c2, d2]);
    let [w3, w7, w11, w15] = column(simd, [a3, b3, c3, d3]);
    [w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15]
}

/// Transposes within each 128 bits of four lanes.
#[inline(always)]
fn four(simd: V4, [a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let f = simd.avx512f;
    let (ab, ab2) = (f._mm512_unpacklo_epi32(a, b), f._mm512_unpackhi_epi32(a, b));
    let (cd, cd2) = (f._mm512_unpacklo_epi32(c, d), f._mm512_unpackhi_epi32(c, d));
    [
        f._mm512_unpacklo_epi64(ab, cd),
        f._mm512_unpackhi_epi64(ab, cd),
        f._mm512_unpacklo_epi64(ab2, cd2),
        f._mm512_unpackhi_epi64(ab2, cd2),
    ]
}

/// Transposes 128 bits at a time: of the same row of each four lanes, the words that are four apart.
#[inline(always)]
fn column(simd: V4, [a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let f = simd.avx512f;
    let (low, low2) = (
        f._mm512_shuffle_i32x4::<0x88>(a, b),
        f._mm512_shuffle_i32x4::<0xDD>(a, b),
    );
    let (high, high2) = (
        f._mm512_shuffle_i32x4::<0x88>(c, d),
        f._mm512_shuffle_i32x4::<0xDD>(c, d),
    );
    [
        f._mm512_shuffle_i32x4::<0x88>(low, high),
        f._mm512_shuffle_i32x4::<0x88>(low2, high2),
        f._mm512_shuffle_i32x4::<0xDD>(low, high),
        f._mm512_shuffle_i32x4::<0xDD>(low2, high2),
    ]
}

/// Rounds of one part of a step: its function of three words, as a truth table, and its constant (FIPS 180-4, 4.1.1 and 4.2.1).
macro_rules! part {
    ($simd:ident, $state:ident, $words:ident, $table:literal, $constant:literal, $($round:literal)*) => {{
        let f = $simd.avx512f;
        let constant: __m512i = pulp::cast([$constant as u32; LANES]);
        $(
            let word = if $round < 16 {
                $words[$round % 16]
            } else {
                let three = f._mm512_ternarylogic_epi32::<0x96>(
                    $words[($round + 13) % 16],
                    $words[($round + 8) % 16],
                    $words[($round + 2) % 16],
                );
                let word = f._mm512_rol_epi32::<1>(f._mm512_xor_si512(three, $words[$round % 16]));
                $words[$round % 16] = word;
                word
            };
            let [a, b, c, d, e] = $state;
            let mixed = f._mm512_ternarylogic_epi32::<$table>(b, c, d);
            let early = f._mm512_add_epi32(f._mm512_add_epi32(e, constant), word);
            let turned = f._mm512_add_epi32(f._mm512_rol_epi32::<5>(a), mixed);
            $state = [f._mm512_add_epi32(turned, early), a, f._mm512_rol_epi32::<30>(b), c, d];
        )*
    }};
}

/// The eighty rounds of one step.
#[inline(always)]
fn rounds(simd: V4, before: [__m512i; 5], words: &mut [__m512i; LANES]) -> [__m512i; 5] {
    let mut state = before;
    part!(simd, state, words, 0xCA, 0x5A82_7999, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
    part!(simd, state, words, 0x96, 0x6ED9_EBA1, 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39);
    part!(simd, state, words, 0xE8, 0x8F1B_BCDC, 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59);
    part!(simd, state, words, 0x96, 0xCA62_C1D6, 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79);
    let [a, b, c, d, e] = before;
    let [a2, b2, c2, d2, e2] = state;
    let f = simd.avx512f;
    [
        f._mm512_add_epi32(a, a2),
        f._mm512_add_epi32(b, b2),
        f._mm512_add_epi32(c, c2),
        f._mm512_add_epi32(d, d2),
        f._mm512_add_epi32(e, e2),
    ]
}
