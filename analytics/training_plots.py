"""The course of a training as PNG bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analytics.figures import new_figure, png

_PANELS = (
    ("losses in training", "train/"),
    ("losses on pictures kept aside", "val/"),
    ("masks kept aside", "metrics/"),
)


def training_plot(curves: Mapping[str, Sequence[float]]) -> bytes:
    """Losses and watched figures over the epochs.

    Args:
        curves: columns of equal length: ``epoch``, ``train/...``, ``val/...``, ``metrics/...(M)``.
    """
    figure = new_figure(13, 3.6, dpi=110)
    panels = figure.subplots(1, len(_PANELS), squeeze=False)[0]
    for panel, (title, prefix) in zip(panels, _PANELS, strict=True):
        for name, values in curves.items():
            if not name.startswith(prefix) or (prefix == "metrics/" and not name.endswith("(M)")):
                continue
            label = name.removeprefix(prefix).removesuffix("(M)").replace("_loss", "")
            panel.plot(curves["epoch"], values, marker="." if len(values) < 30 else None, label=label, linewidth=1.2)
        panel.set_title(title, fontsize=10)
        panel.set_xlabel("epoch")
        panel.set_ylim(bottom=0)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)
        if panel.lines:
            panel.legend(frameon=False, fontsize=8)
    return png(figure)
