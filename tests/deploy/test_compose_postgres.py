"""The Compose installation's databases on a real PostgreSQL: roles with what they need and no more."""

import os
import subprocess

import dagster as dg
import pytest
import sqlalchemy as sa

from deploy.compose import setup
from resources.inbox import Delivery, Inbox
from tests.deploy.compose import COMPOSE

PASSWORDS = {"DAGSTER_PG_PASSWORD": "d'\"1", "INBOX_PG_PASSWORD": "i", "RECEIVER_PG_PASSWORD": "r"}


@pytest.fixture(scope="module")
def made(postgres):
    """Address of a server on which roles.sql was run, twice."""
    url = sa.engine.make_url(postgres.url())
    command = ["psql", "-X", "-q", "-h", url.host, "-p", str(url.port), "-U", url.username, "-d", "postgres"]
    for _ in range(2):
        done = subprocess.run(
            [*command, "-f", COMPOSE / "postgres/roles.sql"],
            env={**os.environ, **PASSWORDS}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    return url


def address(url, role, database):
    return url.set(username=role, database=database).render_as_string(hide_password=False)


def refused(engine, sql):
    with (
        engine.connect() as connection,
        pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner"),
    ):
        connection.execute(sa.text(sql))


def test_the_receiver_adds_deliveries_and_can_do_nothing_else(made):
    Inbox(address(made, "reefline_inbox", "inbox")).writable()
    inbox = Inbox(address(made, "reefline_receiver", "inbox"))
    inbox.writable()
    body = {"event": "update:job", "job": {"id": 1}, "webhook_id": 1}
    assert inbox.insert(Delivery("update:job", body)) is True
    engine = sa.create_engine(address(made, "reefline_receiver", "inbox"))
    for sql in ("DELETE FROM deliveries", "DROP TABLE deliveries", "TRUNCATE deliveries", "CREATE TABLE mine (a int)"):
        refused(engine, sql)
    owner = sa.create_engine(address(made, "reefline_inbox", "inbox"))
    with owner.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM deliveries")).scalar() == 1


@pytest.mark.parametrize(
    ("role", "database"),
    [("reefline_receiver", "dagster"), ("reefline_inbox", "dagster"), ("reefline_dagster", "inbox")],
)
def test_a_role_has_no_way_into_the_other_database(made, role, database):
    with pytest.raises(sa.exc.OperationalError, match="permission denied for database"):
        sa.create_engine(address(made, role, database)).connect()


def test_no_role_of_ours_is_more_than_an_ordinary_one(made):
    with sa.create_engine(made).connect() as connection:
        rows = connection.execute(
            sa.text("SELECT rolname, rolsuper, rolcreatedb, rolcreaterole, rolpassword LIKE 'SCRAM-SHA-256%'"
                    " FROM pg_authid WHERE rolname LIKE 'reefline\\_%' ORDER BY 1")
        ).all()  # fmt: skip
    assert [tuple(row) for row in rows] == [
        (name, False, False, False, True) for name in ("reefline_dagster", "reefline_inbox", "reefline_receiver")
    ]


@pytest.fixture
def environment(made, tmp_path, monkeypatch):
    """The variables that Compose gives the service setup."""
    text = (COMPOSE / "dagster.yaml").read_text(encoding="utf-8")
    (tmp_path / "dagster.yaml").write_text(text.replace("/opt/reefline/dagster/storage", str(tmp_path)), "utf-8")
    values = {
        "DAGSTER_HOME": str(tmp_path), "DAGSTER_PG_HOST": made.host, "DAGSTER_PG_PORT": str(made.port),
        "DAGSTER_PG_DB": "dagster", "DAGSTER_PG_USER": "reefline_dagster",
        "DAGSTER_PG_PASSWORD": PASSWORDS["DAGSTER_PG_PASSWORD"],
        "REEFLINE_INBOX_URL": address(made, "reefline_inbox", "inbox"), "DEPLOY_POOLS": "gpu=3 cvat_api=2",
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_dagster_keeps_its_tables_in_postgres_with_the_rights_of_its_role(environment):
    with dg.DagsterInstance.get() as instance:
        assert instance.get_runs_count() == 0
        assert instance.run_monitoring_enabled


def test_setup_makes_the_inbox_and_sets_the_pools_limits_as_often_as_one_likes(environment):
    assert setup.main() == 0
    assert setup.main() == 0
    with dg.DagsterInstance.get() as instance:
        limits = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
    assert limits == {"gpu": 3, "cvat_api": 2}


def test_setup_says_in_one_line_what_is_wrong(environment, monkeypatch, capsys):
    monkeypatch.setenv("REEFLINE_INBOX_URL", "postgresql+psycopg2://nobody@127.0.0.1:1/inbox")
    assert setup.main() == 2
    said = capsys.readouterr().err
    assert said.startswith("setup: ")
    assert said.count("\n") == 1
