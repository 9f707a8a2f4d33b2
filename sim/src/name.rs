//! Names that nobody ever gave: invented words, and the spellings that trip careless readers.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// A torrent's name as its info dictionary has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Name {
    /// The key `name`, which may be in any encoding.
    pub(crate) bytes: Vec<u8>,
    /// The key `name.utf-8`, where there is one.
    pub(crate) utf8: Option<Vec<u8>>,
}

impl Name {
    /// The name as text: `name.utf-8` where it is valid, else `name` with U+FFFD for what is not UTF-8.
    pub(crate) fn text(&self) -> String {
        let utf8 = self.utf8.as_deref().and_then(|utf8| std::str::from_utf8(utf8).ok());
        utf8.map_or_else(|| String::from_utf8_lossy(&self.bytes).into_owned(), str::to_owned)
    }
}

const SYLLABLES: [&str; 24] = [
    "ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "qui", "ro", "su", "ta", "ve", "wi", "xo",
    "yu", "za", "sten", "mar", "lin",
];

/// Words in other scripts: two, three and four bytes a character, right to left, combining.
const FOREIGN: [&str; 10] = [
    "Привет",
    "архив",
    "世界",
    "音楽集",
    "한국어",
    "كتاب",
    "ספר",
    "नमस्ते",
    "e\u{301}tude",
    "🎬📀",
];

const EXTENSIONS: [&str; 8] = ["mkv", "mp3", "iso", "txt", "pdf", "nfo", "zip", "srt"];

fn word(rng: &mut ChaCha8Rng) -> String {
    let mut word: String = (0..rng.random_range(2..4))
        .map(|_| SYLLABLES[rng.random_range(0..SYLLABLES.len())])
        .collect();
    if let Some(first) = word.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    word
}

fn plain(rng: &mut ChaCha8Rng) -> String {
    let gap = [".", " ", "_", " - "][rng.random_range(0..4)];
    let mut words: Vec<String> = (0..rng.random_range(2..6)).map(|_| word(rng)).collect();
    if rng.random_bool(0.1) {
        words.push(FOREIGN[rng.random_range(0..FOREIGN.len())].to_owned());
    }
    if rng.random_bool(0.6) {
        words.push(rng.random_range(1950..2027).to_string());
    }
    let name = words.join(gap);
    if rng.random_bool(0.3) {
        format!("{name} [{}]", word(rng))
    } else {
        name
    }
}

/// Draws a name; a share `odd` of them is of the kinds that H10 counts.
pub(crate) fn draw(rng: &mut ChaCha8Rng, odd: f64) -> Name {
    let name = plain(rng);
    if !rng.random_bool(odd) {
        return Name {
            bytes: name.into_bytes(),
            utf8: None,
        };
    }
    let (bytes, utf8) = match rng.random_range(0..7) {
        // Latin-1, with nothing to say so.
        0 => ([name.as_bytes(), b" caf\xe9 \xff\xfe"].concat(), None),
        // Windows-1251, and the same in UTF-8 beside it.
        1 => (
            [b"\xcf\xf0\xe8\xe2\xe5\xf2 ", name.as_bytes()].concat(),
            Some(format!("Привет {name}")),
        ),
        // What breaks a table: comma, quote and line ends.
        2 => (format!("{name}, \"the second\"\nline\r\n").into_bytes(), None),
        // Control characters, and one that turns the reading direction.
        3 => (
            format!("{name}\u{0}\u{1b}[31m\u{7f}\u{85}\u{202e}4pm.").into_bytes(),
            None,
        ),
        // Longer than a file name may be.
        4 => (
            format!("{name} ")
                .repeat(300_usize.div_ceil(name.len() + 1))
                .into_bytes(),
            None,
        ),
        // Leads out of the directory.
        5 => (format!("../../{name}").into_bytes(), None),
        // A lone `name.utf-8` that is not UTF-8.
        _ => {
            return Name {
                bytes: name.into_bytes(),
                utf8: Some(b"\xc3\x28".to_vec()),
            };
        }
    };
    Name {
        bytes,
        utf8: utf8.map(String::into_bytes),
    }
}

/// A name of the one template that an operator has for all it mints.
pub(crate) fn minted(rng: &mut ChaCha8Rng) -> Name {
    let name = format!("{}.{}.2026.1080p.WEB-DL", word(rng), word(rng));
    Name {
        bytes: name.into_bytes(),
        utf8: None,
    }
}

/// Draws the name of a file; names ascend with their numbers, as a v2 file tree wants them.
pub(crate) fn file(rng: &mut ChaCha8Rng, number: usize) -> Vec<u8> {
    let extension = EXTENSIONS[rng.random_range(0..EXTENSIONS.len())];
    format!("{number:06} {}.{extension}", word(rng)).into_bytes()
}

#[cfg(test)]
mod tests {
    use world::Seed;

    use super::*;

    #[test]
    fn odd_names_are_as_many_as_asked_for() {
        let mut rng = Seed::from_number(2).rng();
        let odd = (0..2000).map(|_| draw(&mut rng, 0.02)).filter(|name| {
            let text = name.text();
            name.utf8.is_some() || text.len() > 255 || text.contains(['\u{fffd}', '\n', '\u{1b}', '/'])
        });
        assert!((20..65).contains(&odd.count()));
    }

    #[test]
    fn valid_utf8_is_preferred() {
        let mut name = Name {
            bytes: b"\xff".to_vec(),
            utf8: Some("ж".into()),
        };
        assert_eq!(name.text(), "ж");
        name.utf8 = Some(b"\xff".to_vec());
        assert_eq!(name.text(), "\u{fffd}");
    }
}
