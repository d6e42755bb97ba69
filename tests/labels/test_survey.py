"""Survey files: sound ones are read, wrong ones are explained line by line."""

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from labels.survey import SurveyConfig, SurveyError, batch_key, parse_batch_key, parse_survey, survey_json_schema

ROOT = Path(__file__).resolve().parents[2]
SMALL = "name: reef\nphotos: {folder: photos}\n"


def problems(text):
    with pytest.raises(SurveyError) as caught:
        parse_survey(text, "s.yaml")
    return str(caught.value).splitlines()


def test_a_name_and_a_folder_are_enough():
    survey = parse_survey(SMALL, "s.yaml")
    assert (survey.batch_size, survey.workflow, survey.taxonomy) == (250, "three_stage", "criobe-finegrained")
    assert survey.gates.corals.policy == "always"
    assert survey.frame.rectified_px == 1920


def test_the_example_survey_is_valid_and_shows_every_default():
    text = (ROOT / "surveys" / "example.yaml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=../labels/data/survey.schema.json\n")
    survey = parse_survey(text, "example.yaml")
    shown = survey.model_dump(exclude={"name", "title", "photos"})
    assert shown == parse_survey(SMALL, "s").model_dump(exclude={"name", "title", "photos"})
    jsonschema.validate(YAML(typ="safe").load(text), survey_json_schema())


def test_the_shipped_schema_is_current():
    shipped = json.loads((ROOT / "labels" / "data" / "survey.schema.json").read_text(encoding="utf-8"))
    assert shipped == survey_json_schema()


def test_every_field_has_a_description():
    def undescribed(model, prefix=""):
        for name, field in model.model_fields.items():
            if not field.description:
                yield prefix + name
            if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields"):
                yield from undescribed(field.annotation, f"{prefix}{name}.")

    assert list(undescribed(SurveyConfig)) == []


def test_a_typing_error_is_named_with_its_line_and_the_nearest_field():
    lines = problems("name: reef\nphotos:\n  folder: x\n  redy: marker\ntaxonmy: agnostic\n")
    assert lines == [
        "s.yaml:4: photos.redy: unknown field; did you mean 'ready'?",
        "s.yaml:5: taxonmy: unknown field; did you mean 'taxonomy'?",
    ]


def test_all_problems_are_named_at_once_in_the_order_of_the_file():
    lines = problems(
        "name: Reef 1\nphotos: {folder: x}\nbatch_size: 900\nworkflow: twostage\n"
        "gates:\n  corals:\n    policy: alwys\n    min_score: 2\nframe: {side_cm: wide}\n"
    )
    assert [line.split(":")[1] for line in lines] == ["1", "3", "4", "7", "8", "9"]
    assert "did you mean 'two_stage'?" in lines[2]
    assert "gates.corals.policy" in lines[3]
    assert "did you mean 'always'?" in lines[3]


def test_a_missing_field_is_named_at_its_parent():
    assert problems("name: reef\nphotos:\n  ready: marker\n")[0].startswith("s.yaml:2: photos.folder: is missing: add")
    assert "is missing" in problems("title: x\nphotos: {folder: x}\n")[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected 'field: value' lines"),
        ("- a list\n", "expected 'field: value' lines"),
        ("name: [\n", "YAML"),
        ("name: a\nname: b\n", 'duplicate key "name"'),
        ("name: reef\n\tphotos: x\n", "YAML"),
        ("\x00", "YAML"),
        ("name: reef\nphotos: &p {folder: x, more: *p}\n", "photos.more"),
        ("a: &a [x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b]\n"
         "d: &d [*c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d]\nf: [*e, *e, *e]\n", "write the values out"),
        (SMALL + "title: 2026-01-01\n", "write it in quotes"),
        (SMALL + "batch_size:\n", "batch_size"),
        (SMALL + "frame: 100\n", "expected indented"),
        (SMALL + "names: {pattern: '{site}_{yeer}_{quadrat}'}\n", "unknown placeholder {yeer}"),
        (SMALL + "names: {pattern: '{site}'}\n", "must hold {site}, {quadrat}"),
        (SMALL + "cvat: {assignees: [anna, '']}\n", "cvat.assignees.1"),
        ("x" * 2_000_000, "no survey file"),
    ],
)  # fmt: skip
def test_what_is_no_survey_gets_one_clear_line(text, words):
    lines = problems(text)
    assert any(words in line for line in lines), lines
    assert all(line.startswith("s.yaml:") for line in lines)


def test_unknown_taxonomies_and_lattices_are_named_with_those_there_are():
    lines = problems(SMALL + "taxonomy: fishes\nlattice: {topology: round}\n")
    assert "no taxonomy 'fishes': use one of agnostic" in lines[0]
    assert "no lattice 'round': use one of criobe-117" in lines[1]


@pytest.mark.parametrize(
    ("cvat", "where", "words"),
    [
        ("{honeypots: {}}", "cvat.honeypots", "set cvat.job_size"),
        ("{job_size: 9, honeypots: {}, ground_truth: {}}", "cvat.honeypots", "together with cvat.ground_truth"),
        ("{job_size: 9, honeypots: {per_job: 10}}", "cvat.honeypots.per_job", "more than the job_size of 9"),
        ("{job_size: 9, honeypots: {pool_share: 0.01, per_job: 3}}", "cvat.honeypots.per_job", "pool of a batch, 2 of"),
        ("{job_size: 9, honeypots: {pool_share: 1}}", "cvat.honeypots.pool_share", "less than 1"),
        ("{job_size: 9, honeypots: {}, replicas: {}}", "cvat.replicas", "together with cvat.honeypots"),
        ("{replicas: {count: 1}}", "cvat.replicas.count", "greater than or equal to 2"),
        ("{replicas: {count: 2}, assignees: [ann, bob, ann]}", "cvat.replicas", "need 3 people, assignees names 2"),
    ],
)
def test_honeypots_that_cannot_be_hidden_and_copies_that_nobody_else_could_draw_are_refused(cvat, where, words):
    with pytest.raises(SurveyError) as caught:
        parse_survey(f"name: reef\nphotos: {{folder: x}}\ncvat: {cvat}\n", "reef.yaml")
    assert where in str(caught.value)
    assert words in str(caught.value)
    parse_survey("name: reef\nphotos: {folder: x}\ncvat: {job_size: 9, honeypots: {}}\n", "reef.yaml")


def test_a_threshold_against_a_ground_truth_that_nobody_draws_is_refused():
    assert (
        "quality.min_accuracy: is against a ground-truth job" in problems(SMALL + "quality: {min_accuracy: 0.8}\n")[0]
    )
    parse_survey(SMALL + "quality: {min_accuracy: 0.8}\ncvat: {ground_truth: {}}\n", "s")


def test_settings_without_effect_in_the_workflow_are_refused():
    assert (
        "lattice: has no effect in workflow two_stage"
        in problems(SMALL + "workflow: two_stage\nlattice: {topology: cross}\n")[0]
    )
    assert "gates.corners" in problems(SMALL + "workflow: one_stage\ngates: {corners: {policy: always}}\n")[0]
    parse_survey(SMALL + "workflow: one_stage\ngates: {corners: {policy: never}, lattice: {policy: never}}\n", "s")


@given(st.text(max_size=300))
def test_any_text_is_a_survey_or_a_survey_error(text):
    try:
        parse_survey(text, "s.yaml")
    except SurveyError as error:
        assert str(error).startswith("s.yaml:")


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(list(SurveyConfig.model_fields)), _values))
def test_any_value_in_any_field_is_taken_or_explained_at_its_line(data):
    try:
        parse_survey(json.dumps(data, indent=1), "s.yaml")
    except SurveyError as error:
        assert all(line.startswith("s.yaml:") for line in str(error).splitlines())


@given(st.from_regex(r"[a-z0-9][a-z0-9-]{0,39}", fullmatch=True), st.integers(1, 10**6))
def test_batch_keys_come_back(survey, number):
    assert parse_batch_key(batch_key(survey, number)) == (survey, number)


@pytest.mark.parametrize(
    "key", ["", "reef", "reef.1", "reef.0000", "reef.00012", "Reef.0001", "reef.0001.x", "a.b.0001"]
)
def test_other_keys_are_refused(key):
    with pytest.raises(SurveyError, match="batch key"):
        parse_batch_key(key)
    with pytest.raises(SurveyError):
        batch_key("Reef", 1)
    with pytest.raises(SurveyError):
        batch_key("reef", 0)
