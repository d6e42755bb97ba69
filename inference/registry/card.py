"""Model cards: one entry of ``models.yaml``, checked when it is read."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

TASKS: Final[Mapping[str, bool]] = {
    "coral-segmentation": True,
    "coral-instances": True,
    "coral-semantic": True,
    "corners": False,
    "lattice": False,
    "inpainting": False,
}
"""What a model is for, and whether its card must list labels: taxon and core maps, YOLO-seg instances, dense classes,
corners of the frame, crossings of the strings, filling in."""

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
SHA256 = re.compile(r"[0-9a-f]{64}")
REMOTE = ("s3", "https")


class ModelError(ValueError):
    """A model cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is known of a model.

    Attributes:
        task: what it is for, one of :data:`TASKS`.
        engine: what runs it, one of ``inference.engines.ENGINES``.
        file: where the weights are: a path beside ``models.yaml``, ``s3://bucket/key`` or ``https://...``.
        sha256: of the weights file, 64 hex digits.
        labels: its classes, in the order of its outputs.
        input_px: side of the square it looks at, in pixels.
        licence: of the weights, an SPDX identifier where there is one.
        trained_on: for people.
        metrics: held-out figures by name.
        release: name of the dataset release it was trained on, where it was one.
        crosswalk: name of the taxonomy that ``labels`` belong to; its crosswalks lead to a survey's taxonomy.
        trusted: somebody vouches for a file that runs code when it is opened (pickle, TorchScript).
        size: of the weights file, in bytes; bounds a download.
        options: what the task needs beyond this, e.g. thresholds.
    """

    name: str
    version: str
    task: str
    engine: str
    file: str
    sha256: str
    labels: tuple[str, ...]
    input_px: int
    licence: str
    trained_on: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    release: str | None = None
    crosswalk: str | None = None
    trusted: bool = False
    size: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def versioned(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"

    @property
    def reference(self) -> str:
        """``name@version#sha256[:12]``, written on every label the model makes."""
        return f"{self.name}@{self.version}#{self.sha256[:12]}"

    @property
    def remote(self) -> bool:
        """Whether the weights are somewhere else than beside ``models.yaml``."""
        return urlsplit(self.file).scheme in REMOTE

    def entry(self) -> dict[str, Any]:
        """The card as an entry of ``models.yaml``; fields that say nothing are left out."""
        stated: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            default = item.default_factory() if item.default_factory is not MISSING else item.default
            if value != default:
                stated[item.name] = list(value) if isinstance(value, tuple) else _plain(value)
        return stated


def parse_card(entry: Any, where: str) -> ModelCard:
    """A card from an entry of ``models.yaml``.

    Raises:
        ModelError: the entry is no card; the message names the field and begins with ``where``.
    """
    if not isinstance(entry, Mapping):
        raise ModelError(f"{where}: a model is a list of 'field: value' lines, got {entry!r:.60}")
    known = {item.name for item in fields(ModelCard)}
    optional = {"metrics", "release", "crosswalk", "trusted", "size", "options"}
    if not TASKS.get(str(entry.get("task")), True):
        optional = optional | {"labels"}
    here = f"{where}: model {entry.get('name', '?')}@{entry.get('version', '?')}"
    missing = sorted(name for name in known - optional if entry.get(name) in (None, ""))
    if missing:
        raise ModelError(f"{here} does not say its {', '.join(missing)}: add it to the entry")
    unknown = sorted(set(map(str, entry)) - known)
    if unknown:
        raise ModelError(f"{here} has the unknown field {unknown[0]!r}: use {', '.join(sorted(known))}")
    problem = _problem(entry)
    if problem:
        raise ModelError(f"{here}: {problem}")
    given = {**entry, "version": str(entry["version"]), "labels": tuple(entry.get("labels") or ())}
    return ModelCard(**{key: value for key, value in given.items() if value is not None})


def _problem(entry: Mapping[str, Any]) -> str:
    labels = entry.get("labels") or []
    if not isinstance(labels, list | tuple) or not all(isinstance(label, str) and label for label in labels):
        return "labels must be a list of names"
    if len(set(labels)) != len(labels):
        return "labels has the same name twice"
    if TASKS.get(str(entry["task"]), False) and not labels:
        return f"a {entry['task']} model must list its labels, in the order of its outputs"
    rules = {
        "name": (NAME.fullmatch(str(entry["name"])), "lower-case letters, digits and dashes, at most 40"),
        "version": (VERSION.fullmatch(str(entry["version"])), "letters, digits, '.', '_' and '-'"),
        "task": (str(entry["task"]) in TASKS, f"one of {', '.join(TASKS)}"),
        "sha256": (SHA256.fullmatch(str(entry["sha256"])), "the 64 hex digits that sha256sum prints"),
        "input_px": (_whole(entry["input_px"], 16, 8192), "a whole number of pixels from 16 to 8192"),
        "size": (entry.get("size") is None or _whole(entry["size"], 1, 2**40), "the file's size in bytes"),
        "trusted": (isinstance(entry.get("trusted", False), bool), "true or false"),
        "metrics": (_figures(entry.get("metrics") or {}), "numbers by name"),
        "options": (isinstance(entry.get("options") or {}, Mapping), "values by name"),
    }
    for name, (fine, expected) in rules.items():
        if not fine:
            return f"{name} must be {expected}, got {entry.get(name)!r}"
    return _location_problem(str(entry["file"]))


def _location_problem(file: str) -> str:
    parts = urlsplit(file)
    if "://" not in file:
        path = PurePosixPath(file)
        safe = not path.is_absolute() and ".." not in path.parts and "\\" not in file
        return "" if safe else f"file {file!r} must lie beside models.yaml: no absolute path, no '..'"
    if parts.scheme not in REMOTE:
        return f"file {parts.scheme}://... cannot be fetched: use a path, s3:// or https://"
    if parts.username or parts.password:
        return "file must not hold a user or password"
    return "" if parts.netloc and parts.path.strip("/") else f"file {file!r} is no full address"


def _whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _figures(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    return all(isinstance(figure, int | float) and math.isfinite(figure) for figure in value.values())


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value
