"""The analytics assets on a real embedded ClickHouse, over a small installation."""

import json
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def refreshed(tmp_path_factory):
    """What the tables and the questions say after each of three refreshes: nothing there yet, filled, once more."""
    folder = tmp_path_factory.mktemp("installation")
    command = [sys.executable, "-m", "tests.assets.analytics_refresh", str(folder / "home")]
    (folder / "home").mkdir()
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_an_installation_in_which_nothing_has_happened_yet_is_refreshed_without_a_failure(refreshed):
    empty = refreshed[0]
    assert not any(empty["counts"].values()), empty["counts"]
    assert len(empty["checks"]) == 6
    assert not empty["answers"]["throughput"]


def test_every_table_is_filled_and_filling_again_doubles_nothing(refreshed):
    _, first, second = refreshed
    assert all(first["counts"].values()), first["counts"]
    assert {k: v for k, v in first["counts"].items()} == second["counts"]
    assert first["counts"]["images"] == 9 * 4


def test_the_checks_pass_and_every_delivery_and_event_is_accounted_for(refreshed):
    _, _, second = refreshed
    assert len(second["checks"]) == 6
    assert second["checks"]["analytics/worktime:worktime_is_cvats"]
    assert all(second["checks"].values()), second["checks"]


def test_the_answers_say_how_long_a_reef_takes(refreshed):
    answers = refreshed[2]["answers"]
    [throughput] = answers["throughput"]
    hours = (20 * 30 + 1) / 3600  # 21 events every 30 s, the last one lasts a second
    assert throughput["hours"] == pytest.approx(hours, abs=0.006)
    assert throughput["pictures"] == 4
    assert throughput["objects"] == 8
    assert throughput["minutes_per_picture"] == pytest.approx(60 * hours / 4, abs=0.02)
    [per_class] = answers["time_per_class"]
    assert (per_class["class"], per_class["touched"]) == ("Porites", 4)
    assert per_class["seconds_per_touched_object"] == pytest.approx(3600 * hours / 4, abs=0.2)


def test_the_answers_say_who_waits_for_whom_and_which_model_was_used(refreshed):
    answers = refreshed[2]["answers"]
    [waiting] = answers["queue"]
    assert (waiting["batch"], waiting["gate"], waiting["waits_for"]) == ("reef.0002", "corners", "ann")
    [model] = answers["models"]
    assert (model["model_version"], model["accepted_share"], model["proposals"]) == ("m@1#abc", 1.0, 2)
    [person] = answers["people_quality"]
    assert (person["person"], person["measure"], person["mean_value"]) == ("ann", "accuracy", 0.7)


def test_the_platforms_own_runs_are_there_the_second_time(refreshed):
    runs = {row["job"]: row for row in refreshed[2]["answers"]["runs"]}
    assert runs["refresh_analytics"]["runs"] >= 1
    assert any(row["stage"].startswith("analytics/") for row in refreshed[2]["answers"]["stage_latency"])
