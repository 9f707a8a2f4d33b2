//! Tables that were packed: gzip (RFC 1952) and zstd (RFC 8878), told by their first bytes and not by their name.

use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};

use flate2::bufread::MultiGzDecoder;

/// How a source is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// gzip, one member or several.
    Gzip,
    /// zstd, one frame or several. A window of more than 128 MiB is refused.
    Zstd,
}

impl Packing {
    /// What `magic`, the first four bytes or fewer, says.
    const fn of(magic: &[u8]) -> Self {
        match magic {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or one that is to be skipped.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

/// Bytes that are unpacked at once.
const BUFFER: usize = 64 * 1024;

/// Unpacks `input` while it is read, in memory that does not grow with it. What could be unpacked is given before the
/// error of a source that ends early or is damaged.
///
/// # Errors
///
/// Those of reading the first four bytes. It waits for them, as for all bytes.
pub fn unpack<R: BufRead + Send + 'static>(mut input: R) -> io::Result<(Packing, Box<dyn BufRead + Send>)> {
    let mut magic = Vec::new();
    input.by_ref().take(4).read_to_end(&mut magic)?;
    let packing = Packing::of(&magic);
    let whole = Cursor::new(magic).chain(input);
    let plain: Box<dyn BufRead + Send> = match packing {
        Packing::Plain => Box::new(whole),
        Packing::Gzip => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(whole))),
        Packing::Zstd => {
            let decoder = zstd::Decoder::with_buffer(whole)?;
            Box::new(BufReader::with_capacity(BUFFER, decoder))
        }
    };
    Ok((packing, plain))
}

/// Appends `bytes` to `out` as one zstd frame. Frames after one another are one file.
///
/// # Errors
///
/// Those of the packer: none but for want of memory.
pub fn pack(bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.extend(zstd::bulk::compress(bytes, zstd::DEFAULT_COMPRESSION_LEVEL)?);
    Ok(())
}

/// A frame of [`pack`] takes no more than this, if it was given no more than half as much.
const FRAME_MAX: usize = 1 << 20;

/// Bytes of `packed` up to the end of its last whole frame: what to keep of one that a kill left torn.
///
/// # Errors
///
/// Those of reading.
pub fn whole_frames<T: Read + Seek>(packed: &mut T) -> io::Result<u64> {
    packed.seek(SeekFrom::Start(0))?;
    let (mut window, mut at, mut whole) = (Vec::new(), 0, 0);
    loop {
        if window.len() - at < FRAME_MAX {
            window.drain(..at);
            at = 0;
            packed.by_ref().take(4 * FRAME_MAX as u64).read_to_end(&mut window)?;
        }
        let rest = window.get(at..).unwrap_or_default();
        let Ok(frame) = zstd::zstd_safe::find_frame_compressed_size(rest) else {
            return Ok(whole);
        };
        if frame == 0 || frame > rest.len() {
            return Ok(whole);
        }
        at += frame;
        whole += frame as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn torn_frames_are_cut_and_whole_ones_are_one_file() {
        let mut packed = Vec::new();
        let mut ends = vec![0];
        for number in 0..20 {
            pack(format!("row {number}\n").repeat(100).as_bytes(), &mut packed).unwrap();
            ends.push(packed.len());
        }
        for cut in 0..=packed.len() {
            let whole = whole_frames(&mut Cursor::new(&packed[..cut])).unwrap();
            let end = ends.iter().rev().find(|end| **end <= cut).unwrap();
            assert_eq!(whole, *end as u64, "{cut}");
        }
        let (packing, mut plain) = unpack(Cursor::new(packed)).unwrap();
        let mut text = String::new();
        plain.read_to_string(&mut text).unwrap();
        assert_eq!((packing, text.lines().count()), (Packing::Zstd, 2_000));
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 1).unwrap()
    }

    /// What comes out of `packed`, and whether it ended in an error.
    fn unpacked(packed: Vec<u8>) -> (Packing, Vec<u8>, bool) {
        // Small reads, as a slow pipe gives them.
        let (packing, mut plain) = unpack(BufReader::with_capacity(3, Cursor::new(packed))).unwrap();
        let mut text = Vec::new();
        let failed = loop {
            let mut part = [0; 100];
            match plain.read(&mut part) {
                Ok(0) => break false,
                Ok(len) => text.extend_from_slice(&part[..len]),
                Err(_) => break true,
            }
        };
        (packing, text, failed)
    }

    #[test]
    fn every_packing_gives_its_text_also_when_parts_are_joined() {
        let text = b"infohash,peer_ip,peer_port\n".repeat(1000);
        assert_eq!(unpacked(text.clone()), (Packing::Plain, text.clone(), false));
        for pack in [gzip, zstd] {
            let joined = [pack(&text), pack(b"last\n")].concat();
            let (packing, got, failed) = unpacked(joined);
            assert_ne!(packing, Packing::Plain);
            assert!(got == [&text[..], b"last\n"].concat() && !failed);
        }
    }

    #[test]
    fn a_source_that_ends_early_gives_what_it_has_and_then_an_error() {
        let text: Vec<u8> = (0..200_000u32).flat_map(|number| number.to_le_bytes()).collect();
        for pack in [gzip, zstd] {
            let mut packed = pack(&text);
            packed.truncate(packed.len() / 2);
            let (_, got, failed) = unpacked(packed);
            assert!(failed);
            assert!(got.len() > text.len() / 4 && text.starts_with(&got), "{}", got.len());
        }
    }

    #[test]
    fn short_sources_are_plain() {
        for text in [&b""[..], b"\x28", b"\x28\xb5\x2f", b"abc"] {
            assert_eq!(unpacked(text.to_vec()), (Packing::Plain, text.to_vec(), false));
        }
    }
}
