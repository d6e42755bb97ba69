"""The documentation: its commands run, its links lead somewhere, its reference is what the code says."""

import importlib.util
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
WRITTEN = [page for page in PAGES if page.parent.name != "reference"]
MARK = re.compile(r"<!-- (runs|runs in a checkout|run by [\w/.]+|not run: [^>]+) -->\n```sh\n(.*?)\n```", re.S)


def ids(page):
    return page.relative_to(DOCS).as_posix()


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("docs_reference", DOCS / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["settings.md", "survey.md", "cli.md", "assets.md"])
def test_reference_pages_are_what_the_code_says(reference, name):
    assert (DOCS / "reference" / name).read_text(encoding="utf-8") == reference.PAGES[name](), "run 'make reference'"


@pytest.mark.parametrize("page", WRITTEN, ids=ids)
def test_every_block_of_commands_says_whether_it_is_run(page):
    if page.name == "analytics.md":
        pytest.skip("its commands need a ClickHouse with data; tests/analytics runs them")
    text = page.read_text(encoding="utf-8")
    assert text.count("```sh\n") == len(MARK.findall(text))
    for mark, _ in MARK.findall(text):
        for file in re.findall(r"tests/[\w/]+\.py", mark):
            assert (ROOT / file).is_file(), f"{page.name}: {file}"


def marked(*kinds):
    return [
        pytest.param(script, id=f"{ids(page)}-{number}")
        for page in WRITTEN
        for number, (mark, script) in enumerate(MARK.findall(page.read_text(encoding="utf-8")))
        if mark in kinds
    ]


def run(script, folder):
    """A block of commands in a folder; ``reefline`` in this process, which has it loaded already."""
    gathered = []
    lines = [*script.splitlines(), ""]
    for line in lines:
        if line.startswith("reefline ") or line == lines[-1]:
            if any(text.strip() for text in gathered):
                done = subprocess.run(
                    ["bash", "-euc", "\n".join(gathered)],
                    cwd=folder,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=60,
                )
                assert done.returncode == 0, done.stderr
            gathered = []
            if line.startswith("reefline "):
                reefline(line.partition(" #")[0], folder)
        else:
            gathered.append(line)


def reefline(line, folder):
    from deploy.cli.commands import app as deploy
    from orchestration.cli.main import app

    command, _, target = line.partition(" > ")
    words = shlex.split(command)[1:]
    done = CliRunner().invoke(deploy if words[0] == "deploy" else app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    if target:
        (folder / target.strip()).write_text(done.output, encoding="utf-8")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith("REEFLINE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("script", marked("runs"))
def test_commands_of_the_pages_run_as_they_stand(script, folder):
    run(script, folder)


@pytest.mark.parametrize("script", marked("runs in a checkout"))
def test_commands_that_need_a_checkout_run_in_one(script, folder):
    from tests.deploy.compose import checkout

    checkout(folder)
    run(script, folder)


def anchors(text):
    found = set()
    for title in re.findall(r"(?m)^#+ (.+)$", text):
        plain = re.sub(r"[^\w\s-]", "", title.lower()).strip()
        found.add(re.sub(r"[\s]+", "-", plain))
    return found


@pytest.mark.parametrize("page", [*PAGES, ROOT / "SECURITY.md"], ids=lambda page: page.name)
def test_links_and_pictures_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{page.name}: {link}"


def test_every_page_is_in_the_navigation_and_nothing_else():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))

    def files(nodes):
        for node in nodes:
            for value in node.values():
                yield from files(value) if isinstance(value, list) else [value]

    assert sorted(files(config["nav"])) == sorted(ids(page) for page in PAGES)


def test_metrics_and_alerts_that_the_pages_name_are_those_there_are():
    name = re.compile(r"\breefline_[a-z_]+\b")
    code = [ROOT / "sensors" / "receiver" / "metrics.py", ROOT / "sensors" / "sink" / "app.py"]
    made = {found for file in code for found in name.findall(file.read_text(encoding="utf-8"))}
    assert set(name.findall((DOCS / "how-to" / "watch-over.md").read_text(encoding="utf-8"))) == made
    rules = yaml.safe_load((ROOT / "deploy/grafana/provisioning/alerting/rules.yaml").read_text(encoding="utf-8"))
    count = sum(len(group["rules"]) for group in rules["groups"])
    words = {4: "four", 5: "five", 6: "six", 7: "seven"}
    assert f"{words[count]} alert rules" in (DOCS / "dashboards.md").read_text(encoding="utf-8")


def test_settings_that_the_pages_name_exist():
    from resources.settings import PREFIX, Settings

    known = {PREFIX + name.upper() for name in Settings.model_fields}
    others = {"REEFLINE_GRAFANA_CLICKHOUSE_PASSWORD", "REEFLINE_SANDBOX_PASSWORD"}
    for page in WRITTEN:
        named = set(re.findall(r"\bREEFLINE_[A-Z0-9_]+[A-Z0-9]\b", page.read_text(encoding="utf-8")))
        assert not named - known - others, page.name
