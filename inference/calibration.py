"""Scores that mean something: the probability that a person would leave a finding as it is.

``calibration.yaml`` holds, for each finder, a logistic model over what the finder saw of its own work, fitted on
generated validation scenes (``inference.training.calibrate_finders``); the seeds and counts stand beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

FILE = Path(__file__).with_name("calibration.yaml")


class CalibrationError(ValueError):
    """The calibration file does not fit the finder; the message says how."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A linear model over named features: ``intercept + sum(weight * feature)``."""

    name: str
    intercept: float
    weights: Mapping[str, float]

    def value(self, features: Mapping[str, NDArray[np.float64] | float]) -> NDArray[np.float64]:
        """The linear value, an array where the features are arrays.

        Raises:
            CalibrationError: the features are not those it knows.
        """
        if set(features) != set(self.weights):
            raise CalibrationError(
                f"calibration {self.name!r} knows {sorted(self.weights)}, the finder gives {sorted(features)}; "
                "run inference.training.calibrate_finders again"
            )
        total = sum(weight * np.asarray(features[name], np.float64) for name, weight in self.weights.items())
        return np.asarray(self.intercept + total, np.float64)

    def probability(self, features: Mapping[str, float]) -> float:
        """Logistic of the linear value, 0..1."""
        return float(1 / (1 + np.exp(-np.clip(self.value(features), -40, 40))))

    def magnitude(self, features: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Exponential of the linear value, for models of a positive size."""
        return np.exp(np.clip(self.value(features), -10, 10))


@cache
def calibration(name: str, file: Path = FILE) -> Calibration:
    """The calibration of that name.

    Raises:
        CalibrationError: the file is missing, is no calibration file, or has none of that name.
    """
    try:
        entry = yaml.safe_load(file.read_text(encoding="utf-8"))[name]
        return Calibration(name, float(entry["intercept"]), {k: float(v) for k, v in entry["weights"].items()})
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise CalibrationError(f"{file} has no usable calibration {name!r}: {error!r}") from error
