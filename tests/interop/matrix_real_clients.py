"""The matrix: every client here as a source of metadata, by every way of connecting that it offers.

Usage: matrix_real_clients.py ESTUDELY

One line for each cell: outcome, client, its setting, the way, its ut_metadata id, the torrent's version, bytes of the info dictionary.
"""

import concurrent.futures
import contextlib
import os
import sys
import tempfile

from cells import WAYS, Cells
from clients import CLIENTS, UTP, folder
from planted import plant
from relay import UdpRelay
from scripted_peer import BLOCK, Wire
from swarm import wait_until

# The ids that clients are known to use for ut_metadata messages to them.
IDS = {"libtorrent": 2, "qBittorrent": 2, "transmission": 3}
# Who asks for them: some clients take one connection from a host at a time, and our fetch comes from 127.0.0.1.
ASKER = "127.7.0.1"


def main():
    root = tempfile.mkdtemp(prefix="estudely-interop-")
    torrents = plant(folder(root, "content"))
    cells = Cells(sys.argv[1], root)
    seeders = [seeder for client in CLIENTS for seeder in client(root, torrents)]
    usable = [seeder for seeder in seeders if set(seeder.ways) & set(WAYS)]
    try:
        # Most of the time is waiting for clients that look around once a second.
        with concurrent.futures.ThreadPoolExecutor(4) as workers:
            list(workers.map(lambda seeder: matrix(cells, seeder, torrents), usable))
    finally:
        for seeder in seeders:
            seeder.stop()
    cells.end()


def matrix(cells, seeder, torrents):
    """All cells of one client in one setting."""
    seeded = [torrent for torrent in torrents if seeder.seeds(torrent)]
    if not cells.ready(seeder, [key for torrent in seeded for key in seeder.keys(torrent)]):
        return
    told = ut_metadata(seeder, seeded[0])
    # Before this, `ready` came to it at its own address, by whatever way it takes.
    relay = UdpRelay(seeder.address[0], seeder.address)
    for way in WAYS:
        address = relay.address if way in UTP else seeder.address
        if way not in seeder.ways:
            cells.must_fail(seeder, way, told, address, seeded[0], seeder.keys(seeded[0])[0], "no metadata")
            continue
        # The first way carries everything; the others little, two blocks, and many.
        for torrent in seeded if way == seeder.ways[0] else few(seeded):
            for key in seeder.keys(torrent):
                cells.must_succeed(seeder, way, told, address, torrent, key)


def few(torrents):
    return [torrent for torrent in torrents if torrent.version == "v1" and len(torrent.raw) <= 200_000 and len(torrent.raw) % BLOCK]


def ut_metadata(seeder, torrent):
    """The id that it tells to whom it lets in without encryption, and by TCP."""
    if "tcp" not in seeder.ways:
        return None
    told = []

    def tell():
        with contextlib.suppress(OSError):
            wire = Wire(seeder.address, torrent.v1_key, source=(ASKER, 0))
            told.append(wire.ut_metadata)
            wire.close()
        return told

    wait_until(tell, 30, f"{seeder.client} tells its id for ut_metadata")
    known = IDS.get(seeder.client.split()[0], told[0])
    assert told[0] == known, f"{seeder.client} has {told[0]} for ut_metadata, not {known}"
    return told[0]


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    # libtorrent's own teardown takes many seconds; nothing is left that matters.
    os._exit(0)
