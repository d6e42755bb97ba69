"""Events after backup and restore are still known: by the key they had when they came."""

import json
import subprocess
import sys

from deploy.backup.clickhouse import dump_clickhouse, load_clickhouse
from deploy.backup.shelf import Shelf
from resources.object_store import LocalStore

# ClickHouse inside a process belongs to one folder, so each step has a process of its own.
LOAD = """
import json, sys
from analytics.events import read_lines, table_of
from resources.clickhouse import ClickHouse
from resources.events import load_events
line = {"scope": "change:label", "obj_name": "who", "obj_val": "ana@reef.example.org", "source": "client",
        "timestamp": "2026-06-01T07:00:00Z", "user_id": 7, "user_name": "ana", "payload": "{}"}
with ClickHouse(sys.argv[1]).session() as session:
    session.migrate()
    events, rejects = read_lines(json.dumps([line]).encode())
    loaded = load_events(session, table_of(events), "sink", "test", rejects=rejects)
    row = session.query("SELECT obj_val, toString(content_key) AS k, way FROM events").to_pylist()
    print(json.dumps([loaded.inserted, loaded.duplicates, row]))
"""


def load(url: str) -> list:
    done = subprocess.run([sys.executable, "-c", LOAD, url], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_an_event_whose_address_was_removed_is_known_after_a_restore(tmp_path):
    shelf = Shelf(LocalStore(tmp_path / "shelf"))
    before, after = (f"chdb://{tmp_path / name}" for name in ("before", "after"))
    inserted, _, first = load(before)
    assert inserted == 1
    assert "@" not in str(first[0]["obj_val"])
    (tmp_path / "out").mkdir()
    (tmp_path / "in").mkdir()
    part = dump_clickhouse(shelf, before, tmp_path / "out")
    load_clickhouse(shelf, part, after, tmp_path / "in")
    assert load(after) == [0, 1, first]
