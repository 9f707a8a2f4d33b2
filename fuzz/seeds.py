#!/usr/bin/env python3
"""Writes seeds/: for each target whose input has words that chance does not find, a few inputs that use all of them.

    python3 fuzz/seeds.py

What it writes is committed, so that run.sh needs no Python. Input of the targets `torrent` and `info` besides these:
wire/tests/fixtures.
"""
import pathlib
import shutil

ROOT = pathlib.Path(__file__).parent
ID, OTHER = b"abcdefghij0123456789", b"mnopqrstuvwxyz123456"
NODE4, NODE6 = ID + b"\x09\x09\x09\x09\x1a\xe1", ID + b"\x20\x01\x48\x60" + bytes(12) + b"\x1a\xe1"
PEER4, PEER6 = NODE4[20:], NODE6[20:]


def bencode(value):
    match value:
        case int():
            return b"i%de" % value
        case str():
            return bencode(value.encode())
        case bytes():
            return b"%d:%s" % (len(value), value)
        case list():
            return b"l" + b"".join(map(bencode, value)) + b"e"
        case dict():
            return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"


def query(method, **arguments):
    return bencode({"t": "aa", "y": "q", "v": "ES01", "ro": 1, "q": method, "a": {"id": ID, **arguments}})


def reply(**values):
    return bencode({"t": "aa", "y": "r", "v": "ES01", "ip": PEER4, "r": {"id": ID, **values}})


def krpc():
    yield query("ping")
    yield query("find_node", target=OTHER, want=["n4", "n6"])
    yield query("get_peers", info_hash=OTHER, noseed=1, scrape=1)
    yield query("announce_peer", info_hash=OTHER, port=6881, implied_port=1, token="tok", n="name", seed=1)
    yield query("sample_infohashes", target=OTHER, want=["n4"])
    yield query("get", target=OTHER, seq=1)
    yield query("put", token="tok", v={"a": 1}, k=ID + bytes(12), sig=bytes(64), seq=1, cas=1, salt="salt")
    yield query("vote", target=OTHER)
    yield reply(nodes=NODE4 * 2, nodes6=NODE6, token="tok", values=[PEER4, PEER6])
    yield reply(samples=ID + OTHER, num=2, interval=60, nodes=NODE4, p=6881, port=6881)
    yield reply(token="tok", BFsd=bytes(256), BFpe=bytes(256), BFse=bytes(256))
    yield reply(v="value", k=ID + bytes(12), sig=bytes(64), seq=1, n="name")
    yield bencode({"t": "aa", "y": "e", "e": [203, "Protocol Error"], "ip": PEER6})


def infos():
    leaf = {"": {"length": 5, "pieces root": ID + bytes(12)}}
    common = {"name": "a", "piece length": 16384}
    v1, v2 = {**common, "pieces": ID, "length": 5}, {**common, "meta version": 2, "file tree": {"a": leaf}}
    files = [
        {"length": 5, "path": ["x", "y"], "path.utf-8": ["x", "y"]},
        {"length": 16379, "path": [".pad", "16379"], "attr": "p"},
        {"length": 5, "path": ["z"], "attr": "x", "md5sum": "0" * 32, "sha1": ID},
        {"length": 0, "path": ["l"], "attr": "l", "symlink path": ["z"]},
    ]
    many = {**common, "pieces": ID * 2, "files": files}
    tree = {"x": {"y": leaf}, "z": leaf, "l": {"": {"length": 0, "attr": "l", "symlink path": ["z"]}}}
    yield v1
    yield many
    yield v2
    yield {**v2, "file tree": tree}
    yield {**v1, **v2}
    yield {**many, "meta version": 2, "file tree": tree}
    yield {**v1, "name.utf-8": "a", "private": 1, "source": "s", "encoding": "UTF-8"}


def info():
    return map(bencode, infos())


def torrent():
    for at, info in enumerate(infos()):
        torrent = {"info": info, "announce": "http://a/announce"}
        if at % 2 == 1:
            torrent |= {
                "announce-list": [["http://a/announce"], ["udp://b:1"]],
                "url-list": ["http://c/"],
                "httpseeds": ["http://d/"],
                "nodes": [["e", 6881], ["2001:db8::1", 1]],
                "comment": "c", "comment.utf-8": "c", "created by": "d", "creation date": 1, "encoding": "UTF-8",
                "piece layers": {ID + bytes(12): ID + bytes(12)},
            }
        yield bencode(torrent)


def extension():
    said = {
        "m": {"LT_metadata": 14, "ut_holepunch": 4, "ut_metadata": 3, "ut_pex": 1}, "metadata_size": 16385, "v": "client", "p": 6881, "reqq": 255,
        "yourip": PEER4[:4], "ipv4": PEER4[:4], "ipv6": PEER6[:16], "upload_only": 1, "e": 0, "complete_ago": -1,
    }
    yield b"\0" + bencode(said)
    yield b"\0" + bencode({"m": {"ut_metadata": 0}, "yourip": PEER6[:16]})
    yield b"\3" + bencode({"msg_type": 0, "piece": 1})
    yield b"\3" + bencode({"msg_type": 1, "piece": 0, "total_size": 5}) + b"hello"
    yield b"\3" + bencode({"msg_type": 2, "piece": 0})
    yield b"\1\0\0\xff"
    yield b"\1\1\0\0\1\0\0\0\0\0hello"
    yield b"\2" + bencode({"added": PEER4, "added.f": b"\x0a", "added6": PEER6, "added6.f": b"\x10", "dropped": PEER4, "dropped6": PEER6})
    yield b"\4\0\0" + PEER4 + bytes(4)
    yield b"\4\2\1" + PEER6 + b"\0\0\0\3"


def magnet():
    v1, v2 = "xt=urn:btih:" + "0123456789abcdef" * 2 + "01234567", "xt=urn:btmh:1220" + "0123456789abcdef" * 4
    yield f"magnet:?{v1}&dn=a%20b+c&tr=http%3A%2F%2Fa%2Fannounce&tr.1=udp://b:1&ws=http://c/&x.pe=1.2.3.4:5".encode()
    yield f"magnet:?{v2}&{v1}&so=0,2-4&x.fp=0:4,3-5:1&x.pe=[::1]:6&x.pe=host.example:7&kt=x&as=y&xl=8".encode()
    yield b"1220" + b"0123456789abcdef" * 4
    yield b"magnet:?xt.1=urn:btih:MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43U"


def readers():
    row = "0123456789" * 4
    yield (
        "infohash,name,file_count,total_bytes,piece_length,peer_ip,peer_port,metadata_ok\n"
        f'{row},"a, ""b""",1,2,3,1.2.3.4,5,True\n{row},c,1,2,3,::1,5,True\r\n{row},,,,,,,False\n'
    ).encode()
    yield f"infohash,peer_ip,peer_port\n{row},1.2.3.4,5\n{row},::1,5\n".encode()
    yield f'infohash,name,file_count,total_bytes,piece_length\n{row},"a ""b""",1,2,3\n'.encode()
    yield (
        b'{"version": "0", "command": "crawl", "config": {"a": [1, null]}, "seed": "7", "started": 1, "ended": 2, '
        b'"counters": {"a": 1, "b": 1.5, "c": {"d": 2}}}'
    )


def resume():
    yield (ROOT.parent / "store/tests/fixtures/libtorrent-2.1.fastresume").read_bytes()
    yield bencode({
        "file-format": "libtorrent resume file", "file-version": 1, "info-hash": ID, "pieces": b"\1\0\3", "blocks per piece": 4,
        "slots": [0, -1, 2], "file sizes": [[5, 6]], "allocation": "compact", "peers": [{"ip": "1.2.3.4", "port": 5}],
        "unfinished": [{"piece": 1, "bitmask": b"\5", "adler32": 7}], "trees": [{"hashes": ID[:16] * 4, "verified": "10"}],
    })
    yield b'{"completed": [0, 1], "total": 6, "file": "data.bin", "partial": {"3": [0]}, "files": []}'


def fixed():
    yield b"\0\x13BitTorrent protocol" + bytes(8) + ID + OTHER


def node():
    state = {"node-id": "01" * 20, "node-id6": "02" * 20, "nodes": [b"\x7f\0\0\2\x1a\xe1", PEER4, PEER6]}
    yield b"\0" + bencode(state)
    yield b"\x01192.0.2.0/24"
    yield b"\x01::ffff:192.0.2.0/120"
    facts = b"\1\0" + bytes([0, 135]) + bytes([0, 0, 84, 96])
    yield b"\2" + bencode({"known": NODE4 + facts, "known6": NODE6 + facts, "saved-at": 900})


def tracker():
    peers = [{"ip": "1.2.3.4", "port": 5, "peer id": ID}, {"ip": "::1", "port": 6}, {"ip": "host.example", "port": 7}]
    more = {"interval": 1800, "min interval": 900, "complete": 1, "incomplete": 2, "downloaded": 3, "downloaders": 1}
    yield b"\0" + bencode({**more, "peers": PEER4 * 2, "peers6": PEER6, "tracker id": "t", "external ip": PEER4[:4]})
    yield b"\0" + bencode({**more, "peers": peers, "warning message": "w", "external ip": PEER6[:16]})
    yield b"\0" + bencode({"failure reason": "no", "retry in": "5"})
    yield b"\0" + bencode({"failure reason": "no", "retry in": "never"})
    yield b"\0" + bencode({"files": {b"\x00&=%+ ?#/\xffabcdefghi~": more}})
    yield b"\1\0\0\0\0abcd" + bytes(8)
    yield b"\1\0\0\0\1abcd" + bytes(12) + PEER6
    yield b"\1\0\0\0\2abcd" + bytes(12)
    yield b"\1\0\0\0\3abcdno"
    yield b"\2http://user:pass@tracker.example:6969/x/announce.php?passkey=1&#f"
    yield b"\2udp://[::1]:9/announce"


for target in krpc, info, torrent, extension, magnet, readers, resume, fixed, node, tracker:
    folder = ROOT / "seeds" / target.__name__
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for at, seed in enumerate(target(), 1):
        (folder / str(at)).write_bytes(seed)
