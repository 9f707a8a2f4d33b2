//! Names that strangers chose, made into paths that cannot leave their folder nor meet one another (FMT-39, BEP 52).

use std::collections::BTreeMap;

/// Longest name of a file or folder, bytes: what common file systems take.
const MAX_NAME: usize = 255;

/// Of a name longer than twice this only so many bytes from either end are looked at: it will be cut anyway.
const MAX_READ: usize = 1_024;

/// Longest ending that is kept when a name is cut, bytes without the dot.
const MAX_ENDING: usize = 16;

/// Numbers that are tried for a name that is taken before those that are used only once.
const NICE: u32 = 8;

/// What may stand in a name. Under either rule a path stays below its folder: `.`, `..` and empty names are left out,
/// `/`, `\`, control characters and those that turn the direction of writing become `_`, what is not UTF-8 becomes
/// U+FFFD, and names are cut to 255 bytes with their ending kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameRules {
    /// What every common system can have: `<>:"|?*` become `_`, dots and spaces at the end go, names of devices (`CON`) get
    /// a `_` in front, and names that differ only in case are made to differ more. For Windows and macOS, and for disks
    /// that go from one system to another.
    Portable,
    /// As the torrent has them. For file systems that tell upper from lower case: other programs name files so too.
    Exact,
}

impl NameRules {
    /// One name of a path, or `None` for one that leads nowhere.
    pub(super) fn name(self, raw: &[u8]) -> Option<String> {
        if matches!(raw, b"" | b"." | b"..") {
            return None;
        }
        let portable = self == Self::Portable;
        let unfit = |c: char| c.is_control() || is_invisible(c) || "/\\".contains(c);
        let replace = |c: char| {
            if unfit(c) || (portable && "<>:\"|?*".contains(c)) {
                '_'
            } else {
                c
            }
        };
        let mut name: String = if raw.len() <= 2 * MAX_READ {
            String::from_utf8_lossy(raw).chars().map(replace).collect()
        } else {
            let (head, tail) = (raw.get(..MAX_READ)?, raw.get(raw.len() - MAX_READ..)?);
            let (head, tail) = (String::from_utf8_lossy(head), String::from_utf8_lossy(tail));
            head.chars().chain(tail.chars()).map(replace).collect()
        };
        if portable && is_device(&name) {
            name.insert(0, '_');
        }
        name = numbered(&name, None);
        if portable {
            name.truncate(name.trim_end_matches(['.', ' ']).len());
            if name.is_empty() {
                name.push('_');
            }
        }
        Some(name)
    }

    /// What two names have in common that cannot be in one folder.
    fn fold(self, name: &str) -> String {
        match self {
            Self::Portable => name.to_lowercase(),
            Self::Exact => name.to_owned(),
        }
    }
}

/// Characters that show nothing and change how the others are shown: `exe.txt` can be shown for `txt.exe`.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Whether Windows takes the name for a device, whatever its ending.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let stem = stem.to_ascii_uppercase();
    let mut chars = stem.chars();
    let port =
        matches!(chars.next_back(), Some('0'..='9' | '¹' | '²' | '³')) && matches!(chars.as_str(), "COM" | "LPT");
    port || matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
}

/// The name with a number before its ending, cut to what file systems take.
fn numbered(name: &str, number: Option<u32>) -> String {
    let ending = name.rsplit_once('.').map_or("", |(stem, ending)| {
        let kept = !stem.is_empty() && ending.len() <= MAX_ENDING;
        if kept {
            name.get(stem.len()..).unwrap_or_default()
        } else {
            ""
        }
    });
    let stem = name.strip_suffix(ending).unwrap_or(name);
    let number = number.map(|number| format!(".{number}")).unwrap_or_default();
    let room = MAX_NAME.saturating_sub(number.len() + ending.len());
    // From the longest down: at most three bytes of a character are left out.
    let whole = (0..=room.min(stem.len())).rev().find_map(|end| stem.get(..end));
    [whole.unwrap_or_default(), &number, ending].concat()
}

/// Gives files their paths, one after the other, and remembers what is taken.
#[derive(Debug)]
pub(super) struct Paths {
    rules: NameRules,
    /// By folder and folded name. Ordered, so that no stranger can make it slow.
    taken: BTreeMap<(u32, String), Taken>,
    /// Folders so far; the outermost is 0.
    folders: u32,
    /// Numbers above [`NICE`] that were used.
    numbers: u32,
    /// The folders of the file before, outermost first: those that the next shares are not looked up again.
    open: Vec<Open>,
    /// The path of the innermost of them.
    prefix: String,
}

/// A folder on the way to a file.
#[derive(Debug)]
struct Open {
    raw: Box<[u8]>,
    folder: u32,
    /// Bytes of the path so far.
    len: usize,
}

#[derive(Debug)]
struct Taken {
    by_file: bool,
    /// The folder that names so spelled lead to, and its own spelling.
    folder: Option<(u32, String)>,
    /// Numbers up to [`NICE`] that were tried for others who wanted the name.
    tried: u32,
}

impl Paths {
    pub(super) fn new(rules: NameRules) -> Self {
        Self {
            rules,
            taken: BTreeMap::new(),
            folders: 0,
            numbers: 0,
            open: Vec::new(),
            prefix: String::new(),
        }
    }

    /// Appends a path for a file of these names, outermost first: not empty, relative, `/` between names, and no other
    /// file's or folder's.
    pub(super) fn place(&mut self, names: &[&[u8]], out: &mut String) {
        let leads = |name: &&[u8]| !matches!(*name, b"" | b"." | b"..");
        let last = names.iter().rposition(leads).unwrap_or(names.len());
        let above = names.get(..last).unwrap_or_default();
        let same = |(open, name): &(&Open, &&[u8])| *open.raw == ***name;
        let kept = self.open.iter().zip(above).take_while(same).count();
        self.open.truncate(kept);
        let (mut folder, len) = self.open.last().map_or((0, 0), |open| (open.folder, open.len));
        self.prefix.truncate(len);
        for raw in above.iter().skip(kept) {
            if let Some(name) = self.rules.name(raw) {
                let (inner, name) = self.enter(folder, &name);
                folder = inner;
                self.prefix.push_str(&name);
                self.prefix.push('/');
            }
            self.open.push(Open {
                raw: (*raw).into(),
                folder,
                len: self.prefix.len(),
            });
        }
        let name = names.get(last).and_then(|raw| self.rules.name(raw));
        out.push_str(&self.prefix);
        out.push_str(&self.file(folder, name.as_deref().unwrap_or("_")));
    }

    fn file(&mut self, folder: u32, name: &str) -> String {
        let name = self.free(folder, name);
        let taken = Taken {
            by_file: true,
            folder: None,
            tried: 0,
        };
        self.taken.insert((folder, self.rules.fold(&name)), taken);
        name
    }

    /// The folder of that name, or where a file has that name another, which is then the folder for all who ask for it.
    fn enter(&mut self, within: u32, name: &str) -> (u32, String) {
        let key = (within, self.rules.fold(name));
        let there = self.taken.get(&key);
        if let Some(folder) = there.and_then(|taken| taken.folder.as_ref()) {
            return folder.clone();
        }
        let in_the_way = there.is_some_and(|taken| taken.by_file);
        self.folders += 1;
        let folder = (self.folders, self.free(within, name));
        let taken = |by_file| Taken {
            by_file,
            folder: Some(folder.clone()),
            tried: 0,
        };
        self.taken.insert((within, self.rules.fold(&folder.1)), taken(false));
        if in_the_way {
            self.taken.insert(key, taken(true));
        }
        folder
    }

    /// The name, or one like it that is not taken. As numbers above [`NICE`] are used once in a torrent, a stranger cannot
    /// plan names that make many steps for many others.
    fn free(&mut self, folder: u32, name: &str) -> String {
        let key = (folder, self.rules.fold(name));
        let Some(mut tried) = self.taken.get(&key).map(|taken| taken.tried) else {
            return name.to_owned();
        };
        let found = loop {
            let number = if tried < NICE {
                tried += 1;
                tried
            } else {
                self.numbers += 1;
                NICE + self.numbers
            };
            let found = numbered(name, Some(number));
            if !self.taken.contains_key(&(folder, self.rules.fold(&found))) {
                break found;
            }
        };
        if let Some(taken) = self.taken.get_mut(&key) {
            taken.tried = tried;
        }
        found
    }
}

#[cfg(test)]
mod tests;
