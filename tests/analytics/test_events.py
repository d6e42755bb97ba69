"""Reading events: what is accepted, what is kept aside with which reason."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.events import COLUMNS, CutOffError, read_csv, read_lines, table_of
from analytics.events.columns import MAX_PAYLOAD, NotAnEventError

NOW = 1_795_300_000_000
GOOD = {"scope": "draw:object", "source": "client", "timestamp": "1795228429.67192", "duration": 5, "payload": "{}"}


def line(**changes):
    return json.dumps({**GOOD, **changes}).encode()


def reason(body):
    events, rejects = read_lines(body, NOW)
    assert not events
    [reject] = rejects
    return reject.reason


def test_the_recorded_lines_of_a_real_cvat_are_all_events(shared):
    body = (shared / "contracts" / "cvat" / "events" / "vector_events.jsonl").read_bytes()
    events, rejects = read_lines(body, NOW)
    assert (len(events), rejects) == (845, [])
    assert table_of(events).num_rows == 845


def test_a_time_is_cut_to_milliseconds_as_clickhouse_does():
    for given_time, wanted in (
        ("1795228429.67192", 1795228429671),
        ("1795228429.6", 1795228429600),
        (1795228429.67, 1795228429670),
        ("2026-11-21 02:33:53.450999+00:00", 1795228433450),
        ("2026-11-21T02:33:53.450Z", 1795228433450),
    ):
        [event], _ = read_lines(line(timestamp=given_time), NOW)
        assert event[COLUMNS.index("timestamp")] == wanted, given_time


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{bad", "no JSON"),
        (b'"text"', "no object"),
        (b"\xff\xfe{}", "UTF-8"),
        (b"{}", "no scope"),
        (line(source=None), "no source"),
        (line(timestamp=None), "no timestamp"),
        (line(timestamp="yesterday"), "no date"),
        (line(timestamp="2026-12-01T00:00:00Z"), "days ahead"),
        (line(timestamp="1970-01-01T00:00:09Z"), "before 2015"),
        (line(duration=-1), "duration -1 is negative"),
        (line(duration=10**10), "too large"),
        (line(job_id="seven"), "no whole number"),
        (line(user_id=2**64), "too large"),
        (line(payload="x" * (MAX_PAYLOAD + 1)), "characters, at most"),
    ],
)
def test_what_is_no_event_is_kept_with_the_reason(body, why):
    assert why in reason(body)


def test_a_bad_line_costs_only_itself_and_its_number_is_told():
    events, rejects = read_lines(line() + b"\n\n{bad\n" + line(scope="a scope of next year") + b"\n", NOW)
    assert [event[0] for event in events] == ["draw:object", "a scope of next year"]
    assert [(r.place, r.line) for r in rejects] == [(3, "{bad")]


def test_an_array_as_cvats_logger_sends_it_is_read_item_by_item():
    events, rejects = read_lines(b"[" + line() + b', {"scope": ""}, ' + line() + b"]", NOW)
    assert (len(events), [r.place for r in rejects]) == (2, [2])


def test_ids_that_are_null_and_a_billion_milliseconds_are_events():
    [event], _ = read_lines(line(job_id=None, user_id=None, duration=10**9), NOW)
    assert event[COLUMNS.index("duration")] == 10**9
    assert event[COLUMNS.index("job_id")] is None


@given(st.binary(max_size=300))
def test_any_bytes_become_events_or_rejects_and_every_line_is_accounted_for(body):
    events, rejects = read_lines(body, NOW)
    if not body.strip().startswith(b"["):
        assert len(events) + len(rejects) == sum(bool(part.strip()) for part in body.split(b"\n"))


@given(
    st.dictionaries(
        st.sampled_from(COLUMNS), st.one_of(st.none(), st.integers(), st.text(), st.floats(), st.booleans())
    )
)
def test_any_object_becomes_a_row_of_the_table_or_a_reject(changes):
    events, rejects = read_lines(line(**changes), NOW)
    assert len(events) + len(rejects) == 1
    assert table_of(events).num_rows == len(events)


def recorded(shared):
    return (shared / "contracts" / "cvat" / "sdk254" / "events_export.csv").read_bytes()


def test_the_recorded_export_is_read_and_agrees_with_the_recorded_lines(shared):
    [(events, rejects)] = read_csv(io.BytesIO(recorded(shared)), 1000, NOW)
    assert (len(events), rejects) == (85, [])
    sent, _ = read_lines((shared / "contracts" / "cvat" / "events" / "vector_events.jsonl").read_bytes(), NOW)
    strange = [e for e in events if not any(alike(e, other) for other in sent)]
    assert strange == []


def alike(one, other):
    return all((a or None) == (b or None) for a, b in zip(one, other, strict=True))


@given(data=st.data())
def test_an_export_that_is_cut_anywhere_says_so_and_gives_only_whole_rows(shared, data):
    whole = recorded(shared)
    header = whole.index(b"\n") + 1
    cut = data.draw(st.integers(header, len(whole) - 1))
    [(all_events, _)] = read_csv(io.BytesIO(whole), 1000, NOW)
    found = []
    try:
        for events, rejects in read_csv(io.BytesIO(whole[:cut]), 7, NOW):
            assert not rejects
            found += events
    except CutOffError as error:
        assert "ends in the middle" in str(error)
    else:
        assert whole[cut - 1 : cut] == b"\n"
    assert found == all_events[: len(found)]


def test_a_csv_of_something_else_is_refused_with_what_it_lacks():
    with pytest.raises(NotAnEventError, match="lacks the columns"):
        list(read_csv(io.BytesIO(b"a,b\n1,2\n"), 10))


def test_a_row_that_is_no_utf8_costs_only_itself(shared):
    lines = recorded(shared).split(b"\r\n")
    lines[2] = lines[2].replace(b"update:task", b"update:t\xffsk")
    [(events, rejects)] = read_csv(io.BytesIO(b"\r\n".join(lines)), 1000, NOW)
    assert len(events) == 84
    assert (rejects[0].place, rejects[0].reason) == (3, "it is no UTF-8")
