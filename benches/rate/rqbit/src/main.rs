//! Fetches the metadata of every infohash of a peers.csv with rqbit's library: `rate-rqbit peers.csv AT_ONCE one|many`, the
//! last saying how many threads its runtime has.

use std::collections::HashMap;
use std::net::SocketAddr;

use anyhow::Context;
use futures::StreamExt;
use librqbit::{AddTorrent, AddTorrentOptions, AddTorrentResponse, Session, SessionOptions};

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(file), Some(at_once), Some(threads)) = (args.next(), args.next(), args.next()) else {
        anyhow::bail!("usage: rate-rqbit peers.csv AT_ONCE one|many");
    };
    let wanted = read(&file)?;
    let mut runtime = match threads.as_str() {
        "one" => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    let fetched = runtime.block_on(fetch(wanted, at_once.parse()?))?;
    println!("fetched {fetched}");
    Ok(())
}

/// The infohashes in the order of first mention, each with its peers.
fn read(file: &str) -> anyhow::Result<Vec<(String, Vec<SocketAddr>)>> {
    let (mut wanted, mut places) = (Vec::<(String, Vec<SocketAddr>)>::new(), HashMap::new());
    for line in std::fs::read_to_string(file)?.lines().skip(1) {
        let (info_hash, peer) = line.split_once(',').context("a row of two columns or more")?;
        let place = *places.entry(info_hash.to_owned()).or_insert_with(|| {
            wanted.push((info_hash.to_owned(), Vec::new()));
            wanted.len() - 1
        });
        wanted[place].1.push(peer.replace(',', ":").parse()?);
    }
    Ok(wanted)
}

async fn fetch(wanted: Vec<(String, Vec<SocketAddr>)>, at_once: usize) -> anyhow::Result<usize> {
    let options = SessionOptions {
        dht: None,
        disable_trackers: true,
        disable_local_service_discovery: true,
        ..SessionOptions::default()
    };
    let session = Session::new_with_opts(std::env::temp_dir(), options).await?;
    let fetched = futures::stream::iter(wanted).map(|(info_hash, peers)| {
        let options = AddTorrentOptions {
            list_only: true,
            initial_peers: Some(peers),
            disable_trackers: true,
            ..AddTorrentOptions::default()
        };
        let session = session.clone();
        async move {
            let magnet = AddTorrent::from_url(format!("magnet:?xt=urn:btih:{info_hash}"));
            let added = session.add_torrent(magnet, Some(options)).await;
            usize::from(matches!(added, Ok(AddTorrentResponse::ListOnly(_))))
        }
    });
    Ok(fetched
        .buffer_unordered(at_once)
        .fold(0, async |sum, one| sum + one)
        .await)
}
