"""How many of the prepared faults ``reefline doctor`` names, each with its next step."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from bench.doctor_faults import FAULTS, World, judge


def rows() -> list[dict[str, Any]]:
    """One row; the faults that were not named are in its note."""
    missed = []
    with tempfile.TemporaryDirectory(prefix="reefline-doctor-") as folder, World(Path(folder) / "world") as world:
        for fault in FAULTS:
            named, _ = judge(world, fault)
            print(f"{fault.name:<45} {named.text + ' -> ' + named.fix if named else 'NOT NAMED'}")
            if named is None:
                missed.append(fault.name)
    note = f"of {len(FAULTS)} prepared faults; {'missed: ' + ', '.join(missed) if missed else 'none missed'}; asked: 15"
    return [{"name": "doctor.faults_named", "value": len(FAULTS) - len(missed), "unit": "faults", "note": note}]
