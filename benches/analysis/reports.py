#!/usr/bin/env python3
"""All reports against DuckDB, the same SQL on the same file: benches/analysis/reports.py ESTUDELY-ANALYZE [--rows N] [--rounds N] [--file FILE]

One metadata.txt, made from a seed by `analyze generate`, is asked in turn by

  analyze  `estudely-analyze report --all --csv DIR FILE`
  duckdb   its Python package (skipped if there is none): the file read once into a table, then every report that the other has answered, each
           answer written as CSV

with as many threads each. Reports whose functions only `analyze` has (fits, estimates) are asked of it alone, which costs it time and the other none.
What is shown are medians of wall-clock seconds, the most memory, and how large the Parquet is that `analyze convert` makes of the file.
"""

import argparse
import csv
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPORTS = os.path.join(HERE, "..", "..", "analysis", "reports")
# What the issue asks for.
SLOWER, MEMORY, PACKED = 1.2, 2048, 5.0

VIEWS = """
CREATE MACRO regexp_like(text, pattern) AS regexp_matches(text, pattern);
CREATE TABLE rows AS FROM read_csv('{file}', header = true, delim = ',', quote = '"', escape = '"',
    types = {{'infohash': 'VARCHAR', 'name': 'VARCHAR', 'peer_ip': 'VARCHAR'}});
CREATE VIEW torrents AS SELECT 'made' AS crawl, infohash, max(name) AS name, max(file_count) AS file_count, max(total_bytes) AS total_bytes,
    max(piece_length) AS piece_length, bool_or(metadata_ok) AS metadata_ok, count(*) AS entries,
    count(*) FILTER (metadata_ok) AS successes, count(peer_ip) AS peers FROM rows GROUP BY infohash;
CREATE VIEW peers AS SELECT 'made' AS crawl, CAST(NULL AS BIGINT) AS time_ms, infohash, peer_ip, peer_port, 'metadata' AS source,
    CAST(NULL AS VARCHAR) AS node_id, CAST(NULL AS VARCHAR) AS node_ip, CAST(NULL AS INT) AS node_port, CAST(NULL AS BOOLEAN) AS seed
    FROM rows WHERE peer_ip IS NOT NULL;
"""


def run(command):
    """Runs a command; its output, wall seconds, and its most memory in MiB."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
        output = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            sys.exit(f"{command}: code {process.returncode}\n{errors.read().decode()}")
    return output, wall, usage.ru_maxrss / 1024


def of_duckdb(path, names, threads, folder):
    """The other side, in a process of its own: which reports it could not be asked, on stdout."""
    import duckdb

    db = duckdb.connect(config={"threads": threads, "memory_limit": f"{MEMORY}MiB"})
    db.execute(VIEWS.format(file=path))
    for name in names:
        with open(os.path.join(REPORTS, name + ".sql")) as file:
            sql = file.read().rstrip().rstrip(";")
        try:
            db.execute(f"COPY ({sql}) TO '{folder}/{name}.csv' (HEADER)")
        except duckdb.Error as error:
            print(name, str(error).splitlines()[0], sep="\t")


def rows_of(path):
    with open(path, newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def measure(options, path):
    folder = os.path.dirname(path)
    ours, theirs = os.path.join(folder, "ours"), os.path.join(folder, "theirs")
    walls, memory, skipped, differ = {"analyze": [], "duckdb": []}, {"analyze": 0.0, "duckdb": 0.0}, "", []
    for _ in range(options.rounds):
        for out in (ours, theirs):
            shutil.rmtree(out, ignore_errors=True)
            os.mkdir(out)
        command = [options.program, "report", "--all", "--threads", str(options.threads), "--csv", ours, path]
        _, wall, most = run(command)
        walls["analyze"].append(wall)
        memory["analyze"] = max(memory["analyze"], most)
        names = sorted(name[:-4] for name in os.listdir(ours) if name.endswith(".csv"))
        command = [sys.executable, __file__, "--duckdb", theirs, "--threads", str(options.threads), path, *names]
        skipped, wall, most = run(command)
        walls["duckdb"].append(wall)
        memory["duckdb"] = max(memory["duckdb"], most)
        there = [name for name in names if os.path.exists(os.path.join(theirs, name + ".csv"))]
        differ = [name for name in there if rows_of(f"{ours}/{name}.csv") != rows_of(f"{theirs}/{name}.csv")]
        print(f"# {walls['analyze'][-1]:.1f} s against {wall:.1f} s, {len(names)} reports, {len(there)} of them by both", file=sys.stderr)
    for line in skipped.splitlines():
        print("only by analyze: " + line.split("\t")[0])
    for name in differ:
        print(f"other numbers of rows: {name}")
    return walls, memory, differ


def packed(options, path):
    """Bytes of Parquet for each byte of CSV."""
    out = os.path.join(os.path.dirname(path), "parquet")
    run([options.program, "convert", path, "--parquet", out])
    size = sum(os.path.getsize(os.path.join(dir, name)) for dir, _, names in os.walk(out) for name in names)
    return os.path.getsize(path) / size


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--duckdb":
        _, _, folder, _, threads, path, *names = sys.argv
        return of_duckdb(path, names, int(threads), folder)
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("program")
    options.add_argument("--rows", type=int, default=10_000_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--threads", type=int, default=os.cpu_count())
    options = options.parse_args()
    try:
        import duckdb
    except ImportError:
        sys.exit("no duckdb: python3 -m pip install duckdb")
    with tempfile.TemporaryDirectory(prefix="estudely-reports-", dir="/var/tmp") as folder:
        path = os.path.join(folder, "metadata.txt")
        run([options.program, "generate", "--rows", str(options.rows), "--output", path])
        walls, memory, differ = measure(options, path)
        share = packed(options, path)
    wall = {name: statistics.median(of) for name, of in walls.items()}
    print(f"{options.rows:,} rows, {options.rounds} rounds, {options.threads} threads, DuckDB {duckdb.__version__}; medians")
    for name in walls:
        print(f"{name:<10}{wall[name]:>9.2f} s{memory[name]:>9.0f} MiB")
    slower = wall["analyze"] / wall["duckdb"]
    print(f"analyze takes {slower:.2f} times as long; its Parquet is one part in {share:.1f} of the CSV")
    if slower > SLOWER or memory["analyze"] > MEMORY or share < PACKED or differ:
        sys.exit(f"asked for: {SLOWER} times, {MEMORY} MiB, one part in {PACKED:.0f}, the same rows")


if __name__ == "__main__":
    main()
