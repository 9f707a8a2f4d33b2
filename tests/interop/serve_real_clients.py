"""Our node as libtorrent's only way into a DHT: it must be a good node to others.

Usage: serve_real_clients.py ESTUDELY
"""

import os
import socket
import sys
import tempfile

import libtorrent as lt

from program import HOST, Running
from swarm import PORT, add, ask, make_torrent, peers, session, wait_until


def main():
    root = tempfile.mkdtemp(prefix="estudely-interop-")
    # A crawl that knows nobody: its only bootstrap node is a port where nobody listens.
    node = Running(sys.argv[1], root, "crawl", "--bootstrap", f"{HOST}:1",
                   "--output", os.path.join(root, "metadata.txt"), "--overall-timeout", "350")
    port = node.port()
    clients = [session(f"127.0.2.{n + 1}") for n in range(8)]
    for client in clients:
        client.add_dht_node((HOST, port))
    node.wait(lambda: all(c.status().dht_nodes >= 4 for c in clients), 90, "libtorrent bootstraps off our node alone")
    print("8 libtorrent sessions know each other through our node")

    torrent = make_torrent(root, 0, "announced to us", [("", b"a" * 40_000)], "v1")
    seeding = add(clients[0], torrent)
    (key,) = torrent.keys
    want = socket.inet_aton("127.0.2.1") + PORT.to_bytes(2, "big")

    def announced():
        # libtorrent announces once when a torrent is added and then every 15 minutes; a datagram lost there is lost for long.
        seeding.force_dht_announce()
        return want in peers(HOST, key, port)

    node.wait(announced, 90, "libtorrent announced to our node and get_peers shows it")
    assert peers(HOST, key, port) == [want], "the one who announced is all that get_peers shows"
    print("get_peers of our node shows the peer that libtorrent announced")

    reply = ask(HOST, "sample_infohashes", {b"target": os.urandom(20)}, port)
    assert reply[b"samples"] == bytes.fromhex(key), f"our sample shows the infohash: {reply}"
    assert reply[b"num"] == 1 and 0 <= reply[b"interval"] <= 21_600, f"num and interval are honest: {reply}"
    print("sample_infohashes of our node shows it too")

    through_libtorrent(clients[5], port, key, want)
    node.interrupt()


def through_libtorrent(client, port, key, want):
    """The same through libtorrent's eyes: its own client code must accept our answers."""
    client.apply_settings({"alert_mask": lt.alert.category_t.dht_operation_notification | lt.alert.category_t.dht_notification})
    client.dht_sample_infohashes((HOST, port), lt.sha1_hash(os.urandom(20)))
    client.dht_get_peers(lt.sha1_hash(bytes.fromhex(key)))
    shown, named = [], []

    def accepted():
        # An alert lives until the next ones are taken, so what it says is copied at once.
        for alert in client.pop_alerts():
            if isinstance(alert, lt.dht_sample_infohashes_alert):
                shown.append((alert.num_infohashes, [str(key) for key in alert.samples]))
            elif isinstance(alert, lt.dht_get_peers_reply_alert):
                named.extend(alert.peers())
        return shown and named

    wait_until(accepted, 60, "libtorrent reports our sample and our peers")
    assert shown == [(1, [key])], shown
    assert set(named) == {(socket.inet_ntoa(want[:4]), PORT)}, named
    print("libtorrent reads the same from our sample and our peers")


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
