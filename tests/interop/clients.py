"""Real clients as seeders, in every setting that concerns how a peer may connect.

Each of the functions below starts one client in its settings and gives the `Seeder`s.
"""

import dataclasses
import json
import os
import re
import shutil
import subprocess

import libtorrent as lt

from scripted_peer import BLOCK
from swarm import SETTINGS, add

# How a peer can be asked for a stream: by what it runs on, and whether in the clear.
PLAIN, ENCRYPTED = ("tcp", "utp"), ("tcp_mse", "utp_mse")
TCP, UTP, BOTH = ("tcp", "tcp_mse"), ("utp", "utp_mse"), PLAIN + ENCRYPTED


@dataclasses.dataclass
class Seeder:
    """One running client in one setting."""

    client: str
    setting: str
    address: tuple
    # How it takes a connection. Every other way must fail.
    ways: tuple
    # What it can seed; what it cannot, it refuses to load.
    versions: tuple = ("v1", "v2", "hybrid")
    # Whether it gives a hybrid by its version 2 infohash, too.
    both_keys: bool = False
    # Sizes of info dictionaries that it can give, and in bearable time.
    sizes: object = range(1, (16 << 20) + 1)
    # A process, or a libtorrent session to be kept.
    held: object = None

    def seeds(self, torrent):
        return torrent.version in self.versions and len(torrent.raw) in self.sizes

    def keys(self, torrent):
        return sorted(torrent.keys if self.both_keys or torrent.version == "v2" else [torrent.v1_key])

    def stop(self):
        if isinstance(self.held, subprocess.Popen):
            self.held.kill()
            self.held.wait()


def libtorrent(_root, torrents):
    forced = {"in_enc_policy": lt.enc_policy.forced, "out_enc_policy": lt.enc_policy.forced}
    no_tcp = {"enable_incoming_tcp": False, "enable_outgoing_tcp": False}
    no_utp = {"enable_incoming_utp": False, "enable_outgoing_utp": False}
    settings = {
        "all": (BOTH, {}),
        "tcp only": (TCP, no_utp),
        "utp only": (UTP, no_tcp),
        "rc4 required": (ENCRYPTED, {**forced, "allowed_enc_level": lt.enc_level.rc4}),
        "mse required, then plain": (ENCRYPTED, {**forced, "allowed_enc_level": lt.enc_level.plaintext}),
        "mse off": (PLAIN, {"in_enc_policy": lt.enc_policy.disabled}),
    }
    for number, (setting, (ways, own)) in enumerate(settings.items()):
        address = (f"127.0.4.{number + 1}", 6881)
        listen = {"listen_interfaces": "%s:%d" % address, "enable_dht": False}
        session = lt.session({**SETTINGS, **listen, **own})
        for torrent in torrents:
            add(session, torrent)
        yield Seeder(f"libtorrent {lt.__version__}", setting, address, ways, both_keys=True, held=session)


def transmission(root, torrents):
    if not found("transmission-daemon"):
        return
    name = version("transmission-daemon", "transmission")
    # Where it would rather not encrypt it selects plain text from what we offer, and before 4.1 cannot read what follows: 3.00
    # takes the handshake that went along for plain, 4.0 stays with RC4. It takes a plain stream then, too.
    plain = PLAIN if re.match(r"transmission (3|4\.0)", name) else BOTH
    settings = {
        "all": (BOTH, {}),
        "utp off": (TCP, {"utp-enabled": False}),
        "mse required": (ENCRYPTED, {"encryption": 2}),
        "mse if it must be": (plain, {"encryption": 0}),
    }
    # Up to 3.00 an empty key, as a version 2 file tree has it, is a syntax error. A version 2 torrent alone is none yet.
    versions = ("v1",) if name.startswith("transmission 3") else ("v1", "hybrid")
    for number, (setting, (ways, own)) in enumerate(settings.items()):
        home, port = folder(root, f"transmission-{number}"), 29_100 + number
        with open(os.path.join(home, "settings.json"), "w", encoding="utf-8") as out:
            json.dump({
                "peer-port": port, "encryption": 1, "utp-enabled": True, "download-dir": torrents[0].save_path,
                "watch-dir": folder(home, "watched", [t for t in torrents if t.version in versions]), "watch-dir-enabled": True,
                "rpc-enabled": False, "dht-enabled": False, "lpd-enabled": False, "port-forwarding-enabled": False,
                "download-queue-enabled": False, **own}, out)
        held = start(["transmission-daemon", "--foreground", "--config-dir", home], home)
        # It gives the few blocks that it is asked for every two to four seconds.
        yield Seeder(name, setting, ("127.0.0.1", port), ways, versions, sizes=range(200_001), held=held)


def aria2(root, torrents):
    if not found("aria2c"):
        return
    settings = {
        "all": (TCP, []),
        "mse required": (("tcp_mse",), ["--bt-require-crypto=true"]),
        "rc4 required": (("tcp_mse",), ["--bt-require-crypto=true", "--bt-min-crypto-level=arc4"]),
    }
    # It knows no version 2, and gives a hybrid another infohash.
    files = [t.file for t in torrents if t.version == "v1"]
    for number, (setting, (ways, own)) in enumerate(settings.items()):
        port = 29_200 + number
        held = start([
            "aria2c", "--enable-dht=false", "--bt-enable-lpd=false", "--no-conf", f"--listen-port={port}", "--seed-time=60",
            "--bt-seed-unverified=true", "--file-allocation=none", "--max-concurrent-downloads=99", "--quiet",
            f"--dir={torrents[0].save_path}", *own, *files], folder(root, f"aria2-{number}"))
        yield Seeder(version("aria2c", "aria2"), setting, ("127.0.0.1", port), ways, ("v1",), held=held)


def qbittorrent(root, torrents):
    if not found("qbittorrent-nox"):
        return
    settings = {
        "all": (BOTH, "Both", 0),
        "tcp only": (TCP, "TCP", 0),
        "utp only": (UTP, "UTP", 0),
        "mse required": (ENCRYPTED, "Both", 1),
        "mse off": (PLAIN, "Both", 2),
    }
    for number, (setting, (ways, protocol, encryption)) in enumerate(settings.items()):
        port = 29_300 + 2 * number
        home = folder(root, f"qbittorrent-{number}")
        config = folder(home, os.path.join("qBittorrent", "config"))
        with open(os.path.join(config, "qBittorrent.conf"), "w", encoding="utf-8") as out:
            out.write(
                "[LegalNotice]\nAccepted=true\n[Preferences]\n"
                f"WebUI\\Address=127.0.0.1\nWebUI\\Port={port + 1}\n[BitTorrent]\n"
                f"Session\\Port={port}\nSession\\BTProtocol={protocol}\nSession\\Encryption={encryption}\n"
                "Session\\DHTEnabled=false\nSession\\LSDEnabled=false\nSession\\QueueingSystemEnabled=false\n"
                "[Network]\nPortForwardingEnabled=false\n")
        # A hybrid's version 2 infohash it answers with the other one, once the same host has come for that.
        held = start(["qbittorrent-nox", f"--profile={home}", f"--save-path={torrents[0].save_path}", "--skip-hash-check",
                      *[t.file for t in torrents]], home)
        yield Seeder(version("qbittorrent-nox", "qBittorrent"), setting, ("127.0.0.1", port), ways, held=held)


def rtorrent(root, torrents):
    if not found("rtorrent"):
        return
    settings = {
        "all": (TCP, "allow_incoming,try_outgoing"),
        "mse required": (("tcp_mse",), "allow_incoming,require"),
        "rc4 required": (("tcp_mse",), "allow_incoming,require,require_RC4"),
    }
    # It does not know version 2, and seeds a hybrid as version 1. Of a dictionary of whole blocks, the last that it gives is
    # empty.
    sizes = [len(t.raw) for t in torrents if len(t.raw) % BLOCK]
    files = [t.file for t in torrents if t.version != "v2"]
    for number, (setting, (ways, encryption)) in enumerate(settings.items()):
        port = 29_400 + number
        home = folder(root, f"rtorrent-{number}")
        options = [
            "system.daemon.set=true", f"directory.default.set={torrents[0].save_path}",
            f"session.path.set={folder(home, 'session')}", f"network.port_range.set={port}-{port}",
            "network.port_random.set=no", "dht.mode.set=disable", f"protocol.encryption.set={encryption}",
            *[f"load.start={file}" for file in files]]
        script = os.path.join(home, "rtorrent.rc")
        with open(script, "w", encoding="utf-8") as out:
            out.write("\n".join(options) + "\n")
        held = start(["rtorrent", "-n", "-o", f"import={script}"], home)
        yield Seeder(version("rtorrent", "rTorrent", "-h"), setting, ("127.0.0.1", port), ways, ("v1", "hybrid"), sizes=sizes, held=held)


CLIENTS = (libtorrent, transmission, aria2, qbittorrent, rtorrent)


def found(program):
    if shutil.which(program):
        return True
    print(f"skipped: {program} is not installed", flush=True)
    return False


def version(program, name, flag="--version"):
    said = subprocess.run([program, flag], capture_output=True, encoding="utf-8", check=False)
    number = re.search(r"\d+(\.\d+)+", said.stdout + said.stderr)
    return f"{name} {number[0] if number else '?'}"


def folder(above, name, torrents=()):
    """A new folder below `above`, with the files of these torrents in it."""
    path = os.path.join(above, name)
    os.makedirs(path)
    for torrent in torrents:
        shutil.copy(torrent.file, path)
    return path


def start(line, home):
    with open(os.path.join(home, "log"), "wb") as log:
        environment = {**os.environ, "HOME": home}
        return subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home, env=environment)
