//! RC4, the cipher of MSE. A disguise and no secret: it is broken as a cipher, and is what the protocol says.

/// A key stream, and where it stands. 258 bytes.
pub(super) struct Rc4 {
    state: [u8; 256],
    i: u8,
    j: u8,
}

#[expect(
    clippy::indexing_slicing,
    reason = "a table of 256 entries, and indices of one byte: the compiler sees that none is beyond it"
)]
impl Rc4 {
    /// The key stream of a key, of which at most 256 bytes count.
    pub(super) fn new(key: &[u8]) -> Self {
        let mut state = std::array::from_fn(|at| at as u8);
        let mut j = 0_u8;
        for (i, byte) in (0..state.len()).zip(key.iter().cycle()) {
            j = j.wrapping_add(state[i]).wrapping_add(*byte);
            state.swap(i, usize::from(j));
        }
        Self { state, i: 0, j: 0 }
    }

    /// Adds the next bytes of the key stream to these: encrypts them, or decrypts them.
    pub(super) fn apply(&mut self, bytes: &mut [u8]) {
        // In registers, and eight bytes to a load and a store: half as fast again as a byte at a time.
        let (state, mut i, mut j) = (&mut self.state, self.i, self.j);
        let mut next = || {
            i = i.wrapping_add(1);
            let one = state[usize::from(i)];
            j = j.wrapping_add(one);
            let other = state[usize::from(j)];
            state[usize::from(i)] = other;
            state[usize::from(j)] = one;
            state[usize::from(one.wrapping_add(other))]
        };
        let (eights, rest) = bytes.as_chunks_mut::<8>();
        for eight in eights {
            let stream = std::array::from_fn(|_| next());
            *eight = (u64::from_le_bytes(*eight) ^ u64::from_le_bytes(stream)).to_le_bytes();
        }
        for byte in rest {
            *byte ^= next();
        }
        (self.i, self.j) = (i, j);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key stream of `key` from `at` on.
    fn stream(key: &[u8], at: usize) -> [u8; 16] {
        let mut bytes = vec![0; at + 16];
        Rc4::new(key).apply(&mut bytes);
        bytes[at..].try_into().unwrap()
    }

    #[test]
    fn the_stream_is_that_of_the_standard() {
        // RFC 6229, section 2: keys of 40 and of 256 bits, at 0, 1024 and 4096.
        let short: Vec<u8> = (1..=5).collect();
        let long: Vec<u8> = (1..=32).collect();
        let expected: [(&[u8], usize, u128); 6] = [
            (&short, 0, 0xb239_6305_f03d_c027_ccc3_524a_0a11_18a8),
            (&short, 1024, 0x30ab_bcc7_c20b_0160_9f23_ee2d_5f6b_b7df),
            (&short, 4096, 0xff25_b589_9599_6707_e51f_bdf0_8b34_d875),
            (&long, 0, 0xeaa6_bd25_880b_f93d_3f5d_1e4c_a261_1d91),
            (&long, 1024, 0x7fec_5bfd_9f9b_89ce_6548_3090_92d7_e958),
            (&long, 4096, 0xf3e4_c0a2_e02d_1d01_f7f0_a746_18af_2b48),
        ];
        for (key, at, words) in expected {
            assert_eq!(stream(key, at), words.to_be_bytes(), "{} bits at {at}", key.len() * 8);
        }
    }

    #[test]
    fn the_stream_does_not_depend_on_how_it_is_cut() {
        let mut whole = [0; 100];
        Rc4::new(b"key").apply(&mut whole);
        for cut in 0..100 {
            let mut parts = [0; 100];
            let mut rc4 = Rc4::new(b"key");
            let (first, second) = parts.split_at_mut(cut);
            rc4.apply(first);
            rc4.apply(second);
            assert_eq!(parts, whole);
        }
    }
}
