"""Crawls a DHT of 24 libtorrent sessions with 200 torrents, and compares every row with what was planted.

Usage: crawl_real_clients.py ESTUDELY
"""

import os
import sys
import tempfile
import time

from program import HOST, Running
from swarm import PORT, Swarm, ask, rows


def rows_by_key(path):
    found = {}
    if os.path.exists(path):
        with open(path, newline="", encoding="utf-8") as table:
            for row in rows(table):
                found.setdefault(row["infohash"], []).append(row)
    return found


def differences(torrent, row):
    """What a row of metadata.txt says against what was planted."""
    wrong = torrent.differences(row)
    want = {"metadata_ok": "True", "peer_ip": torrent.seeder, "peer_port": str(PORT)}
    wrong.extend(f"{row['infohash']}: {column} is {row[column]!r}, not {value!r}"
                 for column, value in want.items() if row[column] != value)
    return wrong


def main():
    root = tempfile.mkdtemp(prefix="estudely-interop-")
    swarm = Swarm(root)
    swarm.announced()
    # A session freezes its sample for six hours when it is first asked, so the crawl is shown the same.
    shown = swarm.shown()
    assert len(shown) > 150 and shown <= swarm.planted.keys(), f"the sessions show {len(shown)} infohashes"
    output = os.path.join(root, "metadata.txt")
    begun = time.monotonic()
    crawl = Running(sys.argv[1], root, "crawl", "--bootstrap", f"{swarm.addresses[0]}:{PORT}",
                    "--output", output, "--overall-timeout", "170")

    def missing():
        return sorted(shown - rows_by_key(output).keys())

    try:
        crawl.wait(lambda: not missing(), 160, "every infohash shown has a row")
    finally:
        took = time.monotonic() - begun
        print("".join(f"no row: {key}\n" for key in missing()), end="")
    crawl.interrupt()
    print(crawl.notes())
    found = rows_by_key(output)
    wrong = []
    for key, block in found.items():
        for row in block:
            if key in swarm.planted:
                wrong.extend(differences(swarm.planted[key], row))
            elif row["metadata_ok"] != "False" or row["peer_ip"]:
                # libtorrent walks by get_peers to random points, which our node hears of, too; these have nobody.
                wrong.append(f"{key}: never planted, and yet {row}")
    assert not wrong, "\n".join(wrong)
    # libtorrent silences a host for five minutes, longer than this test, that sends 50 packets within ten seconds.
    for address in swarm.addresses:
        assert ask(address, "ping", {}, source=HOST), f"{address} has banned us"
    print(f"{len(shown)} infohashes shown by 24 libtorrent sessions, {len(shown & found.keys())} found in {took:.1f} s, "
          "every row right, no ban")


if __name__ == "__main__":
    main()
    # libtorrent's own teardown takes many seconds; nothing is left that matters.
    sys.stdout.flush()
    os._exit(0)
