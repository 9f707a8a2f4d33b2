#!/usr/bin/env python3
"""All reports that a metadata.txt can answer, by estudely-analyze and by DuckDB: time, peak memory, and whether they say the same.

    benches/analysis/reports.py target/release/estudely-analyze metadata.txt [--runs N] [--report NAME]

Both read the same CSV and run the same SQL, with as many threads as there are cores; reading is part of the time, as is starting. DuckDB gets its
tables made once (CREATE TABLE AS), as ours are kept once. Left out: reports that call functions which DuckDB has not. DuckDB is
from PyPI (`pip install duckdb`). Runs take turns, so that a slow moment of the machine hits both.
"""

import argparse
import csv
import io
import math
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time

REPORTS = pathlib.Path(__file__).resolve().parents[2] / "analysis/reports"
# Functions that DuckDB has not.
OURS = re.compile(r"\b(power_law|keys_estimated|country|asn|as_name)\(")
COLUMNS = ("{'infohash': 'VARCHAR', 'name': 'VARCHAR', 'file_count': 'BIGINT', 'total_bytes': 'BIGINT', 'piece_length': 'BIGINT', "
           "'peer_ip': 'VARCHAR', 'peer_port': 'INT', 'metadata_ok': 'BOOLEAN'}")


def reports(only):
    """Names and SQL of reports that a metadata.txt can answer and DuckDB can run."""
    found = []
    for path in sorted(REPORTS.glob("*.sql")):
        sql = path.read_text()
        needs = re.search(r"^-- needs: (.*)$", sql, re.M).group(1)
        tables = set(re.findall(r"(\w+)\(", needs))
        if tables <= {"torrents", "peers"} and not OURS.search(sql) and (not only or path.stem in only):
            found.append((path.stem, sql))
    return found


def duck(data, only):
    """In a process of its own: reads, answers, writes CSV to stdout by report."""
    import duckdb

    con = duckdb.connect()
    con.execute(f"SET threads = {os.cpu_count()}")
    con.execute("CREATE MACRO regexp_like(text, pattern) AS regexp_matches(text, pattern)")
    started = time.monotonic()
    con.execute(f"CREATE TABLE rows AS SELECT * FROM read_csv('{data}', header = true, nullstr = '', columns = {COLUMNS})")
    con.execute("CREATE TABLE torrents AS SELECT 'crawl' AS crawl, infohash, max(name) AS name, max(file_count) AS file_count, "
                "max(total_bytes) AS total_bytes, max(piece_length) AS piece_length, bool_or(metadata_ok) AS metadata_ok, "
                "count(*) AS entries, count(CASE WHEN metadata_ok THEN 1 END) AS successes, count(peer_ip) AS peers FROM rows GROUP BY infohash")
    con.execute("CREATE VIEW peers AS SELECT 'crawl' AS crawl, infohash, peer_ip, peer_port, 'metadata' AS source FROM rows WHERE peer_ip IS NOT NULL")
    print(f"#read {time.monotonic() - started:.2f}")
    for name, sql in reports(only):
        started = time.monotonic()
        answer = con.execute(sql)
        rows = answer.fetchall()
        print(f"#report {name} {time.monotonic() - started:.2f}")
        out = csv.writer(sys.stdout, lineterminator="\n")
        out.writerow(column[0] for column in answer.description)
        out.writerows(rows)


def run(words):
    """Seconds, peak MiB and what it said."""
    started = time.monotonic()
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        said = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{words[0]} ended with {child.returncode}")
    return time.monotonic() - started, used.ru_maxrss / 1024, said


def cells(text):
    """Rows with numbers as numbers: 3 and 3.0 are the same."""
    def cell(text):
        try:
            return float(text)
        except ValueError:
            return text
    return [[cell(text) for text in row] for row in csv.reader(io.StringIO(text))]


def same(ours, theirs):
    def alike(a, b):
        if isinstance(a, float) and isinstance(b, float):
            return math.isclose(a, b, rel_tol=1e-6, abs_tol=0.011)
        return a == b
    return len(ours) == len(theirs) and all(len(a) == len(b) and all(map(alike, a, b)) for a, b in zip(ours, theirs))


def main():
    args = argparse.ArgumentParser()
    args.add_argument("program")
    args.add_argument("data")
    args.add_argument("--runs", type=int, default=3)
    args.add_argument("--report", action="append", default=[])
    args.add_argument("--duck", action="store_true", help=argparse.SUPPRESS)
    args = args.parse_args()
    if args.duck:
        return duck(args.data, args.report)
    names = [name for name, _ in reports(args.report)]
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as out:
        for _ in range(args.runs):
            ours.append(run([args.program, "report", *names, args.data, "--csv", out]))
            again = [sys.executable, __file__, args.program, args.data, "--duck"]
            theirs.append(run(again + [word for name in args.report for word in ("--report", name)]))
        parts = re.split(r"^#report (\S+) (\S+)\n", theirs[-1][2], flags=re.M)
        differ = []
        for name, seconds, text in zip(parts[1::3], parts[2::3], parts[3::3]):
            mine = (pathlib.Path(out) / f"{name}.csv").read_text()
            if not same(cells(mine), cells(text)):
                differ.append(name)
    for who, runs in (("estudely-analyze", ours), ("duckdb", theirs)):
        seconds = sorted(seconds for seconds, _, _ in runs)
        print(f"{who}: {len(names)} reports in {seconds[len(seconds) // 2]:.2f} s (all runs: {', '.join(f'{s:.2f}' for s in seconds)}), "
              f"peak {max(peak for _, peak, _ in runs):.0f} MiB")
    middle = lambda runs: sorted(seconds for seconds, _, _ in runs)[len(runs) // 2]
    print(f"ratio {middle(ours) / middle(theirs):.2f}")
    print("answers: " + ("the same" if not differ else "differ in " + ", ".join(differ)))
    return None


if __name__ == "__main__":
    main()
