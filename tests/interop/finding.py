"""Two of ours find each other with nobody to name them: on the local network (BEP 14), and in a DHT (a lab's).

Usage: finding.py ESTUDELY
"""

import os
import re
import signal
import subprocess
import sys
import tempfile

from clients import folder, start
from contents import MIB, Content
from swarm import wait_until

# One address: what is said to the local network comes from the first one of lo.
SEED, TAKER = "127.0.0.1:22100", "127.0.0.1:22200"


class Ours:
    """A command of ours that runs until it is left, or ends by itself."""

    def __init__(self, root, name, *line):
        self.home = folder(root, name)
        self.process = start([sys.argv[1], *line], self.home)

    def said(self):
        with open(os.path.join(self.home, "log"), encoding="utf-8") as log:
            return log.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=30)


def transfer(root, content, by, flags, ready):
    """A seed, then a leecher that is told of no peer; `ready`: what the seed says of itself once it can be found."""
    root = folder(root, by)
    torrent, out = content.file(root), folder(root, "out")

    def common(name, bind):
        return ["--bind", bind, "--allow-loopback", "--no-trackers", "--data-dir", os.path.join(root, f"{name}.data"),
                "--overall-timeout", "120", *flags]

    with Ours(root, "seed", "seed", torrent, "--data", content.folder, *common("seed", SEED)) as seed:
        wait_until(lambda: re.search(ready, seed.said()), 60, f"the seed is there: {ready}")
        with Ours(root, "taker", "download", torrent, "--output-dir", out, "--no-seed", *common("taker", TAKER)) as taker:
            wait_until(lambda: taker.process.poll() is not None, 130, f"a leecher finds the seed by {by}")
            wrong = content.differences(out)
            assert taker.process.returncode == 0 and not wrong, f"{by}: {wrong}\n{taker.said()}\n{seed.said()}"
    print(f"two of ours found each other by {by}", flush=True)


def main():
    # Multicast goes out on lo, which has no route for it by itself.
    subprocess.run(["ip", "link", "set", "lo", "multicast", "on"], check=True)
    subprocess.run(["ip", "route", "add", "224.0.0.0/4", "dev", "lo"], check=True)
    with tempfile.TemporaryDirectory(prefix="estudely-finding-") as root:
        content = Content(folder(root, "content"), "found", "v1", [("", 2 * MIB + 1)], 65_536)
        transfer(root, content, "local discovery", ["--no-dht"], "complete")
        with Ours(root, "lab", "lab", "--nodes", "200", "--torrents", "20", "--overall-timeout", "300") as lab:
            wait_until(lambda: "bootstrap" in lab.said(), 30, "the lab runs")
            bootstrap = re.search(r"bootstrap (\S+:\d+)", lab.said())[1]
            transfer(root, content, "DHT", ["--no-lsd", "--bootstrap", bootstrap], "complete")


if __name__ == "__main__":
    main()
