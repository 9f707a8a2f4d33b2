#!/usr/bin/env python3
"""How many peers `fetch` holds at once, and in how much memory: benches/rate/sessions.py ESTUDELY [--sessions N] [--most-mib N]

A server here plays every peer on 127.0.0.0/8: it shakes hands, offers metadata of two pieces, and never answers a request, so
that each session stays open, with all its state, until our deadline for a piece. What counts is how many descriptors our process
had at once (nearly all are connections), and its largest resident memory (VmHWM). Standard library only; at most N connections,
on loopback.
"""

import argparse
import asyncio
import contextlib
import os
import resource
import signal
import sys
import tempfile

# Each infohash is asked of so many peers at once in the end, and may hold so many in all.
PARALLEL, PEERS = 4, 5
SIZE = 20_000
EXTENDED = b"d1:md11:ut_metadatai3ee13:metadata_sizei%de1:v6:holdere" % SIZE
RUN_SECONDS = 60
# How long all are held: what state they need, they have by then.
HOLD_SECONDS = 2


class Peer(asyncio.Protocol):
    """One connection, on the peer's side."""

    def connection_made(self, transport):
        self.transport, self.heard, self.greeted = transport, b"", False

    def data_received(self, data):
        if self.greeted:
            return
        self.heard += data
        if len(self.heard) >= 68:
            self.greeted = True
            # Our own handshake: the infohash that was asked for, and the extension bit (BEP 10).
            shaken = self.heard[:20] + bytes([0, 0, 0, 0, 0, 0x10, 0, 0]) + self.heard[28:48] + b"-HO0001-holderholder"
            extended = bytes([20, 0]) + EXTENDED
            self.transport.write(shaken + len(extended).to_bytes(4, "big") + extended)
            self.heard = b""


def write_peers(path, port, infohashes):
    with open(path, "w", encoding="utf-8") as out:
        out.write("infohash,peer_ip,peer_port\n")
        for at in range(infohashes * PEERS):
            host = at + 256
            out.write(f"{at // PEERS + 1:040x},127.{host >> 16 & 255}.{host >> 8 & 255}.{host & 255},{port}\n")


async def hold(estudely, sessions, folder):
    server = await asyncio.get_running_loop().create_server(Peer, "0.0.0.0", 0, backlog=8_192)
    peers = os.path.join(folder, "peers.csv")
    infohashes = -(-sessions // (PARALLEL - 1))
    write_peers(peers, server.sockets[0].getsockname()[1], infohashes)
    command = [estudely, "fetch", "--allow-loopback", "--max-connections", str(sessions), "--max-works", str(infohashes),
               "--overall-timeout", str(RUN_SECONDS // 2), "--data-dir", os.path.join(folder, "data"), peers]
    ours = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
    most = 0
    while ours.returncode is None:
        # It may end at any moment.
        with contextlib.suppress(OSError):
            most = max(most, len(os.listdir(f"/proc/{ours.pid}/fd")))
            if most >= sessions:
                await asyncio.sleep(HOLD_SECONDS)
                ours.send_signal(signal.SIGINT)
                await ours.wait()
        await asyncio.sleep(0.1)
    server.close()
    return most


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("estudely")
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--most-mib", type=int, default=200)
    args = parser.parse_args()
    # A connection that our side has closed is open here a little longer.
    wanted, (_, hard) = args.sessions * 3 // 2 + 200, resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        print(f"sessions: skipped, {wanted} descriptors are needed and {hard} allowed (ulimit -Hn)")
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    with tempfile.TemporaryDirectory() as folder:
        held = asyncio.run(asyncio.wait_for(hold(os.path.abspath(args.estudely), args.sessions, folder), RUN_SECONDS))
    # The largest of our children: there was one. Linux counts in KiB.
    mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"sessions: {held} descriptors at once in {mib:.1f} MiB, {1024 * mib / max(held, 1):.2f} KiB each")
    if held < args.sessions or mib > args.most_mib:
        sys.exit(f"wanted: {args.sessions} in at most {args.most_mib} MiB")


if __name__ == "__main__":
    main()
