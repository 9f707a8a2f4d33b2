"""The program under test, as the scripts here run it: on loopback, and with files of its own."""

import os
import re
import signal
import subprocess

from swarm import wait_until

HOST = "127.0.0.1"
# What every command with a DHT node takes here.
NETWORK = ["--allow-loopback", "--bind", f"{HOST}:0", "--profile", "lab"]


class Running:
    """A command that runs until it is stopped. Its rows go to `rows` if that is given, its notes to a log."""

    def __init__(self, estudely, root, command, *flags, rows=subprocess.DEVNULL):
        self.log = os.path.join(root, f"{command}.log")
        line = [estudely, command, *NETWORK, "--data-dir", os.path.join(root, f"{command}.data"), *flags]
        self.process = subprocess.Popen(line, stdout=rows, stderr=open(self.log, "w"))

    def notes(self):
        with open(self.log, encoding="utf-8") as log:
            return log.read()

    def port(self):
        """The UDP port that it says it listens on."""
        found = []

        def said():
            found.extend(re.findall(r"# listening on 127\.0\.0\.1:(\d+) \(UDP", self.notes()))
            return bool(found)

        self.wait(said, 30, "our node says where it listens")
        return int(found[0])

    def wait(self, condition, seconds, what):
        """As `wait_until`, and no longer than it runs; what it said is shown when it was in vain."""
        try:
            wait_until(lambda: condition() or self.process.poll() is not None, seconds, what)
        except SystemExit:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=30)
            print(self.notes())
            raise
        if not condition():
            raise SystemExit(f"FAILED: it ended with exit code {self.process.poll()} before {what}\n{self.notes()}")

    def interrupt(self):
        """Ctrl-C; it must end by itself, with exit code 0."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=30)
        assert code == 0, f"exit code {code}\n{self.notes()}"


def run(estudely, root, *words, code=0):
    """A command that ends by itself; its lines on stdout, and its notes."""
    ended = subprocess.run(
        [estudely, *words, *NETWORK, "--data-dir", os.path.join(root, "data"), "--overall-timeout", "60"],
        capture_output=True, encoding="utf-8", timeout=90)
    assert ended.returncode == code, f"{words}: exit code {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout.splitlines(), ended.stderr
