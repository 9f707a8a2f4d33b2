//! The sample that comes with the sources: all of it can be read, and it is what its page says.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use analysis::read::{Form, Value};
use analysis::stage::{self, Stretch};

fn sample() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/sample")
}

#[test]
fn every_line_is_a_row_of_one_of_two_crawls() {
    let found = stage::find(&[sample()]).unwrap();
    assert!(found.empty.is_empty());
    let mut rows = BTreeMap::new();
    let mut infohashes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in &found.sources {
        let whole = Stretch {
            begin: 0,
            end: source.bytes,
        };
        let form = source.form().unwrap();
        let mut scan = source.scan(whole).unwrap();
        let seen = infohashes.entry(source.crawl.clone()).or_default();
        scan.rows(usize::MAX, |row| {
            if form == Form::Metadata
                && let Value::Text(infohash) = row.values[0]
            {
                seen.insert(infohash.to_owned());
            }
        })
        .unwrap();
        assert_eq!(scan.rejects().count, 0, "{}", source.path.display());
        *rows.entry((source.crawl.clone(), form)).or_insert(0) += scan.count();
    }
    let count = |crawl: &str, form| rows.get(&(crawl.to_owned(), form)).copied();
    assert_eq!(count("harvest", Form::Metadata), Some(12_648));
    assert_eq!(count("thorough", Form::Metadata), Some(5_056));
    for form in [Form::Nodes, Form::Sightings, Form::Peers, Form::Files, Form::Fetches] {
        assert!(count("harvest", form) > Some(5_000), "{form:?}");
        assert_eq!(count("thorough", form), None);
    }
    assert_eq!(
        (infohashes["harvest"].len(), infohashes["thorough"].len()),
        (5_228, 1_312)
    );
}

#[test]
fn its_figures_are_those_of_its_page() {
    let figures = |crawl: &str| stage::count(&sample().join(crawl).join("metadata.txt.zst"), 2).unwrap();
    let (harvest, thorough) = (figures("harvest"), figures("thorough"));
    assert_eq!((harvest.infohashes, harvest.infohashes_with_metadata), (5_228, 990));
    assert_eq!((thorough.infohashes, thorough.infohashes_with_metadata), (1_312, 1_262));
}
