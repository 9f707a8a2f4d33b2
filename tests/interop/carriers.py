"""Clients as whoever gives or takes the content of a torrent, each behind the same two calls.

`seed` and `leech` start one client with one torrent, held to one way of connecting, and give a `Held`.
"""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import libtorrent as lt

from cells import FLAGS
from clients import folder, found, start, version
from scripted_peer import Wire
from swarm import SETTINGS

TCP = ("tcp", "tcp_mse")
EVERY = ("tcp", "tcp_mse", "utp", "utp_mse")
ALL_VERSIONS = ("v1", "v2", "hybrid")
# libtorrent's sessions that are not used any more: letting go of one takes seconds, for which nobody waits.
ENDED = []


class Held:
    """A client that runs."""

    def __init__(self, process=None, home=None, ready=lambda: True, done=lambda: True):
        self.process, self.home, self.ready, self.done = process, home, ready, done

    def failed(self):
        """Why it can never be done, if so."""
        code = self.process.poll() if self.process else None
        return f"exit code {code}" if code else None

    def log(self):
        if not self.home:
            return ""
        with open(os.path.join(self.home, "log"), encoding="utf-8", errors="replace") as log:
            return log.read()[-1500:]

    def stop(self):
        if not self.process:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Client:
    """What a client can, unless it says otherwise."""

    ways, versions = EVERY, ALL_VERSIONS
    # Whether it knows pad files (BEP 47), of which a hybrid of many files has some.
    pads = True
    # Of trackers, those that it announces to.
    trackers = ("http", "udp")
    # Whether it can be told of a peer; else a tracker tells it.
    takes_peers = False
    # Whether all must be in the files when it says that it is done.
    strict = False
    # Whether it takes no torrent without a tracker.
    wants_tracker = False
    # Whether files of no bytes come to be where it downloads.
    empty_files = True

    def available(self):
        return found(self.program)


class Estudely(Client):
    """Ours. All that it wrote to where it downloads is looked at, and once it has ended that must be whole."""

    takes_peers = strict = True

    def __init__(self, program):
        self.program, self.name = program, "estudely"

    def available(self):
        return True

    def seed(self, home, torrent, content, address, way):
        held = start([self.program, "seed", torrent, "--data", content.folder, "--bind", "%s:%d" % address, *network(home, way)], home)
        return Held(held, home, lambda: listens(address, content, way))

    def leech(self, home, what, content, out, address, way, peer=None):
        peers = ["--peer", "%s:%d" % peer] if peer else []
        line = [self.program, "download", what, "--output-dir", out, "--bind", "%s:%d" % address, "--no-seed", *peers]
        held = start([*line, *network(home, way)], home)
        return Held(held, home, done=lambda: held.poll() == 0)


def network(home, way):
    return ["--allow-loopback", "--no-dht", "--no-lsd", "--data-dir", os.path.join(home, "data"), *FLAGS.get(way, [])]


class Libtorrent(Client):
    takes_peers = True
    name = f"libtorrent {lt.__version__}"

    def available(self):
        return True

    def session(self, address, way):
        policy = lt.enc_policy.forced if way.endswith("mse") else lt.enc_policy.enabled
        own = {"in_enc_policy": policy, "out_enc_policy": policy}
        for direction in ("incoming", "outgoing"):
            own[f"enable_{direction}_tcp"] = not way.startswith("utp")
            own[f"enable_{direction}_utp"] = not way.startswith("tcp")
        own |= {"enable_dht": False, "unchoke_slots_limit": -1, "listen_interfaces": "%s:%d" % address,
                "outgoing_interfaces": address[0]}
        return lt.session({**SETTINGS, **own})

    def seed(self, home, torrent, content, address, way):
        return self.held(address, way, torrent, content.folder, None, seeds=True)

    def leech(self, home, what, content, out, address, way, peer=None):
        return self.held(address, way, what, out, peer, seeds=False)

    def held(self, address, way, what, save_path, peer, seeds):
        session = self.session(address, way)
        magnet = what.startswith("magnet:")
        params = lt.parse_magnet_uri(what) if magnet else lt.add_torrent_params()
        if not magnet:
            params.ti = lt.torrent_info(what)
        params.save_path = save_path
        params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        if seeds:
            params.flags |= lt.torrent_flags.seed_mode
        if peer:
            params.peers = [peer]
        torrent = session.add_torrent(params)
        held = Held(done=lambda: torrent.status().is_seeding)
        held.stop = lambda: ENDED.append((session, session.remove_torrent(torrent), session.pause()))
        return held


class Transmission(Client):
    """Driven by its RPC."""

    program = "transmission-daemon"

    def __init__(self):
        self.name = version(self.program, "transmission") if found(self.program) else self.program
        old = self.name.startswith("transmission 3")
        self.versions, self.empty_files = ("v1",) if old else ("v1", "hybrid"), not old

    def daemon(self, home, save_path, address, way, what, encryption):
        own = {"peer-port": address[1], "encryption": 2 if way.endswith("mse") else encryption, "utp-enabled": way.startswith("utp"),
               "download-dir": save_path, "rpc-enabled": True, "rpc-port": address[1] + 1, "rpc-bind-address": "127.0.0.1",
               "dht-enabled": False, "lpd-enabled": False, "port-forwarding-enabled": False, "rename-partial-files": False,
               "bind-address-ipv4": address[0]}
        with open(os.path.join(home, "settings.json"), "w", encoding="utf-8") as out:
            json.dump(own, out)
        process = start([self.program, "--foreground", "--config-dir", home], home)
        rpc = Rpc(address[1] + 1)
        end = time.monotonic() + 20
        while not rpc.call("torrent-add", filename=what) and time.monotonic() < end:
            time.sleep(0.2)

        def state():
            torrents = (rpc.call("torrent-get", fields=["status", "leftUntilDone", "metadataPercentComplete"]) or {}).get("torrents")
            torrent = torrents[0] if torrents else {"status": 0, "leftUntilDone": 1, "metadataPercentComplete": 0}
            return torrent["metadataPercentComplete"] == 1 and torrent["leftUntilDone"] == 0 and torrent["status"] in (5, 6)

        return Held(process, home, state, state)

    def seed(self, home, torrent, content, address, way):
        return self.daemon(home, content.folder, address, way, torrent, encryption=1)

    def leech(self, home, what, content, out, address, way, peer=None):
        # Not "preferred": who hangs up on its encrypted uTP, it tries once more by plain TCP alone. And not this for who seeds:
        # it would take an encrypted stream that may be plain for plain, before 4.0.
        return self.daemon(home, out, address, way, what, encryption=0)


class Rpc:
    def __init__(self, port):
        self.url, self.session = f"http://127.0.0.1:{port}/transmission/rpc", ""

    def call(self, method, **arguments):
        """The answer's arguments; None if there is none yet."""
        body = json.dumps({"method": method, "arguments": arguments}).encode()
        for _ in range(2):
            try:
                request = urllib.request.Request(self.url, body, {"X-Transmission-Session-Id": self.session})
                with urllib.request.urlopen(request, timeout=5) as reply:
                    return json.load(reply)["arguments"]
            except urllib.error.HTTPError as refused:
                self.session = refused.headers.get("X-Transmission-Session-Id", "")
            except OSError:
                return None
        return None


class Aria2(Client):
    """It ends by itself when it has all. Without its DHT it has no UDP trackers."""

    program, ways, versions, trackers = "aria2c", TCP, ("v1",), ("http",)

    def __init__(self):
        self.name = version(self.program, "aria2") if found(self.program) else self.program

    def run(self, home, address, way, what, *own):
        crypto = ["--bt-require-crypto=true", "--bt-min-crypto-level=arc4"] if way.endswith("mse") else []
        line = [self.program, "--enable-dht=false", "--bt-enable-lpd=false", "--no-conf", f"--listen-port={address[1]}",
                f"--interface={address[0]}", "--disable-ipv6=true", "--file-allocation=none", "--allow-overwrite=true",
                "--console-log-level=notice", "--summary-interval=0"]
        return start([*line, *crypto, *own, what], home)

    def seed(self, home, torrent, content, address, way):
        held = self.run(home, address, way, torrent, f"--dir={content.folder}", "--bt-seed-unverified=true", "--seed-ratio=0.0", "--seed-time=60")
        return Held(held, home, lambda: listens(address, content, way))

    def leech(self, home, what, content, out, address, way, peer=None):
        held = self.run(home, address, way, what, f"--dir={out}", "--seed-time=0")
        return Held(held, home, done=lambda: held.poll() == 0)


class Qbittorrent(Client):
    """Asked by its web API."""

    program = "qbittorrent-nox"

    def __init__(self):
        self.name = version(self.program, "qBittorrent") if found(self.program) else self.program

    def run(self, home, save_path, address, way, what, *own):
        port = address[1]
        config = folder(home, os.path.join("qBittorrent", "config"))
        protocol = "TCP" if way.startswith("tcp") else "UTP"
        with open(os.path.join(config, "qBittorrent.conf"), "w", encoding="utf-8") as out:
            out.write(
                "[LegalNotice]\nAccepted=true\n[Preferences]\nWebUI\\LocalHostAuth=false\n"
                f"WebUI\\Address=127.0.0.1\nWebUI\\Port={port + 1}\n[BitTorrent]\n"
                # Else it listens at one address of each interface.
                f"Session\\Port={port}\nSession\\InterfaceAddress={address[0]}\n"
                f"Session\\BTProtocol={protocol}\nSession\\Encryption={int(way.endswith('mse'))}\n"
                "Session\\DHTEnabled=false\nSession\\LSDEnabled=false\nSession\\QueueingSystemEnabled=false\n"
                "Session\\MultiConnectionsPerIp=true\n[Network]\nPortForwardingEnabled=false\n")
        held = start([self.program, f"--profile={home}", f"--save-path={save_path}", *own, what], home)

        def state():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port + 1}/api/v2/torrents/info", timeout=5) as reply:
                    torrents = json.load(reply)
            except OSError:
                return False
            return bool(torrents) and torrents[0]["state"] in ("uploading", "stalledUP", "forcedUP")

        return Held(held, home, state, state)

    def seed(self, home, torrent, content, address, way):
        return self.run(home, content.folder, address, way, torrent, "--skip-hash-check")

    def leech(self, home, what, content, out, address, way, peer=None):
        return self.run(home, out, address, way, what)


class Rtorrent(Client):
    """It leaves a mark where its own hash check ends, and where all is there."""

    program, ways, versions, wants_tracker, pads = "rtorrent", TCP, ("v1", "hybrid"), True, False

    def __init__(self):
        self.name = version(self.program, "rTorrent", "-h") if found(self.program) else self.program

    def run(self, home, save_path, address, way, what):
        checked, done = os.path.join(home, "checked"), os.path.join(home, "done")
        encryption = "allow_incoming,try_outgoing,require" if way.endswith("mse") else "allow_incoming,try_outgoing,enable_retry"
        options = [
            "system.daemon.set=true", f"directory.default.set={save_path}", f"session.path.set={folder(home, 'session')}",
            f"network.port_range.set={address[1]}-{address[1]}", "network.port_random.set=no", "dht.mode.set=disable",
            f"protocol.encryption.set={encryption}",
            f'method.set_key=event.download.hash_done,mark,"execute.nothrow=touch,{checked}"',
            f'method.set_key=event.download.finished,mark,"execute.nothrow=touch,{done}"', f'load.start="{what}"']
        script = os.path.join(home, "rtorrent.rc")
        with open(script, "w", encoding="utf-8") as out:
            out.write("\n".join(options) + "\n")
        held = start([self.program, "-n", "-o", f"import={script}"], home)
        return Held(held, home, lambda: os.path.exists(checked), lambda: os.path.exists(done))

    def seed(self, home, torrent, content, address, way):
        return self.run(home, content.folder, address, way, torrent)

    def leech(self, home, what, content, out, address, way, peer=None):
        return self.run(home, out, address, way, what)


def listens(address, content, way):
    """Whether someone there answers for the torrent; whether there is someone, where plain strangers are turned away."""
    try:
        if way.endswith("mse"):
            socket.create_connection(address, 2).close()
        else:
            Wire(address, content.key()).close()
    except OSError:
        return False
    return True


OTHERS = {"libtorrent": Libtorrent, "transmission": Transmission, "aria2": Aria2, "qbittorrent": Qbittorrent, "rtorrent": Rtorrent}
