"""A DHT and swarms of real clients: libtorrent sessions on loopback, each with an address of its own.

Run inside a network namespace that has only loopback (see run.sh): nothing here may reach further.
"""

import csv
import os
import random
import socket
import time

import libtorrent as lt

PORT = 6881
# Settings that a loopback network needs; everything else stays as libtorrent ships it.
SETTINGS = {
    "enable_dht": True,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "dht_bootstrap_nodes": "",
    "dht_restrict_routing_ips": False,
    "dht_restrict_search_ips": False,
    "dht_upload_rate_limit": 1_000_000,
    "active_dht_limit": -1,
    "active_seeds": -1,
    "active_limit": -1,
    "allow_multiple_connections_per_ip": True,
    "alert_mask": 0,
}


class Torrent:
    """What was planted, as the crawl must report it."""

    def __init__(self, name, payload, info, save_path):
        self.info = info
        # The info dictionary, as the infohash is of it.
        self.raw = bytes(info.info_section())
        self.save_path = save_path
        # The address of the session that has it.
        self.seeder = None
        self.name = name
        self.file_count = len(payload)
        self.total_bytes = sum(len(data) for _, data in payload)
        self.piece_length = info.piece_length()
        hashes = info.info_hashes()
        self.version = "hybrid" if hashes.has_v1() and hashes.has_v2() else "v1" if hashes.has_v1() else "v2"
        # The DHT key: SHA-1 where there is one, else the truncated SHA-256 (BEP 52). A hybrid is announced under both.
        self.keys = {str(h) for h in ([hashes.v1] if hashes.has_v1() else [])}
        if hashes.has_v2():
            self.keys.add(str(hashes.v2)[:40])

    def differences(self, row):
        """What a row says against what was planted; a newline is one of the characters that a line cannot hold."""
        want = {
            "name": self.name.replace("\n", "\ufffd"),
            "file_count": str(self.file_count),
            "total_bytes": str(self.total_bytes),
            "piece_length": str(self.piece_length),
        }
        return [f"{row['infohash']}: {column} is {row[column]!r}, planted {value!r}"
                for column, value in want.items() if row[column] != value]


def payloads():
    """200 torrents: (name, files, kind). Sizes are odd on purpose, so that a wrong sum shows."""
    odd_name = 'comma, "quote"\nnewline'
    made = [
        (odd_name, [("", b"x" * 1001)], "v1"),
        ("日本語 — ünïcödé 🎈", [("", b"u" * 777)], "v1"),
        # 2,600 files of one byte with 90-byte names: an info dictionary over 200 kB.
        ("large", [(f"{i:06d}" + "n" * 84, b"l") for i in range(2600)], "v1"),
    ]
    for i in range(len(made), 200):
        kind = ("v1", "v1", "v1", "v2", "hybrid")[i % 5]
        if i % 2:
            files = [("", bytes([i % 251]) * (1000 + 37 * i))]
        else:
            files = [(f"dir {j}/file {j}.bin", bytes([j]) * (500 + 13 * i + j)) for j in range(1 + i % 4)]
        made.append((f"torrent {i:03d} {kind}", files, kind))
    return made


def make_torrent(root, index, name, files, kind):
    """Writes the payload below `root` and builds the torrent with libtorrent's own creator."""
    save_path = os.path.join(root, f"{index:03d}")
    for path, data in files:
        full = os.path.join(save_path, name, path) if path else os.path.join(save_path, name)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as out:
            out.write(data)
    flags = {"v1": lt.create_torrent.v1_only, "v2": lt.create_torrent.v2_only, "hybrid": 0}[kind]
    maker = lt.create_torrent(lt.list_files(os.path.join(save_path, name)), 16_384, flags)
    lt.set_piece_hashes(maker, save_path)
    info = lt.torrent_info(maker.generate())
    return Torrent(name, files, info, save_path)


def session(address):
    """One client at `address`."""
    settings = dict(SETTINGS, listen_interfaces=f"{address}:{PORT}")
    return lt.session(settings)


class Swarm:
    """Sessions as one DHT that seed the torrents."""

    def __init__(self, root, sessions=24, torrents=200):
        self.torrents = [make_torrent(root, i, *p) for i, p in enumerate(payloads()[:torrents])]
        self.planted = {key: torrent for torrent in self.torrents for key in torrent.keys}
        self.addresses = [f"127.0.1.{n + 1}" for n in range(sessions)]
        self.sessions = [session(address) for address in self.addresses]
        for client in self.sessions:
            for address in self.addresses:
                client.add_dht_node((address, PORT))
        wait_until(lambda: all(s.status().dht_nodes >= sessions // 2 for s in self.sessions), 60, "the sessions know each other")
        for i, torrent in enumerate(self.torrents):
            torrent.seeder = self.addresses[i % sessions]
            add(self.sessions[i % sessions], torrent)

    def announced(self, want=0.99):
        """Waits until a lookup for nearly every torrent would find it: asks each node for peers, as any client would."""
        keys = sorted(set().union(*(t.keys for t in self.torrents)))

        def found():
            have = sum(1 for key in keys if any(peers(a, key) for a in self.addresses))
            return have >= want * len(keys)

        wait_until(found, 180, "the torrents are announced")

    def shown(self):
        """The union of what each session's sample shows (BEP 51)."""
        seen = set()
        for address in self.addresses:
            seen.update(samples(address))
        return seen


def add(client, torrent):
    params = lt.add_torrent_params()
    params.ti = torrent.info
    params.save_path = torrent.save_path
    params.flags |= lt.torrent_flags.seed_mode
    params.flags &= ~lt.torrent_flags.auto_managed
    params.flags &= ~lt.torrent_flags.paused
    return client.add_torrent(params)


def ask(address, method, args, port=PORT, source=None, timeout=2.0):
    """One KRPC query (BEP 5) from a socket of our own; the reply's `r`, or {} when none comes."""
    query = {b"t": os.urandom(4), b"y": b"q", b"q": method.encode(), b"a": {b"id": os.urandom(20), **args}}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        # A new source address each time: libtorrent silences a host that asks more than 5 times a second.
        sock.bind((source or f"127.9.{random.randrange(256)}.{random.randrange(1, 255)}", 0))
        sock.settimeout(timeout)
        sock.sendto(lt.bencode(query), (address, port))
        try:
            reply = lt.bdecode(sock.recv(65_535))
        except TimeoutError:
            return {}
    return reply.get(b"r", {}) if reply.get(b"t") == query[b"t"] else {}


def peers(address, key, port=PORT):
    return ask(address, "get_peers", {b"info_hash": bytes.fromhex(key)}, port).get(b"values", [])


def samples(address, port=PORT):
    """What a node's sample shows (BEP 51)."""
    reply = ask(address, "sample_infohashes", {b"target": os.urandom(20)}, port)
    assert b"samples" in reply, f"{address} shows no sample: {reply}"
    shown = reply[b"samples"]
    return {shown[i:i + 20].hex() for i in range(0, len(shown), 20)}


def rows(lines):
    """The rows of a table of ours, as dictionaries."""
    return list(csv.DictReader(lines, strict=True))


def wait_until(condition, seconds, what):
    """Polls a condition that the clients bring about by themselves; the bound is a failure, not a measurement."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.5)
    raise SystemExit(f"FAILED: waited {seconds} s until {what}")
