"""What is carried whole: contents of every shape, as torrents of every version, and whether what arrived is the same."""

import hashlib
import os
import random

import libtorrent as lt

from planted import FLAGS

MIB = 1 << 20
# Directories of two levels, scripts of several directions, characters outside the BMP, what URLs must escape, a hidden file, a
# name as long as libtorrent lets be, and files of nothing: between others, alone in a directory, and last.
NAMES = [
    ("日本語/ünïcödé — ñandú 🎈.bin", 700_001),
    ("a/b/c/d/e/f/g/deep.bin", 33_333),
    ("a/b/empty in the middle", 0),
    ("עברית/ملف.bin", 16_384),
    ("space, #hash %25 percent + plus & 'quote'; semicolon=.bin", 100_003),
    (".hidden", 17),
    ("n" * 230 + ".bin", 40_000),
    ("nothing here/empty", 0),
    ("z/last and empty", 0),
    ("z/one byte", 1),
]
MANY = [(f"directory {i % 40:02d}/file {i:04d}.dat", 100 + 10 * (i % 1000)) for i in range(2_000)]


class Content:
    """Files below a folder of their own, and a torrent of them."""

    def __init__(self, root, label, version, files, piece_length):
        self.label, self.version = label, version
        self.folder = os.path.join(root, f"{label}-{version}")
        # A name that a URL and a magnet must escape.
        self.name = f"{label} {version} ü"
        chance = random.Random(label)
        paths = [(os.path.join(self.name, path) if path else self.name, size) for path, size in files]
        # What each is to be: bytes, and SHA-256.
        self.files = {path: write(os.path.join(self.folder, path), size, chance) for path, size in paths}
        maker = lt.create_torrent(lt.list_files(os.path.join(self.folder, self.name)), piece_length, FLAGS[version])
        lt.set_piece_hashes(maker, self.folder)
        self.meta = maker.generate()
        self.info = lt.torrent_info(self.meta)

    def file(self, home, trackers=(), web=()):
        """A .torrent of it in `home`, with these trackers and web seeds."""
        meta = dict(self.meta)
        if trackers:
            meta[b"announce"] = trackers[0].encode()
        if web:
            meta[b"url-list"] = [url.encode() for url in web]
        path = os.path.join(home, f"{self.label}-{self.version}.torrent")
        with open(path, "wb") as out:
            out.write(lt.bencode(meta))
        return path

    def magnet(self, trackers=()):
        hashes = self.info.info_hashes()
        exact = [f"xt=urn:btih:{hashes.v1}"] if hashes.has_v1() else []
        exact += [f"xt=urn:btmh:1220{hashes.v2}"] if hashes.has_v2() else []
        return "magnet:?" + "&".join([*exact, *(f"tr={url}" for url in trackers)])

    def key(self):
        """The infohash that a handshake names."""
        hashes = self.info.info_hashes()
        return str(hashes.v1) if hashes.has_v1() else str(hashes.v2)[:40]

    def differences(self, folder, empty=True):
        """What is not as it should be below `folder`, where nothing else may be; `empty`: whether empty files must be there."""
        wrong = []
        for path, (size, sha256) in self.files.items():
            full = os.path.join(folder, path)
            if not os.path.isfile(full):
                wrong += [f"missing: {path}"] if size or empty else []
            elif os.path.getsize(full) != size:
                wrong.append(f"{os.path.getsize(full)} bytes, not {size}: {path}")
            elif digest(full) != sha256:
                wrong.append(f"other content: {path}")
        return wrong

    def strangers(self, folder):
        """Files below `folder` that are not of the torrent."""
        there = (os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder) for name in names)
        return [f"not of the torrent: {path}" for path in there if path not in self.files]


def write(path, size, chance):
    """Bytes that no two pieces share; their number and SHA-256."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    sha256 = hashlib.sha256()
    with open(path, "wb") as out:
        for at in range(0, size, 16 * MIB):
            data = chance.randbytes(min(16 * MIB, size - at))
            sha256.update(data)
            out.write(data)
    return size, sha256.hexdigest()


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def plant_contents(root, large):
    """All contents, by label and version; `large`: MiB of the largest file."""
    shapes = [("names", version, NAMES, 16_384) for version in FLAGS]
    shapes += [("single", "v1", [("", large * MIB + 12_345)], 0), ("many", "v1", MANY, 65_536)]
    shapes += [("middle", version, [("", 8 * MIB + 7)], 65_536) for version in FLAGS]
    return {shape[:2]: Content(root, *shape) for shape in shapes}
