"""Resume data: libtorrent reads and trusts what we write, and we read what it writes.

Usage: resume.py ESTUDELY
"""

import json
import os
import subprocess
import sys
import tempfile
import zlib

import libtorrent as lt

from program import HOST

# What a test of `store` writes, byte for byte.
OURS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../store/tests/fixtures/ours.fastresume")
PIECE = 32_768
SETTINGS = {"enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
            "listen_interfaces": "127.0.0.1:0"}


def read_by_libtorrent():
    with open(OURS, "rb") as held:
        params = lt.read_resume_data(held.read())
    assert params.info_hashes.v1.to_bytes() == b"a" * 20
    assert (params.name, params.save_path) == ("t", "/somewhere")
    assert params.have_pieces == [True, False, True, False, False]
    assert params.unfinished_pieces[1][:2] == [False, True]
    # 2.0 leaves out the first that is banned.
    assert ("8.8.8.8", 1) in params.banned_peers
    assert sorted(params.peers) == [("1.2.3.4", 5), ("::1", 6)]
    assert (params.total_uploaded, params.total_downloaded) == (11, 12)
    assert (params.active_time, params.finished_time, params.seeding_time) == (13, 5, 4)
    assert (params.added_time, params.completed_time) == (1_700_000_000, 1_700_000_001)
    assert (params.num_complete, params.num_incomplete) == (2, 3)
    assert (params.upload_limit, params.download_limit) == (1_000, -1)
    assert (params.max_connections, params.max_uploads) == (50, -1)
    assert (params.piece_priorities, params.file_priorities) == ([4, 7, 1, 4, 4], [4])
    assert params.renamed_files == {0: "renamed"}
    assert list(zip(params.trackers, params.tracker_tiers)) == [("http://a.example/", 0), ("http://b.example/", 1)]
    assert params.url_seeds == ["http://w.example/"]
    assert params.flags & lt.torrent_flags.sequential_download
    assert not params.flags & (lt.torrent_flags.paused | lt.torrent_flags.seed_mode)
    print("resume: libtorrent reads every entry that we write")


def trusted_by_libtorrent(root):
    """The pieces on the disk are all wrong: who hashes them has none, who trusts us has two."""
    path = os.path.join(root, "t")
    with open(path, "wb") as out:
        out.write(os.urandom(5 * PIECE))
    files = lt.file_storage()
    lt.add_files(files, path)
    torrent = lt.create_torrent(files, PIECE, lt.create_torrent.v1_only)
    lt.set_piece_hashes(torrent, root)
    info = lt.torrent_info(torrent.generate())
    with open(path, "wb") as out:
        out.write(bytes(5 * PIECE))
    with open(OURS, "rb") as held:
        entry = lt.bdecode(held.read())
    entry[b"info-hash"] = info.info_hashes().v1.to_bytes()
    entry[b"save_path"] = root.encode()
    del entry[b"mapped_files"], entry[b"peers"], entry[b"peers6"], entry[b"trackers"], entry[b"url-list"]
    session = lt.session({**SETTINGS, "alert_mask": lt.alert.category_t.all_categories})
    params = lt.read_resume_data(lt.bencode(entry))
    params.ti = info
    handle = session.add_torrent(params)
    status = checked(session, handle)
    assert status.pieces == [True, False, True, False, False], status.pieces
    downloading = {piece["piece_index"]: [block["state"] for block in piece["blocks"]] for piece in handle.get_download_queue()}
    assert downloading == {1: [0, 3]}, downloading
    print("resume: libtorrent trusts our pieces and blocks without hashing them")


def read_by_us(estudely, root):
    """What a session writes while it has some pieces of a hybrid."""
    tree = os.path.join(root, "tree")
    os.mkdir(tree)
    for name, size in ("a", 3 * PIECE), ("b", PIECE):
        with open(os.path.join(tree, name), "wb") as out:
            out.write(os.urandom(size))
    files = lt.file_storage()
    lt.add_files(files, tree)
    torrent = lt.create_torrent(files, PIECE)
    torrent.add_tracker("http://a.example/", 0)
    lt.set_piece_hashes(torrent, root)
    info = lt.torrent_info(torrent.generate())
    with open(os.path.join(tree, "a"), "r+b") as data:
        data.seek(PIECE)
        data.write(bytes(10))
    session = lt.session(SETTINGS)
    params = lt.add_torrent_params()
    params.ti, params.save_path, params.upload_limit = info, root, 5_000
    handle = session.add_torrent(params)
    for _ in range(600):
        if handle.status().state == lt.torrent_status.downloading:
            break
        session.wait_for_alert(50)
        session.pop_alerts()
    handle.save_resume_data(lt.save_resume_flags_t.save_info_dict)
    saved = None
    for _ in range(600):
        session.wait_for_alert(50)
        found = [alert.params for alert in session.pop_alerts() if isinstance(alert, lt.save_resume_data_alert)]
        if found:
            saved = lt.write_resume_data_buf(found[0])
            break
    path = os.path.join(root, "tree.fastresume")
    with open(path, "wb") as out:
        out.write(saved)
    ended = subprocess.run([estudely, "show", path], capture_output=True, encoding="utf-8", timeout=60)
    assert ended.returncode == 0, ended.stderr
    told = {}
    for line in ended.stdout.splitlines():
        key, value = line.split(":", 1)
        told.setdefault(key, []).append(value.strip())
    hashes = info.info_hashes()
    assert told["info hash v1"] == [str(hashes.v1)] and told["info hash v2"] == [str(hashes.v2)], told
    assert told["pieces there"] == ["3: 0, 2-3"], told
    assert told["save path"] == [root] and told["tier 1"] == ["http://a.example/"], told
    assert told["upload limit"] == ["4.9 KiB (5,000 B)"] and told["hash trees"] == [str(info.num_files())], told
    print("resume: we read what a session of libtorrent writes")


class Torn:
    """A torrent of one file on the disk, of five pieces of two blocks, its second piece wrong; and a folder of ours for it."""

    def __init__(self, estudely, root):
        self.estudely, self.root = estudely, root
        self.path, self.data, self.file = (os.path.join(root, name) for name in ("torn", "data", "torn.torrent"))
        self.content = os.urandom(5 * PIECE)
        self.write(self.content)
        made = lt.create_torrent(lt.list_files(self.path), PIECE, lt.create_torrent.v1_only)
        lt.set_piece_hashes(made, root)
        with open(self.file, "wb") as out:
            out.write(lt.bencode(made.generate()))
        self.info = lt.torrent_info(self.file)
        self.name = str(self.info.info_hashes().v1)

    def write(self, content):
        with open(self.path, "wb") as out:
            out.write(content)

    def saved(self, have, unfinished=(), **more):
        """Resume data as libtorrent writes them."""
        params = lt.add_torrent_params()
        params.ti, params.info_hashes, params.save_path = self.info, self.info.info_hashes(), self.root
        params.have_pieces = [piece in have for piece in range(5)]
        for key, value in more.items():
            setattr(params, key, value)
        entry = lt.bdecode(lt.write_resume_data_buf(params))
        if unfinished:
            entry[b"unfinished"] = list(unfinished)
        path = os.path.join(self.root, "theirs.fastresume")
        with open(path, "wb") as out:
            out.write(lt.bencode(entry))
        return path

    def run(self, *flags, code=1, seconds=2):
        """A run of ours without a peer; what its state.json says then."""
        line = [self.estudely, "download", self.file, "--output-dir", self.root, "--data-dir", self.data, "--no-dht", "--no-lsd",
                "--allow-loopback", "--bind", f"{HOST}:0", "--no-seed", "--overall-timeout", str(seconds), *flags]
        ended = subprocess.run(line, capture_output=True, encoding="utf-8", timeout=60)
        assert ended.returncode == code, f"exit code {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        with open(self.left("state.json"), encoding="utf-8") as state:
            return json.load(state)

    def left(self, kind):
        return os.path.join(self.data, "resume", f"{self.name}.{kind}")

    def forget(self):
        for kind in "journal", "fastresume", "state.json":
            if os.path.exists(self.left(kind)):
                os.unlink(self.left(kind))


def taken_over_by_us(torn):
    """What libtorrent says is hashed before it is believed, unless we are told to trust it."""
    wrong = bytes(torn.content[:PIECE]) + bytes(PIECE) + torn.content[2 * PIECE:]
    torn.write(wrong)
    theirs = torn.saved({0, 1, 2}, total_downloaded=1_000_000)
    state = torn.run("--import-resume", theirs)
    assert (state["completed"], state["downloaded"]) == ([0, 2], 1_000_000), state
    torn.forget()
    state = torn.run("--import-resume", theirs, "--trust-resume")
    assert state["completed"] == [0, 1, 2], state
    # It is in our own journal from then on.
    assert torn.run()["completed"] == [0, 1, 2]
    print("resume: pieces of libtorrent are taken over, with their hash or on trust")


def blocks_are_taken_over(torn):
    """Blocks of an unfinished piece, if the checksum of 0.14 says that they are what they were."""
    torn.write(torn.content[:PIECE + PIECE // 2] + bytes(len(torn.content) - PIECE - PIECE // 2))
    block = torn.content[PIECE:PIECE + PIECE // 2]
    for sum_, expected in (zlib.adler32(block), {"1": [0]}), (zlib.adler32(block) ^ 1, {}):
        torn.forget()
        theirs = torn.saved({0}, [{b"piece": 1, b"bitmask": b"\x80", b"adler32": sum_}])
        state = torn.run("--import-resume", theirs)
        assert (state["completed"], state.get("partial", {})) == ([0], expected), state
    print("resume: blocks of an unfinished piece are taken over when their checksum is right, and only then")


def left_for_libtorrent(torn):
    """What a run of ours leaves is read by libtorrent, which goes on from there without hashing."""
    torn.forget()
    torn.write(torn.content[:3 * PIECE])
    state = torn.run("--verify", "--import-resume", torn.saved(set()), "--peer", f"{HOST}:1")
    assert state["completed"] == [0, 1, 2], state
    with open(torn.left("fastresume"), "rb") as held:
        params = lt.read_resume_data(held.read())
    assert params.have_pieces == [True] * 3 + [False] * 2, params.have_pieces
    assert (params.save_path, params.name) == (torn.root, "torn") and params.peers == [(HOST, 1)], (params.save_path, params.peers)
    torn.write(bytes(5 * PIECE))
    session = lt.session({**SETTINGS, "alert_mask": lt.alert.category_t.all_categories})
    params.ti = torn.info
    status = checked(session, session.add_torrent(params))
    assert status.pieces == [True] * 3 + [False] * 2, status.pieces
    print("resume: libtorrent goes on from what we leave, without hashing")


def checked(session, handle):
    """The status of a torrent of libtorrent when it has looked at what there is."""
    for _ in range(600):
        session.wait_for_alert(50)
        rejected = [alert.message() for alert in session.pop_alerts() if isinstance(alert, lt.fastresume_rejected_alert)]
        assert not rejected, rejected
        status = handle.status()
        if status.state not in (lt.torrent_status.checking_files, lt.torrent_status.checking_resume_data):
            return status
    raise SystemExit("libtorrent looks and looks")


def peers_are_remembered(torn):
    """A peer that one run knew is dialled by the next, without being named again; one that is banned is not."""
    torn.forget()
    torn.write(torn.content)
    seeds = tempfile.mkdtemp(dir=torn.root)
    os.rename(torn.path, os.path.join(seeds, "torn"))
    session = lt.session({**SETTINGS, "listen_interfaces": f"{HOST}:0", "allow_multiple_connections_per_ip": True})
    params = lt.add_torrent_params()
    params.ti, params.save_path = torn.info, seeds
    checked(session, session.add_torrent(params))
    peer = (HOST, session.listen_port())
    torn.run("--import-resume", torn.saved(set(), peers=[peer], banned_peers=[peer]), seconds=3)
    torn.forget()
    torn.run("--import-resume", torn.saved(set(), peers=[peer]), "--limit-down", "16KiB", seconds=3)
    state = torn.run(code=0, seconds=60)
    assert state["completed"] == [0, 1, 2, 3, 4], state
    print("resume: peers are remembered from run to run, and bans are kept")


def main():
    estudely = sys.argv[1]
    root = tempfile.mkdtemp(prefix="estudely-interop-")
    read_by_libtorrent()
    trusted_by_libtorrent(root)
    read_by_us(estudely, root)
    torn = Torn(estudely, root)
    taken_over_by_us(torn)
    blocks_are_taken_over(torn)
    left_for_libtorrent(torn)
    peers_are_remembered(torn)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
