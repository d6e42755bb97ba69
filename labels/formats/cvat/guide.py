"""Annotation guides: what an annotator reads in CVAT beside the picture. Markdown made of lattice and taxonomy."""

from __future__ import annotations

from collections.abc import Sequence

from labels.lattice import LatticeTopology
from labels.taxonomy import Taxonomy

HEAD = "<!-- Made by reefline from the survey files. 'reefline cvat apply' overwrites changes made here. -->"

_FINISH = (
    "## When you are done\n\n"
    "Save, then *Menu > Change job state > completed*. The next step starts by itself; nothing has to be exported, "
    "reloaded or told. To correct something later, set the job back to *in progress*, and to *completed* again.\n\n"
    "Cannot decide? Open an **issue** on the place (right click): it is kept with the picture. A picture that is of no "
    "use: open an issue that says why, and remove the frame."
)


def corner_guide(label: str) -> str:
    """Guide of the corner gate."""
    return _guide(
        "Corners of the frame",
        "The pictures are raw photos. Each holds one frame, and on it one "
        f"`{label}` skeleton whose four points are already placed.",
        [
            "Drag every point onto the **inner** corner of the frame, where its inner edges meet.",
            "`1` top left, `2` top right, `3` bottom right, `4` bottom left: clockwise, as the picture lies.",
            "A corner that is hidden, or outside the picture: put the point where it must be by the line of the edges.",
            "Exactly one skeleton per picture. Missing? Place one. Two? Delete one.",
        ],
    )


def lattice_guide(label: str, topology: LatticeTopology) -> str:
    """Guide of the lattice gate."""
    count = len(topology.node_ids)
    return _guide(
        "Crossings of the strings",
        f"The pictures are straightened: the frame is the border. On each lies one `{label}` skeleton with {count} "
        f"nodes, `{topology.node_ids[0]}` to `{topology.node_ids[-1]}`, one per crossing of two strings, row by row "
        "from the top left.",
        [
            "Look along every row and column; a node in the wrong place stands out by the colour of its row.",
            "Drag a node onto the middle of its crossing. Do not renumber: the order is the lattice.",
            "A crossing that cannot be seen (overgrown, string broken): leave the node where it should be and mark it "
            "*outside* (`O`).",
            "Keep all nodes: a skeleton without one of them comes back to you.",
        ],
    )


def coral_guide(taxonomy: Taxonomy) -> str:
    """Guide of the coral gate."""
    rows = "\n".join(f"| `{taxon.name}` | {taxon.parent or ''} | `{taxon.color}` |" for taxon in taxonomy.taxa)
    return _guide(
        "Outlines of colonies",
        "The pictures are straightened, and strings were taken out of them. Each colony has one polygon; a model has "
        "proposed them.",
        [
            "One polygon per colony, along the edge of its living tissue. Two colonies that touch are two polygons.",
            "Wrong taxon? Change the label. Not a coral? Delete the polygon. Missing? Draw it.",
            "Dead parts, or sand in the middle, are no cover: cut them out (draw the polygon around them).",
            "Where strings were removed the picture is guessed; do not draw a colony that is seen only there.",
            "`confidence` is the model's; set it to how sure you are if you change the taxon.",
        ],
        f"## Taxa ({taxonomy.name} {taxonomy.version})\n\n| label | belongs to | colour |\n|---|---|---|\n{rows}",
    )


def _guide(title: str, what: str, rules: Sequence[str], more: str = "") -> str:
    listed = "\n".join(f"{number}. {rule}" for number, rule in enumerate(rules, 1))
    parts = [HEAD, f"# {title}", what, f"## What to do\n\n{listed}", more, _FINISH]
    return "\n\n".join(part for part in parts if part) + "\n"
