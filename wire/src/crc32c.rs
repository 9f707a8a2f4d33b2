//! CRC-32C (Castagnoli), for node ids (BEP 42), the order of dialling (BEP 40) and records on disk.

/// The polynomial, reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// What a byte adds.
#[expect(
    clippy::indexing_slicing,
    reason = "made by the compiler, which would not go on beyond its end"
)]
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// The checksum of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        let index = usize::from((crc as u8) ^ byte);
        crc >> 8 ^ TABLE.get(index).copied().unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_customary_digits() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
