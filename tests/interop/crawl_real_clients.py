"""Crawls a DHT of 24 libtorrent sessions with 200 torrents, and compares every row with what was planted.

Usage: crawl_real_clients.py ESTUDELY
"""

import csv
import os
import signal
import subprocess
import sys
import tempfile

from swarm import PORT, Swarm, wait_until


def rows_by_key(path):
    with open(path, newline="", encoding="utf-8") as table:
        rows = {}
        for row in csv.DictReader(table):
            rows.setdefault(row["infohash"], []).append(row)
        return rows


def differences(key, torrent, rows):
    """What a row says against what was planted; the name's newline is one of the characters that a line cannot hold."""
    want = {
        "name": torrent.name.replace("\n", "\ufffd"),
        "file_count": str(torrent.file_count),
        "total_bytes": str(torrent.total_bytes),
        "piece_length": str(torrent.piece_length),
        "metadata_ok": "True",
    }
    for row in rows:
        for column, value in want.items():
            if row[column] != value:
                yield f"{key}: {column} is {row[column]!r}, planted {value!r}"


def main():
    estudely = sys.argv[1]
    root = tempfile.mkdtemp(prefix="estudely-interop-")
    swarm = Swarm(root)
    swarm.announced()
    planted = {key: torrent for torrent in swarm.torrents for key in torrent.keys}
    shown = swarm.shown()
    assert len(shown) > 150 and shown <= planted.keys(), f"the sessions show {len(shown)} infohashes"
    output = os.path.join(root, "metadata.txt")
    crawl = subprocess.Popen(
        [estudely, "crawl", "--allow-loopback", "--bind", "127.0.0.1:0", "--profile", "lab", "--bootstrap",
         f"{swarm.addresses[0]}:{PORT}", "--output", output, "--data-dir", os.path.join(root, "data"), "--overall-timeout", "170"],
        stdout=subprocess.DEVNULL, stderr=open(os.path.join(root, "log"), "w"))

    def complete():
        if crawl.poll() is not None:
            return True
        return os.path.exists(output) and shown <= rows_by_key(output).keys()

    wait_until(complete, 160, "every infohash shown has a row")
    crawl.send_signal(signal.SIGINT)
    code = crawl.wait(timeout=30)
    print(open(os.path.join(root, "log")).read())
    assert code == 0, f"exit code {code}"
    found = rows_by_key(output)
    wrong = [f"{key}: no row" for key in sorted(shown - found.keys())]
    for key, rows in found.items():
        wrong.extend(differences(key, planted[key], rows) if key in planted else [f"{key}: never planted"])
    assert not wrong, "\n".join(wrong)
    print(f"{len(shown)} infohashes shown by 24 libtorrent sessions, {len(found)} found, every row right")


if __name__ == "__main__":
    main()
    # libtorrent's own teardown takes many seconds; nothing is left that matters.
    sys.stdout.flush()
    os._exit(0)
