"""Where data is kept: object store, inbox, databases and their migrations, ClickHouse."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import httpx
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from analytics.migrate import MigrationError, missing
from orchestration.doctor.findings import SECONDS, Finding, Level, one_line
from resources.clickhouse import ClickHouse, ClickHouseUnavailable
from resources.inbox import Inbox
from resources.inbox.engine import make_engine, missing_parts
from resources.object_store import ObjectStore, S3Store, StoreError
from resources.version_record import WrongVersionError, recorded, refuse_older

PROBE = "probes/doctor"
PRESIGNED_S = 60


def check_store(store: ObjectStore) -> Iterator[Finding]:
    """The object store takes a write and gives it back, also by a presigned address where it has such."""
    from botocore.exceptions import BotoCoreError, ClientError

    data = secrets.token_bytes(32)
    try:
        store.put(PROBE, data)
        same = store.get(PROBE) == data
        presigned = _by_address(store, data) if isinstance(store, S3Store) else ""
    except (StoreError, OSError, BotoCoreError, ClientError, httpx.HTTPError) as error:
        fix = "check REEFLINE_STORE_URL, the disk or bucket, and the rights on it (AWS_... variables)"
        yield Finding("object store", Level.FAIL, f"{store.url}: {one_line(error)}", fix)
        return
    if not same:
        fix = "the store gives back other bytes than were written: check the disk"
        yield Finding("object store", Level.FAIL, f"{store.url}: written, and read otherwise", fix)
    elif presigned:
        fix = "check AWS_ENDPOINT_URL and the clock; CVAT and browsers read pictures by such addresses"
        yield Finding("object store", Level.FAIL, f"{store.url}: a presigned address {presigned}", fix)
    else:
        yield Finding("object store", Level.OK, f"{store.url}: written and read")


def _by_address(store: S3Store, data: bytes) -> str:
    """What is wrong with presigned addresses, empty when they work."""
    answer = httpx.get(store.presigned(PROBE, PRESIGNED_S), timeout=SECONDS)
    if answer.status_code != httpx.codes.OK:
        return f"is answered with {answer.status_code}"
    same = hashlib.sha256(answer.content).digest() == hashlib.sha256(data).digest()
    return "" if same else "gives other bytes"


def check_version(store: ObjectStore) -> Iterator[Finding]:
    """The installed software is of the version that the installation is at; a store that is away is said elsewhere."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = recorded(store)
        refuse_older(store)
    except WrongVersionError as error:
        yield Finding("version", Level.FAIL, str(error), "install that version here, or restore the set that is named")
        return
    except (StoreError, OSError, BotoCoreError, ClientError):
        return
    if found is None:
        return
    own = version("reefline")
    if found.unfinished:
        text = f"an upgrade to {found.version} broke off at {found.unfinished}: nothing starts until it is through"
        yield Finding("version", Level.FAIL, text, "reefline upgrade")
    elif found.version != own:
        text = f"here is reefline {own}, the databases are those of {found.version}"
        yield Finding("version", Level.WARN, text, "stop everything, then: reefline upgrade")
    else:
        yield Finding("version", Level.OK, f"reefline {own}")


def check_inbox(inbox: Inbox) -> Iterator[Finding]:
    """The inbox's database answers, has all its tables, takes writes, and no dead letters lie in it."""
    try:
        lacking = missing_parts(make_engine(inbox.url))
        if lacking and not _empty(lacking):
            text = f"{inbox.place} is of an earlier version: it lacks {', '.join(lacking[:3])}"
            yield Finding("inbox", Level.FAIL, text, "reefline upgrade")
            return
        inbox.writable()
        counts = inbox.counts()
    except SQLAlchemyError as error:
        fix = "check REEFLINE_INBOX_URL, and whether the database runs and its disk has room"
        yield Finding("inbox", Level.FAIL, f"{inbox.place}: {one_line(error)}", fix)
        return
    yield Finding("inbox", Level.OK, f"{inbox.place}: {sum(counts.values())} rows")
    dead = sum(number for (_, state), number in counts.items() if state == "dead")
    if dead:
        yield Finding("dead letters", Level.WARN, f"{dead} rows need a person", "reefline inbox list; then replay")
    healed = sum(number for (source, _), number in counts.items() if source == "reconcile")
    if healed:
        text = f"{healed} events of {sum(counts.values())} came by no webhook and were healed"
        yield Finding("lost events", Level.WARN, text, "see the webhook findings for why")


def _empty(lacking: list[str]) -> bool:
    """Nothing is there yet: a new installation, which makes its tables on first use."""
    return "deliveries" in lacking


def check_dagster_database(home: Path, url: str) -> Iterator[Finding]:
    """Dagster's database answers, and its tables are those of the installed version."""
    files = [home / "history" / "runs.db", home / "history" / "runs" / "index.db", home / "schedules" / "schedules.db"]
    places = [url] if url else [f"sqlite:///{path}" for path in files if path.is_file()]
    if not places:
        fix = "start the installation once: reefline up"
        yield Finding("Dagster's database", Level.WARN, f"there is none yet in {home}", fix)
        return
    shown = sa.engine.make_url(url).render_as_string(hide_password=True) if url else f"SQLite in {home}"
    try:
        old = [found for place in places if (found := _behind(place))]
    except SQLAlchemyError as error:
        fix = "is Postgres up, and is REEFLINE_DAGSTER_URL its address?"
        yield Finding("Dagster's database", Level.FAIL, f"{shown}: {one_line(error)}", fix)
        return
    if old:
        text = f"{shown} is at revision {old[0][0]}, this version needs {old[0][1]}"
        yield Finding("Dagster's database", Level.FAIL, text, "reefline upgrade")
    else:
        yield Finding("Dagster's database", Level.OK, shown)


def _behind(url: str) -> tuple[str, str] | None:
    """Revision of a database and the newest one, where these differ."""
    from importlib.resources import files

    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    # All of Dagster's databases share one line of migrations.
    head = ScriptDirectory(str(files("dagster") / "_core" / "storage" / "alembic")).get_current_head()
    options = {} if url.startswith("sqlite") else {"connect_timeout": int(SECONDS)}
    engine = sa.create_engine(url, connect_args=options)
    try:
        with engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
    return None if found == head else (found or "none", head or "none")


def check_cvat_database(url: str) -> Iterator[Finding]:
    """CVAT's own database answers and is CVAT's; nothing is said where backups are not told of it."""
    if not url:
        return
    fix = "correct REEFLINE_CVAT_DATABASE_URL (postgresql://user:password@host/cvat): backups lack it until then"
    try:
        engine = sa.create_engine(url, connect_args={"connect_timeout": int(SECONDS)})
        shown = engine.url.render_as_string(hide_password=True)
        try:
            found = sa.inspect(engine).has_table("engine_task")
        finally:
            engine.dispose()
    except (SQLAlchemyError, TypeError, ValueError) as error:  # away; of another kind; no address
        yield Finding("CVAT's database", Level.FAIL, one_line(error), fix)
        return
    if found:
        yield Finding("CVAT's database", Level.OK, f"{shown}: in every backup")
    else:
        yield Finding("CVAT's database", Level.FAIL, f"{shown} is not CVAT's: it has no table engine_task", fix)


def check_clickhouse(clickhouse: ClickHouse) -> Iterator[Finding]:
    """ClickHouse answers and its tables are those of this version."""
    shown = sa.engine.make_url(clickhouse.url).render_as_string(hide_password=True)
    try:
        with clickhouse.session() as session:
            version = session.client.command("SELECT version()")
            applied = session.applied()
            lacking = missing(applied)
    except ClickHouseUnavailable as error:
        fix = "is it up, and is REEFLINE_CLICKHOUSE_URL right? Dashboards wait, nothing is lost"
        yield Finding("ClickHouse", Level.FAIL, f"{shown}: {one_line(error)}", fix)
        return
    except MigrationError as error:
        yield Finding("ClickHouse", Level.FAIL, str(error), "install the version that made it, or restore a backup")
        return
    if lacking and applied:
        text = f"{shown}: {len(lacking)} migrations are missing"
        yield Finding("ClickHouse", Level.FAIL, text, "reefline upgrade")
    else:
        yield Finding("ClickHouse", Level.OK, f"{shown}: version {version}, {len(applied)} migrations")
