"""A way to a client that lets UDP through and no TCP, so that what arrives there came by uTP."""

import random
import selectors
import socket
import threading


class UdpRelay:
    """Passes datagrams between whoever sends to `address` and the client at `to`, and loses some if told to.

    Nobody listens for TCP at `address`. Toward the client each sender has a host of its own: some clients take one
    connection from a host at a time, and hold one that has ended for a second more.
    """

    def __init__(self, host, to, loss=0.0, seed=1):
        self.to = to
        self.loss = loss
        self.chance = random.Random(seed)
        self.ours = udp(host)
        self.address = self.ours.getsockname()
        self.ports = {}
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.ours, selectors.EVENT_READ, None)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            for key, _ in self.selector.select():
                try:
                    data, sender = key.fileobj.recvfrom(65_535)
                    if self.chance.random() >= self.loss:
                        self.pass_on(key, data, sender)
                except ConnectionError:
                    # The client's port is closed, which the kernel tells at the next call.
                    continue

    def pass_on(self, key, data, sender):
        if key.data:
            self.ours.sendto(data, key.data)
            return
        if sender not in self.ports:
            number = len(self.ports)
            port = self.ports[sender] = udp(f"127.8.{number // 250}.{number % 250 + 1}")
            self.selector.register(port, selectors.EVENT_READ, sender)
        self.ports[sender].sendto(data, self.to)


def udp(host):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # A burst of a whole window must not be lost here by accident.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind((host, 0))
    return sock
