//! Errors of the engine as one line for people.

use datafusion::common::DataFusionError;

use crate::read::Table;
use crate::stage::BadInput;

/// What the engine says, and whose fault it is: what was typed or given is [`BadInput`].
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn told(error: DataFusionError) -> anyhow::Error {
    match error.find_root() {
        DataFusionError::External(outer) => match outer.downcast_ref::<BadInput>() {
            Some(bad) => BadInput(bad.0.clone()).into(),
            None => anyhow::anyhow!("{outer:#}"),
        },
        DataFusionError::ResourcesExhausted(what) => {
            BadInput(format!("not enough memory for this; allow more with --memory ({what})")).into()
        }
        DataFusionError::IoError(error) => anyhow::anyhow!("{error}"),
        DataFusionError::Internal(what) => anyhow::anyhow!("the engine failed: {what}"),
        root => {
            let text = root.strip_backtrace();
            let text = text
                .lines()
                .next()
                .unwrap_or_default()
                .replace("datafusion.public.", "");
            BadInput(format!("{text}{}", hint(&text))).into()
        }
    }
}

/// What helps where a table is not there.
fn hint(text: &str) -> &'static str {
    let missing = |table: &Table| text.contains(&format!("table '{}' not found", table.name()));
    match Table::ALL.iter().find(|table| missing(table)) {
        Some(Table::Torrents | Table::Peers) => ": name a metadata.txt or peers.csv",
        Some(_) => ": name a directory with observation tables (crawl --record)",
        None => "",
    }
}
