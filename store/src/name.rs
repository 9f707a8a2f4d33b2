//! Names of torrents, made safe for files in which one record is one line.

use std::borrow::Cow;

/// Longest name in a row, bytes.
///
/// An info dictionary may hold a name of megabytes, and a row repeats it for every peer; no file system takes a name of
/// more than 255 bytes. The exact bytes stay in the saved info dictionary.
pub const NAME_MAX: usize = 4096;

/// `name` with everything that a tool may take for the end of a line replaced by U+FFFD, cut at [`NAME_MAX`] bytes.
///
/// That is every control character (C0 with tab and newlines, DEL, C1 with NEL) and the separators U+2028 and U+2029:
/// the characters at which `grep`, a terminal, a spreadsheet or Python's `splitlines` would start anew.
pub fn clean(name: &str) -> Cow<'_, str> {
    let mut end = name.len().min(NAME_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let cut = &name[..end];
    if !cut.contains(splits_lines) {
        return Cow::Borrowed(cut);
    }
    let mut text = String::with_capacity(cut.len() + 8);
    for char in cut.chars() {
        // A replacement is three bytes long: the limit holds for the result, too.
        let char = if splits_lines(char) {
            char::REPLACEMENT_CHARACTER
        } else {
            char
        };
        if text.len() + char.len_utf8() > NAME_MAX {
            break;
        }
        text.push(char);
    }
    Cow::Owned(text)
}

fn splits_lines(char: char) -> bool {
    char.is_control() || matches!(char, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_left_alone() {
        for name in ["", "a,\"b\"", "日本語 🎬", " leading and trailing ", "\u{200f}rtl"] {
            assert!(matches!(clean(name), Cow::Borrowed(same) if same == name));
        }
    }

    #[test]
    fn line_splitters_become_replacement_characters() {
        for char in [
            '\n', '\r', '\t', '\0', '\u{b}', '\u{c}', '\u{1e}', '\u{7f}', '\u{85}', '\u{2028}', '\u{2029}',
        ] {
            assert_eq!(clean(&format!("a{char}b")), "a\u{fffd}b", "{char:?}");
        }
    }

    #[test]
    fn names_are_cut_at_a_character() {
        assert_eq!(clean(&"x".repeat(NAME_MAX + 1)).len(), NAME_MAX);
        assert_eq!(clean(&"é".repeat(NAME_MAX)).len(), NAME_MAX);
        assert_eq!(clean(&"日".repeat(NAME_MAX)).len(), NAME_MAX - NAME_MAX % 3);
        assert_eq!(clean(&"\n".repeat(NAME_MAX)).len(), NAME_MAX - NAME_MAX % 3);
    }
}
