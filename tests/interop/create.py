"""Torrents that `create` makes, before libtorrent: it loads them, makes the same of the same tree, and agrees on the files.

Usage: create.py ESTUDELY
"""

import os
import random
import subprocess
import sys
import tempfile

import libtorrent as lt

SIZES = {
    ".hidden": 3,
    "a.bin": 300_000,
    "c/deep/er/x.bin": 16_384,
    "c/empty": 0,
    "b.bin": 1,
    "run.sh": 20_000,
    "\u00fc/\u540d\u524d.bin": 65_537,
    "z-last": 0,
}
# In the order of a version 2 tree `a` comes before `a.bin`. libtorrent 2.1 sorts whole paths, where `/` comes after `.`, and makes
# hybrids of such that it does not load itself.
TRAP = {"a/x": 20_000, "a.bin": 40_000, "a-/y": 5}
TRACKERS = [["http://a.example/announce", "udp://b.example:6969"], ["http://c.example/announce"]]


def plant(root):
    chance = random.Random(7)
    for name, size in [("tree/" + n, s) for n, s in SIZES.items()] + [("trap/" + n, s) for n, s in TRAP.items()]:
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(chance.randbytes(size))
    os.chmod(os.path.join(root, "tree/run.sh"), 0o755)


def create(estudely, root, *flags):
    """What `create` writes, and the link that it prints."""
    made = os.path.join(root, "made.torrent")
    ended = subprocess.run([estudely, "create", *flags, "--output", made, "--force"], cwd=root, capture_output=True,
                           encoding="utf-8", timeout=60)
    assert ended.returncode == 0, ended.stderr
    return made, ended.stdout.strip()


def theirs(root, what, piece_length, flags):
    """The info dictionary that libtorrent makes of the same. Its version 1 has another order of files."""
    files = lt.file_storage()
    lt.add_files(files, os.path.join(root, what))
    torrent = lt.create_torrent(files, piece_length, flags)
    lt.set_piece_hashes(torrent, os.path.dirname(os.path.join(root, what)))
    made = torrent.generate()
    return lt.torrent_info(made), made


def versions(estudely, root):
    canonical = lt.create_torrent.canonical_files_no_tail_padding
    kinds = [("--v1", lt.create_torrent.v1_only), ("--v2", lt.create_torrent.v2_only), ("--hybrid", canonical)]
    for what in ("tree", "tree/a.bin", "tree/run.sh"):
        for flag, their_flags in kinds:
            made, link = create(estudely, root, what, flag, "--piece-length", "32KiB")
            ours = lt.torrent_info(made)
            info, entry = theirs(root, what, 32_768, their_flags)
            if flag == "--v1" and what == "tree":
                named = [lt.torrent_info.files(t) for t in (ours, info)]
                named = [sorted((f.file_path(i), f.file_size(i), f.file_flags(i)) for i in range(f.num_files())) for f in named]
                assert named[0] == named[1], named
            else:
                assert ours.info_hashes() == info.info_hashes(), f"{what} {flag}: {lt.bdecode(open(made, 'rb').read())}\n{entry}"
                layers = lt.bdecode(open(made, "rb").read()).get(b"piece layers")
                assert layers == entry.get(b"piece layers"), f"{what} {flag}"
            assert lt.parse_magnet_uri(link).info_hashes == ours.info_hashes(), link
            checked(made, os.path.dirname(os.path.join(root, what)))
    for flag in ("--v1", "--v2", "--hybrid"):
        checked(create(estudely, root, "trap", flag)[0], root)
    print("create: every version loads, is what libtorrent makes of the same files, and checks to 100%")


def checked(made, save_path):
    """libtorrent finds every piece right."""
    session = lt.session({"enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
                          "listen_interfaces": "127.0.0.1:0"})
    params = lt.add_torrent_params()
    params.ti, params.save_path = lt.torrent_info(made), save_path
    handle = session.add_torrent(params)
    for _ in range(600):
        status = handle.status()
        assert not status.errc.value(), status.errc.message()
        if status.is_seeding:
            return
        session.wait_for_alert(50)
        session.pop_alerts()
    raise SystemExit(f"FAILED: {made}: libtorrent has {status.progress:.3f} of it, state {status.state}")


def about(estudely, root):
    tiers = [flag for tier in TRACKERS for flag in ("--tracker", ",".join(tier))]
    made, _ = create(estudely, root, "tree", "--hybrid", *tiers, "--web-seed", "http://w.example/", "--node", "n.example:6881",
                     "--comment", "\u00fc", "--created-by", "me")
    info = lt.torrent_info(made)
    assert [(t.url, t.tier) for t in info.trackers()] == [(url, tier) for tier, urls in enumerate(TRACKERS) for url in urls]
    assert [seed["url"] for seed in info.web_seeds()] == ["http://w.example/"]
    assert info.nodes() == [("n.example", 6881)]
    assert (info.comment(), info.creator(), info.priv()) == ("\u00fc", "me", False)
    made, _ = create(estudely, root, "tree", "--private", "--source", "here")
    assert lt.torrent_info(made).priv()
    print("create: libtorrent reads trackers, web seeds, nodes and texts as they were given")


def verified(estudely, root):
    """`verify` of what libtorrent made, right and with a byte flipped."""
    path = os.path.join(root, "tree/a.bin")
    for name, flags in (("v1", lt.create_torrent.v1_only), ("v2", lt.create_torrent.v2_only), ("hybrid", 0)):
        made = os.path.join(root, f"{name}.torrent")
        with open(made, "wb") as out:
            out.write(lt.bencode(theirs(root, "tree", 16_384, flags)[1]))
        for wrong in (False, True):
            with open(path, "r+b") as data:
                data.seek(123_456)
                byte = data.read(1)[0]
                data.seek(123_456)
                data.write(bytes([byte ^ wrong]))
            ended = subprocess.run([estudely, "verify", made, "--data", root], capture_output=True, encoding="utf-8", timeout=60)
            with open(path, "r+b") as data:
                data.seek(123_456)
                data.write(bytes([byte]))
            assert ended.returncode == wrong, f"{name}: {ended.stdout}{ended.stderr}"
            assert ("tree/a.bin: damaged; piece " in ended.stdout) == wrong, ended.stdout
    print("verify: what libtorrent made is right, and a flipped byte is found")


def main():
    estudely = sys.argv[1]
    root = tempfile.mkdtemp(prefix="estudely-interop-")
    plant(root)
    versions(estudely, root)
    about(estudely, root)
    verified(estudely, root)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
