"""Taxonomies and crosswalks: which taxa a survey tells apart, and how taxa of one list become taxa of another.

Both are versioned YAML under ``data/taxonomies``. A taxonomy file may hold the crosswalks that lead from it, so that
what maps where is read, reviewed and versioned beside the list it belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

_COLOR = re.compile(r"#[0-9a-f]{6}")


class TaxonomyError(ValueError):
    """A taxonomy or crosswalk is missing or wrong; the message says where and what is expected."""


@dataclass(frozen=True, slots=True)
class Taxon:
    """One class of a taxonomy: its name, its colour ``#rrggbb``, and the taxon one rank up where that is stated.

    ``aphia_id`` is the taxon's number in the World Register of Marine Species, where the file states it.
    """

    name: str
    color: str
    parent: str | None = None
    aphia_id: int | None = None


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """A closed list of taxa.

    Attributes:
        rank: what the taxa are: ``genus``, ``group``, ``family``, ``any``; for people.
        taxa: in index order; the index of a taxon is its class number in exports.
        drop: labels that mean "nothing here" and are left out when met.
        crosswalks: target taxonomy -> (label -> taxon of the target, or ``None`` to drop it).
    """

    name: str
    version: str
    rank: str
    taxa: tuple[Taxon, ...]
    drop: frozenset[str] = frozenset()
    crosswalks: Mapping[str, Mapping[str, str | None]] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the taxa, in index order."""
        return tuple(taxon.name for taxon in self.taxa)

    @property
    def reference(self) -> str:
        """``name@version``, for provenance."""
        return f"{self.name}@{self.version}"

    def index(self, name: str) -> int:
        """Class number of a taxon, from 0.

        Raises:
            TaxonomyError: the taxonomy does not have it.
        """
        if name not in self.names:
            raise TaxonomyError(f"{name!r} is not a taxon of {self.reference}: {', '.join(self.names)}")
        return self.names.index(name)

    def color(self, name: str) -> str:
        """Colour of a taxon as ``#rrggbb``."""
        return self.taxa[self.index(name)].color


@dataclass(frozen=True, slots=True)
class Crosswalk:
    """A total map from the labels of one list to the taxa of another; ``None`` drops the label."""

    source: str
    target: str
    map: Mapping[str, str | None]

    def apply(self, label: str) -> str | None:
        """Taxon of the target for a label of the source, ``None`` to drop the shape.

        Raises:
            TaxonomyError: the label is not one of the source's.
        """
        if label not in self.map:
            raise TaxonomyError(f"{label!r} is not in the crosswalk {self.source} -> {self.target}: add it there")
        return self.map[label]

    def then(self, other: Crosswalk) -> Crosswalk:
        """This crosswalk followed by another one.

        Raises:
            TaxonomyError: the other one does not start where this one ends.
        """
        if other.source != self.target:
            raise TaxonomyError(f"cannot go from {self.target!r} on with a crosswalk that starts at {other.source!r}")
        joined = {label: None if taxon is None else other.apply(taxon) for label, taxon in self.map.items()}
        return Crosswalk(self.source, other.target, joined)


def parse_taxonomy(text: str, origin: str = "taxonomy") -> Taxonomy:
    """A taxonomy from YAML text.

    Fields: ``name, version, rank, taxa: [{name, color, parent?, aphia_id?}], drop?, crosswalks?``.

    Raises:
        TaxonomyError: the text is not a taxonomy.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise TaxonomyError(f"{origin}: not YAML: {error}") from error
    missing = {"name", "version", "rank", "taxa"} - set(data if isinstance(data, dict) else ())
    if missing:
        raise TaxonomyError(f"{origin}: expected {', '.join(sorted(missing))}")
    unknown = set(data) - {"name", "version", "rank", "taxa", "drop", "crosswalks"}
    if unknown:
        raise TaxonomyError(f"{origin}: unknown field {', '.join(sorted(map(str, unknown)))}")
    taxa = tuple(_taxon(item, origin) for item in _list(data["taxa"], "taxa", origin))
    names = [taxon.name for taxon in taxa]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not taxa or twice:
        raise TaxonomyError(f"{origin}: {f'{twice[0]!r} is listed twice' if twice else 'taxa is empty'}")
    crosswalks = _crosswalks(data.get("crosswalks") or {}, origin)
    drop = frozenset(str(label) for label in _list(data.get("drop") or [], "drop", origin))
    return Taxonomy(str(data["name"]), str(data["version"]), str(data["rank"]), taxa, drop, crosswalks)


def _taxon(item: Any, origin: str) -> Taxon:
    if not isinstance(item, dict) or not {"name", "color"} <= set(item) <= {"name", "color", "parent", "aphia_id"}:
        raise TaxonomyError(
            f"{origin}: a taxon needs 'name' and 'color' and may have 'parent' and 'aphia_id', got {item!r}"
        )
    color = str(item["color"]).lower()
    if not _COLOR.fullmatch(color):
        raise TaxonomyError(f"{origin}: colour of {item['name']!r} must be '#rrggbb' in quotes, got {item['color']!r}")
    parent, aphia = item.get("parent"), item.get("aphia_id")
    if aphia is not None and (not isinstance(aphia, int) or isinstance(aphia, bool) or aphia < 1):
        raise TaxonomyError(f"{origin}: aphia_id of {item['name']!r} must be a number of WoRMS, got {aphia!r}")
    return Taxon(str(item["name"]), color, None if parent is None else str(parent), aphia)


def _list(value: Any, field: str, origin: str) -> list[Any]:
    if not isinstance(value, list):
        raise TaxonomyError(f"{origin}: {field} must be a list")
    return value


def _crosswalks(value: Any, origin: str) -> dict[str, dict[str, str | None]]:
    if not isinstance(value, dict) or not all(isinstance(entry, dict) for entry in value.values()):
        raise TaxonomyError(f"{origin}: crosswalks must be 'target: {{label: taxon}}'")
    return {
        str(target): {str(label): None if taxon is None else str(taxon) for label, taxon in entry.items()}
        for target, entry in value.items()
    }


def shipped_taxonomies() -> list[str]:
    """Names of the shipped taxonomies."""
    folder = resources.files("labels") / "data" / "taxonomies"
    return sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml"))


@cache
def load_taxonomy(name_or_path: str) -> Taxonomy:
    """A shipped taxonomy by name, or one from a YAML file by path.

    Raises:
        TaxonomyError: neither exists, or the file is wrong.
    """
    if name_or_path in shipped_taxonomies():
        shipped = resources.files("labels") / "data" / "taxonomies" / f"{name_or_path}.yaml"
        return parse_taxonomy(shipped.read_text(encoding="utf-8"), name_or_path)
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"} or not path.is_file():
        known = ", ".join(shipped_taxonomies())
        raise TaxonomyError(f"no taxonomy {name_or_path!r}: use one of {known} or the path of a YAML file")
    return parse_taxonomy(path.read_text(encoding="utf-8"), str(path))


@cache
def load_crosswalk(source: str, target: str) -> Crosswalk:
    """The crosswalk between two taxonomies (names or paths); from a taxonomy to itself it is the identity.

    Taxa of the source that the crosswalk does not name keep their name when the target has it. Labels that either
    taxonomy drops are dropped.

    Raises:
        TaxonomyError: there is none, it leaves a taxon of the source open, or names a taxon the target lacks.
    """
    start, end = load_taxonomy(source), load_taxonomy(target)
    stated = {} if start.name == end.name else (start.crosswalks or {}).get(end.name)
    if stated is None:
        known = ", ".join(start.crosswalks or {}) or "none"
        raise TaxonomyError(f"no crosswalk {start.name} -> {end.name} (there are: {known}): add it to {start.name}")
    labels: dict[str, str | None] = {name: name for name in start.names if name in end.names}
    labels |= stated
    labels |= dict.fromkeys(start.drop | end.drop)
    unmapped = sorted(set(start.names) - set(labels))
    if unmapped:
        raise TaxonomyError(f"crosswalk {start.name} -> {end.name} says nothing of {', '.join(unmapped)}")
    foreign = sorted({taxon for taxon in labels.values() if taxon is not None} - set(end.names))
    if foreign:
        raise TaxonomyError(
            f"crosswalk {start.name} -> {end.name} leads to {', '.join(foreign)}, unknown to {end.name}"
        )
    return Crosswalk(start.name, end.name, labels)
