"""``python image_lock.py app|receiver|build``: the part of ``requirements.lock`` that one image needs, with its hashes.

The lock file also pins what development and tests need. Which package asks for which is written in its ``# via``
comments, so the part can be cut out without resolving anything: an image never holds a version that the tests did not
see. Standard library only, because it runs in a bare Python image.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

WITHOUT_IN_APP = frozenset({"chdb"})
"""Half a gigabyte of embedded ClickHouse; a deployment of containers has a server."""
KUBERNETES = ("dagster-k8s",)
"""The extra k8s, once 'make lock' has locked it: one image for Compose and for the chart."""
RECEIVER = ("fastapi", "uvicorn", "sqlalchemy", "psycopg2-binary", "pydantic", "pydantic-settings", "orjson")
"""Direct needs of ``sensors.receiver`` and what it imports; a test starts it with these alone."""
BUILD = ("setuptools", "wheel")
CUDA_REPLACES = frozenset({"onnxruntime"})
"""``onnxruntime-gpu`` brings the same module; both in one environment overwrite each other."""


class LockError(ValueError):
    """The lock file does not hold what an image needs."""


def read_lock(text: str) -> dict[str, tuple[list[str], set[str]]]:
    """Name -> (its entries as they stand, without comments; the names that ask for it).

    A package can have several entries, each for other versions of Python.
    """
    found: dict[str, tuple[list[str], set[str]]] = {}
    blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", text)
    for block in blocks:
        head = re.match(r"([A-Za-z0-9._-]+)(\[[^\]]*\])?==", block)
        if not head:
            continue
        name = normal(head.group(1))
        lines = block.splitlines()
        entry = "\n".join(line for line in lines if not line.lstrip().startswith("#")).rstrip()
        comments = " ".join(line.strip().lstrip("#").strip() for line in lines if line.lstrip().startswith("#"))
        askers = {normal(word) for word in re.findall(r"[A-Za-z0-9][A-Za-z0-9._-]*", comments.removeprefix("via"))}
        entries, known = found.setdefault(name, ([], set()))
        entries.append(entry)
        known |= askers
    return found


def normal(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(lock: dict[str, tuple[list[str], set[str]]], roots: Iterable[str], without: Iterable[str] = ()) -> set[str]:
    """The roots and everything they ask for, in turn.

    Raises:
        LockError: a root is not in the lock file.
    """
    excluded = set(without)
    wanted = {normal(name) for name in roots} - excluded
    if lost := sorted(wanted - set(lock)):
        raise LockError(f"requirements.lock has no {', '.join(lost)}: run 'make lock'")
    grown = True
    while grown:
        new = {name for name, (_, askers) in lock.items() if askers & wanted} - wanted - excluded
        wanted |= new
        grown = bool(new)
    return wanted


def runtime_needs(pyproject: str) -> list[str]:
    """Names of the project's own dependencies."""
    return [
        re.split(r"[\[<>=!~; ]", need, maxsplit=1)[0] for need in tomllib.loads(pyproject)["project"]["dependencies"]
    ]


def image_lock(kind: str, lock_text: str, pyproject: str, cuda_text: str = "") -> str:
    """Text of the lock file of one image.

    Args:
        kind: ``app``, ``receiver`` or ``build``.
        lock_text: requirements.lock.
        pyproject: pyproject.toml.
        cuda_text: the lock file of the CUDA packages; empty for the CPU image.

    Raises:
        LockError: the lock file lacks something.
    """
    lock = read_lock(lock_text)
    if kind == "app":
        chosen = closure(lock, [*runtime_needs(pyproject), *(n for n in KUBERNETES if n in lock)], WITHOUT_IN_APP)
    elif kind == "receiver":
        chosen = closure(lock, RECEIVER)
    else:
        chosen = closure(lock, [name for name in BUILD if normal(name) in lock])
    entries = [entry for name in sorted(chosen) for entry in lock[name][0]]
    if cuda_text:
        entries = [entry for entry in entries if entry.split("==")[0] not in CUDA_REPLACES]
        entries += [entry for kept, _ in read_lock(cuda_text).values() for entry in kept]
    return "\n".join(entries) + "\n"


def main() -> int:
    """Print one image's lock file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["app", "receiver", "build"])
    parser.add_argument("--variant", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--folder", type=Path, default=Path(), help="where requirements.lock and pyproject.toml lie")
    given = parser.parse_args()
    cuda = Path(__file__).with_name("cuda.lock").read_text(encoding="utf-8") if given.variant == "cuda" else ""
    lock = (given.folder / "requirements.lock").read_text(encoding="utf-8")
    project = (given.folder / "pyproject.toml").read_text(encoding="utf-8")
    try:
        sys.stdout.write(image_lock(given.kind, lock, project, cuda))
    except LockError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
