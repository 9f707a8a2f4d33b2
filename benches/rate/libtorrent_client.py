#!/usr/bin/env python3
"""Fetches the metadata of every infohash of a peers.csv with libtorrent: libtorrent_client.py peers.csv AT_ONCE."""

import csv
import sys
import tempfile
import time

import libtorrent

GIVE_UP_AFTER = 120

SETTINGS = {
    # Nobody but the peers of the list is asked.
    "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    # Only what all three clients speak with these seeders: plain TCP.
    "enable_incoming_utp": False, "enable_outgoing_utp": False, "out_enc_policy": libtorrent.enc_policy.pe_disabled,
    "listen_interfaces": "127.0.0.1:0",
    # Nothing waits for a limit that is meant for a home line.
    "connections_limit": 4_000, "connection_speed": 4_000, "torrent_connect_boost": 255,
    "active_downloads": -1, "active_limit": -1, "dont_count_slow_torrents": True,
    "alert_queue_size": 100_000, "alert_mask": libtorrent.alert.category_t.status_notification,
}


def wanted(path):
    peers = {}
    with open(path, encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            peers.setdefault(row["infohash"], []).append((row["peer_ip"], int(row["peer_port"])))
    return list(peers.items())


def fetch(wanted, at_once, folder):
    session = libtorrent.session(SETTINGS)
    flags = libtorrent.torrent_flags
    # As a torrent's flags are by default, but: never queued, nothing downloaded, nobody looked for.
    only_metadata = flags.upload_mode | flags.disable_dht | flags.disable_lsd | flags.disable_pex

    def add():
        info_hash, peers = wanted.pop()
        torrent = libtorrent.add_torrent_params()
        torrent.info_hashes = libtorrent.info_hash_t(libtorrent.sha1_hash(bytes.fromhex(info_hash)))
        torrent.peers, torrent.save_path, torrent.flags = peers, folder, only_metadata
        session.async_add_torrent(torrent)

    running, fetched, end = min(at_once, len(wanted)), 0, time.monotonic() + GIVE_UP_AFTER
    for _ in range(running):
        add()
    while running > 0 and time.monotonic() < end:
        session.wait_for_alert(500)
        for alert in session.pop_alerts():
            if not isinstance(alert, libtorrent.metadata_received_alert):
                continue
            fetched += 1
            session.remove_torrent(alert.handle)
            if wanted:
                add()
            else:
                running -= 1
    return fetched


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as nothing:
        print("fetched", fetch(wanted(sys.argv[1]), int(sys.argv[2]), nothing))
