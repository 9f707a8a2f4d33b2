//! Lists of file indices: which files (BEP 53), and how urgently.

use std::fmt;
use std::str::FromStr;

/// Highest file priority in a link; 0 means "do not download".
const MAX_PRIORITY: u8 = 4;

/// Files `first` to `last`, both included; an index counts the files of the info dictionary, padding included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileRange {
    first: u32,
    last: u32,
}

impl FileRange {
    /// A range, or nothing if it runs backwards.
    pub fn new(first: u32, last: u32) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// The first index.
    pub const fn first(self) -> u32 {
        self.first
    }

    /// The last index.
    pub const fn last(self) -> u32 {
        self.last
    }

    /// Whether the range has this index.
    pub fn contains(self, index: u32) -> bool {
        (self.first..=self.last).contains(&index)
    }

    /// Reads `5` or `3-5`.
    fn parse(text: &str) -> Option<Self> {
        match text.split_once('-') {
            Some((first, last)) => Self::new(index(first)?, index(last)?),
            None => index(text).and_then(|index| Self::new(index, index)),
        }
    }
}

impl fmt::Display for FileRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// A set of files, kept as ranges: `so=0-4294967295` costs eight bytes, not four billion.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selection {
    /// Sorted; no two of them overlap or touch.
    ranges: Vec<FileRange>,
}

impl Selection {
    /// The ranges in order; no two overlap or touch.
    pub fn ranges(&self) -> &[FileRange] {
        &self.ranges
    }

    /// Whether file `index` is selected.
    pub fn contains(&self, index: u32) -> bool {
        let before = self.ranges.partition_point(|range| range.last < index);
        self.ranges.get(before).is_some_and(|range| range.contains(index))
    }

    /// Adds all of `other`.
    pub(super) fn extend(&mut self, other: Self) {
        self.ranges.extend(other.ranges);
        *self = std::mem::take(self).ranges.into_iter().collect();
    }
}

impl FromIterator<FileRange> for Selection {
    fn from_iter<I: IntoIterator<Item = FileRange>>(ranges: I) -> Self {
        let mut sorted: Vec<FileRange> = ranges.into_iter().collect();
        sorted.sort_unstable();
        // The earlier range swallows a later one that overlaps or touches it.
        sorted.dedup_by(|later, earlier| {
            let joined = later.first <= earlier.last.saturating_add(1);
            if joined {
                earlier.last = earlier.last.max(later.last);
            }
            joined
        });
        Self { ranges: sorted }
    }
}

/// Text that is not a list such as `0,3-5,8`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a list of file indices such as 0,3-5,8")]
pub struct NotSelection;

impl FromStr for Selection {
    type Err = NotSelection;

    fn from_str(list: &str) -> Result<Self, NotSelection> {
        list.split(',')
            .map(|part| FileRange::parse(part).ok_or(NotSelection))
            .collect()
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        commas(f, &self.ranges)
    }
}

/// A priority for some files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FilePriority {
    /// The files.
    pub files: FileRange,
    /// 0 (do not download) to 4.
    pub priority: u8,
}

impl fmt::Display for FilePriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.files, self.priority)
    }
}

/// A list of priorities, to print.
pub(super) struct Priorities<'a>(pub(super) &'a [FilePriority]);

impl fmt::Display for Priorities<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        commas(f, self.0)
    }
}

/// Reads `0:4,3-5:3`; nothing if any part of it is something else.
pub(super) fn priorities(list: &str) -> Option<Vec<FilePriority>> {
    let one = |part: &str| {
        let (files, priority) = part.split_once(':')?;
        let priority = index(priority).and_then(|priority| u8::try_from(priority).ok())?;
        Some(FilePriority {
            files: FileRange::parse(files)?,
            priority: (priority <= MAX_PRIORITY).then_some(priority)?,
        })
    };
    list.split(',').map(one).collect()
}

/// Decimal digits, with white space around them; no sign.
fn index(text: &str) -> Option<u32> {
    let text = text.trim();
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn commas<T: fmt::Display>(f: &mut fmt::Formatter<'_>, parts: &[T]) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(f, "{comma}{part}")?;
    }
    Ok(())
}
