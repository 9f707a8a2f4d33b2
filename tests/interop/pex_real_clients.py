"""Peers that peers name (BEP 11): our fetch is told of one peer that has no metadata, and gets it from whom that one knows.

Usage: pex_real_clients.py ESTUDELY
"""

import json
import os
import subprocess
import sys
import tempfile

import libtorrent as lt

from planted import make
from swarm import PORT, SETTINGS, add, wait_until

SEEDER, BETWEEN = "127.0.7.1", "127.0.7.2"


def main():
    root = tempfile.mkdtemp(prefix="estudely-interop-")
    torrent = make(root, "v1", 200_000, b"p" * 40_000)
    seeder = session(SEEDER)
    add(seeder, torrent)
    # Of the extensions it speaks this one alone, so it stays without metadata, and connected to the seeder.
    between = session(BETWEEN, flags=0)
    between.add_extension("ut_pex")
    magnet = lt.parse_magnet_uri(lt.make_magnet_uri(torrent.info))
    magnet.save_path = root
    handle = between.add_torrent(magnet)

    def connected():
        if not handle.get_peer_info():
            handle.connect_peer((SEEDER, PORT))
        return any(not peer.flags & (peer.handshake | peer.connecting) for peer in handle.get_peer_info())

    wait_until(connected, 60, "one libtorrent session knows the other")
    ended = subprocess.run(
        [sys.argv[1], "fetch", torrent.v1_key, "--peer", f"{BETWEEN}:{PORT}", "--allow-loopback", "--jsonl",
         "--data-dir", os.path.join(root, "data"), "--overall-timeout", "60"],
        capture_output=True, encoding="utf-8", timeout=90, check=False)
    assert ended.returncode == 0, f"exit code {ended.returncode}: {ended.stdout}\n{ended.stderr}"
    assert not handle.status().has_metadata, "the one in between had none itself"
    record = json.loads(ended.stdout)
    assert record["peer"] == f"{SEEDER}:{PORT}", record
    print(f"libtorrent {lt.__version__} without metadata named the seeder, which gave {len(torrent.raw)} bytes by {record['via']}")


def session(address, flags=lt.session_flags_t.add_default_plugins):
    # A seeder that hears of us by the same way would call us first, now and then.
    own = {"seeding_outgoing_connections": False, "enable_dht": False, "listen_interfaces": f"{address}:{PORT}",
           "outgoing_interfaces": address}
    return lt.session({**SETTINGS, **own}, flags)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
