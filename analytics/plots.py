"""Plots of cover as PNG bytes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from analytics.cover import summarise
from analytics.figures import new_figure, png
from labels.taxonomy import Taxonomy

COLUMNS = 3
"""Panels beside each other; more sites go below."""


def cover_plot(cover: pa.Table, taxonomy: Taxonomy) -> bytes:
    """Mean cover per taxon and year with 95 % intervals, one panel per site, all on one scale.

    Args:
        cover: rows of ``analytics.cover.COVER_SCHEMA``.
        taxonomy: gives order and colours.
    """
    rows = summarise(cover).to_pylist()
    sites = sorted({row["site"] or "all pictures" for row in rows})
    colors = {taxon.name: taxon.color for taxon in taxonomy.taxa}
    columns = max(1, min(COLUMNS, len(sites)))
    lines = max(1, -(-len(sites) // columns))
    figure = new_figure(max(6.0, 4.4 * columns), 0.6 + 3.4 * lines, dpi=110)
    grid = figure.subplots(lines, columns, sharey=True, squeeze=False)
    for panel, site in zip(grid.ravel(), sites, strict=False):
        mine = [row for row in rows if (row["site"] or "all pictures") == site]
        _panel(panel, site, mine, taxonomy.names, colors)
    for empty in grid.ravel()[len(sites) :]:
        empty.set_axis_off()
    for line in grid:
        line[0].set_ylabel("cover (% of the quadrat)")
    # A site may lack a taxon that another has: every taxon is named once.
    named = {name: bar for panel in grid.ravel() for bar, name in zip(*panel.get_legend_handles_labels(), strict=True)}
    names = [taxon for taxon in taxonomy.names if taxon in named]
    handles = [named[name] for name in names]
    if handles:
        figure.legend(handles, names, loc="outside lower center", ncols=min(6, len(names)), frameon=False, fontsize=9)
    return png(figure)


def _panel(panel, site, rows, taxa, colors) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - matplotlib's axes
    years = sorted({row["year"] for row in rows if row["year"] is not None}) or [None]
    present = [taxon for taxon in taxa if any(row["taxon"] == taxon and row["mean"] > 0 for row in rows)]
    width = 0.8 / max(1, len(present))
    for i, taxon in enumerate(present):
        mine = {row["year"]: row for row in rows if row["taxon"] == taxon}
        at = np.arange(len(years)) + (i - (len(present) - 1) / 2) * width
        means = np.array([mine[y]["mean"] * 100 if y in mine else 0.0 for y in years])
        low = np.array([mine[y]["low"] * 100 if y in mine else 0.0 for y in years])
        high = np.array([mine[y]["high"] * 100 if y in mine else 0.0 for y in years])
        bars = np.maximum(0, [means - low, high - means])
        panel.bar(
            at, means, width * 0.9, color=colors.get(taxon, "#888888"), label=taxon, edgecolor="#333333", linewidth=0.4
        )
        panel.errorbar(at, means, bars, fmt="none", ecolor="#333333", elinewidth=1, capsize=2)
    quadrats = max((row["quadrats"] for row in rows), default=0)
    panel.set_xticks(np.arange(len(years)), ["" if y is None else str(y) for y in years])
    panel.set_title(f"{site} ({quadrats} quadrats a year)" if years != [None] else site, fontsize=10)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
