"""What a command cost, as the kernel tells it, and what the machine itself can do."""

import contextlib
import dataclasses
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

MIB = 1 << 20
TICKS = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass
class Cost:
    # Processor seconds, user and system, with those of children that were waited for.
    cpu: float
    wall: float
    # Most resident memory, in MiB.
    rss: float


def run(command, log, seconds):
    """Runs a command to its end; it must end well. Its output goes to the file `log`."""
    began = time.monotonic()
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    killer = threading.Timer(seconds, process.kill)
    # What the kernel tells at the end begins with our own memory, from before the command took its place.
    most, over = [0.0], threading.Event()
    watcher = threading.Thread(target=watch, args=(process.pid, most, over))
    killer.start()
    watcher.start()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    killer.cancel()
    over.set()
    watcher.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        with open(log, encoding="utf-8", errors="replace") as text:
            raise SystemExit(f"exit code {process.returncode} after {wall:.0f} s: {' '.join(command)}\n{text.read()[-2000:]}")
    return Cost(used.ru_utime + used.ru_stime, wall, most[0])


def watch(pid, most, over):
    while not over.wait(0.05):
        with contextlib.suppress(OSError, TypeError):
            most[0] = max(most[0], peak(pid))


def spent(pid):
    """Processor seconds of a process that runs; hundredths of a second are all that it tells."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak(pid):
    """Most resident memory of a process that runs, in MiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read())[1]) / 1024


def system_calls(command, log, seconds):
    """How many system calls a command takes, all threads together; None where no strace is."""
    if not shutil.which("strace"):
        return None
    table = f"{log}.strace"
    run(["strace", "-f", "-c", "-o", table, *command], log, seconds)
    with open(table, encoding="utf-8") as text:
        # The last line: percent, seconds, usecs/call, calls, errors if any, "total". Before strace 6 without usecs/call.
        fields = text.read().split("\n100.00")[-1].split()
    return max(int(field) for field in fields if field.isdigit())


def limits(folder, mib):
    """The machine's own limits, MiB a second of one core: what, rate."""
    data = os.urandom(MIB) * 16
    rates = sha1(data, mib), loopback(data, mib), pwrite(data, folder, mib)
    return list(zip(("SHA-1, hashlib", "TCP over loopback, both ends", "pwrite and unlink"), rates))


def rate(work, mib):
    began = time.process_time()
    work()
    return mib / max(time.process_time() - began, 1e-9)


def rounds(mib):
    return range(max(mib // 16, 1))


def sha1(data, mib):
    return rate(lambda: [hashlib.sha1(data) for _ in rounds(mib)], len(rounds(mib)) * 16)


def loopback(data, mib):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as sender:
        receiver, _ = server.accept()

        def send():
            for _ in rounds(mib):
                sender.sendall(data)
            sender.shutdown(socket.SHUT_WR)

        def both():
            thread = threading.Thread(target=send)
            thread.start()
            room = bytearray(256 * 1024)
            while receiver.recv_into(room):
                pass
            thread.join()

        with receiver:
            return rate(both, len(rounds(mib)) * 16)


def pwrite(data, folder, mib):
    path = os.path.join(folder, "limit")

    def work():
        out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for at in rounds(mib):
            os.pwrite(out, data, at * len(data))
        os.close(out)
        os.unlink(path)

    return rate(work, len(rounds(mib)) * 16)


class Background:
    """A command that runs while this is entered."""

    def __init__(self, command, log):
        self.command, self.log = command, log

    def __enter__(self):
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
