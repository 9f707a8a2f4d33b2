"""The matrix of transfers: our command takes contents from every client here, and gives them to it; all files must be the same.

Usage: transfer_real_clients.py ESTUDELY [--full] [--large MIB] [--as CLIENT] [--only WORD]...

One line for each cell: outcome, whether ours takes or gives, the client, the way, the content. The largest file
is of 1 GiB, unless --large says otherwise, and goes once each way to each client by plain TCP. Without --full the other ways of
connecting carry less than that does. With --as another client plays our part, so
that the test itself can be tested. --only runs the cells whose line has all these words.
"""

import argparse
import concurrent.futures
import dataclasses
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from carriers import OTHERS, Estudely, Libtorrent
from clients import folder
from contents import plant_contents
from meeting import servers
from relay import UdpRelay
from told_tracker import ToldTracker

# Whoever gives, and whoever takes: Transmission dials nobody in 127.0.0.0/8, and has one connection to a host, be it with itself.
# All are on loopback here, where who does not bind what it dials from has the first of these.
NETWORK, HOST, TAKER = "10.77.0.1/24", "10.77.0.3", "10.77.0.2"
# Of trackers and web seeds.
SERVERS = ("127.0.0.1", "127.0.0.2")
# Most of the time is waiting for clients.
AT_ONCE = 4
# A cell must have ended by then, one of a large file later; each is tried twice.
SECONDS, LARGE_SECONDS = 60, 300


@dataclasses.dataclass
class Cell:
    """One transfer."""

    # Whether ours is who takes.
    takes: bool
    other: object
    way: str
    content: object
    # How they find each other: "peer", "magnet" (a peer and no metadata), "http" or "udp" (a tracker alone), "web" (no peer).
    by: str = "peer"

    def __str__(self):
        content = f"{self.content.label} {self.content.version}"
        return f"{'takes from' if self.takes else 'gives to':<11}{self.other.name:<18} {self.way:<8} {content:<15} {self.by}"


class Matrix:
    def __init__(self, root, ours):
        self.root, self.ours = root, ours
        self.contents = {}
        self.tracker = self.web = None
        self.named = ToldTracker(HOST)
        self.ports = itertools.count(21_000, 4)
        self.lock = threading.Lock()
        self.passed, self.failed = 0, []

    def run(self, cell):
        for again in ("", ", at the second try"):
            began, home = time.monotonic(), tempfile.mkdtemp(prefix="cell-", dir=self.root)
            try:
                why, logs = self.attempt(cell, home)
            except (OSError, subprocess.SubprocessError) as error:
                why, logs = repr(error), ""
            # It holds a whole copy of the content.
            shutil.rmtree(home, ignore_errors=True)
            if not why:
                break
        with self.lock:
            if why:
                self.failed.append(f"{cell}: {why}")
                print(f"FAILED  {cell}: {why}\n{logs}", flush=True)
            else:
                self.passed += 1
                print(f"ok      {cell}  {time.monotonic() - began:.1f} s{again}", flush=True)

    def attempt(self, cell, home):
        """What is wrong, if anything, and what the two said."""
        with self.lock:
            from_port, to_port = next(self.ports), next(self.ports)
        giver, taker = (cell.other, self.ours) if cell.takes else (self.ours, cell.other)
        end, held = time.monotonic() + (LARGE_SECONDS if cell.content.label == "single" else SECONDS), []
        at, out = (HOST, from_port), folder(home, "out")
        try:
            before = self.tracker.seeders(cell.content) if cell.by in self.trackers() else 0
            if cell.by != "web":
                held.append(giver.seed(folder(home, "giver"), self.file(cell, giver, home, 0), cell.content, at, cell.way))
                if not wait(held[0].ready, held[0], end):
                    return "the giver is not ready", held[0].log()
                if cell.by in self.trackers() and not wait(lambda: self.tracker.seeders(cell.content) > before, held[0], end):
                    return "the giver does not announce itself", held[0].log()
            peer = UdpRelay(HOST, at).address if cell.way.startswith("utp") else at
            what = self.named_to(cell, taker, home, peer)
            told = peer if taker.takes_peers and cell.by in ("peer", "magnet") else None
            held.append(taker.leech(folder(home, "taker"), what, cell.content, out, (TAKER, to_port), cell.way, told))
            return self.judge(cell, taker, held[-1], out, end), "".join(one.log() for one in held)
        finally:
            for one in held:
                one.stop()

    def judge(self, cell, taker, held, out, end):
        ended = wait(held.done, held, end)
        wrong = cell.content.differences(out, empty=taker.empty_files)
        # What others say is done may still be on its way to the files.
        while wrong and ended and not taker.strict and time.monotonic() < end:
            time.sleep(0.5)
            wrong = cell.content.differences(out, empty=taker.empty_files)
        if taker.strict:
            wrong += cell.content.strangers(out)
        if not ended:
            return f"{held.failed() or 'not done in time'}; {'; '.join(wrong[:3]) or 'though all files are there'}"
        return "; ".join(wrong[:3])

    def trackers(self):
        return self.tracker.urls if self.tracker else {}

    def file(self, cell, client, home, role, trackers=(), web=()):
        """The .torrent as who gives (role 0) or takes (1) gets it. Where the meeting is by tracker, that is in it."""
        if cell.by in self.trackers():
            trackers = [self.trackers()[cell.by][role]]
        elif client.wants_tracker and not trackers:
            trackers = [self.named.url()]
        return cell.content.file(tempfile.mkdtemp(dir=home), trackers, web)

    def named_to(self, cell, taker, home, peer):
        """What the taker is told to take."""
        trackers = [] if taker.takes_peers else [self.named.url(peer)]
        if cell.by == "magnet":
            return cell.content.magnet(trackers)
        return self.file(cell, taker, home, 1, trackers, [self.web.url(cell.content)] if cell.by == "web" else [])


def wait(condition, held, end):
    """Whether it comes to be; None once who runs has failed."""
    while not condition():
        if held and held.failed():
            return None
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def cells(matrix, others, full):
    """All cells, those of one content by tracker last, because these may not run at once."""
    contents = matrix.contents
    for other in others:
        for takes in (True, False):
            for way in other.ways:
                for content in contents.values():
                    wanted = by_default(other, way, content) or full and content.label != "single"
                    if carries(other, content) and wanted:
                        yield Cell(takes, other, way, content)
                for version in other.versions if full or way == "tcp" else ():
                    if version != "hybrid" or other.pads and full:
                        yield Cell(takes, other, way, contents["names", version], "magnet")
    for other in others[:3]:
        for takes in (True, False):
            for by in sorted(set(matrix.trackers()) & set(other.trackers)):
                yield Cell(takes, other, "tcp", contents["middle", "v1"], by)
    if matrix.web:
        for content in contents.values():
            if full or content.label != "middle":
                yield Cell(True, Web(), "tcp", content, "web")


def carries(other, content):
    return content.version in other.versions and (other.pads or content.version != "hybrid" or content.label != "names")


def by_default(other, way, content):
    """All by plain TCP; by the other ways what is of middle size, and of each version from one client."""
    if way == "tcp":
        return content.label != "middle"
    return content.label == "middle" and (content.version == "v1" or isinstance(other, Libtorrent))


class Web:
    """Nobody: the content comes from nginx."""

    name = "nginx"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("estudely")
    parser.add_argument("--full", action="store_true", help="every content by every way")
    parser.add_argument("--large", type=int, default=1_024, help="MiB of the largest file")
    parser.add_argument("--as", dest="stand_in", choices=OTHERS, help="who plays our part")
    parser.add_argument("--only", action="append", default=[], help="a word in the lines of the cells to run")
    args = parser.parse_args()
    subprocess.run(["ip", "address", "add", NETWORK, "dev", "lo"], check=True)
    root = tempfile.mkdtemp(prefix="estudely-transfer-")
    # nginx and opentracker give up root's rights.
    os.chmod(root, 0o755)
    matrix = Matrix(root, OTHERS[args.stand_in]() if args.stand_in else Estudely(os.path.abspath(args.estudely)))
    try:
        matrix.contents = plant_contents(folder(root, "contents"), args.large)
        matrix.tracker, matrix.web = servers(root, SERVERS, list(matrix.contents.values()))
        run(matrix, args)
    finally:
        for server in (matrix.tracker, matrix.web):
            if server:
                server.held.stop()
        shutil.rmtree(root, ignore_errors=True)


def run(matrix, args):
    clients = [client() for client in OTHERS.values()]
    others = [client for client in clients if client.available()]
    wanted = [cell for cell in cells(matrix, others, args.full) if all(word in str(cell) for word in args.only)]
    skipped = len(clients) - len(others) + (not matrix.tracker) + (not matrix.web)
    # A stand-in that cannot do what the other can is no failure.
    doable = [cell for cell in wanted if cell.way in matrix.ours.ways and cell.content.version in matrix.ours.versions]
    alone = [cell for cell in doable if cell.by in matrix.trackers()]
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as workers:
        list(workers.map(matrix.run, [cell for cell in doable if cell not in alone]))
    for cell in alone:
        matrix.run(cell)
    for line in matrix.failed:
        print(f"FAILED  {line}")
    print(f"{matrix.passed} passed, {len(matrix.failed)} failed, {skipped + len(wanted) - len(doable)} skipped "
          f"in {time.monotonic() - began:.0f} s", flush=True)
    sys.stdout.flush()
    # libtorrent's own teardown takes many seconds; nothing is left that matters.
    if matrix.failed or not matrix.passed:
        raise SystemExit(1)


if __name__ == "__main__":
    status = 0
    try:
        main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else print(end.code, file=sys.stderr) or 1
    sys.stdout.flush()
    os._exit(status)
