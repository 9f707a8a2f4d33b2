"""Ids and sizes that no real client can be made to have, from a peer in Python.

Usage: sizes_scripted_peer.py ESTUDELY
"""

import hashlib
import os
import sys
import tempfile

import libtorrent as lt

from cells import Cells
from clients import Seeder
from scripted_peer import Offer, ScriptedPeer

HOST = "127.0.5.1"
MOST = 16 << 20


class Dictionary:
    """An info dictionary, which need not be a torrent's."""

    version = "v1"

    def __init__(self, raw):
        self.raw = raw
        self.key = hashlib.sha1(raw).hexdigest()


def torrent(size):
    """The info dictionary of a torrent of one file, of exactly so many bytes: the name is as long as it takes."""
    rest = {"length": 1, "piece length": 16_384, "pieces": b"\1" * 20}
    names = (size - len(lt.bencode({**rest, "name": b""})) - digits for digits in range(8))
    raws = (lt.bencode({**rest, "name": b"n" * name}) for name in names if name > 0)
    return Dictionary(next(raw for raw in raws if len(raw) == size))


def main():
    root = tempfile.mkdtemp(prefix="estudely-interop-")
    cells = Cells(sys.argv[1], root)
    ids(cells)
    wrong_ids(cells)
    sizes(cells)
    no_torrents(cells)
    too_large(cells)
    cells.end()


def scripted(setting, offers):
    peer = ScriptedPeer(HOST, {dictionary.key: offer for dictionary, offer in offers})
    return peer, Seeder("scripted peer", setting, peer.address, ("tcp",))


def ids(cells):
    """Requests carry the peer's id, which the peer checks, and its answers carry ours."""
    for number in (1, 2, 3, 9, 255):
        dictionary = torrent(40_000 + number)
        peer, seeder = scripted("any id", [(dictionary, Offer(dictionary.raw, number))])
        cells.must_succeed(seeder, "tcp", number, peer.address, dictionary, dictionary.key)
        cells.check(not any(isinstance(end, AssertionError) for end in peer.ends), f"what id {number} was asked: {peer.ends}")


def wrong_ids(cells):
    """An answer that carries the peer's own id instead of ours is for somebody else (BEP 10)."""
    dictionary = torrent(40_000)
    peer, seeder = scripted("answers with its own id", [(dictionary, Offer(dictionary.raw, 77, answers_with=77))])
    cells.must_fail(seeder, "tcp", 77, peer.address, dictionary, dictionary.key, "piece timeout")


def sizes(cells):
    """From the least torrent that there can be to the most that we take."""
    least = len(lt.bencode({"length": 1, "name": b"n", "piece length": 16_384, "pieces": b"\1" * 20}))
    for size in (least, 100, 16_383, 16_384, 16_385, 32_768, 200_000, 1 << 20, MOST - 1, MOST):
        dictionary = torrent(size)
        peer, seeder = scripted("any size", [(dictionary, Offer(dictionary.raw))])
        cells.must_succeed(seeder, "tcp", 3, peer.address, dictionary, dictionary.key)


def no_torrents(cells):
    """Bytes that hash to the infohash and are no torrent: told as that, no row, exit code 1."""
    for raw in (b"d5:names9:012345678e", b"de", b"20 bytes of nonsense", b"\0"):
        dictionary = Dictionary(raw)
        peer, seeder = scripted("no torrent", [(dictionary, Offer(raw))])
        cells.must_fail(seeder, "tcp", 3, peer.address, dictionary, dictionary.key, "metadata that cannot be read")


def too_large(cells):
    dictionary = torrent(MOST + 1)
    peer, seeder = scripted("any size", [(dictionary, Offer(dictionary.raw))])
    cells.must_fail(seeder, "tcp", 3, peer.address, dictionary, dictionary.key, "too large")


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
