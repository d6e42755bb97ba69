"""Loading events into a real embedded ClickHouse: each once, whatever way; counted; private; forgotten."""

import io
import json
from collections import defaultdict
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from analytics.access import statements
from analytics.events import COLUMNS, LANDING, read_csv, read_lines, table_of
from analytics.questions import questions
from resources.clickhouse import ClickHouseRefused, ClickHouseUnavailable, explain
from resources.events import LoadSettings, forget, load_events, refresh_worktime
from resources.events.cvat_database import read_cvat_database
from resources.events.files import load_file
from resources.events.people import without_forgotten
from resources.events.retention import delete_expired, keep_events_for
from resources.settings import Settings, SettingsError
from tests.analytics import worktime_reference as reference
from tests.analytics.chdb_worker import Worker, WorkerError

RECORDED = ("contracts", "cvat", "events", "vector_events.jsonl")
EXPORT = ("contracts", "cvat", "sdk254", "events_export.csv")
NOW = int(datetime.now(UTC).timestamp())


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    with Worker(tmp_path_factory.mktemp("events") / "ch") as made:
        made.ask(in_session, migrate)
        yield made


@pytest.fixture
def worker(process):
    process.ask(in_session, empty)
    return process


# These run in the process that has the database.


def in_session(clickhouse, work, *arguments):
    with clickhouse.session({"run_id": "a run"}) as session:
        return work(session, *arguments)


def migrate(session):
    return session.migrate()


def empty(session):
    session.command("DROP DATABASE IF EXISTS cvat")
    names = session.query("SELECT name FROM system.tables WHERE database = currentDatabase() AND total_rows > 0")
    for name in names["name"].to_pylist():
        if name != "schema_migrations":
            session.command(f"TRUNCATE TABLE {name}")


def load(session, body, way="sink", settings=None):
    events, rejects = read_lines(body)
    return load_events(session, table_of(events), way, "a segment", settings, rejects=rejects, run_id="a run")


def load_export(session, data, settings=None):
    [(events, rejects)] = read_csv(io.BytesIO(data), 10_000)
    return load_events(session, table_of(events), "export", "an export", settings, rejects=rejects)


def load_pieces(session, pieces):
    for piece in pieces:
        load_events(session, pa.Table.from_pylist(piece, schema=LANDING), "sink", "a segment")


def ask(session, sql, parameters=None):
    return session.query(sql, parameters).to_pylist()


def refresh(session):
    return refresh_worktime(session)


def lines(*events):
    base = {"scope": "click:element", "source": "client", "duration": 0, "payload": "{}", "user_id": 5,
            "user_name": "ann", "user_email": "ann@reef.org", "job_id": 1, "task_id": 2, "project_id": 3}  # fmt: skip
    return "\n".join(json.dumps({**base, **event}) for event in events).encode()


def clicks(*seconds, **more):
    return lines(*({"timestamp": str(NOW - 7200 + s), **more} for s in seconds))


def test_the_recorded_lines_go_in_once_by_whatever_way_and_give_the_recorded_working_time(shared, worker):
    body, export = (shared.joinpath(*path).read_bytes() for path in (RECORDED, EXPORT))
    first = worker.ask(in_session, load, body)
    assert (first.inserted, first.duplicates) == (845, 0)
    again = worker.ask(in_session, load, body)
    assert (again.inserted, again.duplicates) == (0, 845)
    other_way = worker.ask(in_session, load_export, export)
    assert (other_way.inserted, other_way.duplicates) == (0, 85)
    assert worker.ask(in_session, refresh) == [202611]
    rows = worker.ask(in_session, ask, "SELECT job_id, reported_ms, cvat_ms, ours_ms FROM worktime ORDER BY job_id")
    assert [(r["job_id"], r["reported_ms"], r["cvat_ms"]) for r in rows] == [(5, 55_000, 55_000), (9, 55_000, 55_000)]


def test_the_same_event_twice_in_one_load_is_one(worker):
    loaded = worker.ask(in_session, load, clicks(1, 1, 2) + b"\n{bad")
    assert (loaded.received, loaded.inserted, loaded.duplicates, loaded.rejected) == (4, 2, 1, 1)
    [ledger] = worker.ask(in_session, ask, "SELECT * FROM event_loads")
    assert ledger["received"] == ledger["inserted"] + ledger["duplicates"] + ledger["rejected"] + ledger["forgotten"]
    assert (ledger["run_id"], ledger["source"]) == ("a run", "a segment")
    [reject] = worker.ask(in_session, ask, "SELECT place, reason, line FROM event_rejects")
    assert (reject["place"], reject["line"]) == (4, "{bad")


def load_many(session, body, number):
    """So many events, a millisecond apart, each twice and far from its like."""
    events, _ = read_lines(body)
    row = table_of(events).slice(0, 1)
    many = row.take(pa.array([0] * number))
    times = pa.array(range((NOW - 3600) * 1000, (NOW - 3600) * 1000 + number), pa.timestamp("ms", "UTC"))
    many = many.set_column(many.schema.get_field_index("timestamp"), LANDING.field("timestamp"), times)
    return load_events(session, pa.concat_tables([many, many]), "file", "a large file")


def test_a_load_of_several_blocks_has_each_event_once(worker):
    loaded = worker.ask(in_session, load_many, clicks(1), 70_000)
    assert (loaded.inserted, loaded.duplicates) == (70_000, 70_000)
    [row] = worker.ask(in_session, ask, "SELECT count() AS n, uniqExact(timestamp) AS times FROM events")
    assert row == {"n": 70_000, "times": 70_000}


def test_select_star_gives_cvats_columns_in_cvats_order(worker):
    worker.ask(in_session, load, clicks(1))
    [row] = worker.ask(in_session, ask, "SELECT * FROM events")
    assert tuple(row) == COLUMNS


def test_every_query_carries_the_run_id(worker):
    assert worker.ask(in_session, ask, "SELECT getSetting('log_comment') AS c") == [{"c": '{"run_id": "a run"}'}]


@pytest.mark.parametrize(
    ("settings", "email"),
    [
        (LoadSettings("drop"), None),
        (LoadSettings("keep"), "ann@reef.org"),
        (LoadSettings("hash", "key"), LoadSettings("hash", "key").hashed("Ann@reef.org")),
    ],
)
def test_addresses_are_dropped_hashed_or_kept_and_the_event_stays_the_same_event(worker, settings, email):
    body = lines({"timestamp": str(NOW), "payload": '{"to":"bob@reef.org"}'})
    assert worker.ask(in_session, load, body, "sink", settings).inserted == 1
    [row] = worker.ask(in_session, ask, "SELECT user_email, payload FROM events")
    assert row["user_email"] == email
    assert ("bob@reef.org" in row["payload"]) == (settings.emails == "keep")
    assert worker.ask(in_session, load, body, "sink", LoadSettings("keep")).duplicates == 1


def test_hashing_without_a_key_is_refused():
    with pytest.raises(SettingsError, match="REEFLINE_PRIVACY_KEY"):
        LoadSettings.of(Settings(event_emails="hash"))


def hide(session, rows):
    return without_forgotten(session, rows, "annotator", "waiting_for")


def test_somebody_who_is_forgotten_is_gone_and_does_not_come_back(worker):
    body = clicks(1, 2) + b"\n" + lines({"timestamp": str(NOW), "user_id": 6, "user_name": "bob",
                                         "payload": '{"assignee":{"username":"ann"}}'})  # fmt: skip
    worker.ask(in_session, load, body)
    worker.ask(in_session, refresh)
    touched = worker.ask(in_session, forget, "ann")
    assert touched["events"] == 3
    again = worker.ask(in_session, load, body)
    assert (again.forgotten, again.inserted) == (2, 0) or again.inserted == 1  # bob's payload was changed
    for table, where in (
        ("events", "user_id = 5"),
        ("worktime", "user_id = 5"),
        ("people", "user_id = 5"),
    ):
        assert worker.ask(in_session, ask, f"SELECT count() AS n FROM {table} WHERE {where}") == [{"n": 0}]
    rows = [{"annotator": "ann", "waiting_for": ["ann", "bob"]}]
    assert worker.ask(in_session, hide, rows) == [{"annotator": "forgotten", "waiting_for": ["forgotten", "bob"]}]


def test_forgetting_somebody_unknown_says_so(worker):
    with pytest.raises(WorkerError, match=r"^UnknownPersonError: nobody named 'eve'"):
        worker.ask(in_session, forget, "eve")


def test_people_get_a_pseudonym_that_stays(worker):
    sql = "SELECT pseudonym FROM people FINAL WHERE user_id = 5"
    worker.ask(in_session, load, clicks(1))
    [first] = worker.ask(in_session, ask, sql)
    worker.ask(in_session, load, clicks(2, user_name="ann-with-a-new-name"))
    assert worker.ask(in_session, ask, sql) == [first]
    assert "ann" not in first["pseudonym"]


def months(session, *bodies):
    """Working time month by month, against all at once."""
    for body in bodies:
        load(session, body)
    refresh_worktime(session)
    return session.query("SELECT job_id, sum(ours_ms) AS ours, sum(cvat_ms) AS cvat FROM worktime GROUP BY job_id "
                         "ORDER BY job_id").to_pylist()  # fmt: skip


def test_a_session_over_the_end_of_a_month_counts_as_if_there_were_none(worker):
    edge = int(datetime(2026, 10, 31, 23, 59, 0, tzinfo=UTC).timestamp())
    body = lines(*({"timestamp": str(edge + 20 * n), "job_id": 1 + (n > 3)} for n in range(8)))
    assert worker.ask(in_session, months, body) == [
        {"job_id": 1, "ours": 80_000, "cvat": 80_000},
        {"job_id": 2, "ours": 60_000, "cvat": 60_000},
    ]


def test_a_late_event_makes_its_month_be_computed_again(worker):
    first = worker.ask(in_session, months, clicks(0, 60))
    assert [row["ours"] for row in first] == [60_000]
    later = worker.ask(in_session, months, clicks(90))
    assert [row["ours"] for row in later] == [90_000]


CVAT_TABLE = """
CREATE TABLE cvat.events (scope String, obj_name Nullable(String), obj_id Nullable(UInt64), obj_val Nullable(String),
source String, timestamp DateTime64(3, 'Etc/UTC'), count Nullable(UInt16), duration UInt32 DEFAULT 0,
project_id Nullable(UInt64), task_id Nullable(UInt64), job_id Nullable(UInt64), user_id Nullable(UInt64),
user_name Nullable(String), user_email Nullable(String), org_id Nullable(UInt64), org_slug Nullable(String),
payload Nullable(String)) ENGINE = MergeTree PARTITION BY toYYYYMM(timestamp) ORDER BY (timestamp)
"""


def beside_cvat(session, body):
    """CVAT's own table (an older one, without access tokens) with events and one whose clock is wrong."""
    session.command("CREATE DATABASE cvat")
    session.command(CVAT_TABLE)
    events, _ = read_lines(body)
    session.insert("cvat.events", table_of(events).drop_columns(["access_token_id"]))
    session.command("INSERT INTO cvat.events (scope, source, timestamp) VALUES ('a', 'client', '2099-01-01 00:00:00')")
    return [read_cvat_database(session, "cvat") for _ in range(2)]


def test_events_are_read_from_cvats_own_database_once_and_a_wrong_clock_is_kept_aside(shared, worker):
    body = shared.joinpath(*RECORDED).read_bytes()
    worker.ask(in_session, load, body[: body.index(b"\n") + 1])
    first, second = worker.ask(in_session, beside_cvat, body)
    assert (first.inserted, first.duplicates, first.rejected) == (844, 1, 1)
    assert second.inserted == 0
    [reject] = worker.ask(in_session, ask, "SELECT reason FROM event_rejects FINAL")
    assert "a day ahead" in reject["reason"]


def test_a_database_of_cvat_that_is_not_there_is_one_line(worker):
    with pytest.raises(WorkerError, match=r"^ClickHouseRefused: there is no table nowhere\.events"):
        worker.ask(in_session, read_cvat_database, "nowhere")
    with pytest.raises(WorkerError, match="no name of a database"):
        worker.ask(in_session, read_cvat_database, "cvat; DROP TABLE events")


def kept(session, days):
    keep_events_for(session, days)
    return session.value("SELECT create_table_query FROM system.tables WHERE name = 'events' AND database = "
                         "currentDatabase()")  # fmt: skip


def test_events_are_kept_as_long_as_the_installation_and_the_survey_want(worker):
    assert "TTL toDateTime(timestamp) + toIntervalDay(400)" in worker.ask(in_session, kept, 400)
    assert "TTL" not in worker.ask(in_session, kept, 0)
    worker.ask(in_session, load, clicks(1) + b"\n" + lines({"timestamp": str(NOW - 40 * 86400)}))
    worker.ask(in_session, with_survey)
    assert worker.ask(in_session, delete_expired) == 1
    assert worker.ask(in_session, ask, "SELECT count() AS n FROM events") == [{"n": 1}]


def with_survey(session):
    session.command("INSERT INTO batches VALUES ('reef.0001', 'reef', 9, 30, now64(3))")
    session.command("INSERT INTO reviews (batch, gate, task_id, state, since, loaded_at) "
                    "VALUES ('reef.0001', 'corals', 2, 'open', now64(3), now64(3))")  # fmt: skip


def load_files(session, *paths):
    return [load_file(session, path) for path in paths]


def test_files_of_both_kinds_are_loaded(shared, worker):
    log, export = worker.ask(in_session, load_files, shared.joinpath(*RECORDED), shared.joinpath(*EXPORT))
    assert (log.inserted, export.inserted, export.duplicates) == (845, 0, 85)


def older(session):
    session.command("ALTER TABLE schema_migrations DELETE WHERE number > 2 SETTINGS mutations_sync = 2")
    try:
        session.check_schema()
    finally:
        session.migrate()


def test_a_database_of_an_older_version_is_refused_with_what_to_do(worker):
    with pytest.raises(WorkerError, match=r"^SchemaIsOlderError: .*0003_events.sql.*reefline analytics migrate"):
        worker.ask(in_session, older)


def read_only(session):
    with session.explained():
        session.command("INSERT INTO people (user_id) SELECT 1 SETTINGS readonly = 1")


def test_a_read_only_database_is_one_line(worker):
    with pytest.raises(WorkerError, match=r"^ClickHouseRefused: ClickHouse refuses: it is read-only"):
        worker.ask(in_session, read_only)


def test_errors_of_the_server_say_what_to_do():
    full = explain(RuntimeError("Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space"))
    assert isinstance(full, ClickHouseRefused)
    assert "disk is full" in str(full)
    assert isinstance(explain(OSError("connection refused")), ClickHouseUnavailable)


def answers(session):
    for asked in questions().values():
        session.query(asked.sql, asked.values())
    return [session.value("SELECT formatQuery({q:String})", {"q": statement}) for statement in statements()]


def test_every_question_can_be_asked_of_an_empty_database_and_the_users_are_well_written(worker):
    made = worker.ask(in_session, answers)
    assert sum(text.startswith("CREATE USER") for text in made) == 3
    dashboards = next(text for text in made if "SETTINGS PROFILE" in text and "max_result_rows" in text)
    assert "readonly = 2" in dashboards
    assert "max_result_rows" in dashboards


def test_events_that_come_late_and_out_of_order_are_worked_through_in_order_of_time(worker):
    """Over a month's end, two people in three jobs, in seven loads that know nothing of each other's times."""
    rng, start = np.random.default_rng(4), int(datetime(2026, 6, 30, 23, tzinfo=UTC).timestamp() * 1000)
    rows, series = [], defaultdict(list)
    for person in (1, 2):
        for t in np.cumsum(rng.choice([700, 9_000, 99_999, 100_000, 400_000], 400)).tolist():
            scope, lasted = rng.choice(["change:frame", "draw:object"]), int(rng.choice([0, 900, 150_000]))
            job = int(rng.choice([7, 8, 9], p=[0.8, 0.1, 0.1]))
            moment = datetime.fromtimestamp((start + t) / 1000, UTC)
            rows.append({"scope": scope, "source": "client", "timestamp": moment, "duration": lasted, "user_id": person,
                         "project_id": 1, "task_id": job // 2, "job_id": job})  # fmt: skip
            series[person].append({"t": t, "scope": scope, "lasted": lasted, "place": job})
    order = rng.permutation(len(rows))
    pieces = [[rows[k] for k in piece] for piece in np.array_split(order, 7)]
    worker.ask(in_session, load_pieces, pieces[:5])
    assert worker.ask(in_session, refresh) == [202606, 202607]
    worker.ask(in_session, load_pieces, pieces[5:])
    assert worker.ask(in_session, refresh) == [202606, 202607]
    found = worker.ask(in_session, ask, WORKED)
    for person, events in series.items():
        booked = {r["job_id"]: r["ms"] for r in found if r["user_id"] == person}
        assert booked == dict(reference.cvat(events))
    assert {(r["project_id"], r["task_id"]) for r in found} == {(1, 3), (1, 4)}
    assert sum(r["events"] for r in found) == len(rows)
    at_once = worker.ask(in_session, ask, EVERYTHING)
    worker.ask(in_session, refresh_only, 202607)
    assert worker.ask(in_session, ask, EVERYTHING) == at_once


WORKED = """
SELECT user_id, project_id, task_id, job_id, sum(cvat_ms) AS ms, sum(events) AS events
FROM worktime GROUP BY user_id, project_id, task_id, job_id
"""
EVERYTHING = "SELECT * EXCEPT computed_at FROM worktime ORDER BY ALL"


def refresh_only(session, month):
    """As if that month alone had newer events; of the ones before it only how far the work had reached is known."""
    session.command("TRUNCATE TABLE worktime_months")
    session.command("INSERT INTO worktime_months SELECT {m:UInt32}, 0, now64(3, 'UTC') + 60", {"m": month - 1})
    assert refresh_worktime(session) == [month]
