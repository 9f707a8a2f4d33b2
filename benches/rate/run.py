#!/usr/bin/env python3
"""Verified metadata per CPU-second, ours against others': benches/rate/run.py ESTUDELY [--rounds N] [--torrents N] [--test]

One `estudely lab` process (ideal profile, real TCP on loopback) serves one peers.csv, each torrent with one to three peers, to
each client in turn, round by round, so that a busy machine is busy for all:

  estudely    `estudely fetch peers.csv`
  libtorrent  its Python package; skipped if there is none
  rqbit       its library (`list_only`), built here by cargo; skipped if it cannot be. Twice: with the runtime of many threads
              that its own binary uses, and with one thread, which costs it less

What counts is the processor time of the client's process as the kernel tells it at its end, user and system, less what the same
client takes for an empty list. The lab's own time is not in it. Standard library only.
"""

import argparse
import csv
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# Peers of a torrent in the list: more would only be held in reserve.
PEERS = 3
# Torrents in work at once. libtorrent: what served it best of 20 to 3,000. rqbit: 20 cost it more; no more than 100 was measured.
LIBTORRENT_AT_ONCE = 100
RQBIT_AT_ONCE = 100
# A build of rqbit on two busy cores, and a client's run, may take so long.
BUILD_SECONDS, RUN_SECONDS = 1_200, 300


def skip(client, why):
    print(f"{client}: skipped, {why}", flush=True)


def libtorrent():
    probe = [sys.executable, "-c", "import libtorrent; print(libtorrent.__version__)"]
    version = subprocess.run(probe, capture_output=True, text=True)
    if version.returncode != 0:
        return skip("libtorrent", f"{sys.executable} has no such module (pip install libtorrent)")
    command = [sys.executable, os.path.join(HERE, "libtorrent_client.py")]
    return version.stdout.strip(), lambda peers: [*command, peers, str(LIBTORRENT_AT_ONCE)]


def rqbit(threads):
    target = os.environ.get("CARGO_TARGET_DIR") or os.path.join(HERE, "rqbit", "target")
    build = ["cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", os.path.join(HERE, "rqbit", "Cargo.toml"),
             "--target-dir", target]
    try:
        subprocess.run(build, check=True, timeout=BUILD_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        return skip("rqbit", error)
    with open(os.path.join(HERE, "rqbit", "Cargo.lock"), encoding="utf-8") as lock:
        version = re.search(r'name = "librqbit"\nversion = "([^"]+)"', lock.read()).group(1)
    client = os.path.join(target, "release", "rate-rqbit")
    return version, lambda peers: [client, peers, str(RQBIT_AT_ONCE), threads]


class Lab:
    """A lab that runs until it is left; its torrents as a peers.csv, and an empty one."""

    def __init__(self, estudely, torrents, folder):
        truth = os.path.join(folder, "truth.csv")
        # Few nodes: nobody asks the DHT.
        self.process = subprocess.Popen(
            [estudely, "lab", "--nodes", "50", "--torrents", str(torrents), "--truth", truth, "--overall-timeout", "3600"],
            stderr=subprocess.PIPE, text=True)
        while "bootstrap" not in (line := self.process.stderr.readline()):
            if not line:
                raise SystemExit("the lab did not start")
        self.empty, self.peers = os.path.join(folder, "empty.csv"), os.path.join(folder, "peers.csv")
        named = {}
        with open(truth, encoding="utf-8", newline="") as rows:
            for row in csv.DictReader(rows):
                if row["metadata_ok"] == "True" and row["peer_ip"]:
                    named.setdefault(row["infohash"], []).append(f"{row['infohash']},{row['peer_ip']},{row['peer_port']}\n")
        for path, rows in ((self.empty, []), (self.peers, [row for rows in named.values() for row in rows[:PEERS]])):
            with open(path, "w", encoding="utf-8") as out:
                out.writelines(["infohash,peer_ip,peer_port\n", *rows])
        self.torrents = len(named)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)


def run(command):
    """Runs a command to its end: what it printed, and its processor seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=RUN_SECONDS)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.stdout, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def fetched(printed):
    """How many infohashes came with metadata: the others count, ours prints a row of each below a header."""
    count = re.fullmatch(r"fetched (\d+)\n", printed)
    return int(count.group(1)) if count else printed.count("\n") - 1


def measure(clients, lab, rounds):
    """Per client, the median processor seconds of an empty list, and (metadata, seconds) of each round."""
    start = {name: statistics.median(run(command(lab.empty))[1] for _ in range(3)) for name, (_, command) in clients.items()}
    results = {name: [] for name in clients}
    for at in range(rounds):
        names = list(clients)
        # Each is first once in a while.
        for name in names[at % len(names):] + names[:at % len(names)]:
            printed, seconds = run(clients[name][1](lab.peers))
            results[name].append((fetched(printed), max(seconds - start[name], 1e-6)))
    return start, results


def report(clients, start, results):
    rates = {name: [count / seconds for count, seconds in rounds] for name, rounds in results.items()}
    print(f"{'client':<22}{'metadata':>9}{'CPU s':>8}{'start':>7}{'each us':>9}{'per CPU s':>11}{'ours / it':>11}   (medians)")
    for name, rounds in results.items():
        count = statistics.median(count for count, _ in rounds)
        seconds = statistics.median(seconds for _, seconds in rounds)
        ratio = statistics.median(ours / theirs for ours, theirs in zip(rates["estudely"], rates[name]) if theirs) if count else 0
        each = 1e6 / statistics.median(rates[name]) if count else 0
        print(f"{name + ' ' + clients[name][0]:<22}{count:>9.0f}{seconds:>8.3f}{start[name]:>7.3f}{each:>9.1f}"
              f"{statistics.median(rates[name]):>11.0f}{ratio:>11.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("estudely")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--torrents", type=int, default=5_000)
    parser.add_argument("--test", action="store_true", help="one round of few torrents: that it runs, not how fast")
    args = parser.parse_args()
    if args.test:
        args.rounds, args.torrents = 1, 200
    estudely = os.path.abspath(args.estudely)
    ours = ("", lambda peers: [estudely, "fetch", "--allow-loopback", peers])
    others = {"libtorrent": libtorrent(), "rqbit": rqbit("many"), "rqbit, one thread,": rqbit("one")}
    clients = {"estudely": ours} | {name: client for name, client in others.items() if client}
    with tempfile.TemporaryDirectory() as folder, Lab(estudely, args.torrents, folder) as lab:
        load = os.getloadavg()[0]
        began = time.monotonic()
        start, results = measure(clients, lab, args.rounds)
        print(f"{lab.torrents} torrents, {args.rounds} rounds in {time.monotonic() - began:.0f} s; "
              f"load {load:.1f} of {os.cpu_count()} cores before")
        report(clients, start, results)
    short = [f"{name}: {count} of {lab.torrents}" for name, rounds in results.items() for count, _ in rounds[:1] if count < 0.9 * lab.torrents]
    if short:
        raise SystemExit("not all fetched: " + "; ".join(short))


if __name__ == "__main__":
    main()
