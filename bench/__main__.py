"""``python -m bench [name ...]``: run benchmark modules; write figures to ``bench/results.json`` and the README.

Rows of modules that were not run are kept. A row's ``command`` reproduces the module alone.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema

import bench

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
SCHEMA = json.loads((HERE / "results.schema.json").read_text(encoding="utf-8"))
PREFIX = "bench_"
README = HERE.parent / "README.md"
BEGIN, END = "<!-- figures: written by 'make bench' -->", "<!-- end of figures -->"


def modules() -> list[str]:
    """Names of the benchmark modules."""
    return [m.name.removeprefix(PREFIX) for m in pkgutil.iter_modules(bench.__path__) if m.name.startswith(PREFIX)]


def commit() -> str:
    """The commit that is measured, with ``+`` when the tree differs from it."""
    head = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE, check=False
    )
    dirty = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench/results.json", ":!README.md"],
        capture_output=True,
        text=True,
        cwd=HERE.parent,
        check=False,
    )
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def measured(name: str) -> list[dict[str, Any]]:
    """The rows of one module, completed."""
    rows = importlib.import_module(f"bench.{PREFIX}{name}").rows()
    empty = {"reference": None, "reference_value": None, "ratio": None, "note": ""}
    return [{**empty, **row, "command": f"python -m bench {name}", "commit": commit()} for row in rows]


def table(results: list[dict[str, Any]]) -> str:
    """The figures as a markdown table; details of a figure (its name and a dot more) stay in the JSON file."""
    lines = ["| figure | measured | reference, same run | command |", "|---|---|---|---|"]
    names = {row["name"] for row in results}
    for row in results:
        if row["name"].rpartition(".")[0] in names:
            continue
        beside = f"{row['reference']}: {row['reference_value']:g}" if row["reference_value"] is not None else ""
        value = "not measured" if row["value"] is None else f"{row['value']:g} {row['unit']}"
        lines.append(f"| `{row['name']}` | {value} | {beside} | `{row['command']}` |")
    return "\n".join(lines)


def write_readme(results: list[dict[str, Any]]) -> None:
    """Put the table between the README's marks."""
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    README.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{after}", encoding="utf-8")


def main() -> int:
    """Run what was asked for and write the results."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*modules(), []], help="modules; default: all")
    names = parser.parse_args().names or modules()
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    by_name = {row["name"]: row for row in known}
    for name in names:
        for row in measured(name):
            by_name[row["name"]] = row
            beside = f"   ({row['reference']}: {row['reference_value']})" if row["reference"] else ""
            print(f"{row['name']:<28} {row['value']} {row['unit']}{beside}")
    results = [by_name[name] for name in sorted(by_name)]
    jsonschema.validate(results, SCHEMA)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    write_readme(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
