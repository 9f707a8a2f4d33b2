//! Whose addresses are shown how: the key of pseudonyms, from the seed or from a file.

use std::borrow::Cow;
use std::path::Path;

use anyhow::{Context, bail};
use rand::Rng;
use store::Veil;

use crate::args::Anonymize;
use crate::exit::at;
use crate::job::harvest::Harvested;
use crate::job::start::Chance;

/// The file of the key, below the data directory: 32 hex digits.
const KEY_FILE: &str = "anonymize.key";

/// What becomes of addresses. The key is of the seed that the user named; else the one in the data directory, drawn if there is none
/// yet; without a data directory one that nobody keeps.
///
/// # Errors
///
/// When the key can be neither read nor kept, or the system has no entropy.
pub fn veil(how: Anonymize, data_dir: Option<&Path>, named_seed: bool, chance: Chance) -> anyhow::Result<Veil> {
    let of_seed = || {
        let mut key = [0; 16];
        chance.seed.derive("anonymize").rng().fill_bytes(&mut key);
        key
    };
    let key = || match data_dir {
        Some(dir) if !named_seed => kept(dir),
        _ => Ok(of_seed()),
    };
    Ok(match how {
        Anonymize::None => Veil::None,
        Anonymize::Truncate => Veil::Truncate(key()?),
        Anonymize::Hash => Veil::Hash(key()?),
    })
}

fn kept(dir: &Path) -> anyhow::Result<[u8; 16]> {
    let path = dir.join(KEY_FILE);
    if let Some(text) = host::read_file(&path)? {
        let Some(key) = Veil::key_of(&text) else {
            bail!(
                "{}: not a key of 32 hex digits; remove it to have a new one",
                path.display()
            );
        };
        return Ok(key);
    }
    let mut key = [0; 16];
    host::entropy()
        .context("no entropy from the system; name a --seed")?
        .rng()
        .fill_bytes(&mut key);
    host::create_dir(dir).map_err(|error| at(error, "--data-dir"))?;
    host::replace_file(&path, &Veil::key_text(&key))?;
    Ok(key)
}

/// What was harvested, with its addresses veiled.
pub(super) fn veiled<'a>(veil: &Veil, harvested: &'a Harvested) -> Cow<'a, Harvested> {
    if *veil == Veil::None {
        return Cow::Borrowed(harvested);
    }
    let mut veiled = harvested.clone();
    for peer in veiled.peers.iter_mut().chain(&mut veiled.from) {
        *peer = veil.addr(*peer);
    }
    Cow::Owned(veiled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chance(number: u64) -> Chance {
        Chance {
            seed: world::Seed::from_number(number),
            number,
        }
    }

    #[test]
    fn a_key_is_kept_and_the_seed_of_the_user_repeats_it() {
        let dir = tempfile::tempdir().unwrap();
        let hash = |dir, named, number| veil(Anonymize::Hash, dir, named, chance(number)).unwrap();
        let drawn = hash(Some(dir.path()), false, 1);
        assert_eq!(drawn, hash(Some(dir.path()), false, 2), "kept");
        assert_ne!(drawn, hash(Some(dir.path()), true, 1));
        assert_eq!(hash(None, true, 1), hash(Some(dir.path()), true, 1));
        std::fs::write(dir.path().join(KEY_FILE), "no key").unwrap();
        assert!(veil(Anonymize::Truncate, Some(dir.path()), false, chance(1)).is_err());
    }
}
