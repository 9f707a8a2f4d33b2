#!/usr/bin/env python3
"""What happens when things go wrong: tests/faults/run.py ESTUDELY. Standard library only; every load is on loopback.

Each crawl brings its own lab (`--lab`) with the same seed, so what is right is known: the lab's truth.
"""

import csv
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ESTUDELY = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else "target/release/estudely"
KILLS = 50
# Infohashes of the batch that is killed.
BATCH = 5000
LAB = ["--lab", "--lab-nodes", "400", "--seed", "7", "--lab-torrents", "1500"]
# So few torrents for so many nodes that a sample shows all that its node holds: one run can be complete.
SPARSE_LAB = [*LAB[:-1], "150"]
# Fifty kills fall into one crawl at this rate, and most of its rows come before the last of them.
SLOW = ["--rate", "200"]


def crawl(folder, *extra, lab=LAB, **how):
    command = [ESTUDELY, "crawl", *lab, "--output", os.path.join(folder, "metadata.txt"), "--data-dir", os.path.join(folder, "data"),
               "--overall-timeout", "240", *extra]
    how.setdefault("stdout", subprocess.DEVNULL)
    how.setdefault("stderr", subprocess.PIPE)
    return subprocess.Popen(command, text=True, **how)


def read(path):
    with open(path, newline="", encoding="utf-8") as text:
        return text.read()


def write(path, text):
    with open(path, "w", newline="", encoding="utf-8") as out:
        out.write(text)


def certain(text):
    """The part of a table that a kill must have spared: all but the last infohash's rows, which may be torn."""
    lines = text.splitlines(keepends=True)
    while len(lines) > 1 and lines[-1][:40] == lines[-2][:40]:
        lines.pop()
    return "".join(lines[:-1])


def blocks(path):
    """The rows by infohash; fails on a torn row, a second header, or an infohash whose rows stand in two places."""
    text = read(path)
    assert not text or text.endswith("\n"), "the last line is torn"
    rows = list(csv.reader(text.splitlines()))
    found, last = {}, None
    for row in rows[1:]:
        assert len(row) == 8, f"not eight columns: {row}"
        assert row[7] in ("True", "False") and len(row[0]) == 40, f"not a row: {row}"
        if row[0] != last:
            assert row[0] not in found, f"{row[0]} stands in two places"
            found[row[0]] = []
        last = row[0]
        assert row not in found[last], f"doubled row: {row}"
        found[last].append(row)
    return found


def run_to_end(folder, *extra, timeout=260, **how):
    process = crawl(folder, *extra, **how)
    _, errors = process.communicate(timeout=timeout)
    return process.returncode, errors or ""


def is_one_line(errors, *words):
    """The error is one line on stderr that says what, where and what to do."""
    lines = [line for line in errors.splitlines() if line.startswith("estudely: ")]
    assert len(lines) == 1, f"not one clear line:\n{errors}"
    for word in words:
        assert word in lines[0], f"{word!r} is not in: {lines[0]}"


class Faults(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="estudely-faults-")
        self.output = os.path.join(self.folder, "metadata.txt")

    def kill(self, chance):
        """Kills a crawl: one time in four while it opens its files, else while it writes rows. True if it still ran."""
        process = crawl(self.folder, *SLOW)
        delay = chance.uniform(0, 0.3)
        if chance.random() > 0.25:
            for line in process.stderr:
                if "SUCCESS" in line:
                    break
            delay = chance.uniform(0, 1)
        try:
            process.communicate(timeout=delay)
            return False
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return True

    def test_kill_9_loses_doubles_and_tears_nothing(self):
        chance = random.Random(11)
        kills, before, sizes = 0, "", set()
        for _ in range(KILLS):
            kills += self.kill(chance)
            now = read(self.output) if os.path.exists(self.output) else ""
            self.assertTrue(now.startswith(certain(before)), "a kill lost or changed rows")
            before = now
            sizes.add(len(now))
        self.assertEqual(kills, KILLS)
        self.assertGreater(len(sizes), KILLS // 2, "the kills fell into one moment of the crawl")
        truth = os.path.join(self.folder, "truth.csv")
        code, errors = run_to_end(self.folder, "--truth", truth)
        self.assertEqual(code, 0, errors)
        self.assertTrue(read(self.output).startswith(certain(before)), "the last run lost or changed rows")
        after, planted = blocks(self.output), blocks(truth)
        self.assertLessEqual(after.keys(), planted.keys())
        self.assertGreaterEqual(len(after), 0.97 * len(planted))
        spared = len({line[:40] for line in certain(before).splitlines()[1:]})
        print(f"\nkilled {kills} times at {len(sizes)} lengths of the file: {spared} infohashes ({before.count(chr(10)) - 1} rows) "
              f"before the last run, {len(after)} of {len(planted)} ({sum(map(len, after.values()))} rows) after it")

    def test_kill_9_of_a_batch_fetches_nothing_twice(self):
        """Fifty kills of `fetch` on a list of 5,000: what was recorded is never dialled again, and in the end all is there.

        The lab notes every connection to a peer. A success that the table had when a run began must not be among the
        connections of that run. What was in flight when a kill came may be fetched again: it was not recorded.
        """
        chance = random.Random(12)
        truth, calls = (os.path.join(self.folder, name) for name in ("truth.csv", "calls.txt"))
        # Three ports in a row are not always free.
        for _ in range(5):
            lab = subprocess.Popen([ESTUDELY, "lab", "--nodes", "50", "--torrents", str(BATCH), "--truth", truth, "--calls", calls,
                                    "--overall-timeout", "400"], stderr=subprocess.PIPE, text=True)
            if lab.stderr.readline().startswith("# lab: "):
                break
            lab.communicate()
        self.addCleanup(lab.communicate)
        self.addCleanup(lab.kill)
        rows = list(csv.reader(read(truth).splitlines()[1:]))
        # Some infohashes stand in two places of the list, and some have nobody.
        peers = [(row[0], row[5], row[6]) for row in rows] + [(row[0], row[5], row[6]) for row in rows[:200]]
        peers[100:100] = [(f"{number:040x}", "127.0.0.1", "1") for number in range(1, 101)]
        source, table, whole = (os.path.join(self.folder, name) for name in ("peers.csv", "batch.csv", "whole.csv"))
        write(source, "infohash,peer_ip,peer_port\n" + "".join(",".join(peer) + "\n" for peer in peers))

        def fetch(output, *extra):
            return subprocess.Popen([ESTUDELY, "fetch", source, "--allow-loopback", "--output", output, "--overall-timeout", "200", *extra],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

        def called():
            """The connections so far, once no more come: those of a killed run may still wait to be accepted."""
            before = -1
            while os.path.getsize(calls) != before:
                before = os.path.getsize(calls)
                time.sleep(0.1)
            return read(calls).split()

        def fetched(path):
            """The infohashes of whole rows."""
            lines = read(path).splitlines(keepends=True)[1:] if os.path.exists(path) else []
            return [line[:40] for line in lines if line.endswith("\n")]

        def finish(process, *codes):
            _, errors = process.communicate(timeout=200)
            self.assertIn(process.returncode, codes, errors)

        # A busy machine may keep a peer from answering in time: what failed is tried once more, here and after the kills.
        # That ends with 1 if those who are left have nothing to give, as it should be.
        finish(fetch(whole), 0)
        finish(fetch(whole, "--retry-failed"), 0, 1)
        seen, recorded, again, sizes = len(called()), [], [], set()
        # The rest after the kills is two runs more.
        for run in range(KILLS + 2):
            process = fetch(table, *(["--max-works", "16"] if run < KILLS else ["--retry-failed"]))
            if run < KILLS:
                # One time in ten while it opens its files, else while it writes rows.
                began, early = time.monotonic(), chance.random() < 0.1
                while not early and len(fetched(table)) <= len(recorded) and time.monotonic() < began + 5:
                    time.sleep(0.01)
                time.sleep(chance.uniform(0, 0.1 if early else 0.5))
                self.assertIsNone(process.poll(), "it ended before the kills did")
                process.kill()
                process.communicate()
            else:
                finish(process, 0, 1)
            log = called()
            again += sorted(set(log[seen:]) & set(recorded))
            before, recorded, seen = recorded, fetched(table), len(log)
            self.assertEqual(recorded[:len(before)], before, "a kill lost or changed rows")
            sizes.add(len(recorded))
        self.assertEqual(again, [], "dialled though it was recorded")
        self.assertEqual(len(recorded), len(set(recorded)), "an infohash stands in two places")
        self.assertEqual(sorted(read(table).splitlines()), sorted(read(whole).splitlines()))
        self.assertEqual(len(recorded), BATCH)
        self.assertGreater(len(sizes), KILLS // 2, "the kills fell into one moment of the batch")
        print(f"\nkilled {KILLS} times at {len(sizes)} lengths of the table; {len(recorded)} infohashes, none dialled after it was recorded")

    def test_a_pipe_that_is_stuck_does_not_keep_a_batch_from_ending(self):
        process = subprocess.Popen([ESTUDELY, "fetch", "-", "--allow-loopback"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stdin.close)
        # The second row tells that the first infohash has no more.
        process.stdin.write("".join(f"{number:040x},127.0.0.1,1\n" for number in (1, 2)))
        process.stdin.flush()
        self.assertTrue(process.stdout.readline().startswith("infohash,name"))
        time.sleep(2)
        self.assertIsNone(process.poll(), "it ended though more may come")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=10), 0)
        process.stdout.close()
        process.stderr.close()

    def test_a_second_run_has_nothing_left_to_do(self):
        run_to_end(self.folder, lab=SPARSE_LAB)
        first = read(self.output)
        self.assertEqual(len(blocks(self.output)), 150)
        code, errors = run_to_end(self.folder, lab=SPARSE_LAB)
        self.assertEqual(code, 0, errors)
        self.assertIn("# Final: 0 infohashes processed", errors)
        self.assertEqual(read(self.output), first)

    def test_fresh_sets_old_files_aside(self):
        write(self.output, "precious\n")
        code, errors = run_to_end(self.folder, "--fresh", "--max-infohashes", "3")
        self.assertEqual(code, 0, errors)
        self.assertEqual(len(blocks(self.output)), 3)
        aside = [name for name in os.listdir(self.folder) if name.startswith("metadata.txt.")]
        self.assertEqual([read(os.path.join(self.folder, name)) for name in aside], ["precious\n"])

    def test_a_foreign_file_is_refused(self):
        write(self.output, "precious\n")
        code, errors = run_to_end(self.folder)
        self.assertEqual(code, 2, errors)
        is_one_line(errors, "metadata.txt", "--fresh")
        self.assertEqual(read(self.output), "precious\n")

    def in_small_disk(self, *options):
        """A file system of our own below `self.folder`, in a mount namespace that ends with the process."""
        mount = f"mount -t tmpfs -o {','.join(options)} tmpfs {self.folder}"
        probe = subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, text=True)
        if probe.returncode:
            self.skipTest(f"no right to mount: {probe.stderr.strip()}")
        command = f"{mount} && {ESTUDELY} crawl {' '.join(LAB)} --output {self.output} --data-dir {self.folder}/data --overall-timeout 240"
        command += f" >/dev/null; code=$?; cat {self.output} >&3; exit $code"
        copy = tempfile.TemporaryFile("w+", encoding="utf-8")
        self.addCleanup(copy.close)
        done = subprocess.run(["unshare", "-m", "sh", "-c", command.replace(">&3", f">&{copy.fileno()}")], pass_fds=[copy.fileno()],
                              capture_output=True, text=True, timeout=260)
        copy.seek(0)
        return done.returncode, done.stderr, copy.read()

    def test_full_disk_is_one_line_and_loses_nothing(self):
        code, errors, text = self.in_small_disk("size=48k")
        self.assertEqual(code, 1, errors)
        is_one_line(errors, "metadata.txt" if "metadata.txt" in errors else "data", "space")
        kept = os.path.join(self.folder, "kept.txt")
        # As it is: not even the write that failed may leave half a row.
        write(kept, text)
        self.assertGreater(len(blocks(kept)), 10)

    def test_read_only_directory_is_one_line(self):
        code, errors, _ = self.in_small_disk("ro")
        self.assertEqual(code, 1, errors)
        is_one_line(errors, self.folder)

    def test_closed_stdout_does_not_stop_the_file(self):
        reader, writer = os.pipe()
        os.close(reader)
        process = crawl(self.folder, stdout=writer)
        os.close(writer)
        _, errors = process.communicate(timeout=260)
        self.assertEqual(process.returncode, 0, errors)
        self.assertIn("stdout is closed", errors)
        self.assertGreater(len(blocks(self.output)), 100)

    def test_interrupt_leaves_whole_rows_and_exit_code_0(self):
        process = crawl(self.folder, "--rate", "60")
        try:
            process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0, errors)
        blocks(self.output)

    def schedule(self):
        """The infohashes that wait for another round; fails on a torn line."""
        with open(os.path.join(self.folder, "data", "retries.csv"), newline="", encoding="utf-8") as text:
            rows = list(csv.DictReader(text))
        for row in rows:
            self.assertEqual(len(row["infohash"]), 40, row)
            self.assertTrue(row["next"].isdigit() and row["asked"] is not None and int(row["tries"]) > 0, row)
        return {row["infohash"] for row in rows}

    def is_new_schedule(self, path, before):
        """Whether the schedule was kept since `before`, with enough in it that some still wait when the process ends."""
        if not os.path.exists(path) or os.stat(path).st_mtime_ns == before:
            return False
        with open(path, encoding="utf-8") as text:
            return sum(1 for _ in text) > 12

    def test_what_waits_for_another_round_outlives_the_run(self):
        lab = [*LAB[:-1], "400", "--lab-profile", "realistic"]
        for end in (signal.SIGKILL, signal.SIGINT):
            path = os.path.join(self.folder, "data", "retries.csv")
            before = os.path.exists(path) and os.stat(path).st_mtime_ns
            process = crawl(self.folder, lab=lab)
            # The first rounds are over within seconds, and a lab's schedule is kept every second.
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline and not self.is_new_schedule(path, before):
                time.sleep(0.1)
            process.send_signal(end)
            _, errors = process.communicate(timeout=30)
            waiting, done = self.schedule(), blocks(self.output)
            self.assertTrue(waiting, "some wait for another round")
            if end == signal.SIGINT:
                self.assertEqual(process.returncode, 0, errors)
                self.assertIn("waiting for another round at the end, not recorded", errors)
                self.assertFalse(waiting & done.keys(), "what waits is not recorded")
        code, errors = run_to_end(self.folder, lab=lab)
        self.assertEqual(code, 0, errors)
        self.assertIn("infohashes wait for another try", errors)
        self.assertEqual(self.schedule(), set())
        self.assertLessEqual(waiting, blocks(self.output).keys(), "what waited is done in the end")

    def test_no_network_hints_at_bootstrap(self):
        done = subprocess.run(
            ["unshare", "-n", ESTUDELY, "crawl", "--bootstrap", "192.0.2.1:6881", "--overall-timeout", "12", "--output", self.output,
             "--data-dir", os.path.join(self.folder, "data")], capture_output=True, text=True, timeout=60)
        if "unshare" in done.stderr:
            self.skipTest(done.stderr.strip())
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("--bootstrap", done.stderr)

    def test_unresolvable_router_is_one_line(self):
        done = subprocess.run(
            [ESTUDELY, "crawl", "--bootstrap", "no-such-host.invalid:6881", "--output", self.output, "--data-dir",
             os.path.join(self.folder, "data")], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1, done.stderr)
        is_one_line(done.stderr, "no-such-host.invalid:6881", "--bootstrap")

    def test_port_in_use_is_one_line(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            port = str(taken.getsockname()[1])
            code, errors = run_to_end(self.folder, "--bind", f"127.0.0.1:{port}")
        self.assertEqual(code, 1, errors)
        is_one_line(errors, port, "--bind")

    def end(self, process):
        """Ctrl-C until it ends: in its first moments it does not hear of it if whoever started it ignores SIGINT."""
        for _ in range(30):
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=4)
                return
            except subprocess.TimeoutExpired:
                pass
        self.fail("Ctrl-C does not end it")

    def test_a_data_directory_in_use_is_one_line(self):
        first = crawl(self.folder, "--rate", "20", stderr=subprocess.PIPE)
        for line in first.stderr:
            if "listening" in line:
                break
        code, errors = run_to_end(self.folder)
        self.end(first)
        self.assertEqual(code, 1, errors)
        is_one_line(errors, "data", "--data-dir")

    def test_a_full_stdout_stops_a_run_without_a_file_only(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            code, errors = run_to_end(self.folder, "--max-infohashes", "3", stdout=full)
            self.assertEqual(code, 0, errors)
            self.assertIn("rows go on to", errors)
            self.assertEqual(len(blocks(self.output)), 3)
            process = subprocess.run([ESTUDELY, "crawl", *LAB, "--stdout-only"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(process.returncode, 1, process.stderr)
        is_one_line(process.stderr, "stdout", "space")

    def test_places_that_cannot_be_are_bad_input(self):
        taken = os.path.join(self.folder, "taken")
        write(taken, "precious\n")
        for extra in (["--output", os.path.join(self.folder, "nowhere", "metadata.txt")], ["--output", self.folder],
                      ["--data-dir", taken], ["--truth", os.path.join(self.folder, "nowhere", "truth.csv")],
                      ["--blocklist", os.path.join(self.folder, "nowhere")]):
            flags = {"--output": self.output, "--data-dir": os.path.join(self.folder, "data"), extra[0]: extra[1]}
            command = [ESTUDELY, "crawl", *LAB, "--overall-timeout", "5", *(word for flag in flags.items() for word in flag)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 2, done.stderr)
            is_one_line(done.stderr, extra[1], "name a")
        self.assertEqual(read(taken), "precious\n")

    def test_a_mistyped_flag_is_one_line(self):
        code, errors = run_to_end(self.folder, "--rat", "3")
        self.assertEqual(code, 2, errors)
        is_one_line(errors, "--rat", "--rate", "--help")

    def test_another_population_is_refused(self):
        run_to_end(self.folder, "--max-infohashes", "3")
        first = read(self.output)
        code, errors = run_to_end(self.folder, "--lab-seed", "2")
        self.assertEqual(code, 2, errors)
        is_one_line(errors, "seed 1", "seed 2", "--fresh", "--data-dir")
        self.assertEqual(read(self.output), first)

    def test_bad_input_names_file_and_line(self):
        for flag, text, word in (("--blocklist", "10.0.0.0/8\nnonsense\n", "nonsense"), ("--opt-out", "# none\nabc\n", "abc")):
            path = os.path.join(self.folder, "list.txt")
            write(path, text)
            code, errors = run_to_end(self.folder, flag, path)
            self.assertEqual(code, 2, errors)
            is_one_line(errors, f"{path}:2", word)


if __name__ == "__main__":
    unittest.main()
