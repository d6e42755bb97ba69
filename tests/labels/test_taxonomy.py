"""Taxonomies: the lists that CRIOBE uses, and crosswalks that give the same answer whichever way they are taken."""

import itertools
import json

import pytest

from labels.taxonomy import TaxonomyError, load_crosswalk, load_taxonomy, parse_taxonomy, shipped_taxonomies

GOOD = 'name: t\nversion: "1"\nrank: genus\ntaxa:\n  - {name: A, color: "#ff0000"}\n'


def pairs():
    for source, target in itertools.permutations(shipped_taxonomies(), 2):
        if target in (load_taxonomy(source).crosswalks or {}):
            yield source, target


@pytest.mark.parametrize(
    ("name", "count"),
    [("criobe-finegrained", 16), ("criobe-extended", 10), ("criobe-families", 7), ("agnostic", 1), ("demo-reef", 5)],
)
def test_shipped_lists_have_as_many_classes_as_documented(name, count):
    taxonomy = load_taxonomy(name)
    assert len(taxonomy.taxa) == count
    assert len(set(taxonomy.names)) == count
    assert taxonomy.reference == f"{name}@1"


def test_class_numbers_of_the_finegrained_list_are_those_of_the_models():
    taxonomy = load_taxonomy("criobe-finegrained")
    assert list(taxonomy.names) == sorted(taxonomy.names)
    assert [taxonomy.index(n) for n in ("Acanthastrea", "Pavona/Leptoseris", "Psammocora")] == [0, 12, 15]
    with pytest.raises(TaxonomyError, match="Turbinaria"):
        taxonomy.index("Turbinaria")


def test_names_and_colours_are_those_of_the_real_export(shared):
    path = shared / "contracts" / "criobe_labels" / "finegained_seg_example.json"
    real = {label["name"]: label["color"] for label in json.loads(path.read_text(encoding="utf-8"))}
    assert {taxon.name: taxon.color for taxon in load_taxonomy("criobe-finegrained").taxa} == real


@pytest.mark.parametrize(("source", "target"), list(pairs()))
def test_every_shipped_crosswalk_is_total_and_lands_in_its_target(source, target):
    crosswalk = load_crosswalk(source, target)
    for name in load_taxonomy(source).names:
        assert crosswalk.apply(name) in load_taxonomy(target).names


def test_a_detour_gives_the_same_answer_as_the_direct_way():
    known = set(pairs())
    detours = [(a, b, c) for (a, b), (b2, c) in itertools.product(known, known) if b == b2 and (a, c) in known]
    assert len(detours) >= 7
    for a, b, c in detours:
        joined, direct = load_crosswalk(a, b).then(load_crosswalk(b, c)), load_crosswalk(a, c)
        for name in load_taxonomy(a).names:
            assert joined.apply(name) == direct.apply(name), (a, b, c, name)


def test_raw_labels_become_taxa_and_empty_is_dropped():
    fine = load_crosswalk("criobe-raw", "criobe-finegrained")
    assert fine.apply("Corail mou") == "Other"
    assert fine.apply("Leptoseris") == fine.apply("Pavona") == "Pavona/Leptoseris"
    assert fine.apply("Empty") is None
    assert load_crosswalk("criobe-raw", "agnostic").apply("Corail mou") == "coral"
    assert load_crosswalk("criobe-raw", "criobe-extended").apply("Goniastrea") == "Group1"
    with pytest.raises(TaxonomyError, match="add it there"):
        fine.apply("Nemo")


def test_a_taxonomy_leads_to_itself():
    crosswalk = load_crosswalk("demo-reef", "demo-reef")
    assert all(crosswalk.apply(name) == name for name in load_taxonomy("demo-reef").names)


def test_missing_lists_and_crosswalks_are_named_with_those_there_are(tmp_path):
    with pytest.raises(TaxonomyError, match="use one of agnostic"):
        load_taxonomy("fishes")
    with pytest.raises(TaxonomyError, match="no crosswalk agnostic -> demo-reef"):
        load_crosswalk("agnostic", "demo-reef")
    with pytest.raises(TaxonomyError, match="cannot go"):
        load_crosswalk("demo-reef", "agnostic").then(load_crosswalk("demo-reef", "agnostic"))
    own = tmp_path / "own.yaml"
    own.write_text(GOOD + "crosswalks: {agnostic: {A: fish}}\n", encoding="utf-8")
    assert load_taxonomy(str(own)).names == ("A",)
    with pytest.raises(TaxonomyError, match="leads to fish"):
        load_crosswalk(str(own), "agnostic")
    own2 = tmp_path / "own2.yaml"
    own2.write_text(GOOD + "crosswalks: {agnostic: {}}\n", encoding="utf-8")
    with pytest.raises(TaxonomyError, match="says nothing of A"):
        load_crosswalk(str(own2), "agnostic")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected name"),
        ("[", "not YAML"),
        (GOOD.replace("#ff0000", "red"), "#rrggbb"),
        (GOOD + '  - {name: A, color: "#00ff00"}\n', "listed twice"),
        (GOOD.replace("color", "colour"), "needs 'name' and 'color'"),
        (GOOD + "order: 1\n", "unknown field order"),
        (GOOD + "crosswalks: [1]\n", "crosswalks must be"),
        (GOOD + "drop: x\n", "drop must be a list"),
        ("name: t\nversion: 1\nrank: genus\ntaxa: []\n", "taxa is empty"),
    ],
)
def test_a_wrong_taxonomy_file_says_what_is_expected(text, words):
    with pytest.raises(TaxonomyError) as caught:
        parse_taxonomy(text, "t.yaml")
    assert str(caught.value).startswith("t.yaml: ")
    assert words in str(caught.value)
