"""How a survey asks its coral model, and what it is told when they do not fit."""

import math

import dagster as dg
import pytest
import yaml

from assets.corals import segmenter
from inference.registry import ModelRegistry
from labels.survey import SurveyError, parse_survey

SURVEY = "name: reef\nphotos: {folder: photos}\ntaxonomy: demo-reef\n"


def survey(more=""):
    return parse_survey(SURVEY + more, "reef.yaml")


def registry(tmp_path, change):
    """The shipped registry with a changed entry, and the weights beside it."""
    shipped = ModelRegistry()
    card = shipped.card("demo-corals")
    entries = yaml.safe_load((shipped.folder / "models.yaml").read_text())["models"]
    entry = next(e for e in entries if e["name"] == "demo-corals" and str(e["version"]) == card.version)
    weights = change(entry, (shipped.folder / card.file).read_bytes())
    (tmp_path / card.file).write_bytes(weights)
    (tmp_path / "models.yaml").write_text(yaml.safe_dump({"models": [entry]}))
    return ModelRegistry(tmp_path)


def test_the_model_is_asked_as_the_survey_says():
    task = segmenter(
        survey("frame: {side_cm: 50}\nsegmentation: {min_score: 0.4, tile_px: 960, flip: true}\n"), ModelRegistry()
    )
    assert (task.options.min_score, task.options.tile_px, task.options.flip) == (0.4, 960, True)
    assert task.options.min_area_share * 50**2 == pytest.approx(math.pi * 0.7**2)


@pytest.mark.parametrize("wrong", ["min_score: 1.4", "tile_px: 20", "tile_overlap: 0.9", "iou: 0", "tiles: 4"])
def test_what_cannot_be_asked_is_named_with_its_line(wrong):
    with pytest.raises(SurveyError, match=r"reef\.yaml:4: segmentation"):
        survey(f"segmentation: {{{wrong}}}\n")


def test_labels_that_the_taxonomy_lacks_stop_the_stage_before_any_picture(tmp_path):
    def renamed(entry, weights):
        entry["labels"][2] = "Krill"
        return weights

    with pytest.raises(dg.Failure, match=r"Krill.*taxonomy"):
        segmenter(survey(), registry(tmp_path, renamed))


def test_weights_cut_in_half_stop_the_stage_with_a_reason(tmp_path):
    def halved(entry, weights):
        return weights[: len(weights) // 2]

    with pytest.raises(dg.Failure, match=r"sha256|registered"):
        segmenter(survey(), registry(tmp_path, halved))


def test_a_crosswalk_on_the_card_leads_to_the_survey_s_taxonomy(tmp_path):
    def told(entry, weights):
        entry["crosswalk"] = "demo-reef"
        return weights

    reef = parse_survey(SURVEY.replace("demo-reef", "criobe-families"), "reef.yaml")
    assert segmenter(reef, registry(tmp_path, told)).taxon_of[-1] == "Other"
