//! Names to addresses: a few routers, asked for at once, remembered for the run.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;
use tokio::task::JoinSet;

/// Looks up `HOST:PORT`, each at most once a run.
#[derive(Debug)]
pub struct Resolver {
    timeout: Duration,
    known: HashMap<String, Vec<SocketAddr>>,
    lookups: u64,
}

/// What became of one place.
#[derive(Debug)]
pub struct Resolved {
    /// As it was given.
    pub place: String,
    /// Its addresses, at least one, in the system's order of preference.
    pub addrs: Result<Vec<SocketAddr>, ResolveError>,
}

/// Why a place has no address. The other places are not affected.
#[derive(Debug, Error)]
pub enum ResolveError {
    /// No `:PORT`, or a port that is no number.
    #[error("`{place}` is not HOST:PORT")]
    NotAPlace {
        /// As it was given.
        place: String,
    },
    /// The system did not answer in time.
    #[error("no answer for `{place}` from the name server")]
    Timeout {
        /// As it was given.
        place: String,
    },
    /// The system has no address for it.
    #[error("cannot resolve `{place}`: {source}")]
    Unknown {
        /// As it was given.
        place: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Resolver {
    /// A resolver that knows nothing yet and waits so long for all answers together.
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            known: HashMap::new(),
            lookups: 0,
        }
    }

    /// How many times the system was asked.
    pub const fn lookups(&self) -> u64 {
        self.lookups
    }

    /// Looks up all of `places`, in their order. Blocks for at most the timeout; addresses and what was found earlier
    /// in this run cost nothing, failures are tried again.
    ///
    /// # Errors
    ///
    /// The lookups could not be started at all. What fails of one place stands in its [`Resolved`].
    pub fn resolve(&mut self, places: &[String]) -> io::Result<Vec<Resolved>> {
        let mut unknown = Vec::new();
        for place in places {
            if let Ok(addr) = place.parse() {
                self.known.insert(place.clone(), vec![addr]);
            } else if is_place(place) && !self.known.contains_key(place) && !unknown.contains(place) {
                unknown.push(place.clone());
            }
        }
        let mut failed = self.look_up(unknown)?;
        let resolved = places.iter().map(|place| {
            let addrs = match self.known.get(place) {
                Some(addrs) => Ok(addrs.clone()),
                None if !is_place(place) => Err(ResolveError::NotAPlace { place: place.clone() }),
                None => Err(match failed.remove(place) {
                    Some(source) => ResolveError::Unknown {
                        place: place.clone(),
                        source,
                    },
                    None => ResolveError::Timeout { place: place.clone() },
                }),
            };
            let place = place.clone();
            Resolved { place, addrs }
        });
        Ok(resolved.collect())
    }

    /// Adds to what is known; gives the failures that came in time.
    fn look_up(&mut self, places: Vec<String>) -> io::Result<HashMap<String, io::Error>> {
        let mut failed = HashMap::new();
        if places.is_empty() {
            return Ok(failed);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut lookups = JoinSet::new();
            for place in places {
                self.lookups += 1;
                lookups.spawn(async move {
                    let found = tokio::net::lookup_host(&place).await.map(Vec::from_iter);
                    (place, found)
                });
            }
            let until = tokio::time::Instant::now() + self.timeout;
            while let Ok(Some(Ok((place, found)))) = tokio::time::timeout_at(until, lookups.join_next()).await {
                match found {
                    Ok(addrs) if !addrs.is_empty() => {
                        self.known.insert(place, addrs);
                    }
                    Ok(_) => {
                        failed.insert(place, io::ErrorKind::NotFound.into());
                    }
                    Err(error) => {
                        failed.insert(place, error);
                    }
                }
            }
        });
        // A lookup that hangs keeps its thread; nobody waits for it.
        runtime.shutdown_background();
        Ok(failed)
    }
}

fn is_place(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(places: &[&str]) -> Vec<String> {
        places.iter().map(|place| (*place).to_owned()).collect()
    }

    #[test]
    fn a_place_is_asked_for_once_a_run() {
        let mut resolver = Resolver::new(Duration::from_secs(5));
        let wanted = places(&["localhost:6881", "127.0.0.1:1", "localhost:6881", "[::1]:2"]);
        for _ in 0..2 {
            let found = resolver.resolve(&wanted).unwrap();
            assert_eq!(found.len(), 4);
            assert!(
                found[0]
                    .addrs
                    .as_ref()
                    .unwrap()
                    .iter()
                    .all(|addr| addr.ip().is_loopback() && addr.port() == 6881)
            );
            assert_eq!(found[1].addrs.as_ref().unwrap(), &["127.0.0.1:1".parse().unwrap()]);
        }
        assert_eq!(resolver.lookups(), 1);
    }

    #[test]
    fn one_bad_place_leaves_the_others() {
        let mut resolver = Resolver::new(Duration::from_secs(5));
        let found = resolver
            .resolve(&places(&["router", "router:port", "127.0.0.1:1"]))
            .unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|one| one.addrs.as_ref().map_err(ToString::to_string))
            .collect();
        assert_eq!(told[0], Err("`router` is not HOST:PORT".to_owned()));
        assert_eq!(told[1], Err("`router:port` is not HOST:PORT".to_owned()));
        assert!(told[2].is_ok());
        assert_eq!(resolver.lookups(), 0);
    }

    #[test]
    fn without_time_there_is_no_answer() {
        let mut resolver = Resolver::new(Duration::ZERO);
        let found = resolver.resolve(&places(&["localhost:1"])).unwrap();
        // A lookup that is done before it is first waited for is taken.
        match &found[0].addrs {
            Ok(addrs) => assert!(!addrs.is_empty()),
            Err(error) => assert_eq!(error.to_string(), "no answer for `localhost:1` from the name server"),
        }
    }
}
