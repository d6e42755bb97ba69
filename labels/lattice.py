"""Lattice topologies: which crossings the strings of a frame have, how they are numbered, which strings join them.

A topology is data (YAML under ``data/lattices``), so another frame needs a file, not code.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

DEFAULT_LATTICE = "criobe-117"
MAX_STRINGS = 50
"""Per direction; more is a typing error, and each crossing becomes a point that a person has to look at."""


class LatticeError(ValueError):
    """The topology file is wrong; the message says where and what is expected."""


@dataclass(frozen=True, slots=True)
class LatticeTopology:
    """Nodes (string crossings) and the strings that join them.

    Attributes:
        name: e.g. ``criobe-117``.
        node_ids: ids as CVAT sublabel names, in order.
        cells: ``(n, 2)`` int array of (row, column) of each node, from 0.
        unit: ``(n, 2)`` float64 array of (x, y) of each node, as a share of the frame's side, 0..1.
        strings: for each string the indices (into ``node_ids``) of its nodes, in order along the string.
        string_ends: ``(len(strings), 2, 2)`` float64, where each string meets the frame, as a share of the side.
    """

    name: str
    node_ids: tuple[str, ...]
    cells: NDArray[np.int64]
    unit: NDArray[np.float64]
    strings: tuple[tuple[int, ...], ...]
    string_ends: NDArray[np.float64]

    @property
    def size(self) -> int:
        """Number of nodes."""
        return len(self.node_ids)

    def ideal(self, side_px: int) -> NDArray[np.float64]:
        """Where the nodes of a perfect lattice lie in a rectified picture of ``side_px``; ``(n, 2)`` pixels."""
        return self.unit * (side_px - 1)


def parse_topology(text: str, origin: str = "topology") -> LatticeTopology:
    """A topology from YAML text.

    Two forms: ``grid`` (rows, columns, ``missing`` cells, optional ``margin``) numbers nodes row by row from 1;
    ``nodes``/``strings`` lists every node as ``id: [x, y]`` (share of the side) and every string as a list of ids.

    Raises:
        LatticeError: the text is not a topology.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise LatticeError(f"{origin}: not YAML: {error}") from error
    if not isinstance(data, dict) or "name" not in data or not ({"grid", "nodes"} & set(data)):
        raise LatticeError(f"{origin}: expected 'name' and either 'grid' or 'nodes' with 'strings'")
    return _from_grid(data, origin) if "grid" in data else _from_nodes(data, origin)


def _from_grid(data: dict, origin: str) -> LatticeTopology:
    grid = data["grid"]
    try:
        rows, columns = int(grid["rows"]), int(grid["columns"])
        missing = {(int(r), int(c)) for r, c in grid.get("missing", [])}
        margin = None if grid.get("margin") is None else float(grid["margin"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LatticeError(
            f"{origin}: grid needs whole numbers 'rows' and 'columns', 'missing' as [row, column] pairs, and 'margin' "
            "as a share of the side"
        ) from error
    if not (2 <= rows <= MAX_STRINGS and 2 <= columns <= MAX_STRINGS):
        raise LatticeError(f"{origin}: a grid needs 2 to {MAX_STRINGS} rows and columns, got {rows} x {columns}")
    if margin is not None and not 0 <= margin < 0.5:
        raise LatticeError(f"{origin}: margin must be a share of the side from 0 to under 0.5, got {margin}")
    foreign = sorted(cell for cell in missing if not (1 <= cell[0] <= rows and 1 <= cell[1] <= columns))
    if foreign:
        raise LatticeError(f"{origin}: missing cell {list(foreign[0])} is not in the {rows} x {columns} grid")
    ys, xs = _positions(rows, margin), _positions(columns, margin)
    cells = [(r, c) for r in range(rows) for c in range(columns) if (r + 1, c + 1) not in missing]
    index = {cell: i for i, cell in enumerate(cells)}
    strings, ends = [], []
    for r in range(rows):
        strings.append(tuple(index[r, c] for c in range(columns) if (r, c) in index))
        ends.append([[0.0, ys[r]], [1.0, ys[r]]])
    for c in range(columns):
        strings.append(tuple(index[r, c] for r in range(rows) if (r, c) in index))
        ends.append([[xs[c], 0.0], [xs[c], 1.0]])
    if min(map(len, strings)) < 2:
        raise LatticeError(f"{origin}: a string with fewer than two nodes: leave fewer cells out, or use 'nodes'")
    unit = np.array([[xs[c], ys[r]] for r, c in cells])
    ids = tuple(str(i + 1) for i in range(len(cells)))
    return LatticeTopology(str(data["name"]), ids, np.array(cells), unit, tuple(strings), np.array(ends))


def _positions(count: int, margin: float | None) -> list[float]:
    # Without a margin the strings stand in the middle of equal cells, as on CRIOBE's frame (pitch 9.04 of 100).
    first = 0.5 / count if margin is None else margin
    step = (1 - 2 * first) / (count - 1)
    return [first + step * i for i in range(count)]


def _from_nodes(data: dict, origin: str) -> LatticeTopology:
    nodes, strings = data["nodes"], data.get("strings")
    if not isinstance(nodes, dict) or not isinstance(strings, list) or not all(isinstance(s, list) for s in strings):
        raise LatticeError(f"{origin}: 'nodes' must map an id to [x, y], and 'strings' must list ids")
    ids = tuple(str(node) for node in nodes)
    index = {node: i for i, node in enumerate(ids)}
    try:
        unit = np.array(list(nodes.values()), dtype=float)
    except (TypeError, ValueError):
        unit = np.empty(0)
    if not ids or unit.shape != (len(ids), 2) or not ((unit >= 0) & (unit <= 1)).all():
        raise LatticeError(f"{origin}: node positions must be [x, y] between 0 and 1")
    try:
        joined = tuple(tuple(index[str(node)] for node in string) for string in strings)
    except KeyError as error:
        raise LatticeError(f"{origin}: a string names node {error}, which 'nodes' does not have") from error
    if not joined or min(map(len, joined)) < 2:
        raise LatticeError(f"{origin}: every string must join at least two nodes")
    xs = sorted({round(float(x), 4) for x in unit[:, 0]})
    ys = sorted({round(float(y), 4) for y in unit[:, 1]})
    cells = np.array([[ys.index(round(float(y), 4)), xs.index(round(float(x), 4))] for x, y in unit])
    ends = np.array([[unit[s[0]], unit[s[-1]]] for s in joined])
    return LatticeTopology(str(data["name"]), ids, cells, unit, joined, ends)


@cache
def load_topology(name_or_path: str = DEFAULT_LATTICE) -> LatticeTopology:
    """A shipped topology by name, or one from a YAML file by path.

    Raises:
        LatticeError: neither exists, or the file is wrong.
    """
    shipped = resources.files("labels") / "data" / "lattices" / f"{name_or_path}.yaml"
    if shipped.is_file():
        return parse_topology(shipped.read_text(encoding="utf-8"), name_or_path)
    path = Path(name_or_path)
    if not path.is_file():
        known = sorted(
            p.name.removesuffix(".yaml") for p in (resources.files("labels") / "data" / "lattices").iterdir()
        )
        raise LatticeError(f"no lattice {name_or_path!r}: use one of {', '.join(known)} or the path of a YAML file")
    return parse_topology(path.read_text(encoding="utf-8"), str(path))
