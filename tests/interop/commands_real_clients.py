"""The other commands against real clients: dht, fetch and peers.

Usage: commands_real_clients.py ESTUDELY
"""

import os
import sys
import tempfile

import libtorrent as lt

from program import HOST, Running, run
from swarm import PORT, Swarm, ask, rows, samples


def main():
    estudely = sys.argv[1]
    root = tempfile.mkdtemp(prefix="estudely-interop-")
    swarm = Swarm(root, sessions=12, torrents=30)
    swarm.announced(1.0)
    dht(estudely, root, swarm)
    fetch(estudely, root, swarm)
    two_steps(estudely, root, swarm)


def endpoint(address):
    return f"{address}:{PORT}"


def dht(estudely, root, swarm):
    ids = {address: ask(address, "ping", {})[b"id"].hex() for address in swarm.addresses}
    first = swarm.addresses[0]
    lines, _ = run(estudely, root, "dht", "ping", endpoint(first))
    assert lines == [f"{ids[first]} {endpoint(first)}"], lines

    target = os.urandom(20).hex()
    distance = {address: int(node, 16) ^ int(target, 16) for address, node in ids.items()}
    nearest = {f"{ids[a]} {endpoint(a)}" for a in sorted(distance, key=distance.get)[:8]}
    lines, notes = run(estudely, root, "dht", "find-node", target, "--bootstrap", endpoint(first))
    assert set(lines) == nearest, f"{lines}\nnearest are {nearest}\n{notes}"
    known = {f"{node} {endpoint(address)}" for address, node in ids.items()}
    lines, _ = run(estudely, root, "dht", "find-node", target, "--node", endpoint(first))
    # It may still name the nodes of the commands before this one, too.
    named = {line for line in lines if f" {HOST}:" not in line}
    assert named and named <= known, lines

    torrent = swarm.torrents[1]
    (key,) = torrent.keys
    lines, _ = run(estudely, root, "dht", "get-peers", key, "--bootstrap", endpoint(first))
    assert lines == [endpoint(torrent.seeder)], lines
    lines, _ = run(estudely, root, "dht", "sample", endpoint(first))
    assert set(lines) == samples(first), lines
    print("dht ping, find-node, get-peers and sample: as libtorrent has it")


def compare(torrents, lines):
    """Rows of a metadata.csv; all keys of the torrents, and nothing else."""
    found = {row["infohash"]: row for row in rows(lines)}
    planted = {key: torrent for torrent in torrents for key in torrent.keys}
    assert found.keys() == planted.keys(), f"{lines}, planted {planted.keys()}"
    wrong = [line for key, row in found.items() for line in planted[key].differences(row)]
    assert not wrong, "\n".join(wrong)


def fetch(estudely, root, swarm):
    for torrent in swarm.torrents[:5]:
        lines, _ = run(estudely, root, "fetch", *torrent.keys, "--peer", endpoint(torrent.seeder))
        compare([torrent], lines)
        magnet = lt.make_magnet_uri(torrent.info)
        lines, _ = run(estudely, root, "fetch", magnet, "--bootstrap", endpoint(swarm.addresses[0]))
        compare([torrent], lines)
    print("fetch --peer and fetch MAGNET: odd name, unicode, large, v2 and hybrid")


def two_steps(estudely, root, swarm):
    """`estudely peers > stream; estudely fetch peers.csv`"""
    shown = swarm.shown()
    table, stream = os.path.join(root, "peers.csv"), os.path.join(root, "stream.csv")
    with open(stream, "w", encoding="utf-8") as out:
        peers = Running(estudely, root, "peers", "--bootstrap", endpoint(swarm.addresses[0]),
                        "--output", table, "--overall-timeout", "120", rows=out)

    def read(path):
        with open(path, newline="", encoding="utf-8") as held:
            return rows(held)

    peers.wait(lambda: os.path.exists(table) and shown <= {row["infohash"] for row in read(table)}, 110,
               "every infohash shown has a row of peers")
    peers.interrupt()
    found = {row["infohash"]: row for row in read(table)}
    assert read(stream) == read(table), "stdout shows the same rows as the file"
    for key, row in found.items():
        assert (row["peer_ip"], row["peer_port"]) == (swarm.planted[key].seeder, str(PORT)), row
    lines, _ = run(estudely, root, "fetch", table)
    fetched = {row["infohash"]: row for row in rows(lines)}
    assert fetched.keys() == found.keys(), f"fetched {len(fetched)} of {len(found)}"
    wrong = [line for key, row in fetched.items() for line in swarm.planted[key].differences(row)]
    assert not wrong, "\n".join(wrong)
    print(f"peers and then fetch peers.csv: {len(fetched)} infohashes")


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
