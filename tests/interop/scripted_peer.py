"""The wire by hand (BEP 3, 9 and 10): a peer that serves any info dictionary under any `ut_metadata` id, and the other side.

What real clients cannot be made to do is done here: odd ids, dictionaries that are no torrent, absurd sizes, wrong ids.
"""

import asyncio
import dataclasses
import os
import socket
import threading

import libtorrent as lt

PROTOCOL = b"\x13BitTorrent protocol"
BLOCK = 16_384
EXTENDED, EXTENDED_HANDSHAKE = 20, 0
REQUEST, DATA, REJECT = 0, 1, 2


@dataclasses.dataclass
class Offer:
    """What is served for one infohash."""

    raw: bytes
    # The id that requests to us must carry.
    ut_metadata: int = 3
    # The id of our data messages. BEP 10 wants the one that the other side told, which is what None means.
    answers_with: int | None = None


class ScriptedPeer:
    """Listens on `address`, any free port, and serves the offers by infohash; each connection's end is kept in `ends`."""

    def __init__(self, address, offers):
        self.offers = {bytes.fromhex(key): offer for key, offer in offers.items()}
        self.ends = []
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        listening = asyncio.run_coroutine_threadsafe(asyncio.start_server(self.serve, address, 0), self.loop).result()
        self.address = listening.sockets[0].getsockname()

    async def serve(self, reader, writer):
        try:
            await self.talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, AssertionError) as end:
            self.ends.append(end)
        finally:
            writer.close()

    async def talk(self, reader, writer):
        greeting = await reader.readexactly(68)
        assert greeting[:20] == PROTOCOL and greeting[25] & 0x10, f"no plain handshake with extensions: {greeting}"
        offer = self.offers[greeting[28:48]]
        writer.write(handshake(greeting[28:48]))
        writer.write(extended(EXTENDED_HANDSHAKE, {"m": {"ut_metadata": offer.ut_metadata}, "metadata_size": len(offer.raw)}))
        theirs = None
        while True:
            length = int.from_bytes(await reader.readexactly(4))
            frame = await reader.readexactly(length)
            if frame[:2] == bytes([EXTENDED, EXTENDED_HANDSHAKE]):
                theirs = lt.bdecode(frame[2:])[b"m"][b"ut_metadata"]
            elif frame[:1] == bytes([EXTENDED]):
                assert frame[1] == offer.ut_metadata, f"the id of a request is {frame[1]}, not ours"
                writer.write(answer(offer, lt.bdecode(frame[2:]), theirs))
                await writer.drain()


def answer(offer, request, theirs):
    assert request[b"msg_type"] == REQUEST, f"not a request: {request}"
    piece = request[b"piece"]
    data = offer.raw[piece * BLOCK:(piece + 1) * BLOCK]
    head = {"msg_type": DATA, "piece": piece, "total_size": len(offer.raw)}
    return extended(theirs if offer.answers_with is None else offer.answers_with, head, data)


def handshake(info_hash):
    return PROTOCOL + bytes([0, 0, 0, 0, 0, 0x10, 0, 0]) + info_hash + b"-XX0001-" + os.urandom(12)


def extended(number, head, data=b""):
    payload = bytes([EXTENDED, number]) + lt.bencode(head) + data
    return len(payload).to_bytes(4) + payload


class Wire:
    """One connection that we begin, up to the other's extended handshake, which is `hello`."""

    def __init__(self, address, key, our_id=1, source=None):
        self.our_id = our_id
        self.sock = socket.create_connection(address, timeout=10, source_address=source)
        self.sock.sendall(handshake(bytes.fromhex(key)))
        greeting = self.exactly(68)
        assert greeting[:20] == PROTOCOL and greeting[28:48].hex() == key, f"not its handshake: {greeting}"
        # Not earlier: aria2 closes a connection whose first bytes are more than the handshake.
        self.sock.sendall(extended(EXTENDED_HANDSHAKE, {"m": {"ut_metadata": our_id}}))
        self.hello = lt.bdecode(self.message(EXTENDED_HANDSHAKE))
        self.ut_metadata = self.hello[b"m"].get(b"ut_metadata")

    def exactly(self, length):
        got = bytearray()
        while len(got) < length:
            more = self.sock.recv(length - len(got))
            if not more:
                raise ConnectionError("closed by the other side")
            got += more
        return bytes(got)

    def message(self, number):
        """The next extension message with this id; all else is passed over."""
        while True:
            frame = self.exactly(int.from_bytes(self.exactly(4)))
            if frame[:2] == bytes([EXTENDED, number]):
                return frame[2:]

    def metadata(self):
        """The whole info dictionary; replies must carry the id that we told."""
        size, raw = self.hello[b"metadata_size"], b""
        while len(raw) < size:
            piece = len(raw) // BLOCK
            self.sock.sendall(extended(self.ut_metadata, {"msg_type": REQUEST, "piece": piece}))
            reply = self.message(self.our_id)
            length = min(BLOCK, size - len(raw))
            head = lt.bdecode(reply[:-length])
            assert head == {b"msg_type": DATA, b"piece": piece, b"total_size": size}, head
            raw += reply[-length:]
        return raw

    def close(self):
        self.sock.close()
