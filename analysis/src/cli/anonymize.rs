//! `analyze anonymize`.

use std::io::Write;
use std::path::{Path, PathBuf};

use store::Veil;

use super::args::{AnonymizeArgs, How};
use super::say;
use crate::anonymize::Anonymizer;
use crate::stage::{self, BadInput, Packed, Source, Stretch, What};

/// Rows that are veiled before they are written.
const ROWS: usize = 4096;

/// Writes the tables of what is named, veiled.
pub(super) fn run(args: &AnonymizeArgs) -> anyhow::Result<()> {
    let found = stage::find(&args.data)?;
    if let Some(parquet) = found.sources.iter().find(|source| source.what == What::Parquet) {
        let what = "Parquet; give the CSV that it was made of, and convert what comes out";
        return Err(BadInput::at(&parquet.path, None, what).into());
    }
    let key = stage::key(args.key.as_deref())?;
    let anonymizer = Anonymizer::new(match args.how {
        How::Truncate => Veil::Truncate(key),
        How::Hash => Veil::Hash(key),
    });
    // All names before the first file: what cannot be done is told before anything is.
    let mut files = Vec::new();
    for source in &found.sources {
        files.push(stage::new_file(&place(&args.output, source))?);
    }
    for (source, mut file) in found.sources.iter().zip(files) {
        copy(source, &anonymizer, &mut file)?;
    }
    say::empty(&found.empty);
    Ok(())
}

/// Where the veiled table goes: in a directory named as the crawl, under its own name; packed tables become zstd.
fn place(output: &Path, source: &Source) -> PathBuf {
    let name = source.path.file_name().unwrap_or_default();
    let name = match name.to_str() {
        Some(text) if source.packed != Packed::Plain => {
            let bare = text
                .strip_suffix(".gz")
                .or_else(|| text.strip_suffix(".zst"))
                .unwrap_or(text);
            PathBuf::from(format!("{bare}.zst"))
        }
        _ => PathBuf::from(name),
    };
    output.join(&source.crawl).join(name)
}

fn copy(source: &Source, anonymizer: &Anonymizer, file: &mut impl Write) -> anyhow::Result<()> {
    let whole = Stretch {
        begin: 0,
        end: source.bytes,
    };
    let mut scan = source.scan(whole)?;
    let (mut text, mut packed) = (Vec::new(), Vec::new());
    Anonymizer::header(scan.layout().form, &mut text);
    loop {
        let more = anonymizer
            .rows(&mut scan, ROWS, &mut text)
            .map_err(|error| source.broken(whole, scan.lines(), error))?;
        if source.packed == Packed::Plain {
            file.write_all(&text)?;
        } else {
            packed.clear();
            store::pack(&text, &mut packed)?;
            file.write_all(&packed)?;
        }
        text.clear();
        if !more {
            break;
        }
    }
    say::rejects(source, whole, scan.rejects())
}
