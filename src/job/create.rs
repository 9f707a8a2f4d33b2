//! `estudely create`: a .torrent file of what is on the disk.
//!
//! `walk` finds the files, `wire` says what to hash and writes the bytes, `hashing` hashes on all cores.

mod walk;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use host::{Gap, Interrupt};
use wire::metainfo::{BuildError, Description, Draft, PieceHashes, Torrent, Version, piece_length_for};

use super::hashing;
use crate::args::CreateArgs;
use crate::bad_input;
use crate::config;
use crate::exit::{BadInput, Exit, at};
use crate::report::{BytesProgress, note, plain, size, thousands};
use walk::{Found, Tree, walk};

/// Schemes of trackers that some program announces to.
const TRACKER_SCHEMES: [&str; 5] = ["http", "https", "udp", "ws", "wss"];

/// Schemes of web seeds (BEP 19).
const SEED_SCHEMES: [&str; 3] = ["http", "https", "ftp"];

/// Runs `estudely create`.
///
/// # Errors
///
/// [`BadInput`] for what cannot become a torrent; else what the file system says, that a file changed meanwhile, or that
/// it was interrupted. Nothing is left behind then.
pub fn run(args: &CreateArgs) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::watch().context("cannot wait for signals")?;
    let trackers = tiers(&args.tracker)?;
    for url in &args.web_seed {
        check_url(url, "--web-seed", &SEED_SCHEMES)?;
    }
    if args.private && !args.node.is_empty() {
        bad_input!("--node: a private torrent is not in the DHT; leave out one of --private and --node");
    }
    let output = output_of(args)?;
    let tree = walk(&args.path, &output)?;
    let draft = Draft::new(describe(args, trackers, &tree)).map_err(|error| refused(&error))?;
    let pieces = hash(&draft, &tree.files, &interrupt)?;
    let raw = draft.finish(&pieces).map_err(|error| refused(&error))?;
    let torrent = Torrent::parse(&raw).context("the torrent that was made cannot be read again")?;
    let written = if args.force {
        host::replace_file(&output, &raw)
    } else {
        host::new_file(&output, &raw)
    };
    written.map_err(|error| at(error, "--output, or replace it with --force"))?;
    tell(&torrent, &output)
}

/// Where it goes; refused before anything is read if it cannot go there.
fn output_of(args: &CreateArgs) -> anyhow::Result<PathBuf> {
    let output = match &args.output {
        Some(output) => output.clone(),
        None => {
            let shown = plain(args.path.as_os_str().as_encoded_bytes());
            // `.` and `..` have a name, too.
            let Ok(path) = args.path.canonicalize() else {
                bad_input!("{shown}: no such file or directory")
            };
            let Some(name) = args.path.file_name().or(path.file_name()) else {
                bad_input!("{shown}: it has no name to give to a torrent; name a directory in it")
            };
            let mut name = name.to_owned();
            name.push(".torrent");
            PathBuf::from(name)
        }
    };
    let shown = plain(output.as_os_str().as_encoded_bytes());
    let dir = output.parent().filter(|dir| !dir.as_os_str().is_empty());
    if dir.is_some_and(|dir| !dir.is_dir()) {
        bad_input!("{shown}: no such directory; make it first, or name another --output");
    }
    if output.is_dir() {
        bad_input!("{shown}: it is a directory; name a file with --output");
    }
    if output.exists() && !args.force {
        bad_input!("{shown}: it exists already; replace it with --force, or name another --output");
    }
    Ok(output)
}

fn describe(args: &CreateArgs, trackers: Vec<Vec<String>>, tree: &Tree) -> Description {
    let total = tree
        .files
        .iter()
        .map(|file| file.new.length)
        .fold(0, u64::saturating_add);
    let version = match (args.v2, args.hybrid) {
        (true, _) => Version::V2,
        (_, true) => Version::Hybrid,
        _ => Version::V1,
    };
    Description {
        version,
        name: tree.name.clone(),
        single: tree.single,
        files: tree.files.iter().map(|file| file.new.clone()).collect(),
        piece_length: args.piece_length.unwrap_or_else(|| piece_length_for(total)),
        private: args.private,
        source: args.source.clone(),
        trackers,
        web_seeds: args.web_seed.clone(),
        nodes: args.node.clone(),
        comment: args.comment.clone(),
        created_by: Some(args.created_by.clone()).filter(|program| !program.is_empty()),
        creation_date: (!args.no_date).then(|| i64::try_from(host::unix_now()).unwrap_or(i64::MAX)),
    }
}

/// Each flag is a tier, commas separate the trackers of one (BEP 12).
fn tiers(flags: &[String]) -> anyhow::Result<Vec<Vec<String>>> {
    let tier = |flag: &String| {
        let urls = flag.split(',').map(str::trim).filter(|url| !url.is_empty());
        let urls: Vec<String> = urls.map(str::to_owned).collect();
        for url in &urls {
            check_url(url, "--tracker", &TRACKER_SCHEMES)?;
        }
        Ok(urls)
    };
    let tiers: anyhow::Result<Vec<_>> = flags.iter().map(tier).collect();
    Ok(tiers?.into_iter().filter(|tier| !tier.is_empty()).collect())
}

/// Refuses what no program could use: a mistyped tracker would be in every copy of the torrent.
fn check_url(url: &str, flag: &str, schemes: &[&str]) -> anyhow::Result<()> {
    let parts = url.split_once("://");
    let good = parts.is_some_and(|(scheme, rest)| {
        let known = schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known));
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        known && !host.is_empty() && !url.contains(|c: char| c.is_whitespace() || c.is_control())
    });
    if !good {
        let shown = plain(url.as_bytes());
        bad_input!(
            "{flag}: `{shown}` is no URL of it: it begins with {}://",
            schemes.join("://, ")
        );
    }
    Ok(())
}

/// The hashes of all pieces, in order.
fn hash(draft: &Draft, files: &[Found], interrupt: &Interrupt) -> anyhow::Result<Vec<PieceHashes>> {
    let content = draft.content();
    let total = files.iter().map(|file| file.new.length).sum();
    let mut progress = BytesProgress::new(total);
    let count = usize::try_from(content.piece_count())?;
    let mut pieces = vec![PieceHashes::default(); count];
    let mut gap = None;
    let path = |file: usize| files.get(file).map(|file| file.path.clone()).unwrap_or_default();
    let runs = content.runs(config::HASH_RUN);
    let whole = hashing::hash(content, runs, path, interrupt, &mut progress, |run, hashed| {
        let first = usize::try_from(run.start).unwrap_or(usize::MAX);
        for (slot, made) in pieces.iter_mut().skip(first).zip(hashed.pieces) {
            *slot = made;
        }
        gap = hashed.gap;
        gap.is_none()
    });
    let took = progress.finish();
    if let Some((file, gap)) = gap {
        let shown = plain(path(file).as_os_str().as_encoded_bytes());
        match gap {
            Gap::Fault(fault) => bail!("cannot read {shown}: {fault}"),
            Gap::Missing | Gap::NotAFile | Gap::Short => bail!("{shown} changed while it was read; run it again"),
        }
    }
    if !whole {
        bail!("interrupted; nothing was written");
    }
    if let Some(changed) = files.iter().find(|file| file.changed()) {
        let shown = plain(changed.path.as_os_str().as_encoded_bytes());
        bail!("{shown} changed while it was read; run it again");
    }
    note(&format!("hashed {took}"));
    Ok(pieces)
}

fn refused(error: &BuildError) -> anyhow::Error {
    let flag = match error {
        BuildError::PieceLength(_) | BuildError::TooManyPieces(_) => "--piece-length: ",
        _ => "",
    };
    BadInput(format!("{flag}{}", plain(error.to_string().as_bytes()))).into()
}

/// What was made: figures for people, the link for whoever reads stdout.
fn tell(torrent: &Torrent, output: &Path) -> anyhow::Result<Exit> {
    let info = &torrent.info;
    let files = match info.file_count() {
        1 => "1 file".to_owned(),
        count => format!("{} files", thousands(count)),
    };
    let (total, length) = (size(info.total_bytes()), size(info.piece_length));
    let count = thousands(info.piece_count);
    let shown = plain(output.as_os_str().as_encoded_bytes());
    note(&format!("wrote {shown}: {files}, {total}, {count} pieces of {length}"));
    if let Some(hash) = torrent.info_hash_v1() {
        note(&format!("info hash v1: {hash}"));
    }
    if let Some(hash) = torrent.info_hash_v2() {
        note(&format!("info hash v2: {hash}"));
    }
    let printed = writeln!(io::stdout().lock(), "{}", torrent.magnet());
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write to stdout"),
        _ => Ok(Exit::Done),
    }
}
