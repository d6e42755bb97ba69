"""Scores and uncertainties are read from a file that must fit the finder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference.calibration import FILE, Calibration, CalibrationError, calibration

NAMES = ["corners-learned", "corners-opencv", "lattice-learned", "lattice-opencv", "lattice-uncertainty"]


@pytest.mark.parametrize("name", NAMES)
def test_every_finder_has_its_calibration(name: str) -> None:
    assert calibration(name).weights


def test_a_probability_grows_with_evidence_and_stays_between_0_and_1() -> None:
    model = Calibration("x", -1.0, {"seen": 3.0, "stray": -2.0})
    values = [model.probability({"seen": seen, "stray": 0.1}) for seen in (-100, 0, 0.5, 1, 100)]
    assert values == sorted(values)
    assert 0 <= values[0] < values[-1] <= 1


def test_a_size_is_positive_and_an_array_where_features_are() -> None:
    model = Calibration("x", 0.0, {"gap": 1.0})
    sizes = model.magnitude({"gap": np.array([-3.0, 0.0, 2.0])})
    assert np.allclose(sizes, np.exp([-3, 0, 2]))


def test_features_that_were_not_fitted_are_refused_with_a_way_out() -> None:
    with pytest.raises(CalibrationError, match="calibrate_finders again"):
        Calibration("x", 0.0, {"gap": 1.0}).probability({"other": 1.0})


@pytest.mark.parametrize("text", ["", "- 1", "corners-learned: {intercept: a, weights: {b: 1}}", "other: 1", ": :"])
def test_a_broken_file_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "calibration.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CalibrationError, match="no usable calibration"):
        calibration("corners-learned", path)
    assert FILE.exists()
