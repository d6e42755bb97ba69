"""Figures of the main job, read from the last ``make demo``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SUMMARY = Path(__file__).resolve().parents[1] / "demo" / "summary.json"


def rows() -> list[dict[str, Any]]:
    """The demo's figures; none before a demo has run."""
    if not SUMMARY.exists():
        print("no demo/summary.json: run 'make demo ARGS=--fresh' first")
        return []
    summary = json.loads(SUMMARY.read_text(encoding="utf-8"))
    errors = summary["errors_px_at_1920"] or {"corners": {"mean": None}, "nodes": {"mean": None}}
    note = f"{summary['photos']['offered']} photos, {len(summary['batches'])} batches; from demo/summary.json"
    return [
        {"name": "demo.seconds", "value": summary["seconds"], "unit": "s", "note": f"{note}; asked: < 240"},
        {"name": "demo.quadrats_released", "value": summary["quadrats_released"], "unit": "quadrats", "note": note},
        {"name": "demo.corner_error_px", "value": errors["corners"]["mean"], "unit": "px at 1920", "note": note},
        {"name": "demo.node_error_px", "value": errors["nodes"]["mean"], "unit": "px at 1920", "note": note},
    ]
