"""Trackers and web seeds by a proxy (TRK-24, WSD-06): they see the proxy and not us, and who gives no way in gets nothing.

Usage: proxies.py ESTUDELY
"""

import http.server
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading

import libtorrent as lt

from clients import folder
from contents import MIB, Content
from program import HOST
from swarm import SETTINGS, wait_until

# Where the proxy goes out from; who is asked sees this address.
PROXY = "127.0.9.9"
USER, PASSWORD = b"me", b"p@ss"


def copy(one, other):
    """Bytes both ways until one end is over."""
    while True:
        for ready in select.select([one, other], [], [])[0]:
            data = ready.recv(65_536)
            if not data:
                return
            (other if ready is one else one).sendall(data)


def read(stream, count):
    data = b""
    while len(data) < count:
        data += (more := stream.recv(count - len(data)))
        if not more:
            raise OSError("hung up")
    return data


class Proxy:
    """SOCKS 5 with a password, datagrams included, or CONNECT. It looks up `tracker.test` itself."""

    def __init__(self, kind, datagrams=True):
        self.kind, self.datagrams, self.asked = kind, datagrams, []
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def url(self):
        return f"{self.kind}://{USER.decode()}:p%40ss@{HOST}:{self.port}"

    def accept(self):
        while True:
            stream, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(stream,), daemon=True).start()

    def serve(self, stream):
        try:
            (self.socks if self.kind == "socks5" else self.connect)(stream)
        except OSError:
            pass
        stream.close()

    def reach(self, host, port):
        self.asked.append((host, port))
        return socket.create_connection((HOST if host == "tracker.test" else host, port), 5, (PROXY, 0))

    def connect(self, stream):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += read(stream, 1)
        if b"Proxy-Authorization: Basic bWU6cEBzcw==" not in head:
            return stream.sendall(b"HTTP/1.1 407 Who?\r\n\r\n")
        host, port = head.split()[1].decode().rsplit(":", 1)
        there = self.reach(host, int(port))
        stream.sendall(b"HTTP/1.1 200 Go on\r\n\r\n")
        return copy(stream, there)

    def socks(self, stream):
        assert 2 in read(stream, read(stream, 2)[1])
        stream.sendall(b"\5\2")
        user = read(stream, read(stream, 2)[1])
        password = read(stream, read(stream, 1)[0])
        if (user, password) != (USER, PASSWORD):
            return stream.sendall(b"\1\1")
        stream.sendall(b"\1\0")
        _, command, _, kind = read(stream, 4)
        host = socket.inet_ntoa(read(stream, 4)) if kind == 1 else read(stream, read(stream, 1)[0]).decode()
        port = int.from_bytes(read(stream, 2), "big")
        if command == 3 and self.datagrams:
            return self.relay(stream)
        if command != 1:
            return stream.sendall(b"\5\7\0\1" + bytes(6))
        there = self.reach(host, port)
        stream.sendall(b"\5\0\0\1" + bytes(6))
        return copy(stream, there)

    def relay(self, control):
        near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        near.bind((HOST, 0))
        far.bind((PROXY, 0))
        control.sendall(b"\5\0\0\1" + bytes(4) + struct.pack(">H", near.getsockname()[1]))
        client = None
        while True:
            ready = select.select([control, near, far], [], [])[0]
            if control in ready and not control.recv(1):
                return
            if near in ready:
                data, client = near.recvfrom(65_535)
                assert data[:4] == b"\0\0\0\1", data
                to = socket.inet_ntoa(data[4:8]), int.from_bytes(data[8:10], "big")
                self.asked.append(to)
                far.sendto(data[10:], to)
            if far in ready and client:
                data, (host, port) = far.recvfrom(65_535)
                near.sendto(b"\0\0\0\1" + socket.inet_aton(host) + struct.pack(">H", port) + data, client)


class HttpTracker:
    """Names one peer, and notes from where it was asked."""

    def __init__(self, peer):
        seen = self.seen = []

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                seen.append(self.client_address[0])
                body = lt.bencode({b"interval": 1800, b"peers": socket.inet_aton(peer[0]) + struct.pack(">H", peer[1])})
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                """It is noted above."""

        self.server = http.server.ThreadingHTTPServer((HOST, 0), Answer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = self.server.server_address[1]


class UdpTracker:
    """The same by BEP 15."""

    def __init__(self, peer):
        self.peer, self.seen = peer, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            data, sender = self.socket.recvfrom(2_048)
            self.seen.append(sender[0])
            action, transaction = struct.unpack(">II", data[8:16])
            if action == 0:
                self.socket.sendto(struct.pack(">IIQ", 0, transaction, 7), sender)
            else:
                named = socket.inet_aton(self.peer[0]) + struct.pack(">H", self.peer[1])
                self.socket.sendto(struct.pack(">IIIII", 1, transaction, 1800, 0, 1) + named, sender)


def seeder(content, root):
    session = lt.session({**SETTINGS, "listen_interfaces": f"{HOST}:0"})
    params = lt.add_torrent_params()
    params.ti, params.save_path = lt.torrent_info(content.file(root)), content.folder
    params.flags |= lt.torrent_flags.seed_mode
    session.add_torrent(params)
    wait_until(lambda: session.listen_port() > 0, 30, "the seeder listens")
    return session


def take(root, content, name, *flags, code=0, seconds=60, web=()):
    """A download of ours that knows nobody but by its trackers."""
    out = folder(root, name)
    line = [sys.argv[1], "download", content.file(folder(root, f"{name}.home"), web=web), "--output-dir", out, "--data-dir", os.path.join(root, f"{name}.data"),
            "--no-dht", "--no-lsd", "--no-seed", "--allow-loopback", "--bind", f"{HOST}:0", "--overall-timeout", str(seconds), *flags]
    ended = subprocess.run(line, capture_output=True, encoding="utf-8", timeout=seconds + 60)
    assert ended.returncode == code, f"{name}: exit code {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    if code == 0:
        assert not content.differences(out), content.differences(out)
    return ended.stderr


def main():
    with tempfile.TemporaryDirectory(prefix="estudely-proxies-") as root:
        content = Content(folder(root, "content"), "led", "v1", [("", MIB + 1)], 65_536)
        session = seeder(content, root)
        peer = (HOST, session.listen_port())
        for kind in "socks5", "http":
            proxy, tracker = Proxy(kind), HttpTracker(peer)
            take(root, content, f"{kind}-tracker", "--tracker", f"http://tracker.test:{tracker.port}/announce", "--proxy", proxy.url())
            assert set(tracker.seen) == {PROXY} and ("tracker.test", tracker.port) in proxy.asked, (tracker.seen, proxy.asked)
            print(f"proxies: an HTTP tracker sees the {kind} proxy, which looks up its name", flush=True)
        proxy, tracker = Proxy("socks5"), UdpTracker(peer)
        take(root, content, "udp-tracker", "--tracker", f"udp://{HOST}:{tracker.port}", "--proxy", proxy.url())
        assert set(tracker.seen) == {PROXY}, tracker.seen
        print("proxies: a UDP tracker sees the SOCKS proxy", flush=True)
        for name, proxy in ("http", Proxy("http")), ("without datagrams", Proxy("socks5", datagrams=False)):
            tracker = UdpTracker(peer)
            said = take(root, content, name, "--tracker", f"udp://{HOST}:{tracker.port}", "--proxy", proxy.url(), code=1, seconds=3)
            assert "UDP trackers are not asked" in said and not tracker.seen, (said, tracker.seen)
        print("proxies: a UDP tracker is not asked past a proxy that carries no datagrams", flush=True)
        said = take(root, content, "nobody", "--proxy", f"socks5://{HOST}:1", code=1, seconds=3)
        assert "--proxy cannot be reached" in said, said
        web(root, content)


def web(root, content):
    """A web seed alone, by each kind of proxy."""
    seen = []
    with open(os.path.join(content.folder, content.name), "rb") as file:
        data = file.read()

    class Ranges(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.client_address[0])
            first, last = (int(at) for at in self.headers["Range"].removeprefix("bytes=").split("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            self.send_header("Content-Length", str(last - first + 1))
            self.end_headers()
            self.wfile.write(data[first:last + 1])

        def log_message(self, *_):
            """It is noted above."""

    server = http.server.ThreadingHTTPServer((HOST, 0), Ranges)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    where = ["http://tracker.test:%d/it" % server.server_address[1]]
    for kind in "socks5", "http":
        take(root, content, f"web-{kind}", "--proxy", Proxy(kind).url(), web=where)
        assert seen and set(seen) == {PROXY}, seen
        print(f"proxies: a web seed sees the {kind} proxy", flush=True)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
