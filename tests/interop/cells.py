"""Cells of a matrix: one fetch each, and one line on what came of it."""

import dataclasses
import json
import os
import subprocess
import threading
import time

# How our side is held to one way. That no other is open is the address's part: see `relay`, and a client's own settings.
FLAGS = {
    "tcp": ["--no-utp", "--encryption", "disabled"],
    "utp": ["--encryption", "disabled"],
    "tcp_mse": ["--no-utp", "--encryption", "forced"],
    "utp_mse": ["--encryption", "forced"],
}
WAYS = tuple(FLAGS)


@dataclasses.dataclass
class Fetched:
    """What one `estudely fetch` came to."""

    ok: bool
    # What the peer was reached by, as our record of it says.
    via: str
    # The .torrent that was kept.
    saved: bytes
    notes: str


class Cells:
    """Runs the fetches of a matrix, several at once if asked from several threads, and keeps what failed."""

    def __init__(self, estudely, root):
        self.estudely = estudely
        self.root = root
        self.failed = []
        self.passed = 0
        self.number = 0
        self.lock = threading.Lock()

    def attempt(self, address, key, flags=()):
        """One fetch of one infohash from one peer, in a data directory of its own."""
        with self.lock:
            self.number += 1
            data = os.path.join(self.root, f"fetch-{self.number}")
        ended = subprocess.run(
            [self.estudely, "fetch", key, "--peer", "%s:%d" % address, "--allow-loopback", "--data-dir", data, "--save-torrents",
             "--jsonl", "--overall-timeout", "60", *flags], capture_output=True, encoding="utf-8", timeout=90, check=False)
        assert ended.returncode in (0, 1), f"exit code {ended.returncode}: {ended.stderr}"
        via = [json.loads(line).get("via") for line in ended.stdout.splitlines()]
        path, saved = os.path.join(data, "torrents", f"{key}.torrent"), b""
        if os.path.exists(path):
            with open(path, "rb") as file:
                saved = file.read()
            os.remove(path)
        return Fetched(ended.returncode == 0, via[0] if via else None, saved, ended.stderr)

    def ready(self, seeder, keys, seconds=60):
        """Waits until a client that has just been started seeds everything, asking for each infohash until it is given once."""
        missing, end = list(keys), time.monotonic() + seconds
        while missing and time.monotonic() < end:
            last = [self.attempt(seeder.address, key) for key in missing]
            missing = [key for key, fetched in zip(missing, last) if not fetched.ok]
        if missing:
            self.fail(f"{seeder.client} ({seeder.setting}) does not give {missing}", last[-1].notes)
        return not missing

    def must_succeed(self, seeder, way, told, address, torrent, key):
        # Once more if need be, and said: a client hangs up now and then, on a connection too soon after the last one for one.
        for again in ("", ", at the second try"):
            fetched = self.attempt(address, key, FLAGS[way])
            # The file is the info dictionary with as little around it as can be.
            ok = fetched.ok and fetched.via == way and torrent.raw in fetched.saved
            if ok:
                break
            time.sleep(2)
        self.line(ok, seeder, way, told, torrent, f"fetched by {fetched.via}{again}", fetched.notes)

    def must_fail(self, seeder, way, told, address, torrent, key, why):
        """`why` is what our notes must say of it."""
        fetched = self.attempt(address, key, FLAGS[way])
        self.line(not fetched.ok and why in fetched.notes, seeder, way, told, torrent, why, fetched.notes)

    def check(self, ok, what):
        if not ok:
            self.fail(what, "")

    def line(self, ok, seeder, way, told, torrent, what, notes):
        told = told or "-"
        cell = f"{seeder.client:<18} {seeder.setting:<25} {way:<8} {told:>3} {torrent.version:<7} {len(torrent.raw):>9} {what}"
        if not ok:
            return self.fail(cell, notes)
        with self.lock:
            self.passed += 1
            print(f"ok      {cell}", flush=True)

    def fail(self, what, notes):
        with self.lock:
            self.failed.append(what)
            print(f"FAILED  {what}\n{notes}", flush=True)

    def end(self):
        if self.failed:
            raise SystemExit("\n".join([f"FAILED: {len(self.failed)} of {self.passed + len(self.failed)} cells", *self.failed]))
        print(f"all {self.passed} cells as they should be")
