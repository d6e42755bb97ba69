"""A database of an older version is brought over with every event, each known again, also when that is cut off."""

import json
from datetime import UTC, datetime

import pytest

from analytics.events import COLUMNS, read_lines, table_of
from analytics.migrate import LEDGER, migrations
from resources.events import load_events, refresh_worktime
from tests.analytics.chdb_worker import Worker

BY_PERSON = next(m for m in migrations() if m.name == "0007_events_by_person.sql")
BY_KEY = next(m for m in migrations() if m.name == "0008_key_of_kept_texts.sql")
NOW = int(datetime.now(UTC).timestamp())


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with Worker(tmp_path_factory.mktemp("older") / "ch") as made:
        yield made


def lines():
    clicks = [{"scope": "click:element", "source": "client", "timestamp": str(NOW - 60 + n), "user_id": n % 2 + 1,
               "job_id": 4} for n in range(6)]  # fmt: skip
    nobody = {"scope": "load:cvat", "source": "client", "timestamp": str(NOW)}
    booked = {"scope": "send:working_time", "source": "server", "timestamp": str(NOW), "user_id": 1,
              "payload": '{"working_time": 5000}'}  # fmt: skip
    return "\n".join(json.dumps(event) for event in [*clicks, nobody, booked]).encode()


def older_database(session, before, body):
    """As the version before a migration left it, with events and their month computed."""
    names = session.query("SELECT name, engine FROM system.tables WHERE database = currentDatabase()").to_pylist()
    for row in names:
        session.command(f"DROP {'VIEW' if row['engine'] == 'View' else 'TABLE'} {row['name']}")
    session.command(LEDGER)
    for migration in migrations():
        if migration.number < before.number:
            for statement in migration.statements:
                session.command(statement)
            known = [[migration.number, migration.name, migration.sha256]]
            session.client.insert("schema_migrations", known, column_names=["number", "name", "sha256"])
    events, _ = read_lines(body)
    load_events(session, table_of(events), "file", "before")
    session.command(f"INSERT INTO worktime_months SELECT {datetime.fromtimestamp(NOW, UTC):%Y%m}, 8, now64(3)")


def brought_over(clickhouse, cut_after):
    """What is found when the migration was cut off after so many of its statements and then done."""
    with clickhouse.session() as session:
        older_database(session, BY_PERSON, lines())
        for statement in BY_PERSON.statements[:cut_after]:
            session.command(statement)
        done = session.migrate()
        events, _ = read_lines(lines())
        again = load_events(session, table_of(events), "file", "again")
        tables = "FROM system.tables WHERE database = currentDatabase() AND name"
        found = session.query(
            "SELECT count() AS events, countIf(way = 'file') AS ways, sum(working_ms) AS booked, "
            f"(SELECT sorting_key {tables} = 'events') AS sorting, "
            f"(SELECT count() {tables} LIKE 'events_by_%') AS left FROM events"
        ).to_pylist()[0]
        more, _ = read_lines(lines().replace(b"click:element", b"drag:object"))
        load_events(session, table_of(more), "file", "more")
        found["hourly"] = session.value("SELECT sum(events) FROM events_hourly")
        return done, (again.inserted, again.duplicates), found, len(refresh_worktime(session))


@pytest.mark.parametrize("cut_after", range(len(BY_PERSON.statements)))
def test_every_event_comes_along_once_and_months_are_computed_anew(worker, cut_after):
    done, again, found, months = worker.ask(brought_over, cut_after)
    assert BY_PERSON.name in done
    assert again == (0, 8)
    assert (found["events"], found["ways"], found["booked"], found["left"]) == (8, 8, 5000, 0)
    assert found["sorting"] == "series, person, timestamp, content_key, scope"
    assert found["hourly"] == 8 + 6
    assert months >= 1


def with_an_address():
    """The last is told from the others by a text from which its address is taken."""
    texts = [{"label": n, "note": "ask Ann"} for n in range(4)] + [{"label": 4, "note": "ask ann@reef.org or b@c.de"}]
    return "\n".join(
        json.dumps({"scope": "create:tags", "source": "server", "timestamp": str(NOW), "user_id": 1, "payload": text})
        for text in texts
    ).encode()


def known_again(clickhouse, cut_after):
    """Events whose keys are of an older making, brought over, and loaded again."""
    with clickhouse.session() as session:
        older_database(session, BY_KEY, with_an_address())
        names = ", ".join(COLUMNS)
        session.command("CREATE TABLE older AS events")
        session.command(
            f"INSERT INTO older ({names}, key_in, way_in) SELECT {names}, sipHash64(content_key), way FROM events"
        )
        session.command("EXCHANGE TABLES events AND older")
        session.command("DROP TABLE older")
        for statement in BY_KEY.statements[:cut_after]:
            session.command(statement)
        done = session.migrate()
        events, _ = read_lines(with_an_address())
        again = load_events(session, table_of(events), "file", "again")
        # A row that comes past the loader has the same key.
        session.command(f"INSERT INTO events ({names}) SELECT {names} FROM events")
        keys = "SELECT count() AS n, uniqExact(content_key) AS keys, countIf(payload LIKE '%@%') AS kept FROM events"
        return done, (again.inserted, again.duplicates), session.query(keys).to_pylist()[0]


@pytest.mark.parametrize("cut_after", [0, 4, 7, len(BY_KEY.statements) - 1])
def test_events_with_keys_of_an_older_making_are_known_again(worker, cut_after):
    done, again, found = worker.ask(known_again, cut_after)
    assert done == [BY_KEY.name]
    assert again == (0, 5)
    assert found == {"n": 10, "keys": 5, "kept": 0}
