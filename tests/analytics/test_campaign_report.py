"""The campaign report: complete without a network, true to the tables, and discreet."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from analytics.report.campaign import svg
from analytics.report.campaign.boxes import table, written
from analytics.table_plots import PLOTS

VOID = {"meta", "link", "br", "img", "input", "hr"}
PEOPLE = {"tehani", "moana", "louis", "ines"}
values = st.floats(0, 1e6, allow_nan=False)
MORNING = datetime(2026, 5, 4, tzinfo=UTC)


class Page(HTMLParser):
    """Counts what matters of a page and checks that its tags close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.addresses, self.ids, self.charts, self.text = [], [], set(), 0, ""
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids |= {found["id"]} if "id" in found else set()
        self.charts += tag == "svg"
        if tag != "a":
            self.addresses += [found[key] for key in ("src", "href", "data") if key in found]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    command = [sys.executable, "-m", "tests.analytics.make_reports", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    # Drawn from the same tables in the same process.
    assert {path.stem for path in folder.glob("*.png")} == set(PLOTS)
    for path in folder.glob("*.png"):
        with Image.open(path) as picture:
            assert picture.width == 720
            assert len(picture.convert("RGB").getcolors(1 << 20)) > 20, "nothing is drawn"
    texts = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.html")}
    return texts, json.loads((folder / "said.json").read_text(encoding="utf-8"))


def test_a_report_has_all_sections_and_needs_no_network(reports):
    for name, text in reports[0].items():
        page = Page(text)
        assert page.ids >= {"campaign", "people", "models", "pipeline", "science"}, name
        assert not page.addresses, "nothing is fetched"
        assert "<script" not in text
        assert "@import" not in text
        assert "url(" not in text


def test_the_sample_fills_charts_and_names_what_needs_attention(reports):
    page = Page(reports[0]["all"])
    assert page.charts >= 14
    assert "moorea-2026.0007 corners has waited" in page.text
    assert "10 of 14" in page.text
    assert "What it has cost" in page.text
    assert "Tiahura" in page.text


def test_an_empty_database_gives_a_report_that_says_so_calmly(reports):
    page = Page(reports[0]["empty"])
    assert "Nothing needs attention" in page.text
    assert "What it has cost" not in page.text
    assert "nan" not in page.text.lower().replace("finance", "")


def test_people_appear_under_pseudonyms_unless_names_are_asked_for(reports):
    texts = reports[0]
    assert not PEOPLE & words(texts["all"])
    assert "under pseudonyms" in texts["all"]
    assert words(texts["one"]) >= PEOPLE
    assert "keep this file among those who may know" in texts["one"]


def test_one_survey_is_alone_in_its_report(reports):
    text = Page(reports[0]["one"]).text
    assert "moorea-2025.0003" in text
    assert "moorea-2024.0001" not in text


def test_mistakes_are_explained_and_write_nothing(reports):
    texts, said = reports
    assert said["unknown"].startswith("no survey 'atlantis' in the analytics tables; there are: moorea-2024")
    assert said["backwards"] == "--to 2026-01-01 is before --from 2026-02-01"
    assert "is no day: write it like" in said["no-day"]
    assert not {"unknown", "backwards", "no-day"} & set(texts)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.text(max_size=8), st.dictionaries(st.text(max_size=5), values, max_size=4)), max_size=5))
def test_bars_are_well_formed_for_any_names_and_numbers(rows):
    for stacked in (False, True):
        parsed(svg.bars(rows, stacked=stacked))


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 900), values, values), min_size=0, max_size=12, unique_by=lambda row: row[0]))
def test_columns_and_lines_stay_inside_their_frame(rows):
    times = [MORNING + timedelta(days=day) for day, _, _ in sorted(rows)]
    series = {"a & b": [a for _, a, _ in sorted(rows)], "<c>": [c for _, _, c in sorted(rows)]}
    for x, y in places(parsed(svg.columns(times, series))):
        assert -1 <= x <= svg.WIDTH + 1
        assert -1 <= y <= 230
    line = svg.Line("<x>", [(t, a, a / 2, a * 1.5) for t, a in zip(times, series["a & b"], strict=True)])
    for x, y in places(parsed(svg.lines([line]))):
        assert -1 <= x <= svg.WIDTH + 1
        assert -1 <= y <= 230


@given(st.floats(1e-6, 1e9))
def test_ticks_are_few_begin_at_zero_and_reach_the_top(top):
    ticks = svg._ticks(top)
    assert ticks[0] == 0
    assert ticks[-1] >= top * (1 - 1e-9)
    assert 3 <= len(ticks) <= 7


def test_tables_escape_what_came_from_elsewhere():
    rows = [{"batch": "<script>alert(1)</script>", "gate": "corals", "url": "javascript:alert(1)"}]
    html = str(table("queue", rows, {"batch": "batch", "gate": "gate"}, links={"gate": "url"}).body)
    assert "<script" not in html
    assert "javascript:" not in html


def test_numbers_are_written_for_people():
    shown = [written(v, f) for v, f in ((None, ""), (0.1234, "percent"), (1234567, ""), (3.14159, "h"), ("", ""))]
    assert shown == ["–", "12.3 %", "1,234,567", "3.142 h", "–"]


def words(text):
    return set(re.findall(r"\w+", text))


def parsed(text):
    return ElementTree.fromstring(f"<div>{text}</div>")


def places(root):
    for item in root.iter():
        keys = ("cx", "cy") if item.tag.endswith("circle") else ("x", "y")
        if item.tag.endswith(("circle", "rect")):
            yield float(item.get(keys[0])), float(item.get(keys[1]))
