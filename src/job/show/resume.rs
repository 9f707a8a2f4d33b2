//! What resume data of libtorrent say.

use std::io::{self, Write};

use store::fastresume::{Allocation, FastResume};

use super::sheet::{Sheet, exact_size};
use crate::report::{thousands, utc};

/// Lines of peers at the most.
const PEERS_SHOWN: usize = 10;

/// All that is of use to people; hash trees, slots and times of files are only counted.
pub(super) fn resume(resume: &FastResume, sheet: &mut Sheet<impl Write>) -> io::Result<()> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let count = |count: usize| thousands(count as u64);
    sheet.row("format", "resume data of libtorrent")?;
    sheet.maybe("name", resume.name.as_deref().map(text))?;
    sheet.maybe("info hash v1", resume.info_hash)?;
    sheet.maybe("info hash v2", resume.info_hash_v2)?;
    sheet.maybe("save path", resume.save_path.as_deref().map(text))?;
    sheet.row(
        "allocation",
        match resume.allocation {
            Allocation::Sparse => "sparse",
            Allocation::Full => "full",
            Allocation::Compact => "compact",
        },
    )?;
    sheet.row("pieces there", runs(&resume.have))?;
    for unfinished in &resume.unfinished {
        let blocks = runs(&unfinished.blocks);
        sheet.row("unfinished", format!("piece {}: blocks {blocks}", unfinished.piece))?;
    }
    let has = |count: usize| (count > 0).then_some(count);
    sheet.maybe("files told of", has(resume.files.len()).map(count))?;
    sheet.maybe("hash trees", has(resume.trees.len()).map(count))?;
    sheet.row("received", exact_size(resume.downloaded))?;
    sheet.row("sent", exact_size(resume.uploaded))?;
    sheet.row("active", format!("{} s", thousands(resume.active_secs)))?;
    sheet.row("seeding", format!("{} s", thousands(resume.seeding_secs)))?;
    sheet.maybe("added", (resume.added != 0).then(|| utc(resume.added)))?;
    sheet.maybe("completed", (resume.completed != 0).then(|| utc(resume.completed)))?;
    sheet.maybe("upload limit", resume.upload_limit.map(exact_size))?;
    sheet.maybe("download limit", resume.download_limit.map(exact_size))?;
    sheet.maybe("max connections", resume.connections.map(thousands))?;
    sheet.maybe("max uploads", resume.uploads.map(thousands))?;
    let flags = [
        (resume.paused, "paused"),
        (resume.auto_managed, "auto managed"),
        (resume.sequential, "sequential"),
        (resume.seed_mode, "seed mode"),
    ];
    sheet.each("flag", flags.iter().filter(|(set, _)| *set).map(|(_, name)| name))?;
    for (tier, urls) in (1..).zip(resume.trackers.iter().flatten()) {
        sheet.each(&format!("tier {tier}"), urls.iter().map(|url| text(url)))?;
    }
    sheet.each("web seed", resume.web_seeds.iter().flatten().map(|url| text(url)))?;
    sheet.each("http seed", resume.http_seeds.iter().map(|url| text(url)))?;
    for (file, name) in resume
        .mapped_files
        .iter()
        .enumerate()
        .filter(|(_, name)| !name.is_empty())
    {
        sheet.row("renamed", format!("file {file}: {}", text(name)))?;
    }
    let skipped = resume.file_priority.iter().filter(|priority| **priority == 0).count();
    sheet.maybe("files skipped", has(skipped).map(count))?;
    peers("peer", &resume.peers, sheet)?;
    peers("banned peer", &resume.banned, sheet)
}

fn peers(key: &str, peers: &[std::net::SocketAddr], sheet: &mut Sheet<impl Write>) -> io::Result<()> {
    sheet.each(key, peers.iter().take(PEERS_SHOWN))?;
    let more = peers.len().saturating_sub(PEERS_SHOWN);
    sheet.maybe(
        key,
        (more > 0).then(|| format!("... and {} more", thousands(more as u64))),
    )
}

/// `3: 0-1, 4`: how many are set, and the first runs of them.
fn runs(marks: &[bool]) -> String {
    const SHOWN: usize = 8;
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for at in marks.iter().enumerate().filter_map(|(at, &set)| set.then_some(at)) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == at => *last = at,
            _ => runs.push((at, at)),
        }
    }
    let run = |&(first, last): &(usize, usize)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    let shown: Vec<_> = runs.iter().take(SHOWN).map(run).collect();
    let set = marks.iter().filter(|set| **set).count();
    let more = if runs.len() > SHOWN { ", ..." } else { "" };
    if shown.is_empty() {
        return thousands(set as u64);
    }
    format!("{}: {}{more}", thousands(set as u64), shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn runs_of_pieces_are_short() {
        assert_eq!(runs(&[false, false]), "0");
        assert_eq!(runs(&[true, true, false, true]), "3: 0-1, 3");
        let every_other: Vec<bool> = (0..40).map(|at| at % 2 == 0).collect();
        assert_eq!(runs(&every_other), "20: 0, 2, 4, 6, 8, 10, 12, 14, ...");
    }
}
