"""What an inbox keeps: over processes, writers, locks and versions."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy.exc import SQLAlchemyError

from resources.inbox import Inbox
from resources.inbox.letters import letter
from tests.resources.told import TASK, collect, deliver, job, loses_nothing_under_load, to


def test_rows_survive_a_new_process(tmp_path):
    url = f"sqlite:///{tmp_path / 'inbox.db'}"
    first = Inbox(url)
    first.register_review("reef.0001", "corners", TASK, None, [job()])
    first.insert(to("completed", 2))
    assert collect(Inbox(url)) == 1
    assert first.reviews()[0].state == "collected"


def test_many_writers_and_one_reader_lose_nothing(tmp_path):
    loses_nothing_under_load(f"sqlite:///{tmp_path / 'inbox.db'}")


def test_a_locked_database_is_told_and_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("resources.inbox.engine.BUSY_S", 0)
    inbox = Inbox(f"sqlite:///{tmp_path / 'inbox.db'}")
    inbox.register_review("reef.0001", "corners", TASK, None, [job()])
    with closing(sqlite3.connect(tmp_path / "inbox.db", isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(Exception, match="locked"):
            inbox.insert(to("completed", 2))
        with pytest.raises(Exception, match="locked"):
            inbox.writable()
        other.execute("rollback")
    inbox.writable()
    assert inbox.insert(to("completed", 2)), "the failed try left nothing behind"


def test_watermarks_are_kept(tmp_path):
    url = f"sqlite:///{tmp_path / 'inbox.db'}"
    assert Inbox(url).watermark("jobs") is None
    for value in ("1", "2"):
        Inbox(url).set_watermark("jobs", value)
    assert Inbox(url).watermark("jobs") == "2"


def test_an_inbox_of_an_earlier_version_gets_the_new_columns_and_keeps_its_rows(tmp_path):
    path = tmp_path / "inbox.db"
    with closing(sqlite3.connect(path)) as old, old:
        old.execute(
            "CREATE TABLE deliveries (id INTEGER PRIMARY KEY, received_at DATETIME NOT NULL, source VARCHAR(16), "
            "event VARCHAR(64) NOT NULL, webhook_id INTEGER, task_id INTEGER, job_id INTEGER, path TEXT NOT NULL, "
            "query TEXT NOT NULL, body TEXT NOT NULL, dedupe_key VARCHAR(64) UNIQUE, state VARCHAR(16) NOT NULL, "
            "reason TEXT, run_id VARCHAR(64), processed_at DATETIME)"
        )
        old.execute(
            "INSERT INTO deliveries VALUES (1, '2026-05-01 08:00:00.000000', 'webhook', 'ping', 1, NULL, NULL, '', '', "
            "'{}', 'k', 'ignored', NULL, NULL, NULL)"
        )
    inbox = Inbox(f"sqlite:///{path}")
    assert letter(inbox, 1).replays == 0
    inbox.register_review("reef.0001", "corners", TASK, None, [job()])
    assert collect(inbox) == 0


def test_several_deliveries_are_kept_at_once_and_each_hears_whether_it_was_new(inbox):
    first, second = to("completed", 2), to("in progress", 1)
    assert inbox.insert_many([first, second, first]) == [True, True, False]
    assert inbox.insert_many([second, to("rejected", 3)]) == [False, True]
    assert sum(inbox.counts().values()) == 3


def test_a_refusal_of_the_database_is_no_duplicate(tmp_path, inbox):
    inbox.writable()
    with closing(sqlite3.connect(tmp_path / "inbox.db")) as other, other:
        other.execute("CREATE TRIGGER no BEFORE INSERT ON deliveries BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(SQLAlchemyError):
        inbox.insert(to("completed", 2))


def test_the_last_id_counts_every_row(review):
    before = review.last_id()
    deliver(review, to("in progress", 1))
    assert review.last_id() > before
