"""``reefline models`` as an ML engineer uses it, and what a survey whose model does not fit is told."""

import json
import shutil
import sys

import pytest

from inference.registry import MODELS, ModelRegistry
from orchestration.cli.main import main

SURVEY = "name: reef\nphotos: {folder: photos}\ntaxonomy: demo-reef\n"
ENTRY = """name: demo-corals
version: {version}
task: coral-segmentation
engine: onnxruntime
file: {file}
labels: [{labels}]
input_px: 640
licence: MIT
trained_on: nothing
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "surveys").mkdir()
    (tmp_path / "surveys" / "reef.yaml").write_text(SURVEY)
    shutil.copy(MODELS / ModelRegistry().card("demo-corals").file, tmp_path / "m.onnx")
    return tmp_path


@pytest.fixture
def reefline(home, monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["reefline", *arguments])
        with pytest.raises(SystemExit) as done:
            main()
        said = capsys.readouterr()
        return done.value.code, said.out, said.err

    return run


def entry(home, version="4", labels="Acropora, Pocillopora, Porites, Montipora, Millepora", file="m.onnx"):
    (home / "entry.yaml").write_text(ENTRY.format(version=version, labels=labels, file=file))
    return "entry.yaml"


def refused(answer, text):
    code, _, error = answer
    assert code == 2
    assert text in error
    assert len(error.strip().splitlines()) == 1, error


def test_add_promote_roll_back_and_the_history_of_it(home, reefline):
    code, out, error = reefline("models", "add", entry(home))
    assert code == 0, error
    assert "not promoted, use demo-corals@4" in out
    refused(reefline("models", "promote", "demo-corals@4"), "has not been measured: reefline models evaluate")
    refused(reefline("models", "promote", "demo-corals@4", "--force"), "--force needs --reason")
    refused(reefline("models", "promote", "demo-corals"), "say which version")
    code, out, error = reefline("models", "promote", "demo-corals@4", "--force", "--reason", "field trial")
    assert code == 0, error
    assert "demo-corals is now 4 (before: 3): field trial" in out
    listed = {row["version"]: row for row in json.loads(reefline("models", "list", "--json")[1])}
    assert [listed[v]["promoted"] for v in ("3", "4")] == [False, True]
    assert [listed[v]["origin"] for v in ("3", "4")] == ["shipped", "own"]
    code, out, error = reefline("models", "rollback", "demo-corals", "--reason", "worse on Millepora")
    assert "demo-corals is now 3 (before: 4)" in out, error
    refused(reefline("models", "rollback", "demo-corals"), "no promotion of 'demo-corals' to roll back")
    history = json.loads(reefline("models", "list", "--history", "demo-corals", "--json")[1])
    assert [(e["action"], e["forced"], e["why"]) for e in history] == [
        ("add", False, ""),
        ("promote", True, "field trial"),
        ("rollback", False, "worse on Millepora"),
    ]
    assert all(e["who"] and e["when"] for e in history)
    code, out, _ = reefline("models", "list")
    assert code == 0
    assert "demo-corals@3" in out


def test_what_cannot_be_added_is_one_line(home, reefline):
    refused(reefline("models", "add", "nothing.yaml"), "cannot be read")
    refused(reefline("models", "add", entry(home, file="gone.onnx")), "does not exist")
    refused(reefline("models", "add", entry(home, labels="")), "must list its labels")
    (home / "half.onnx").write_bytes((home / "m.onnx").read_bytes()[:5000])
    refused(reefline("models", "add", entry(home, file="half.onnx")), "was the file cut off?")
    refused(reefline("models", "add", entry(home, labels="Acropora, Porites")), "card lists 2 labels")
    path = home / entry(home)
    path.write_text(path.read_text().replace("input_px: 640", "input_px: 17"))
    refused(reefline("models", "add", path.name), "with 5 labels at 17 px")
    path.write_text(path.read_text() + "metrics: {mAP50: .nan}\n")
    refused(reefline("models", "add", path.name), "metrics must be numbers by name")
    assert [row["origin"] for row in json.loads(reefline("models", "list", "--json")[1])] == ["shipped"] * 4
    refused(reefline("models", "evaluate", "demo-corals@3", "--release", "reef-1"), "has not been made")


def test_a_model_that_does_not_fit_the_taxonomy_is_named_when_the_survey_is_checked(home, reefline):
    code, _, error = reefline("survey", "check")
    assert code == 0, error
    for line, says in [
        ("taxonomy: agnostic", "demo-corals@3 proposes Acropora, "),
        ("models: {corals: demo-coral}", "no model 'demo-coral' in the registry"),
        ("models: {corals: demo-corals@9}", "no model 'demo-corals@9'"),
    ]:
        text = SURVEY.replace("taxonomy: demo-reef", line) if line.startswith("taxonomy") else SURVEY + line + "\n"
        (home / "surveys" / "reef.yaml").write_text(text)
        refused(reefline("survey", "check"), says)
        findings = {f["what"]: f for f in json.loads(reefline("doctor", "--json")[1])}
        assert says in findings["model of reef"]["text"]
        assert findings["model of reef"]["level"] == "fail"


def test_a_survey_is_checked_where_the_store_is_out_of_reach(reefline, monkeypatch):
    monkeypatch.setenv("REEFLINE_STORE_URL", "s3://reef")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    code, out, error = reefline("survey", "check")
    assert code == 0, error
    assert "ok (reef" in out
    assert "checked against the shipped models only" in error


def test_the_doctor_verifies_the_weights_that_surveys_use(home, reefline):
    reefline("models", "add", entry(home))
    reefline("models", "promote", "demo-corals@4", "--force", "--reason", "trial")
    findings = {f["what"]: f for f in json.loads(reefline("doctor", "--json")[1])}
    assert findings["models"]["level"] == "ok"
    assert "demo-corals@4#" in findings["models"]["text"]
    [weights] = (home / ".reefline" / "store" / "models" / "weights").iterdir()
    weights.write_bytes(weights.read_bytes()[:1000])
    findings = {f["what"]: f for f in json.loads(reefline("doctor", "--json")[1])}
    assert findings["models"]["level"] == "fail"
    assert "it was cut off" in findings["models"]["text"]
