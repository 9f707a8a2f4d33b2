#!/usr/bin/env python3
"""One libtorrent session as a seeder or a leecher of a torrent: what benches/rate/download.py measures others by.

    libtorrent_peer.py seed FILE.torrent FOLDER IP:PORT [tuned]
    libtorrent_peer.py leech FILE.torrent FOLDER IP:PORT [tuned] PEER_IP:PORT...

A seeder runs until it is killed and takes the files for whole; a leecher ends when all is hashed and written.
"""

import os
import sys
import time

import libtorrent as lt

SETTINGS = {
    # Only what all clients speak here: plain TCP, and nobody but the peers that are named.
    "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "enable_incoming_utp": False, "enable_outgoing_utp": False,
    "in_enc_policy": lt.enc_policy.pe_disabled, "out_enc_policy": lt.enc_policy.pe_disabled,
    "allow_multiple_connections_per_ip": True, "alert_mask": 0, "unchoke_slots_limit": -1,
}
# As its `high_performance_seed` preset has it, and as its manual says for fast lines.
TUNED = {
    **lt.high_performance_seed(), "max_out_request_queue": 3_000, "request_queue_time": 10, "send_socket_buffer_size": 0,
    "recv_socket_buffer_size": 0, "aio_threads": 8, "hashing_threads": 2, "max_queued_disk_bytes": 32 << 20,
}


def endpoint(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def main(role, file, folder, address, *rest):
    tuned = "tuned" in rest
    own = {key: value for key, value in TUNED.items() if key in lt.default_settings()} if tuned else {}
    session = lt.session({**own, **SETTINGS, "listen_interfaces": address})
    params = lt.add_torrent_params()
    params.ti, params.save_path = lt.torrent_info(file), folder
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    if role == "seed":
        params.flags |= lt.torrent_flags.seed_mode
    params.peers = [endpoint(peer) for peer in rest if peer != "tuned"]
    torrent = session.add_torrent(params)
    while role == "seed" or not torrent.status().is_seeding:
        time.sleep(0.02 if role == "leech" else 3_600)
    # Its teardown is not what is measured, and the last blocks must be in the files.
    torrent.flush_cache()
    while torrent.status().total_wanted_done < torrent.status().total_wanted:
        time.sleep(0.02)


if __name__ == "__main__":
    if sys.argv[1:]:
        main(*sys.argv[1:])
    os._exit(0)
