"""Loading events into ClickHouse: each once, whatever way and however often it comes.

Events land in a temporary table, where each gets its key. Those that are not in ``events`` yet go on in one INSERT;
so a load that was cut off can simply be done again. Two loads at the same moment could still both find an event new:
the table's engine makes one of the two when it merges.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from analytics.events import COLUMNS, LANDING, Reject
from resources.clickhouse import Session
from resources.settings import Settings, SettingsError

Way = Literal["sink", "export", "database", "file"]

_TYPES: Final = (
    "scope LowCardinality(String), obj_name Nullable(String), obj_id Nullable(UInt64), obj_val Nullable(String), "
    "source LowCardinality(String), timestamp DateTime64(3, 'UTC'), count Nullable(UInt32), duration UInt32, "
    "project_id Nullable(UInt64), task_id Nullable(UInt64), job_id Nullable(UInt64), user_id Nullable(UInt64), "
    "user_name LowCardinality(Nullable(String)), user_email LowCardinality(Nullable(String)), "
    "org_id Nullable(UInt64), org_slug LowCardinality(Nullable(String)), payload Nullable(String), "
    "access_token_id Nullable(UInt64)"
)
_TEXTS: Final = ("obj_name", "obj_val", "payload")
"""Columns in which an e-mail address may be."""
_ADDRESS: Final = r"[\\w.+-]+@[\\w-]+[\\w.-]*\\.\\w+"


def _without_addresses(text: str) -> str:
    """SQL for a text that holds an e-mail address."""
    return f"replaceRegexpAll({text}, '{_ADDRESS}', '(e-mail removed)')"


def _key(*, addresses: bool) -> str:
    """SQL for the key of an event, as ``key_in`` in analytics/schema/0008_key_of_kept_texts.sql.

    It is the same whatever happens to addresses.

    Args:
        addresses: texts may hold some; otherwise they are not searched.
    """
    texts = {name: f"cityHash64(ifNull({name}, ''))" for name in _TEXTS}
    if addresses:
        for name, plain in texts.items():
            text = f"ifNull({name}, '')"
            texts[name] = f"if(position({text}, '@') = 0, {plain}, cityHash64({_without_addresses(text)}))"
    return (
        f"cityHash64({texts['obj_name']}, ifNull(obj_id, 0), {texts['obj_val']}, source, ifNull(count, 0), duration, "
        "ifNull(project_id, 0), ifNull(task_id, 0), ifNull(job_id, 0), ifNull(user_id, 0), "
        f"{texts['payload']})"
    )


_REPEATED: Final = ("scope", "source", "user_name", "user_email", "org_slug")
"""Columns of few values: sent as a dictionary they are read several times faster."""
_INSERT_SETTINGS: Final = "SETTINGS optimize_on_insert = 0, min_insert_block_size_rows = 250000"
"""Nothing is left to collapse, and several threads sort and compress a block each."""
_LANDING_SETTINGS: Final = {"min_insert_block_size_rows": 0, "min_insert_block_size_bytes": 0}
"""Blocks stay as small as they come: several threads share them."""
_THEN: Final = "timestamp BETWEEN (SELECT min(timestamp) FROM landing) AND (SELECT max(timestamp) FROM landing)"
_KNOWN: Final = f"""
INSERT INTO known
SELECT scope, timestamp, content_key FROM events
WHERE {_THEN} AND content_key IN (SELECT content_key FROM landing)
"""  # noqa: S608 - constants of this module
_GONE: Final = "user_id IS NOT NULL AND user_id IN (SELECT user_id FROM forgotten)"
_FRESH: Final = f"NOT ({_GONE}) AND (scope, timestamp, content_key) NOT IN (SELECT * FROM known)"  # noqa: S608
# Counted by a hash, which is quicker: among a million events two share one in 1 of 37 million loads.
_FACTS: Final = f"""
SELECT
    count() AS n, countIf({_GONE}) AS gone, uniqExactIf(cityHash64(scope, timestamp, content_key), {_FRESH}) AS fresh,
    minOrNullIf(timestamp, {_FRESH}) AS first, maxOrNullIf(timestamp, {_FRESH}) AS last
FROM landing
"""  # noqa: S608 - constants of this module
_PEOPLE: Final = f"""
INSERT INTO people
SELECT id, name, if(p.pseudonym = '', concat('P-', upper(leftPad(hex(rand64() % 1048576), 5, '0'))), p.pseudonym), seen
FROM
(
    SELECT assumeNotNull(user_id) AS id, argMax(ifNull(user_name, ''), timestamp) AS name, max(timestamp) AS seen
    FROM landing WHERE user_id IS NOT NULL AND NOT ({_GONE}) AND ifNull(user_name, '') != ''
    GROUP BY id
) AS f
LEFT JOIN (SELECT * FROM people FINAL) AS p ON p.user_id = f.id
WHERE p.user_id = 0 OR (p.user_name != f.name AND p.seen_at < f.seen)
"""  # noqa: S608 - constants of this module


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """What happens to e-mail addresses: ``keep``, ``hash`` (HMAC-SHA256 with ``key``, 16 digits), ``drop``."""

    emails: Literal["keep", "hash", "drop"] = "drop"
    key: str = field(default="", repr=False)

    @classmethod
    def of(cls, settings: Settings) -> LoadSettings:
        """As the installation wants it.

        Raises:
            SettingsError: addresses are to be hashed and there is no key.
        """
        key = settings.privacy_key.get_secret_value()
        if settings.event_emails == "hash" and not key:
            raise SettingsError("REEFLINE_EVENT_EMAILS=hash needs REEFLINE_PRIVACY_KEY, any long random text")
        return cls(settings.event_emails, key)

    def hashed(self, email: str) -> str:
        """What stands for an address."""
        return hmac.new(self.key.encode(), email.strip().lower().encode(), hashlib.sha256).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of what came in: ``received`` = inserted + duplicates + rejected + forgotten."""

    received: int = 0
    inserted: int = 0
    duplicates: int = 0
    rejected: int = 0
    forgotten: int = 0

    def __add__(self, other: Loaded) -> Loaded:
        """Both together."""
        return Loaded(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    def summary(self) -> str:
        """For people."""
        more = f", {self.forgotten} of people who asked to be forgotten" if self.forgotten else ""
        return (
            f"{self.received} received: {self.inserted} new, {self.duplicates} known already, "
            f"{self.rejected} rejected{more}"
        )


def load_events(
    session: Session,
    events: pa.Table | str,
    way: Way,
    source: str,
    settings: LoadSettings | None = None,
    *,
    rejects: Sequence[Reject] = (),
    run_id: str = "",
) -> Loaded:
    """Bring events into the database, and keep what was rejected on the way.

    Args:
        session: of a database whose schema is up to date.
        events: a table of ``analytics.events.LANDING``; or a SELECT of these columns, when they are there already.
        way: by which they come.
        source: segment, file or export they come from.
        settings: about e-mail addresses.
        rejects: what could not become an event.
        run_id: of Dagster, for the ledger.

    Raises:
        ClickHouseRefused: the database is full, read-only or older than this code; nothing is half loaded.
        ClickHouseUnavailable: it went away; load the same again.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    with session.explained():
        addresses = _land(session, events)
        _look_up(session)
        facts = session.query(_FACTS).to_pylist()[0]
        if facts["fresh"]:
            values = _values(session, settings or LoadSettings(), addresses=addresses)
            _insert(session, way, values, plain=facts["fresh"] == facts["n"])
        duplicates = facts["n"] - facts["gone"] - facts["fresh"]
        loaded = Loaded(facts["n"] + len(rejects), facts["fresh"], duplicates, len(rejects), facts["gone"])
        _keep_rejects(session, rejects, way, source)
        ledger = {
            "load_id": uuid.uuid4().hex, "way": way, "source": source, "started_at": started,
            "seconds": time.monotonic() - clock, "first_event": facts["first"], "last_event": facts["last"],
            "run_id": run_id, **{name: getattr(loaded, name) for name in Loaded.__slots__},
        }  # fmt: skip
        session.insert("event_loads", pa.Table.from_pylist([ledger], schema=_LEDGER))
        for table in ("landing", "known"):
            session.command(f"DROP TEMPORARY TABLE IF EXISTS {table}")
    return loaded


_MOMENT = pa.timestamp("ms", "UTC")
_LEDGER = pa.schema(
    [("load_id", pa.string()), ("way", pa.string()), ("source", pa.string()), ("started_at", _MOMENT),
     ("seconds", pa.float64()), ("received", pa.uint64()), ("rejected", pa.uint64()), ("forgotten", pa.uint64()),
     ("duplicates", pa.uint64()), ("inserted", pa.uint64()), ("first_event", _MOMENT), ("last_event", _MOMENT),
     ("run_id", pa.string())]
)  # fmt: skip
_REJECTS = pa.schema(
    [("at", _MOMENT), ("way", pa.string()), ("source", pa.string()), ("place", pa.uint64()), ("reason", pa.string()),
     ("line", pa.string())]
)  # fmt: skip


def _land(session: Session, events: pa.Table | str) -> bool:
    """Put events into the table ``landing``; whether a text of theirs may hold an e-mail address."""
    for table in ("landing", "known"):
        session.command(f"DROP TEMPORARY TABLE IF EXISTS {table}")
    addresses = isinstance(events, str) or any(_has_at_sign(events[name]) for name in _TEXTS)
    session.command(
        f"CREATE TEMPORARY TABLE landing ({_TYPES}, content_key UInt64 MATERIALIZED {_key(addresses=addresses)}) "
        "ENGINE = Memory"
    )
    if isinstance(events, str):
        session.command(f"INSERT INTO landing ({', '.join(COLUMNS)}) {events}")
        return addresses
    table = events.cast(LANDING)
    for name in _REPEATED:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table[name].dictionary_encode())
    said = [name for name in table.column_names if table[name].null_count < table.num_rows]
    session.insert("landing", table.select(said), _LANDING_SETTINGS)
    return addresses


def _has_at_sign(texts: pa.ChunkedArray) -> bool:
    return bool(pc.any(pc.match_substring(texts, "@")).as_py())


def _look_up(session: Session) -> None:
    """Which of them are there already. Most loads go on where the one before ended, and there is nothing to find."""
    session.command(
        "CREATE TEMPORARY TABLE known (scope LowCardinality(String), timestamp DateTime64(3, 'UTC'), "
        "content_key UInt64) ENGINE = Memory"
    )
    if session.value(f"SELECT 1 FROM events WHERE {_THEN} LIMIT 1"):  # noqa: S608 - a constant of this module
        session.command(_KNOWN)


def _values(session: Session, settings: LoadSettings, *, addresses: bool) -> dict[str, str]:
    """What is kept of each column, as SQL; ``addresses``: texts may hold e-mail addresses."""
    values = {name: name for name in COLUMNS}
    if settings.emails != "keep":
        for name in _TEXTS if addresses else ():
            without = _without_addresses(f"assumeNotNull({name})")
            values[name] = f"if({name} IS NOT NULL AND position({name}, '@') > 0, {without}, {name})"
        values["user_email"] = "NULL" if settings.emails == "drop" else _hashed_emails(session, settings)
    return values


def _insert(session: Session, way: Way, values: Mapping[str, str], *, plain: bool) -> None:
    """Put what is fresh into ``events``; ``plain``: all that has landed is, and nothing twice."""
    session.command(_PEOPLE)
    chosen = "" if plain else f"WHERE {_FRESH} LIMIT 1 BY scope, timestamp, content_key"
    session.command(
        f"INSERT INTO events ({', '.join(COLUMNS)}, key_in, way_in) "  # noqa: S608 - our own names
        f"SELECT {', '.join(values.values())}, content_key, '{way}' FROM landing {chosen} {_INSERT_SETTINGS}"
    )


def _hashed_emails(session: Session, settings: LoadSettings) -> str:
    """An expression for the hash of ``user_email``. The key stays here: ClickHouse logs its queries."""
    found = session.query("SELECT DISTINCT user_email AS email FROM landing WHERE user_email != ''")[
        "email"
    ].to_pylist()
    hashes = {str(email): settings.hashed(str(email)) for email in found}
    if not hashes:
        return "NULL"
    known = ", ".join(_quoted(email) for email in hashes)
    made = ", ".join(_quoted(value) for value in hashes.values())
    return f"transform(ifNull(user_email, ''), [{known}], [{made}], NULL)"


def _quoted(text: str) -> str:
    return "'" + re.sub(r"([\\'])", r"\\\1", text) + "'"


def _keep_rejects(session: Session, rejects: Sequence[Reject], way: Way, source: str) -> None:
    now = datetime.now(UTC)
    rows = [{"at": now, "way": way, "source": source, "place": r.place, "reason": r.reason, "line": r.line}
            for r in rejects]  # fmt: skip
    session.insert("event_rejects", pa.Table.from_pylist(rows, schema=_REJECTS))
