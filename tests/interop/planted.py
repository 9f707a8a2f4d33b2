"""The torrents of the matrix: each version, and info dictionaries of exact sizes."""

import hashlib
import os

import libtorrent as lt

from swarm import Torrent

# Around one block of ut_metadata (BEP 9), and up to the most that we take.
SIZES = [16_383, 16_384, 16_385, 200_000, 1 << 20, 16 << 20]
MOST = SIZES[-1]
FLAGS = {"v1": lt.create_torrent.v1_only, "v2": lt.create_torrent.v2_only, "hybrid": 0}


class Planted(Torrent):
    """A torrent in a file that other programs take."""

    def __init__(self, name, data, meta, folder):
        super().__init__(name, [("", data)], lt.torrent_info(meta), folder)
        self.v1_key = hashlib.sha1(self.raw).hexdigest()
        self.file = os.path.join(folder, f"{name}.torrent")
        with open(self.file, "wb") as out:
            # rTorrent takes no torrent without a tracker. Nobody listens at this one.
            out.write(lt.bencode({**meta, b"announce": b"http://127.0.0.1:1/announce"}))


def plant(folder):
    """One torrent of each version as the creator makes it, and one of each size. Content and files are all in `folder`."""
    wanted = [(version, None) for version in FLAGS] + [("v1", size) for size in SIZES]
    return [make(folder, version, size, bytes([number]) * 40_000) for number, (version, size) in enumerate(wanted)]


def make(folder, version, size, data):
    name = f"{version}-{size or 'small'}"
    path = os.path.join(folder, name)
    with open(path, "wb") as out:
        out.write(data)
    maker = lt.create_torrent(lt.list_files(path), 16_384, FLAGS[version])
    lt.set_piece_hashes(maker, folder)
    meta = maker.generate()
    if size:
        fill(meta[b"info"], size)
    return Planted(name, data, meta, folder)


def fill(info, size):
    """Adds a key that no client knows, and that all must keep, because the infohash depends on it."""
    info[b"zzz filler"] = b""
    missing = size - len(lt.bencode(info))
    # The filler's length takes digits, too; the empty one has one.
    for digits in range(1, 9):
        filler = missing + 1 - digits
        if len(str(filler)) == digits:
            info[b"zzz filler"] = b"f" * filler
    assert len(lt.bencode(info)) == size
