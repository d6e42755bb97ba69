"""Write a set of generated photo quadrats with their truth.

    python -m inference.scenes --out DIR --count 20 --split test --setting hard [--textures DIR]

Photos come as JPEG; ``truth.json`` tells corners, nodes with their states, lens, colonies and conditions of each.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from inference.scenes.benchmark import SIZE
from inference.scenes.disk import SetPlan, write_set
from inference.scenes.settings import SETTINGS
from inference.scenes.splits import SPLITS
from inference.scenes.textures import EDGE_SHARE
from labels.lattice import DEFAULT_LATTICE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0, or 2 with one line when it cannot be done as asked."""
    options = _parser().parse_args(arguments)
    plan = SetPlan(
        options.out,
        options.count,
        options.split,
        options.start,
        options.setting,
        options.size,
        options.lattice,
        options.textures,
        options.texture_edge,
        options.masks,
    )
    try:
        path = write_set(plan, options.jobs, lambda line: print(line, file=sys.stderr, flush=True))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(path)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference.scenes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--count", type=int, required=True, help="number of photos")
    parser.add_argument("--split", choices=list(SPLITS), default="test", help="seeds to draw from (test)")
    parser.add_argument("--start", type=int, default=0, help="skip so many seeds of the split (0)")
    parser.add_argument(
        "--setting",
        choices=list(SETTINGS),
        default="usual",
        metavar="NAME",
        help=f"what goes wrong: {', '.join(SETTINGS)} (usual)",
    )
    parser.add_argument("--size", type=_size, default=SIZE, metavar="WxH", help=f"in pixels ({SIZE[0]}x{SIZE[1]})")
    parser.add_argument("--lattice", default=DEFAULT_LATTICE, help=f"name or YAML file ({DEFAULT_LATTICE})")
    parser.add_argument("--textures", type=Path, metavar="DIR", help="real photos to use as the bottom")
    parser.add_argument(
        "--texture-edge",
        type=float,
        default=EDGE_SHARE,
        metavar="SHARE",
        help=f"cut off each edge of those photos ({EDGE_SHARE})",
    )
    parser.add_argument("--masks", action="store_true", help="write masks and clean photos too")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1), help="processes to paint with")
    return parser


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT in pixels, e.g. 2400x2000, got {text!r}") from None
    return width, height


if __name__ == "__main__":
    sys.exit(main())
