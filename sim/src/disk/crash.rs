//! What is left when the process or the power ends.

use std::collections::BTreeSet;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use world::Seed;

use super::file::{File, Mood};
use super::{Asked, Disk};

impl Disk {
    /// The process ends (`kill -9`): of what was asked and not answered, some is carried out. The cache stays, as the
    /// system writes it some day: a later [`Disk::lose_power`] may still lose it, and a sync of the next machine takes along
    /// only files that this one has changed.
    pub fn kill(&mut self, seed: Seed) {
        self.crash_at = None;
        self.stop(&mut seed.derive("kill").rng());
    }

    /// The power goes: as [`Disk::kill`], then everything that was not synced is as it was at any time since the last sync;
    /// see the module. What the power leaves is durable.
    pub fn lose_power(&mut self, seed: Seed) {
        self.crash_at = None;
        let mut rng = seed.derive("power").rng();
        self.stop(&mut rng);
        let mood = match rng.random_range(0..4) {
            0 => Mood::Loses,
            1 => Mood::Keeps,
            _ => Mood::Mixes,
        };
        let mut found: Vec<(u64, u64, String)> = Vec::new();
        for (&number, file) in &mut self.files {
            let (by, path) = file.crash(mood, &mut rng, &self.pages);
            found.extend(path.map(|path| (by, number, path)));
        }
        // Of two that would be at one path, the one that came there last is.
        found.sort_unstable();
        self.names.clear();
        for (_, number, path) in found {
            self.names.insert(path, number);
        }
        let there: BTreeSet<u64> = self.names.paths().map(|(_, number)| number).collect();
        self.files.retain(|number, _| there.contains(number));
        self.used = self.files.values().map(File::used).sum();
    }

    /// Carries out some of what is under way, and forgets the rest and the stores.
    fn stop(&mut self, rng: &mut ChaCha8Rng) {
        let under_way: Vec<Asked> = std::mem::take(&mut self.queue)
            .into_sorted_vec()
            .into_iter()
            .rev()
            .map(|asked| asked.0)
            .collect();
        for asked in under_way {
            if rng.random_bool(0.5) {
                self.carry_out(&asked);
            }
        }
        self.files.values_mut().for_each(|file| file.store = None);
        self.ready = None;
        self.shared.clear();
        self.stores.clear();
        self.deleted.clear();
    }
}
