"""Dashboards and alert rules: code and files agree, and every query of theirs has an answer."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml

pytest.importorskip("grafana_foundation_sdk", reason="needs the dev extra (grafana-foundation-sdk)")

from grafana_foundation_sdk.models.dashboard import Dashboard

from analytics.alerts import ALERTS
from deploy.grafana.__main__ import files
from deploy.grafana.clickhouse import DATASOURCE_UID, PLUGIN, PLUGIN_VERSION
from tests.deploy.grafana_answers import CVATS, OURS
from tests.deploy.grafana_plugin import Choice, Period, expand

BOARDS = sorted((OURS / "dashboards").glob("*.json"))


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grafana")
    command = [sys.executable, "-m", "tests.deploy.grafana_answers", str(folder / "ch"), str(folder / "out.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "out.json").read_text(encoding="utf-8"))


def named(answer):
    return f"{answer['board']} / {answer['panel']} ({answer.get('choice')})"


def test_the_files_are_what_the_code_makes():
    stale = [path.name for path, text in files().items() if path.read_text(encoding="utf-8") != text]
    assert not stale, f"run 'python -m deploy.grafana': {stale}"
    assert {path.name for path in BOARDS} == {p.name for p in files() if p.suffix == ".json"}, (
        "a dashboard nobody makes"
    )


def test_no_query_is_refused(answers):
    refused = {named(a): a["error"][:600] for a in answers if a["error"]}
    assert not refused, json.dumps(refused, indent=1)


def test_every_panel_variable_and_alert_of_ours_finds_rows(answers):
    empty = [named(a) for a in answers if a["of"] != "cvat's" and a.get("choice") != "one" and not a["count"]]
    assert not empty


def test_cvats_own_dashboards_find_rows_in_our_table_as_they_are(answers):
    if not CVATS.is_dir():
        pytest.skip("needs the reference data beside the repository")
    theirs = [a for a in answers if a["of"] == "cvat's"]
    assert {a["board"] for a in theirs} == {"grafana_all_events", "grafana_management", "grafana_monitoring"}
    assert not [named(a) for a in theirs if a["choice"] == "all" and not a["count"]]


def test_choosing_one_value_narrows_what_is_shown(answers):
    """With one scope, source and person chosen, fewer events are listed than with all."""
    shown = {a["choice"]: a["rows"] for a in answers if a["of"] == "ours" and a["panel"] == "All events"}
    assert len({row["scope"] for row in shown["all"]}) > 1
    assert len({row["scope"] for row in shown["one"]}) <= 1


def by_panel(answers):
    asked = {(a["board"], a["panel"]): a for a in answers if a["of"] == "ours" and a["choice"] == "all"}
    for path in BOARDS:
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            yield path.stem, panel, asked[path.stem, panel["title"]]


def test_series_have_one_time_in_order_and_numbers(answers):
    for board, panel, answer in by_panel(answers):
        if panel["type"] != "timeseries":
            continue
        times = [name for name, kind in zip(answer["columns"], answer["types"], strict=True) if "DateTime" in kind]
        assert times == ["time"], (board, panel["title"], answer["types"])
        moments = [row["time"] for row in answer["rows"]]
        assert moments == sorted(moments), (board, panel["title"])
        assert any(kind.startswith(("UInt", "Int", "Float", "Nullable(F")) for kind in answer["types"])


def test_what_panels_say_of_columns_is_about_columns_they_have(answers):
    for board, panel, answer in by_panel(answers):
        named_ = {o["matcher"]["options"] for o in panel["fieldConfig"]["overrides"] if o["matcher"]["id"] == "byName"}
        named_ |= {panel["options"]["xField"]} if panel["type"] == "barchart" else set()
        assert named_ <= set(answer["columns"]), (board, panel["title"], answer["columns"])


def test_pseudonyms_are_the_default_and_no_panel_then_shows_a_name_or_an_address(answers):
    names = {"tehani", "moana", "louis", "ines"}
    for answer in answers:
        if answer["of"] == "ours":
            cells = {str(cell) for row in answer["rows"] for cell in row.values()}
            assert not cells & names, named(answer)
            assert not any("@reef.example" in cell for cell in cells), named(answer)


def test_alert_rules_give_one_number_a_row_and_fire_for_the_gate_that_nobody_answers(answers):
    values = {}
    for answer in (a for a in answers if a["of"] == "alerts"):
        plain = [kind.removeprefix("LowCardinality(").removeprefix("Nullable(") for kind in answer["types"]]
        assert [kind.startswith("String") for kind in plain] == [True] * (len(plain) - 1) + [False], plain
        assert plain[-1].startswith(("UInt", "Int", "Float"))
        values[answer["panel"]] = [list(row.values()) for row in answer["rows"]]
    firing = {
        alert.name: [row for row in values[f"reefline-{alert.name}"] if float(row[-1]) > alert.above]
        for alert in ALERTS
    }
    assert [row[0] for row in firing["stalled-gate"]] == ["moorea-2026.0007"]
    assert not any(firing[name] for name in ("lost-events", "failed-batch", "dead-daemon"))


def test_every_panel_asks_the_provisioned_source_and_explains_itself():
    for path in BOARDS:
        board = json.loads(path.read_text(encoding="utf-8"))
        assert board["uid"].startswith("reefline-")
        for panel in board["panels"]:
            assert panel["description"], (path.stem, panel["title"])
            for target in panel["targets"]:
                assert target["datasource"] == {"type": PLUGIN, "uid": DATASOURCE_UID}
        places = [tuple(panel["gridPos"].get(key, 0) for key in "xywh") for panel in board["panels"]]
        assert all(x + w <= 24 for x, _, w, _ in places)
        assert not overlapping(places), path.stem


def overlapping(places):
    return [
        (a, b)
        for i, a in enumerate(places)
        for b in places[i + 1 :]
        if a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
    ]


def test_dashboards_survive_the_sdks_own_reading():
    for path in BOARDS:
        board = json.loads(path.read_text(encoding="utf-8"))
        assert len(Dashboard.from_json(board).panels) == len(board["panels"])


def test_provisioning_names_the_same_source_folder_and_plugin():
    source = yaml.safe_load((OURS / "provisioning/datasources/clickhouse.yaml").read_text(encoding="utf-8"))
    assert (source["datasources"][0]["uid"], source["datasources"][0]["type"]) == (DATASOURCE_UID, PLUGIN)
    assert f"{PLUGIN}@{PLUGIN_VERSION}" in (OURS / "grafana.env").read_text(encoding="utf-8")
    rules = (OURS / "provisioning/alerting/rules.yaml").read_text(encoding="utf-8")
    assert "$" not in rules, "Grafana would take it for an environment variable"
    provider = yaml.safe_load((OURS / "provisioning/dashboards/reefline.yaml").read_text(encoding="utf-8"))
    assert provider["providers"][0]["options"]["path"]


def test_variables_and_macros_expand_as_the_plugin_does():
    from datetime import UTC, datetime, timedelta

    until = datetime(2026, 11, 21, tzinfo=UTC)
    period = Period(until - timedelta(seconds=60_000), until)
    some = {"ids": Choice(("1", "2")), "survey": Choice(("reef",), multi=False)}
    every = {"ids": Choice(("1", "2"), everything=True, all_value="-1"), "survey": Choice((), False, True, "*")}
    sql = "$__conditionalAll(f(a, b) IN (${ids:singlequote}), $ids) AND '${survey}' AND (-1 IN (${ids}))"
    assert expand(sql, some, period) == "f(a, b) IN ('1','2') AND 'reef' AND (-1 IN ('1','2'))"
    assert expand(sql, every, period) == "1=1 AND '*' AND (-1 IN (-1))"
    assert expand("$__timeInterval(t)", {}, period) == "toStartOfInterval(toDateTime(t), INTERVAL 60 second)"
    since, to = int(period.since.timestamp()), int(until.timestamp())
    assert expand("$__timeFilter(t)", {}, period) == f"t >= toDateTime({since}) AND t <= toDateTime({to})"
    assert expand("toDate($__fromTime)", {}, period) == f"toDate(toDateTime({since}))"
