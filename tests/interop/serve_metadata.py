"""Our node as a source of metadata (MDX-09): what a running crawl has fetched, it gives to others.

Usage: serve_metadata.py ESTUDELY
"""

import os
import sys
import tempfile

import libtorrent as lt

from cells import WAYS, Cells
from clients import ENCRYPTED, PLAIN, UTP, Seeder, folder
from program import HOST, Running
from relay import UdpRelay
from scripted_peer import Wire
from swarm import PORT, SETTINGS, Swarm, rows, wait_until

# What makes a libtorrent session connect by one way only.
ONLY = {
    "tcp": {"enable_outgoing_utp": False, "out_enc_policy": lt.enc_policy.disabled},
    "utp": {"enable_outgoing_tcp": False, "out_enc_policy": lt.enc_policy.disabled},
    "tcp_mse": {"enable_outgoing_utp": False, "out_enc_policy": lt.enc_policy.forced},
    "utp_mse": {"enable_outgoing_tcp": False, "out_enc_policy": lt.enc_policy.forced},
}
# What each of our policies for encryption lets in.
POLICIES = {"enabled": WAYS, "forced": ENCRYPTED, "disabled": PLAIN}
# To end a session takes seconds, so none is.
sessions = []


def main():
    root = tempfile.mkdtemp(prefix="estudely-interop-")
    cells = Cells(sys.argv[1], root)
    swarm = Swarm(root, sessions=6, torrents=8)
    swarm.announced(1.0)
    shown = sorted(swarm.shown())
    crawls = {policy: crawling(sys.argv[1], folder(root, policy), swarm, policy) for policy in POLICIES}
    addresses = {policy: (HOST, crawl.port()) for policy, crawl in crawls.items()}
    for policy, crawl in crawls.items():
        crawl.wait(lambda: fetched_by(crawl, shown), 120, "the crawl has metadata for everything")
    print(f"crawls have fetched {len(shown)} infohashes, and are asked for them now")
    us = addresses["enabled"]
    for key in shown:
        by_hand(swarm.planted[key], key, us)
    print("a peer in Python gets them all, by ut_metadata under id 255")
    for way in WAYS:
        through_libtorrent(swarm, shown, us, way)
        print(f"libtorrent with a magnet link and us as its only peer gets them all by {way}")
    for policy, address in addresses.items():
        among_ourselves(cells, swarm, shown, policy, address)
    for crawl in crawls.values():
        crawl.interrupt()
    cells.end()


def crawling(estudely, home, swarm, policy):
    crawl = Running(estudely, home, "crawl", "--bootstrap", f"{swarm.addresses[0]}:{PORT}", "--encryption", policy,
                    "--output", os.path.join(home, "metadata.txt"), "--overall-timeout", "300")
    crawl.output = os.path.join(home, "metadata.txt")
    return crawl


def fetched_by(crawl, shown):
    if not os.path.exists(crawl.output):
        return False
    with open(crawl.output, newline="", encoding="utf-8") as table:
        return set(shown) <= {row["infohash"] for row in rows(table) if row["metadata_ok"] == "True"}


def among_ourselves(cells, swarm, shown, policy, us):
    """Our fetch, held to each way, and by whatever works."""
    ours, relay = Seeder("ours", f"encryption {policy}", us, POLICIES[policy]), UdpRelay(HOST, us)
    for way in WAYS:
        address = relay.address if way in UTP else us
        if way not in ours.ways:
            cells.must_fail(ours, way, 1, address, swarm.planted[shown[0]], shown[0], "no metadata")
            continue
        for key in shown:
            cells.must_succeed(ours, way, 1, address, swarm.planted[key], key)
    fetched = cells.attempt(us, shown[0])
    cells.check(fetched.ok and fetched.via == ours.ways[0], f"with encryption {policy} we are reached by {fetched.via}")


def by_hand(torrent, key, us):
    wire = Wire(us, key, our_id=255, source=("127.7.0.1", 0))
    raw = wire.metadata()
    wire.close()
    assert raw == torrent.raw, f"{key}: other bytes than planted"


def through_libtorrent(swarm, shown, us, way):
    """Sessions that know one infohash and us, and have no DHT. Each has an address of its own, as a host has one connection
    with us at a time: a second that comes meanwhile is closed."""
    magnets = {}
    for number, key in enumerate(shown):
        address = f"127.0.6.{10 * (WAYS.index(way) + 1) + number}"
        settings = {**SETTINGS, **ONLY[way], "enable_dht": False, "listen_interfaces": f"{address}:{PORT}", "outgoing_interfaces": address}
        session = lt.session(settings)
        sessions.append(session)
        magnet = lt.parse_magnet_uri(lt.make_magnet_uri(swarm.planted[key].info))
        magnet.save_path = swarm.planted[key].save_path
        magnets[key] = session, session.add_torrent(magnet)

    def connected():
        for _, handle in magnets.values():
            if not handle.status().has_metadata and not handle.get_peer_info():
                handle.connect_peer(us)
        return all(handle.status().has_metadata for _, handle in magnets.values())

    wait_until(connected, 60, f"libtorrent has all metadata by {way}")
    for key, (session, handle) in magnets.items():
        assert bytes(handle.torrent_file().info_section()) == swarm.planted[key].raw, f"{key}: other bytes than planted"
        # It would stay, and we take a few dozen strangers at a time.
        session.remove_torrent(handle)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
