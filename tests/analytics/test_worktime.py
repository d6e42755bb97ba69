"""Working time in SQL: CVAT's to the millisecond, ours, and the difference, against a plain reading of both."""

import json
from collections import Counter, defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.worktime import PARAMETERS, UnknownDimensionError, both_sql, by_sql, cvat_sql_of, steps_sql
from tests.analytics import worktime_reference as reference
from tests.analytics.chdb_worker import Worker

BASE = 1_790_000_000_000
SOURCE = """
SELECT tupleElement(e, 1) AS person, tupleElement(e, 2) AS seq, toUInt64(tupleElement(e, 2)) AS tie,
    tupleElement(e, 3) AS t, tupleElement(e, 4) AS scope, tupleElement(e, 5) AS lasted, tupleElement(e, 6) AS merged,
    {places}
FROM (SELECT arrayJoin(
    CAST({events}, 'Array(Tuple(UInt64, Int64, Int64, String, Int64, Int64, UInt64, UInt64, UInt64))')) AS e)
"""
PAST = """
SELECT tupleElement(e, 1) AS person, tupleElement(e, 2) AS past_cvat, tupleElement(e, 2) AS past_cut,
    tupleElement(e, 2) AS past_all, {places}
FROM (SELECT arrayJoin(CAST({before}, 'Array(Tuple(UInt64, Int64, UInt64, UInt64, UInt64))')) AS e)
"""
VALUES = {**PARAMETERS, "middle": 1}
IDS = ("project", "task", "job")


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with Worker(tmp_path_factory.mktemp("worktime") / "ch") as made:
        yield made


def ask(clickhouse, sql, parameters):
    with clickhouse.session() as session:
        return session.query(sql, parameters).to_pylist()


def places(first):
    return ", ".join(f"nullIf(tupleElement(e, {first + n}), 0) AS {name}" for n, name in enumerate(IDS))


def ids(event):
    return ",".join(str(event.get(name) or 0) for name in IDS)


def relations(series, before=None):
    """SQL of series of dicts (t, scope, lasted, merged, job) by person, and of the event before each, if any."""
    rows = [
        f"({person},{n},{BASE + e['t']},'{e['scope']}',{e['lasted']},{e['merged']},{ids(e)})"
        for person, events in series.items()
        for n, e in enumerate(events)
    ]
    past = [f"({person},{BASE + reference.end(e)},{ids(e)})" for person, e in (before or {}).items()]
    source = SOURCE.format(events=f"[{','.join(rows)}]", places=places(7))
    earlier = PAST.format(before=f"[{','.join(past)}]", places=places(3))
    return source, earlier


def both(series, before=None):
    """Both algorithms, for arguments as of :func:`relations`."""
    source, earlier = relations(series, before)
    return both_sql(f"({steps_sql(source, earlier)})", earlier)


def cvat_alone(worker, series, before=None):
    """CVAT's algorithm without the other, by person and job; what is 0 is left out."""
    found = defaultdict(int)
    for row in worker.ask(ask, cvat_sql_of(*relations(series, before)), VALUES):
        found[row["person"], row["job"]] += row["cvat_ms"]
    return {k: v for k, v in found.items() if v}


def as_event(raw):
    """An event of the vectors. Only jobs vary in them."""
    assert raw["task_id"] is None
    assert raw["project_id"] is None
    return {"t": raw["t_ms"], "scope": raw["scope"], "lasted": raw["duration"], "merged": 1, "job": raw["job_id"]}


def test_all_outputs_of_cvats_own_function_agree_to_the_millisecond(shared, worker):
    cases = json.loads((shared / "vectors" / "working_time.json").read_text(encoding="utf-8"))["cases"]
    assert len(cases) >= 40
    series = {number: [as_event(e) for e in case["events"]] for number, case in enumerate(cases)}
    before = {n: as_event(case["previous_event"]) for n, case in enumerate(cases) if case["previous_event"]}
    wanted = {(n, e["job_id"]): e["working_time_ms"] for n, case in enumerate(cases) for e in case["expected"]}
    found = defaultdict(int)
    for row in worker.ask(ask, both(series, before), VALUES):
        found[row["person"], row["job"]] += row["cvat_ms"]
    wanted = {k: v for k, v in wanted.items() if v}
    assert {k: v for k, v in found.items() if v} == wanted
    assert cvat_alone(worker, series, before) == wanted


def events_of(draw_scope=("change:frame", "draw:object", "click:element")):
    """Small series, their times close to each other and to the cap and the session, in order of time."""
    step = st.one_of(st.integers(0, 400), st.sampled_from([99_999, 100_000, 100_001, 1_799_999, 1_800_000, 1_800_300]))
    event = st.fixed_dictionaries(
        {
            "step": step,
            "scope": st.sampled_from(draw_scope),
            "lasted": st.one_of(st.integers(0, 500), st.sampled_from([100_000, 100_200, 250_000])),
            "merged": st.integers(1, 3),
            "job": st.sampled_from([None, 1, 2]),
        }
    )
    return st.lists(event, min_size=1, max_size=12).map(in_time)


def in_time(steps):
    t, made = 0, []
    for tie, event in enumerate(steps):
        t += event["step"]
        made.append({**event, "t": t, "tie": tie, "place": event["job"]})
    return made


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(series=st.lists(events_of(), min_size=1, max_size=6))
def test_both_algorithms_agree_with_a_plain_reading_and_their_difference_adds_up(worker, series):
    people = dict(enumerate(series))
    rows = worker.ask(ask, both(people), VALUES)
    cvat, ours = defaultdict(int), defaultdict(int)
    for row in rows:
        parts = row["cvat_ms"] + row["frames_ms"] + row["inside_ms"] + row["thinking_ms"] + row["moved_ms"]
        assert parts == row["ours_ms"]
        cvat[row["person"], row["job"]] += row["cvat_ms"]
        ours[row["person"], row["job"]] += row["ours_ms"]
    for person, events in people.items():
        for place, wanted in reference.cvat(events).items():
            assert cvat[person, place] == wanted
        for place, wanted in reference.ours(events).items():
            assert ours[person, place] == wanted
    assert cvat_alone(worker, people) == {k: v for k, v in cvat.items() if v}
    for person in people:  # what is moved comes from somewhere
        assert sum(row["moved_ms"] for row in rows if row["person"] == person) == 0
    assert sum(row["events"] for row in rows) == sum(len(events) for events in series)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(series=st.lists(events_of(), min_size=1, max_size=5), data=st.data())
def test_a_series_in_two_pieces_gives_what_it_gives_as_a_whole(worker, series, data):
    """The second piece knows of the first only how far its work reached, and where its last event was."""
    cuts = [data.draw(st.integers(0, len(events)), label="cut") for events in series]
    # One reading for all three, so that one number is the past.
    series = [[{**e, "scope": "change:frame", "lasted": min(e["lasted"], 100_000)} for e in s] for s in series]
    first = {n: events[:cut] for n, (events, cut) in enumerate(zip(series, cuts, strict=True)) if cut}
    before = {n: {**s[-1], "t": max(map(reference.end, s)), "lasted": 0} for n, s in first.items()}
    rest = {n: events[cut:] for n, (events, cut) in enumerate(zip(series, cuts, strict=True))}
    assert added(worker, (first, {}), (rest, before)) == added(worker, (dict(enumerate(series)), {}))


def added(worker, *pieces):
    """Everything but the times, by day, person and job, added up; what is 0 is left out."""
    found = defaultdict(int)
    for series, before in pieces:
        for row in worker.ask(ask, both(series, before), VALUES) if any(series.values()) else []:
            for name in ("events", "sessions", "cvat_ms", "frames_ms", "inside_ms", "thinking_ms", "moved_ms"):
                found[row["day"], row["person"], row["job"], name] += row[name]
    return {key: value for key, value in found.items() if value}


def test_each_sum_finds_its_project_task_and_job_again(worker):
    """Places that share a job, a task or nothing at all, visited in turns."""
    places = [(None, None, None), (1, None, None), (None, 1, None), (1, 2, 3), (1, 2, 4), (2, 2, 3), (3, 2, 1)]
    order = [0, 1, 2, 3, 4, 5, 6, 3, 3, 0, 5]
    events = [
        {**dict(zip(IDS, places[k], strict=True)), "t": 1000 * n, "scope": "click:element", "lasted": 0, "merged": 1}
        for n, k in enumerate(order)
    ]
    rows = worker.ask(ask, both({7: events}), VALUES)
    wanted = defaultdict(int)
    for before in order[:-1]:  # each second is booked where the event before it was
        wanted[places[before]] += 1000
    assert {(r["project"], r["task"], r["job"]): r["cvat_ms"] for r in rows} == wanted
    assert len(rows) == len(wanted)
    assert {(r["project"], r["task"], r["job"]): r["events"] for r in rows} == Counter(places[k] for k in order)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=events_of())
def test_two_tabs_at_once_count_once(worker, events):
    twice = sorted([*events, *events], key=lambda e: e["t"])
    rows = worker.ask(ask, both({1: events, 2: twice}), VALUES)
    total = defaultdict(int)
    for row in rows:
        total[row["person"]] += row["ours_ms"]
    assert total[1] == total[2]


def test_a_pause_is_capped_instead_of_dropped_and_ends_the_session_when_long(worker):
    def clicks(*times):
        return [{"t": t, "scope": "click:element", "lasted": 0, "merged": 1, "job": 1} for t in times]

    minute = 60_000
    rows = worker.ask(ask, both({1: clicks(0, 5 * minute), 2: clicks(0, 31 * minute)}), VALUES)
    by_person = {row["person"]: row for row in rows}
    assert (by_person[1]["cvat_ms"], by_person[1]["thinking_ms"], by_person[1]["sessions"]) == (0, 100_000, 1)
    assert (by_person[2]["cvat_ms"], by_person[2]["thinking_ms"], by_person[2]["sessions"]) == (0, 0, 2)


def test_time_outside_jobs_is_a_row_of_its_own(worker):
    events = [
        {"t": 0, "scope": "click:element", "lasted": 0, "merged": 1, "job": None},
        {"t": 20_000, "scope": "click:element", "lasted": 0, "merged": 1, "job": None},
    ]
    [row] = worker.ask(ask, both({1: events}), VALUES)
    assert (row["job"], row["ours_ms"]) == (None, 20_000)


def test_the_worked_example_of_the_documentation_is_right(worker, request):
    text = (request.config.rootpath / "docs" / "analytics.md").read_text(encoding="utf-8")
    events, wanted = [], defaultdict(lambda: [0, 0])
    for line in text.splitlines():
        if not line.startswith("| 09:"):
            continue
        clock, scope, lasts, job, *added = (cell.strip() for cell in line.strip("|").split("|"))
        h, m, s = map(int, clock.split(":"))
        at = 1000 * (3600 * h + 60 * m + s)
        events.append({"t": at, "scope": scope, "lasted": 1000 * int(lasts), "merged": 1, "job": job_of(job)})
        for column, cell in enumerate(added):
            for part in cell.split(" + "):
                seconds, place = part.split(" s in ")
                wanted[job_of(place)][column] += 1000 * int(seconds)
    assert len(events) == 8
    rows = worker.ask(ask, both({1: events}), VALUES)
    assert {row["job"]: [row["cvat_ms"], row["ours_ms"]] for row in rows} == dict(wanted)


def job_of(text):
    return None if text == "-" else int(text)


def test_an_unknown_dimension_says_which_there_are():
    with pytest.raises(UnknownDimensionError, match="use user, day"):
        by_sql(["usr"])
