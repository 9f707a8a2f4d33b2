//! Downloads one torrent with rqbit's library from given peers, and ends when all is there: `download FILE.torrent FOLDER PEER...`

use std::net::SocketAddr;

use anyhow::Context;
use librqbit::{AddTorrent, AddTorrentOptions, Session, SessionOptions};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(file), Some(folder)) = (args.next(), args.next()) else {
        anyhow::bail!("usage: download FILE.torrent FOLDER PEER...");
    };
    let peers = args
        .map(|peer| peer.parse::<SocketAddr>())
        .collect::<Result<Vec<_>, _>>()?;
    let options = SessionOptions {
        dht: None,
        disable_trackers: true,
        disable_local_service_discovery: true,
        ..SessionOptions::default()
    };
    let session = Session::new_with_opts(folder.clone().into(), options).await?;
    let options = AddTorrentOptions {
        initial_peers: Some(peers),
        disable_trackers: true,
        // As the others are told: right into the folder.
        output_folder: Some(folder),
        overwrite: true,
        ..AddTorrentOptions::default()
    };
    let torrent = AddTorrent::from_local_filename(&file)?;
    let added = session.add_torrent(torrent, Some(options)).await?;
    added
        .into_handle()
        .context("a torrent to download")?
        .wait_until_completed()
        .await
}
