"""The functions' folders: made from the taxonomies and lattices, described as CVAT and Nuclio need it."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires

import pytest
import yaml

from assets.common.names import CORNERS_LABEL, LATTICE_LABEL
from deploy.nuclio.catalog import FOLDER, FUNCTIONS
from deploy.nuclio.generate import files_of, main
from deploy.nuclio.settings import PREFIX, FunctionSettings
from inference.functions import detectors
from labels.lattice import load_topology
from labels.taxonomy import load_taxonomy
from tests.deploy.cvat_lambda import described

NAMES = {
    "pth-yolo-gridcorners",
    "pth-yolo-gridpose",
    "pth-lama",
    "pth-yolo-coralsegv4",
    "pth-yolo-coralsegbanggai",
    "pth-facebookresearch-sam-vit-h",
}


def yaml_of(name, file="function.yaml"):
    return yaml.safe_load((FOLDER / name / file).read_text())


def test_every_function_of_a_quadratseg_site_is_there_under_its_name():
    assert set(FUNCTIONS) == NAMES
    assert {p.parent.name for p in FOLDER.glob("*/function.yaml")} == NAMES
    assert all(yaml_of(name)["metadata"]["name"] == name for name in NAMES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_folder_is_what_taxonomy_and_lattice_make_of_it(name):
    for file, text in files_of(FUNCTIONS[name]).items():
        assert (FOLDER / name / file).read_text() == text, "write it anew: python -m deploy.nuclio.generate"
    assert {p.name for p in (FOLDER / name).iterdir()} - {"__pycache__"} == set(files_of(FUNCTIONS[name]))


def test_labels_are_those_of_reeflines_projects():
    assert (detectors.CORNERS_LABEL, detectors.LATTICE_LABEL) == (CORNERS_LABEL, LATTICE_LABEL)
    (corners,) = described(yaml_of("pth-yolo-gridcorners"))
    assert (corners["name"], [n["name"] for n in corners["sublabels"]]) == (CORNERS_LABEL, ["1", "2", "3", "4"])
    (lattice,) = described(yaml_of("pth-yolo-gridpose"))
    assert lattice["name"] == LATTICE_LABEL
    assert tuple(n["name"] for n in lattice["sublabels"]) == load_topology().node_ids
    for label in (corners, lattice):
        nodes = re.findall(r'data-label-name="([^"]+)"', label["svg"])
        assert nodes == [n["name"] for n in label["sublabels"]]
    for name, taxonomy in (("v4", "criobe-finegrained"), ("banggai", "criobe-extended")):
        labels = described(yaml_of(f"pth-yolo-coralseg{name}"))
        assert tuple(label["name"] for label in labels) == load_taxonomy(taxonomy).names


@pytest.mark.parametrize("name", sorted(NAMES - {"pth-lama"}))
def test_cvat_understands_the_function(name):
    for label in described(yaml_of(name)):
        assert [a["name"] for a in label["attributes"]] == ["confidence", "model"]


def test_segment_anything_asks_for_the_clicks_that_cvats_page_knows():
    annotations = yaml_of("pth-facebookresearch-sam-vit-h")["metadata"]["annotations"]
    assert (annotations["type"], annotations["min_pos_points"], annotations["min_neg_points"]) == (
        "interactor",
        "1",
        "0",
    )
    assert json.loads(annotations["spec"]) == []


def test_lattice_removal_is_kept_out_of_the_project_that_cvat_lists():
    assert "type" not in yaml_of("pth-lama")["metadata"]["annotations"]
    assert {name: function.project for name, function in FUNCTIONS.items() if function.project != "cvat"} == {
        "pth-lama": "reefline"
    }


def test_nuclio_gets_what_it_needs():
    for path in FOLDER.glob("*/function*.yaml"):
        spec = yaml.safe_load(path.read_text())["spec"]
        assert spec["handler"] == "main:handler"
        assert spec["platform"]["attributes"]["network"] == "cvat_cvat"
        assert spec["triggers"]["http"]["attributes"]["maxRequestBodySize"] >= 32 * 2**20
        assert ("limits" in spec["resources"]) == ("gpu" in path.stem) == spec["build"]["baseImage"].endswith(":gpu")
        variables = {variable["name"]: variable["value"] for variable in spec["env"]}
        known = {PREFIX + name.upper() for name in FunctionSettings.__slots__}
        assert set(variables) <= known
        assert FunctionSettings.of(variables)


def test_a_function_for_labels_of_ones_own_is_written_elsewhere(tmp_path, capsys):
    chosen = ["--set", "REEFLINE_LABEL=grid", "--set", "REEFLINE_LATTICE=grid-7x7"]
    assert main(["pth-yolo-gridpose", "--out", str(tmp_path), *chosen]) == 0
    document = yaml.safe_load((tmp_path / "function.yaml").read_text())
    (label,) = described(document)
    assert (label["name"], len(label["sublabels"])) == ("grid", 49)
    assert {v["name"]: v["value"] for v in document["spec"]["env"]}["REEFLINE_LABEL"] == "grid"
    assert main(["pth-yolo-gridpose", "--out", str(tmp_path), "--set", "REEFLINE_LATTICE=no-such"]) == 2
    error = capsys.readouterr().err
    assert "no lattice 'no-such'" in error
    assert len(error.splitlines()) == 1


LOAD = """
import sys
import numpy as np
from deploy.nuclio.catalog import FUNCTIONS, with_defaults
from deploy.nuclio.settings import FunctionSettings
for name, function in FUNCTIONS.items():
    if "sam" not in name:
        service = function.make(with_defaults(function, FunctionSettings()))
        if function.kind:
            service._detector.detect(np.full((256, 256, 3), 180, np.uint8))
print(*{module.partition(".")[0] for module in sys.modules})
"""


def requirements(lines):
    """Name -> whole line."""
    return {re.split(r"[<>=\[ ]", line)[0].lower(): line for line in lines}


def test_the_image_of_the_functions_needs_no_more_than_its_requirements():
    """Everything that a function imports is stated; Dagster, ClickHouse and CVAT's client are not needed."""
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True)
    stated = requirements((FOLDER / "requirements.txt").read_text().splitlines())
    owners = packages_distributions()
    used = {owner.lower().replace("_", "-") for module in done.stdout.split() for owner in owners.get(module, [])}
    assert "onnxruntime" in used
    assert not used & {"dagster", "chdb", "cvat-sdk", "torch", "pydantic", "fastapi"}
    # What comes along with them, by their own metadata.
    along = {"reefline", "setuptools", *(name for known in stated for name in requirements(requires(known) or []))}
    # numpy.f2py, which scipy.ndimage looks through, takes charset-normalizer where it is there.
    assert used - set(stated) - along - {"charset-normalizer"} == set()


def test_the_functions_run_on_the_versions_that_reefline_asks_for():
    project = tomllib.loads((FOLDER.parents[1] / "pyproject.toml").read_text())["project"]
    asked = requirements(project["dependencies"])
    for name, line in requirements((FOLDER / "requirements.txt").read_text().splitlines()).items():
        assert line == asked[name]
