"""CVAT label definitions made from a taxonomy or a lattice topology, in the shape of ``POST /api/projects``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import ArrayLike

from labels.lattice import LatticeTopology
from labels.taxonomy import Taxonomy

CONFIDENCE = "confidence"
"""Attribute of every label: how sure the model, later the person, is; whole percent."""

_CORNER_COLOR = "#19fdf3"
_LATTICE_COLOR = "#7571e6"
_NODE_COLORS = ("#d12345", "#350dea", "#479ffe", "#4a649f")
# One colour per row of the lattice: a node that was dragged into another row stands out.
_ROW_COLORS = ("#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231", "#911eb4", "#46f0f0", "#f032e6", "#bcf60c")
_CANVAS = 100.0
_CORNERS = ((10.0, 10.0), (90.0, 10.0), (90.0, 90.0), (10.0, 90.0))


def taxonomy_label_specs(taxonomy: Taxonomy, kind: str = "polygon") -> list[dict[str, Any]]:
    """One label per taxon, in its colour; ``kind`` is ``polygon`` or ``mask``."""
    return [
        {"name": taxon.name, "color": taxon.color, "type": kind, "attributes": [_confidence()]}
        for taxon in taxonomy.taxa
    ]


def corner_label_spec(name: str) -> dict[str, Any]:
    """The skeleton of a frame: sublabels ``1`` top left, ``2`` top right, ``3`` bottom right, ``4`` bottom left."""
    ring = [(0, 1), (1, 2), (2, 3), (3, 0)]
    return _skeleton(name, _CORNER_COLOR, ("1", "2", "3", "4"), _NODE_COLORS, _CORNERS, ring, radius=1.5)


def lattice_label_spec(name: str, topology: LatticeTopology) -> dict[str, Any]:
    """The skeleton of a lattice: a sublabel per node, an edge per piece of string."""
    colors = [_ROW_COLORS[int(row) % len(_ROW_COLORS)] for row in topology.cells[:, 0]]
    edges = [pair for string in topology.strings for pair in pairwise(string)]
    unit = 5.0 + topology.unit * (_CANVAS - 10.0)
    return _skeleton(name, _LATTICE_COLOR, topology.node_ids, colors, unit, edges, radius=0.75)


def _skeleton(
    name: str,
    color: str,
    nodes: Sequence[str],
    colors: Sequence[str],
    places: ArrayLike,
    edges: Sequence[tuple[int, int]],
    radius: float,
) -> dict[str, Any]:
    return {
        "name": name,
        "color": color,
        "type": "skeleton",
        "attributes": [_confidence()],
        "sublabels": [
            {"name": node, "color": colour, "type": "points", "attributes": []}
            for node, colour in zip(nodes, colors, strict=True)
        ],
        "svg": _svg(nodes, np.asarray(places, dtype=float), edges, radius),
    }


def _svg(nodes: Sequence[str], places: Any, edges: Sequence[tuple[int, int]], radius: float) -> str:
    # The very attributes that CVAT's own skeleton editor writes; nodes are named, not numbered, because label ids
    # exist only once the server has made them (it replaces data-label-name by data-label-id).
    xy = [(f"{x:.4g}", f"{y:.4g}") for x, y in places]
    lines = [
        f'<line x1="{xy[a][0]}" y1="{xy[a][1]}" x2="{xy[b][0]}" y2="{xy[b][1]}" stroke="black" data-type="edge" '
        f'data-node-from="{a + 1}" stroke-width="0.5" data-node-to="{b + 1}"></line>'
        for a, b in edges
    ]
    circles = [
        f'<circle r="{radius:g}" stroke="black" fill="#b3b3b3" cx="{x}" cy="{y}" stroke-width="0.1" '
        f'data-type="element node" data-element-id="{i}" data-node-id="{i}" data-label-name={quoteattr(node)}></circle>'
        for i, (node, (x, y)) in enumerate(zip(nodes, xy, strict=True), 1)
    ]
    return "".join(lines + circles)


def _confidence() -> dict[str, Any]:
    return {
        "name": CONFIDENCE,
        "input_type": "number",
        "mutable": True,
        "values": ["0", "100", "1"],
        "default_value": "100",
    }
