#!/usr/bin/env python3
"""What happens when things go wrong in a download: tests/faults/download.py ESTUDELY. The seeder is libtorrent, on loopback.

How much is fetched again is told by the seeder, which counts what it gives.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

try:
    import libtorrent as lt
except ImportError:
    sys.exit(print("skipped: libtorrent for Python is not installed (pip install libtorrent)"))

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))

from swarm import SETTINGS  # noqa: E402

ESTUDELY = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else "target/release/estudely"
KILLS = 50
PIECE, MIB = 16_384, 1 << 20
# A kill may cost what is on its way: requested blocks in sockets and pieces that are not whole. All at this rate, a tenth of
# a second or less.
RATE, IN_FLIGHT = 4 * MIB, 384 * 1024


class Seeder:
    """A libtorrent that gives one torrent of two files at no more than `rate` bytes a second, and counts."""

    def __init__(self, folder, size, rate=RATE):
        chance = random.Random(size)
        self.folder, self.files = os.path.join(folder, "seed"), {}
        for name, length in (("first", size // 3), ("second", size - size // 3)):
            path = os.path.join(self.folder, "content", name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self.files[name] = chance.randbytes(length)
            with open(path, "wb") as out:
                out.write(self.files[name])
        maker = lt.create_torrent(lt.list_files(os.path.join(self.folder, "content")), PIECE, lt.create_torrent.v1_only)
        lt.set_piece_hashes(maker, self.folder)
        meta = maker.generate()
        self.info = lt.torrent_info(meta)
        self.torrent = os.path.join(folder, "content.torrent")
        with open(self.torrent, "wb") as out:
            out.write(lt.bencode(meta))
        self.content = b"".join(self.files[self.info.files().file_name(at)] for at in range(2))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = free.getsockname()
        self.session = lt.session({
            **SETTINGS, "enable_dht": False, "listen_interfaces": "%s:%d" % self.address, "enable_incoming_utp": False,
            "send_socket_buffer_size": 65_536, "peer_turnover_interval": 3_600, "min_reconnect_time": 1})
        params = lt.add_torrent_params()
        params.ti, params.save_path = self.info, self.folder
        params.flags |= lt.torrent_flags.seed_mode
        params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        self.handle = self.session.add_torrent(params)
        self.handle.set_upload_limit(rate)

    def given(self):
        return self.handle.status().total_payload_upload

    def peers(self):
        return self.handle.status().num_peers

    def whole(self, out):
        """Bytes of the pieces that are whole below `out`."""
        data = b""
        for at in range(2):
            name, length = self.info.files().file_name(at), self.info.files().file_size(at)
            path = os.path.join(out, "content", name)
            there = b""
            if os.path.exists(path):
                with open(path, "rb") as file:
                    there = file.read()
            data += there.ljust(length, b"\0")
        pieces = ((data[at:at + PIECE], self.content[at:at + PIECE]) for at in range(0, len(data), PIECE))
        return sum(len(wanted) for there, wanted in pieces if there == wanted)

    def command(self, folder, *extra):
        return [ESTUDELY, "download", self.torrent, "--output-dir", os.path.join(folder, "out"), "--data-dir", os.path.join(folder, "data"),
                "--peer", "%s:%d" % self.address, "--bind", "127.0.0.1:0", "--allow-loopback", "--no-dht", "--no-lsd", "--no-seed",
                "--json", "--overall-timeout", "120", *extra]


def wait_for(condition, seconds, process):
    """Whether it comes to be while the process runs."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end or process.poll() is not None:
            return False
        time.sleep(0.005)
    return True


class Downloads(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="estudely-download-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.out = os.path.join(self.folder, "out")

    def start(self, seeder, *extra):
        with open(os.path.join(self.folder, "stderr"), "w", encoding="utf-8") as errors, \
                open(os.path.join(self.folder, "stdout"), "w", encoding="utf-8") as rows:
            return subprocess.Popen(seeder.command(self.folder, *extra), stdout=rows, stderr=errors)

    def said(self):
        with open(os.path.join(self.folder, "stderr"), encoding="utf-8") as errors:
            return errors.read()

    def statuses(self):
        with open(os.path.join(self.folder, "stdout"), encoding="utf-8") as rows:
            events = [json.loads(line) for line in rows if line.endswith("\n")]
        return [event for event in events if event["event"] == "status"]

    def to_the_end(self, seeder):
        """Runs it to its end, which must be a good one; the bytes that were given for that."""
        before, process = seeder.given(), self.start(seeder)
        self.assertEqual(process.wait(timeout=150), 0, self.said())
        self.assertEqual(seeder.whole(self.out), len(seeder.content), self.said())
        for name, data in seeder.files.items():
            with open(os.path.join(self.out, "content", name), "rb") as file:
                self.assertEqual(hashlib.sha256(file.read()).digest(), hashlib.sha256(data).digest(), name)
        return seeder.given() - before

    def test_kill_9_costs_what_is_on_its_way_and_nothing_else(self):
        # No start may come to the end: each is given a burst of 2 MiB before the seeder keeps to its rate.
        seeder, chance = Seeder(self.folder, KILLS * 3 * MIB + 77), random.Random(5)
        before, moments = 0, set()
        for number in range(KILLS):
            process, given = self.start(seeder), seeder.given()
            # One in five while it opens its files, else while it downloads.
            if number % 5:
                self.assertTrue(wait_for(lambda: seeder.given() > given, 30, process), f"kill {number}: nothing comes\n{self.said()}")
            time.sleep(chance.uniform(0.05, 0.3))
            self.assertIsNone(process.poll(), f"it ended before the kills did: {self.said()}")
            process.kill()
            process.wait()
            whole = seeder.whole(self.out)
            self.assertGreaterEqual(whole, before, f"kill {number}: a whole piece is whole no more")
            before = whole
            moments.add(whole)
        killed = seeder.given()
        seeder.handle.set_upload_limit(0)
        self.assertGreater(len(moments), KILLS // 2, "the kills fell into one moment of the download, or all is fetched again each time")
        self.to_the_end(seeder)
        again = seeder.given() - len(seeder.content)
        # Pieces of the last tenth of a second are not noted yet: every few kills that is the burst.
        self.assertLessEqual(again, KILLS * 2 * IN_FLIGHT, f"{again / MIB:.1f} MiB fetched again; {killed / MIB:.1f} MiB given until "
                             f"the last kill, then {before / MIB:.1f} MiB were whole in the files")
        print(f"\nkilled {KILLS} times at {len(moments)} moments; {again / KILLS / 1024:.0f} KiB a kill fetched again")

    def test_kill_9_after_a_second_status_never_falls_by_more_than_is_on_its_way(self):
        seeder, before = Seeder(self.folder, 40 * MIB + 77), 0
        for number in range(4):
            process = self.start(seeder)
            self.assertTrue(wait_for(self.statuses, 30, process), self.said())
            first = self.statuses()[0]["wanted_done"]
            self.assertGreaterEqual(first, before - IN_FLIGHT, f"kill {number}: what was done is not done")
            count = len(self.statuses())
            self.assertTrue(wait_for(lambda: len(self.statuses()) > count, 30, process), self.said())
            process.kill()
            process.wait()
            before = self.statuses()[-1]["wanted_done"]
            self.assertGreater(before, 0)
        self.to_the_end(seeder)

    def test_ctrl_c_saves_and_says_how_to_go_on(self):
        for end in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(end.name):
                self.interrupted(end)

    def interrupted(self, end):
        shutil.rmtree(self.folder)
        os.makedirs(self.folder)
        seeder = Seeder(self.folder, 6 * MIB)
        process = self.start(seeder)
        self.assertTrue(wait_for(lambda: seeder.given() > 2 * MIB, 30, process), self.said())
        process.send_signal(end)
        self.assertEqual(process.wait(timeout=20), 0, self.said())
        self.assertIn("same command", self.said())
        first = seeder.given()
        self.assertLess(seeder.whole(self.out), len(seeder.content))
        self.to_the_end(seeder)
        self.assertLessEqual(seeder.given() - len(seeder.content), IN_FLIGHT, f"{first} bytes were given before")

    def test_a_file_that_changed_is_found_by_verify(self):
        seeder = Seeder(self.folder, 2 * MIB)
        self.to_the_end(seeder)
        with open(os.path.join(self.out, "content", "second"), "r+b") as file:
            file.seek(5 * PIECE + 9)
            file.write(b"not this")
        given, process = seeder.given(), self.start(seeder, "--verify")
        self.assertEqual(process.wait(timeout=60), 0, self.said())
        self.assertEqual(seeder.whole(self.out), len(seeder.content))
        self.assertLessEqual(seeder.given() - given, 2 * PIECE)

    def test_a_full_disk_is_one_line_and_going_on_works(self):
        seeder = Seeder(self.folder, 8 * MIB, 50 * MIB)
        # A file system of our own, in a mount namespace that ends with the shell.
        disk = os.path.join(self.folder, "disk")
        os.makedirs(disk)
        mount = f"mount -t tmpfs -o size=4m tmpfs {disk}"
        if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False).returncode:
            self.skipTest("no right to mount")
        command = " ".join(seeder.command(disk))
        script = (f"{mount} && {command} 2>{self.folder}/full; echo $? >{self.folder}/code; mount -o remount,size=32m {disk} && "
                  f"{command} 2>{self.folder}/room; code=$?; cp -r {disk}/out {self.folder}/ ; exit $code")
        done = subprocess.run(["unshare", "-m", "sh", "-c", script], stdout=subprocess.DEVNULL, timeout=300, check=False)
        full, room, code = (self.read(name) for name in ("full", "room", "code"))
        self.assertEqual(code.strip(), "1", full)
        lines = [line for line in full.splitlines() if "space" in line]
        self.assertEqual(len(lines), 1, f"not one clear line:\n{full}")
        self.assertIn("same command", lines[0])
        self.assertEqual(done.returncode, 0, room)
        self.assertEqual(seeder.whole(self.out), len(seeder.content), room)
        # What came when the disk was full is fetched again, and what could not be written.
        self.assertLessEqual(seeder.given() - len(seeder.content), 4 * MIB)

    def read(self, name):
        with open(os.path.join(self.folder, name), encoding="utf-8") as text:
            return text.read()


if __name__ == "__main__":
    ended = unittest.main(exit=False).result
    sys.stdout.flush()
    # libtorrent's own teardown takes many seconds; nothing is left that matters.
    os._exit(not ended.wasSuccessful())
