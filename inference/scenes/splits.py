"""Which seeds may be trained on, which choose between models, and which only measure.

The ranges hold for every generator of this package. Seeds below 10,000 and above the test range belong to no split:
the demo, the tests and the older benchmarks live there, and nothing is trained on them.
"""

from __future__ import annotations

SPLITS: dict[str, range] = {
    "train": range(10_000, 900_000),
    "validation": range(900_000, 1_000_000),
    "test": range(1_000_000, 2_000_000),
}


def split_seeds(split: str, count: int, start: int = 0) -> range:
    """``count`` seeds of a split, from its ``start``-th on.

    Raises:
        ValueError: no such split, or it does not have so many seeds.
    """
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}: use one of {', '.join(SPLITS)}")
    seeds = SPLITS[split]
    if count < 1 or start < 0 or start + count > len(seeds):
        raise ValueError(f"split {split!r} has {len(seeds)} seeds; {count} from number {start} on are not among them")
    return seeds[start : start + count]


def split_of(seed: int) -> str | None:
    """The split a seed belongs to; ``None`` for seeds that are held back for the demo and the tests."""
    return next((name for name, seeds in SPLITS.items() if seed in seeds), None)
