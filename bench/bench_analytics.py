"""Analytics on embedded ClickHouse: taking events in, working time, CVAT's own dashboard, disk, and the sink.

``python -m bench analytics`` measures 10 million events; ``BENCH_EVENTS=200000`` (and ``BENCH_SINK_S=10``) a part.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from analytics.worktime import PARAMETERS, both_sql, steps_sql
from bench.sink import sink_rows
from bench.synthetic_events import DAYS, days
from deploy.local.sandbox.events import working_time
from resources.clickhouse import ClickHouse, Session
from resources.events import cvat_time, load_events, refresh_worktime

EVENTS = int(os.environ.get("BENCH_EVENTS", "10000000"))
TIMES = 3
"""Rounds of the ways to compute working time."""
LOAD_ROWS = 500_000
"""Rows of one load, as the sink takes them when there is a backlog."""
VECTORS = Path(__file__).resolve().parents[2] / "shared" / "vectors" / "working_time.json"
CVAT_DDL = """
CREATE TABLE cvat.events
(
    scope String, obj_name Nullable(String), obj_id Nullable(UInt64), obj_val Nullable(String), source String,
    timestamp DateTime64(3, 'Etc/UTC'), count Nullable(UInt16), duration UInt32 DEFAULT 0,
    project_id Nullable(UInt64), task_id Nullable(UInt64), job_id Nullable(UInt64), user_id Nullable(UInt64),
    user_name Nullable(String), user_email Nullable(String), org_id Nullable(UInt64), org_slug Nullable(String),
    payload Nullable(String), access_token_id Nullable(UInt64)
)
ENGINE = MergeTree PARTITION BY toYYYYMM(timestamp) ORDER BY (timestamp) SETTINGS index_granularity = 8192
"""
"""Of components/analytics/clickhouse/init.py, CVAT 2.54."""
MANAGEMENT = """
SELECT user_id as User, user_name as Username, project_id as Project, task_id as Task, job_id as Job,
  sum(JSONExtractUInt(payload, 'working_time')) / 1000 / 3600 as "Working time(h)", count() as Activity
FROM {table}
WHERE JSONHas(payload, 'working_time')
  AND timestamp >= '2026-06-01 00:00:00' AND timestamp <= '2026-09-30 00:00:00'
  AND (-1 IN (-1) OR user_id IN (-1)) AND (' ' IN (' ') OR user_name IN (' '))
  AND (-1 IN (-1) OR project_id IN (-1)) AND task_id IN ({tasks}) AND job_id IN ({jobs})
GROUP BY user_id, user_name, project_id, task_id, job_id
"""
"""The panel 'Working time' of CVAT's Management dashboard, its macros filled in."""


def rows() -> list[dict[str, Any]]:
    """One dict a figure."""
    with tempfile.TemporaryDirectory(prefix="bench-analytics-") as folder:
        clickhouse = ClickHouse(f"chdb://{folder}/ch")
        with clickhouse.session({"bench": "analytics"}) as session:
            session.migrate()
            session.command("CREATE DATABASE cvat")
            session.command(CVAT_DDL)
            found = [*ingest(session), *working_times(session), *management(session), disk(session), vectors(session)]
    return [*found, *sink_rows()]


def ingest(session: Session) -> Iterator[dict[str, Any]]:
    """Our load (keys, duplicates, privacy, ledger), then a bare INSERT into CVAT's table. Both merge meanwhile."""

    def ours(table: pa.Table) -> None:
        loaded = load_events(session, table, "sink", "bench")
        assert loaded.inserted + loaded.duplicates == table.num_rows

    seconds, reference = (_taken(session, work) for work in (ours, lambda table: session.insert("cvat.events", table)))
    number = session.value("SELECT count() FROM events")
    yield {
        "name": "ingest.rows_per_s", "value": round(number / seconds), "unit": "rows/s",
        "reference": "bare INSERT into CVAT's table, nothing checked", "reference_value": round(number / reference),
        "ratio": round(reference / seconds, 2), "note": f"{number} events, each looked up before it is inserted",
    }  # fmt: skip


def _taken(session: Session, work: Callable[[pa.Table], Any]) -> float:
    """Seconds of taking in all events; making them does not count. Ends when nothing is being merged."""
    seconds = 0.0
    for table in _blocks():
        clock = time.perf_counter()
        work(table)
        seconds += time.perf_counter() - clock
    while session.value("SELECT count() FROM system.merges"):
        time.sleep(0.2)
    return seconds


def _blocks() -> Iterator[pa.Table]:
    held: list[pa.Table] = []
    for table in days(EVENTS):
        held.append(table)
        if sum(t.num_rows for t in held) >= LOAD_ROWS:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


def working_times(session: Session) -> Iterator[dict[str, Any]]:
    """CVAT's algorithm alone as the check of the table ``worktime`` computes it, and filling that table, which is both
    algorithms and all that is between them; beside CVAT's algorithm in plain Python (the sandbox's, as CVAT writes it)
    and in pandas."""
    series = session.query(  # in order of time, as a log or CVAT's export is
        "SELECT assumeNotNull(user_id) AS person, toUnixTimestamp64Milli(timestamp) AS t, scope = 'change:frame' AS f, "
        "duration, assumeNotNull(job_id) AS job, content_key AS tie FROM events WHERE source = 'client' ORDER BY t"
    )
    booked = "SELECT user_id AS person, job_id AS job, sum(cvat_ms) AS ms FROM worktime GROUP BY person, job HAVING ms"
    rounds = []
    for _ in range(TIMES):  # in turns: what else the machine does strikes all
        clock = time.perf_counter()
        months = refresh_worktime(session, everything=True)
        whole = time.perf_counter() - clock
        wanted = {(r["person"], r["job"]): r["ms"] for r in session.query(booked).to_pylist()}
        clock = time.perf_counter()
        alone = cvat_time(session, months)
        in_sql = time.perf_counter() - clock
        assert _by_job(alone) == wanted, "the check disagrees"
        in_python, found = plain_python(series)
        assert found == wanted, "plain Python disagrees"
        in_pandas, found = pandas_way(series)
        assert found == wanted, "pandas disagrees"
        rounds.append((in_sql, whole, in_python, in_pandas))
    in_sql, whole, in_python, in_pandas = (min(taken) for taken in zip(*rounds, strict=True))
    events = f"{series.num_rows} events of pages among {EVENTS}; CVAT's sums identical; the best of {TIMES} rounds each"
    alone = f"CVAT's algorithm alone, as the check of the table computes it: {in_sql:.2f} s; {events}"
    python, pandas = "CVAT's algorithm in plain Python, s", "CVAT's algorithm in pandas, s"
    yield row("worktime.vs_python", in_python / in_sql, "times", python, in_python, alone)
    yield row("worktime.vs_pandas", in_pandas / in_sql, "times", pandas, in_pandas, alone)
    both = f"the whole table, both algorithms and what lies between them: {whole:.2f} s; {events}"
    yield row("worktime.table_vs_python", in_python / whole, "times", f"{python}; not the other", in_python, both)
    seconds = max(taken[1] for taken in rounds)
    note = f"the table worktime, the slowest of {TIMES} rounds; {EVENTS} events, {DAYS} days"
    yield {"name": "union.seconds_10m", "value": round(seconds, 2), "unit": "s", "note": note}


def _by_job(found: pa.Table) -> dict[tuple[int, int], int]:
    sums: dict[tuple[int, int], int] = defaultdict(int)
    for row in found.to_pylist():
        sums[row["person"], row["job"]] += row["cvat_ms"]
    return {key: ms for key, ms in sums.items() if ms}


def plain_python(series: pa.Table) -> tuple[float, dict]:
    """Seconds of the algorithm alone, and sums by person and job."""
    seconds, sums = 0.0, defaultdict(int)
    order = _ordered(series)
    for person in np.unique(order["person"]).tolist():
        mine = {name: values[order["person"] == person] for name, values in order.items()}
        events = [
            {"timestamp": datetime.fromtimestamp(t / 1000, UTC), "scope": "change:frame" if f else "click:element",
             "duration": d, "job_id": j, "task_id": None, "project_id": None}
            for t, f, d, j in zip(*(mine[n].tolist() for n in ("t", "f", "duration", "job")), strict=True)
        ]  # fmt: skip
        clock = time.perf_counter()
        booked = working_time(events, None)
        seconds += time.perf_counter() - clock
        for place, (total, _) in booked.items():
            milliseconds = round(total.total_seconds() * 1000)
            if milliseconds:
                sums[person, place[0]] += milliseconds
    return seconds, dict(sums)


def _ordered(series: pa.Table) -> dict[str, np.ndarray]:
    columns = {name: series[name].to_numpy() for name in series.column_names}
    order = np.lexsort((columns["tie"], columns["t"], columns["person"]))
    return {name: values[order] for name, values in columns.items()}


def pandas_way(series: pa.Table) -> tuple[float, dict]:
    """Seconds from the frame in memory to the sums, and the sums."""
    frame = series.to_pandas()
    clock = time.perf_counter()
    frame = frame.sort_values(["person", "t", "tie"])
    end = frame["t"] + frame["duration"].where(frame["f"] == 1, 0).astype("int64")
    person = frame["person"]
    reached = end.groupby(person).cummax().groupby(person).shift(1).fillna(frame["t"]).astype("int64")
    gap = (frame["t"] - reached).clip(lower=0)
    own = (end - np.maximum(reached, frame["t"])).clip(lower=0)
    worked = gap.where(gap < 100_000, 0) + own
    before = frame.groupby("person")["job"].shift(1).fillna(frame["job"]).astype("int64")
    sums = worked.groupby([person, before]).sum()
    seconds = time.perf_counter() - clock
    return seconds, {(int(p), int(j)): int(v) for (p, j), v in sums.items() if v}


def management(session: Session) -> Iterator[dict[str, Any]]:
    """CVAT's slowest panel, word for word, on both tables; and the table itself is read as it comes."""
    ids = session.query("SELECT DISTINCT task_id AS task, job_id AS job FROM events").to_pylist()
    lists = {
        "tasks": ",".join(str(n) for n in sorted({row["task"] for row in ids})),
        "jobs": ",".join(str(n) for n in sorted({row["job"] for row in ids})),
    }
    for table in ("events", "cvat.events"):
        session.command(f"OPTIMIZE TABLE {table} FINAL")
    ours, answer = best(lambda: session.query(MANAGEMENT.format(table="events", **lists)))
    theirs, other = best(lambda: session.query(MANAGEMENT.format(table="cvat.events", **lists)))
    key = [("Job", "ascending"), ("User", "ascending")]
    assert answer.sort_by(key)["Activity"].equals(other.sort_by(key)["Activity"])
    yield row("management_query.vs_cvat_ddl", theirs / ours, "times", "the same query on CVAT's table, s", theirs,
              f"ours {ours:.3f} s")  # fmt: skip


def disk(session: Session) -> dict[str, Any]:
    """Bytes of merged parts, ours with its content key."""
    size = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = '{}' AND table = 'events'"
    ours = session.value(size.format(session.value("SELECT currentDatabase()")))
    theirs = session.value(size.format("cvat"))
    return row("disk.share_of_cvat_ddl", ours / theirs, "of the bytes", "CVAT's table, bytes", theirs,
               f"{ours / EVENTS:.1f} against {theirs / EVENTS:.1f} bytes an event")  # fmt: skip


def vectors(session: Session) -> dict[str, Any]:
    """Outputs of CVAT's own function that the SQL gives, too."""
    name = "worktime.vectors_matched"
    if not VECTORS.is_file():
        return {"name": name, "value": None, "unit": "of the cases", "note": "the vectors are not here"}
    cases = json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]
    events = ", ".join(
        f"({n}, {k}, {e['t_ms']}, '{e['scope']}', {e['duration']}, 0, {e['job_id'] or 0})"
        for n, case in enumerate(cases)
        for k, e in enumerate(case["events"])
    )
    source = (
        "SELECT toUInt64(x.1) AS person, toInt64(x.2) AS seq, 0 AS tie, toInt64(1e12) + x.3 AS t, x.4 AS scope, "
        "toInt64(x.5) AS lasted, 1 AS merged, nullIf(x.6, 0) AS project, nullIf(x.6, 0) AS task, nullIf(x.7, 0) AS job "
        f"FROM (SELECT arrayJoin([{events}]) AS x)"
    )
    before = ", ".join(
        f"({n}, {e['t_ms'] + e['duration'] * (e['scope'] == 'change:frame')}, 0, {e['job_id'] or 0})"
        for n, case in enumerate(cases)
        if (e := case["previous_event"])
    )
    past = (
        "SELECT toUInt64(x.1) AS person, toInt64(1e12) + x.2 AS past_cvat, past_cvat AS past_cut, "
        "past_cvat AS past_all, nullIf(x.3, 0) AS project, nullIf(x.3, 0) AS task, nullIf(x.4, 0) AS job "
        f"FROM (SELECT arrayJoin([{before}]) AS x)"
    )
    both = both_sql(f"({steps_sql(source, past)})", past)
    sums = f"SELECT person, job, sum(cvat_ms) AS ms FROM ({both}) GROUP BY person, job"
    found = {
        (r["person"], r["job"]): r["ms"]
        for r in session.query(sums, {**PARAMETERS, "middle": len(cases) // 2}).to_pylist()
    }
    matched = sum(
        all(found.get((n, e["job_id"])) == e["working_time_ms"] for e in case["expected"])
        for n, case in enumerate(cases)
    )
    return row(name, matched / len(cases), "of the cases", "outputs of CVAT's function", len(cases))


def best(work: Callable[[], pa.Table], times: int = 3) -> tuple[float, pa.Table]:
    """The fastest of several, and its answer."""
    seconds, answer = float("inf"), None
    for _ in range(times):
        clock = time.perf_counter()
        answer = work()
        seconds = min(seconds, time.perf_counter() - clock)
    return seconds, answer


def row(name: str, value: float, unit: str, reference: str, reference_value: float, note: str = "") -> dict[str, Any]:
    """A figure beside its reference."""
    ratio = value if unit == "times" else None
    return {"name": name, "value": round(value, 4), "unit": unit, "reference": reference,
            "reference_value": round(reference_value, 3), "ratio": ratio, "note": note}  # fmt: skip


if __name__ == "__main__":
    for figure in rows():
        print(figure)
