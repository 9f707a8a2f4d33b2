#!/usr/bin/env python3
"""Payload per CPU-second, ours against others': benches/rate/download.py ESTUDELY [FOLDER] [--role leecher|seeder] [--rounds N]
[--size MIB] [--piece KIB] [--seeders N]... [--test]

One version 1 torrent of one file (4 GiB in pieces of 4 MiB by default), taken over plain TCP on loopback from one libtorrent
seeder, then from eight, by each client in turn, round by round, so that a busy machine is busy for all:

  estudely    `estudely download`
  libtorrent  its Python package as it comes, and with the settings that its manual names for fast lines
  aria2       aria2c; skipped if there is none
  rqbit       its library, built here by cargo; skipped if it cannot be

What counts is the processor time of the client's process as the kernel tells it at its end, user and system, less what it takes
to start and do nothing. Its files are written below FOLDER (/var/tmp by default; name one on the file system that is meant), are
compared by SHA-256 when the clock stands, and are deleted before the next one begins. The seeders' file is read once before, so
that it is in memory. Before each run a file of that size is written and deleted: a virtual machine gives memory back that is free
for some seconds, and to get it again costs up to ten times what a write does, whoever happens to need it first. With `--role seeder` each client seeds in turn, to one libtorrent that writes to /dev/shm, and its own
processor time counts from when it has loaded the torrent to when the other has all.

System calls are counted in a run of their own by strace, which is slow: --no-strace leaves that out.
"""

import argparse
import hashlib
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "tests", "interop")]

import measured  # noqa: E402
from measured import MIB  # noqa: E402
from run import rqbit, skip  # noqa: E402

HOST = "127.0.0.1"
BLOCK = 16_384
SECONDS = 900
# Ports of the seeders, from here; of whoever is measured, the one before.
PORT = 26_900
PEER = [sys.executable, os.path.join(HERE, "libtorrent_peer.py")]


class Client:
    """One that is measured: its name, and its command lines."""

    def __init__(self, name, idle, leech, seed=None):
        self.name, self.idle, self.leech, self.seed = name, idle, leech, seed


class Place:
    """The content, its torrent, and folders that are emptied between runs."""

    def __init__(self, folder, args):
        self.root, self.seeds = folder, os.path.join(folder, "seeds")
        self.out, self.state = os.path.join(folder, "out"), os.path.join(folder, "state")
        self.log = os.path.join(folder, "log")
        self.bytes = args.size * MIB
        os.makedirs(self.seeds)
        self.sha256 = write(os.path.join(self.seeds, "content"), self.bytes)
        self.torrent(args.piece * 1024)

    def torrent(self, piece_length):
        import libtorrent as lt
        from told_tracker import ToldTracker
        self.tracker = ToldTracker(HOST)
        maker = lt.create_torrent(lt.list_files(os.path.join(self.seeds, "content")), piece_length, lt.create_torrent.v1_only)
        lt.set_piece_hashes(maker, self.seeds)
        self.meta, self.bencode = maker.generate(), lt.bencode
        self.info_hash = str(lt.torrent_info(self.meta).info_hashes().v1)
        self.piece_length = lt.torrent_info(self.meta).piece_length()
        self.file = self.torrent_file("content", None)

    def torrent_file(self, name, peers):
        """The .torrent; for who finds its peers by a tracker alone, with one that names these."""
        path = os.path.join(self.root, f"{name}.torrent")
        with open(path, "wb") as out:
            out.write(self.bencode(self.meta | ({b"announce": self.tracker.url(*peers).encode()} if peers else {})))
        return path

    def empty(self):
        for folder in (self.out, self.state):
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)

    def check(self, folder, who):
        path = os.path.join(folder, "content")
        with open(path, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self.sha256:
                raise SystemExit(f"{who}: the file is not the same")
        os.unlink(path)


def write(path, size):
    """A file no two blocks of which are alike, made in little time; its SHA-256. It is in memory then."""
    base, sha256 = random.Random(1).randbytes(16 * MIB), hashlib.sha256()
    with open(path, "wb") as out:
        for turn, at in enumerate(range(0, size, len(base))):
            data = (base[turn:] + base[:turn])[:size - at]
            sha256.update(data)
            out.write(data)
    return sha256.hexdigest()


def endpoints(peers):
    return ["%s:%d" % peer for peer in peers]


def estudely(program):
    def common(place):
        return ["--bind", f"{HOST}:{PORT - 1}", "--allow-loopback", "--no-dht", "--no-lsd", "--no-utp", "--encryption", "disabled",
                "--data-dir", place.state]

    def leech(place, peers):
        named = [word for peer in endpoints(peers) for word in ("--peer", peer)]
        return [program, "download", place.file, "--output-dir", place.out, "--no-seed", *named, *common(place)]

    def seed(place):
        return [program, "seed", place.file, "--data", place.seeds, *common(place)]

    return Client("estudely", [program, "--version"], leech, seed)


def libtorrent(name, *tuned):
    def leech(place, peers):
        return [*PEER, "leech", place.file, place.out, f"{HOST}:{PORT - 1}", *tuned, *endpoints(peers)]

    def seed(place):
        return [*PEER, "seed", place.file, place.seeds, f"{HOST}:{PORT - 1}", *tuned]

    return Client(name, PEER, leech, seed)


def aria2():
    if not shutil.which("aria2c"):
        return skip("aria2", "there is no aria2c")
    line = ["aria2c", "--no-conf", "--enable-dht=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false",
            "--file-allocation=none", "--summary-interval=0", "--disable-ipv6=true", f"--listen-port={PORT - 1}", "--quiet"]

    def leech(place, peers):
        return [*line, f"--dir={place.out}", "--seed-time=0", place.torrent_file("aria2", peers)]

    def seed(place):
        return [*line, f"--dir={place.seeds}", "--bt-seed-unverified=true", "--seed-ratio=0.0", "--allow-overwrite=true", place.file]

    return Client("aria2", ["aria2c", "--version"], leech, seed)


def rqbit_client():
    """Its library's own way to download; how it is built, `run.py` knows."""
    built = rqbit("many")
    if not built:
        return None
    program = os.path.join(os.path.dirname(built[1]("")[0]), "download")

    def leech(place, peers):
        return [program, place.file, place.out, *endpoints(peers)]

    return Client("rqbit", [program], leech)


def clients(args):
    made = [estudely(os.path.abspath(args.estudely)), libtorrent("libtorrent"), libtorrent("libtorrent, tuned", "tuned"), aria2()]
    if args.role == "leecher" and not args.no_rqbit:
        made.append(rqbit_client())
    return [client for client in made if client and (not args.only or client.name in args.only)]


def answers(place, address):
    """Waits until who listens there has loaded the torrent."""
    from scripted_peer import Wire
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            return Wire(address, place.info_hash).close()
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nobody seeds at {address}")


class Seeders:
    """So many libtorrent seeders, each a process of its own."""

    def __init__(self, place, count):
        self.place, self.peers = place, [(HOST, PORT + at) for at in range(count)]
        self.held = [measured.Background([*PEER, "seed", place.file, place.seeds, peer], f"{place.log}.{at}")
                     for at, peer in enumerate(endpoints(self.peers))]

    def __enter__(self):
        for one in self.held:
            one.__enter__()
        for peer in self.peers:
            answers(self.place, peer)
        return self.peers

    def __exit__(self, *_):
        for one in self.held:
            one.__exit__()


def warm(place):
    """Has the host of a virtual machine lend it the memory that the next run writes to."""
    path = os.path.join(place.root, "warm")
    with open(path, "wb") as out:
        part = bytes(MIB)
        for _ in range(place.bytes // MIB):
            out.write(part)
    os.unlink(path)


def leech(place, client, peers):
    place.empty()
    warm(place)
    cost = measured.run(client.leech(place, peers), place.log, SECONDS)
    place.check(place.out, client.name)
    return cost


def seed(place, client, shared):
    """The cost of seeding once to a leecher in memory; of what it keeps about the torrent, all is there from the second time on."""
    with measured.Background(client.seed(place), place.log) as running:
        answers(place, (HOST, PORT - 1))
        # Whoever hashes first has done that when it does nothing more.
        before = settled(running.process.pid)
        shutil.rmtree(shared, ignore_errors=True)
        os.makedirs(shared)
        taking = [*PEER, "leech", place.file, shared, f"{HOST}:{PORT}", "tuned", f"{HOST}:{PORT - 1}"]
        wall = measured.run(taking, f"{place.log}.leecher", SECONDS).wall
        cost = measured.Cost(measured.spent(running.process.pid) - before, wall, measured.peak(running.process.pid))
    place.check(shared, client.name)
    return cost


def settled(pid):
    before = -1.0
    while (now := measured.spent(pid)) > before + 0.02:
        before = now
        time.sleep(0.5)
    return now


def interleaved(clients, rounds, once):
    """Each client's costs, one a round; each is first once in a while."""
    costs = {client.name: [] for client in clients}
    for at in range(rounds):
        turn = at % len(clients)
        for client in clients[turn:] + clients[:turn]:
            costs[client.name].append(once(client))
    return costs


def report(title, place, clients, costs, idle, calls):
    mib, blocks = place.bytes / MIB, place.bytes / BLOCK
    # A tiny transfer may cost less than the kernel's clock can tell.
    used = {name: [max(cost.cpu - idle.get(name, 0), 0.001) for cost in list_] for name, list_ in costs.items()}
    print(f"\n{title}")
    print(f"{'client':<20}{'CPU s':>8}{'MiB per CPU s':>15}{'wall s':>8}{'RSS MiB':>9}{'calls a block':>15}{'ours / it':>11}   (medians)")
    for client in clients:
        cpu, ours = used[client.name], used[clients[0].name]
        ratio = statistics.median(theirs / mine for mine, theirs in zip(ours, cpu))
        count = calls.get(client.name)
        print(f"{client.name:<20}{statistics.median(cpu):>8.3f}{mib / statistics.median(cpu):>15.0f}"
              f"{statistics.median(cost.wall for cost in costs[client.name]):>8.2f}"
              f"{statistics.median(cost.rss for cost in costs[client.name]):>9.1f}"
              f"{'-' if count is None else f'{count / blocks:.3f}':>15}{ratio:>11.2f}")


def leechers(place, args, chosen):
    idle = {client.name: statistics.median(idling(client, place) for _ in range(3)) for client in chosen}
    for count in args.seeders:
        with Seeders(place, count) as peers:
            costs = interleaved(chosen, args.rounds, lambda client: leech(place, client, peers))
            calls = {}
            for client in chosen if not args.no_strace else ():
                place.empty()
                calls[client.name] = measured.system_calls(client.leech(place, peers), place.log, SECONDS)
            report(f"leecher, {count} seeder{'s' * (count > 1)}", place, chosen, costs, idle, calls)


def idling(client, place):
    """Processor seconds of a start that does nothing, well or not."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(place.log, "wb") as log:
        subprocess.run(client.idle, stdout=log, stderr=log, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def seeders(place, args, chosen):
    shared = tempfile.mkdtemp(prefix="estudely-rate-", dir="/dev/shm")
    place.empty()
    try:
        # Not counted: the first run of ours hashes what it has.
        interleaved(chosen, 1, lambda client: seed(place, client, shared))
        costs = interleaved(chosen, args.rounds, lambda client: seed(place, client, shared))
    finally:
        shutil.rmtree(shared)
    report("seeder, one leecher", place, chosen, costs, {}, {})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("estudely")
    parser.add_argument("folder", nargs="?", default="/var/tmp")
    parser.add_argument("--role", choices=("leecher", "seeder"), default="leecher")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--size", type=int, default=4_096, help="MiB of content")
    parser.add_argument("--piece", type=int, default=4_096, help="KiB of a piece")
    parser.add_argument("--seeders", type=int, action="append", help="how many seeders at once; repeatable [default: 1, then 8]")
    parser.add_argument("--only", action="append", help="a client by its name in the table; repeatable")
    parser.add_argument("--no-strace", action="store_true")
    parser.add_argument("--no-rqbit", action="store_true", help="without rqbit, whose build takes minutes")
    parser.add_argument("--test", action="store_true", help="one round of a small file: that it runs, not how fast")
    args = parser.parse_args()
    if args.test:
        args.rounds, args.size, args.piece = 1, 16, 256
    args.seeders = args.seeders or [1, 8]
    if subprocess.run([sys.executable, "-c", "import libtorrent"], capture_output=True, check=False).returncode:
        return skip("download", f"{sys.executable} has no libtorrent to seed with (pip install libtorrent)")
    with tempfile.TemporaryDirectory(prefix="estudely-rate-", dir=args.folder) as folder:
        load = os.getloadavg()[0]
        chosen, place = clients(args), Place(folder, args)
        print(f"{args.size} MiB in pieces of {place.piece_length // 1024} KiB, {args.rounds} rounds; "
              f"load {load:.1f} of {os.cpu_count()} cores before; {folder}")
        (leechers if args.role == "leecher" else seeders)(place, args, chosen)
        print("\nthe machine itself, MiB per CPU s")
        for what, most in measured.limits(folder, min(args.size, 1_024)):
            print(f"{what:<32}{most:>8.0f}")


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    # The tracker's thread and libtorrent have nothing more to do.
    os._exit(0)
