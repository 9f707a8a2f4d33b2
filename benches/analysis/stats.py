#!/usr/bin/env python3
"""`analyze stats` against the shell recipes of the README and against `wc -l`: benches/analysis/stats.py ESTUDELY-ANALYZE [--rows N] [--rounds N] [--test]

One metadata.txt, made from a seed by `analyze generate`, is read by each in turn, round by round, so that a busy machine is busy for all:

  wc       `wc -l`, which does nothing but find line ends
  recipes  the three of the README, one after the other: `wc -l`, `grep ",True$" | wc -l`, `cut -d',' -f1 | sort -u | wc -l`
  stats    `estudely-analyze stats`, which gives the three figures and seven more

Each with the file in memory, and `wc` and `stats` again after the system was asked to forget it (then the disk's time is in both).
What is shown are medians of wall-clock seconds, processor seconds, and the most memory of `stats`; the figures of stats must be those of the
recipes. Standard library only.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

RECIPES = {
    "lines": "wc -l < '{}'",
    "true_lines": "grep ',True$' '{}' | wc -l",
    "first_fields": "cut -d',' -f1 '{}' | sort -u | wc -l",
}
# What the issue asks for: stats against the recipes together, and against wc.
FASTER, SLOWER = 20.0, 2.0


def run(command):
    """Runs a command; its output, wall seconds, processor seconds of it and its children, most memory of one of them in MiB."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, shell=isinstance(command, str))
    output = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command}: code {process.returncode}")
    return output, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def forget(path):
    """Asks the system to keep nothing of a file in memory."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def remember(path):
    with open(path, "rb") as file:
        while file.read(1 << 20):
            pass


class Measured:
    """Rounds of one thing that is measured."""

    def __init__(self):
        self.walls, self.processor, self.memory = [], [], 0.0

    def add(self, wall, processor, memory):
        self.walls.append(wall)
        self.processor.append(processor)
        self.memory = max(self.memory, memory)

    def wall(self):
        return statistics.median(self.walls)

    def line(self, name):
        return f"{name:<14}{self.wall():>9.2f}{statistics.median(self.processor):>12.2f}{self.memory:>12.0f}"


def measure(program, path, rounds):
    names = ["wc", "recipes", "stats", "wc, cold", "stats, cold"]
    measured = {name: Measured() for name in names}
    for _ in range(rounds):
        remember(path)
        measured["wc"].add(*run(["wc", "-l", path])[1:])
        output, *cost = run([program, "stats", path])
        measured["stats"].add(*cost)
        figures = dict(line.split() for line in output.splitlines())
        walls = [0.0, 0.0, 0.0]
        for figure, recipe in RECIPES.items():
            said, wall, processor, memory = run(recipe.format(path))
            if said.strip() != figures[figure]:
                sys.exit(f"{figure}: stats says {figures[figure]}, the recipe {said.strip()}")
            walls = [walls[0] + wall, walls[1] + processor, max(walls[2], memory)]
        measured["recipes"].add(*walls)
        for name, command in (("wc, cold", ["wc", "-l", path]), ("stats, cold", [program, "stats", path])):
            forget(path)
            measured[name].add(*run(command)[1:])
    return measured


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("program")
    options.add_argument("--rows", type=int, default=10_000_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--test", action="store_true", help="a small file, one round, no judgement of speed")
    options = options.parse_args()
    rows, rounds = (100_000, 1) if options.test else (options.rows, options.rounds)
    # Not in /tmp, which may be memory: the disk's time counts.
    with tempfile.TemporaryDirectory(prefix="estudely-stats-", dir="/var/tmp") as folder:
        path = os.path.join(folder, "metadata.txt")
        run([options.program, "generate", "--rows", str(rows), "--output", path])
        measured = measure(options.program, path, rounds)
        size = os.path.getsize(path) / 1e6
    print(f"{rows:,} rows, {size:.0f} MB, {rounds} rounds; medians")
    print(f"{'':<14}{'seconds':>9}{'processor s':>12}{'memory MiB':>12}")
    for name, of in measured.items():
        print(of.line(name))
    stats = measured["stats"].wall()
    faster, slower = measured["recipes"].wall() / stats, stats / measured["wc"].wall()
    cold = measured["stats, cold"].wall() / measured["wc, cold"].wall()
    print(f"stats is {faster:.1f} times as fast as the recipes together; it takes {slower:.2f} times as long as wc, cold {cold:.2f} times")
    if not options.test and (faster < FASTER or min(slower, cold) > SLOWER):
        sys.exit(f"asked for: {FASTER:.0f} times the recipes, and within {SLOWER:.0f} times of wc and the disk")


if __name__ == "__main__":
    main()
