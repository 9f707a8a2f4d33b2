"""Our node as libtorrent's only way into a DHT: it must be a good node to others.

Usage: serve_real_clients.py ESTUDELY
"""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile

import libtorrent as lt

from swarm import PORT, add, ask, make_torrent, peers, session, wait_until

OURS = "127.0.0.1"


def start(estudely, root):
    """A crawl that knows nobody; returns it with the port that it says it listens on."""
    log = open(os.path.join(root, "log"), "w")
    node = subprocess.Popen(
        [estudely, "crawl", "--allow-loopback", "--bind", f"{OURS}:0", "--profile", "lab", "--bootstrap", f"{OURS}:1",
         "--output", os.path.join(root, "metadata.txt"), "--data-dir", os.path.join(root, "data"), "--overall-timeout", "170"],
        stdout=subprocess.DEVNULL, stderr=log)

    def port():
        found = re.search(r"listening on 127\.0\.0\.1:(\d+)", open(os.path.join(root, "log")).read())
        return found and int(found[1])

    wait_until(port, 30, "our node says where it listens")
    return node, port()


def main():
    estudely = sys.argv[1]
    root = tempfile.mkdtemp(prefix="estudely-interop-")
    node, port = start(estudely, root)
    clients = [session(f"127.0.2.{n + 1}") for n in range(8)]
    for client in clients:
        client.add_dht_node((OURS, port))
    wait_until(lambda: all(c.status().dht_nodes >= 4 for c in clients), 90, "libtorrent bootstraps off our node alone")
    print("8 libtorrent sessions know each other through our node")

    torrent = make_torrent(root, 0, "announced to us", [("", b"a" * 40_000)], "v1")
    add(clients[0], torrent)
    (key,) = torrent.keys
    want = socket.inet_aton("127.0.2.1") + PORT.to_bytes(2, "big")
    wait_until(lambda: want in peers(OURS, key, port), 90, "libtorrent announced to our node and get_peers shows it")
    print("get_peers of our node shows the peer that libtorrent announced")

    sample = ask(OURS, "sample_infohashes", {b"target": os.urandom(20)}, port)
    assert bytes.fromhex(key) in sample[b"samples"], "our sample shows the infohash"
    assert sample[b"num"] == 1 and 0 <= sample[b"interval"] <= 21_600, f"num and interval are honest: {sample}"
    print("sample_infohashes of our node shows it too")

    # The same through libtorrent's eyes: its own client code must accept our answers.
    other = clients[5]
    other.apply_settings({"alert_mask": lt.alert.category_t.dht_operation_notification | lt.alert.category_t.dht_notification})
    other.dht_sample_infohashes((OURS, port), lt.sha1_hash(os.urandom(20)))
    alerts = []

    def accepted():
        alerts.extend(str(alert) for alert in other.pop_alerts() if "sample" in alert.what())
        return bool(alerts)

    wait_until(accepted, 60, "libtorrent reports our sample")
    print(f"libtorrent: {alerts[0]}")

    node.send_signal(signal.SIGINT)
    code = node.wait(timeout=30)
    assert code == 0, f"exit code {code}"


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
