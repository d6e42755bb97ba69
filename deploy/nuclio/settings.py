"""Settings of a function, from the environment of its container."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from inference.functions.detectors import DEFAULT_MODEL, FunctionSetupError
from inference.registry import MODELS
from labels.lattice import DEFAULT_LATTICE

PREFIX = "REEFLINE_"


@dataclass(frozen=True, slots=True)
class FunctionSettings:
    """What can be set; each is a variable ``REEFLINE_<NAME>``.

    Attributes:
        model: of the coral functions: ``name`` or ``name@version`` in the registry.
        models: folder of the registry.
        taxonomy: whose taxa the coral functions answer with; empty: the function's own.
        model_taxonomy: that the model's labels are of; empty: looked for.
        lattice: name or YAML file of the lattice.
        label: name of the skeleton in CVAT; empty: the one of reefline's projects.
        outlines: ``mask`` (CVAT turns it into a polygon when asked) or ``polygon``.
        threshold: score of 0..1 below which nothing is answered, when CVAT states none; empty: the function's own.
        removal: method of lattice removal.
        sam_weights: file of the Segment Anything encoder.
        sam_sha256: of that file.
        max_pixels: larger pictures are refused.
        threads: CPU threads; 0 = all cores.
    """

    model: str = DEFAULT_MODEL
    models: str = str(MODELS)
    taxonomy: str = ""
    model_taxonomy: str = ""
    lattice: str = DEFAULT_LATTICE
    label: str = ""
    outlines: str = "mask"
    threshold: float | None = None
    removal: str = "telea"
    sam_weights: str = ""
    sam_sha256: str = ""
    max_pixels: int = 100_000_000
    threads: int = 0

    @classmethod
    def of(cls, environment: Mapping[str, str] | None = None) -> FunctionSettings:
        """From environment variables; empty ones count as not set.

        Raises:
            FunctionSetupError: a value is not of its kind.
        """
        found = os.environ if environment is None else environment
        kinds: dict[str, Any] = {"threshold": float, "max_pixels": int, "threads": int}
        values: dict[str, Any] = {}
        for field in fields(cls):
            text = found.get(PREFIX + field.name.upper(), "").strip()
            if not text:
                continue
            try:
                values[field.name] = kinds.get(field.name, str)(text)
            except ValueError as error:
                raise FunctionSetupError(f"{PREFIX}{field.name.upper()} must be a number, it is {text!r}") from error
        made = cls(**values)
        if made.outlines not in {"mask", "polygon"}:
            raise FunctionSetupError(f"{PREFIX}OUTLINES must be mask or polygon, it is {made.outlines!r}")
        if made.threshold is not None and not 0 <= made.threshold <= 1:
            raise FunctionSetupError(f"{PREFIX}THRESHOLD must be between 0 and 1, it is {made.threshold:g}")
        if made.max_pixels < 1 or made.threads < 0:
            raise FunctionSetupError(f"{PREFIX}MAX_PIXELS must be above 0, and {PREFIX}THREADS not below")
        return made
