"""Writes a release batch by batch: memory is bounded by one batch, whatever the size of the release.

Each batch's contribution (its part) is kept on the shelf under the hash of what it was made from, so an interrupted
release goes on where it stopped. Files are put together in a scratch folder, then shelved; ``release.json`` comes last
and is the commit point: what has none is no release.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from analytics.release.assemble import Assembly, FileSpec
from analytics.release.check import CHECKED_OBJECTS, CHECKED_SHARE, check_batch
from analytics.release.datasheet import datasheet
from analytics.release.diff import changelog
from analytics.release.exporters import Exporter, chosen
from analytics.release.inputs import BatchInput, ReleaseDefectError, ReleasePlan, counts, fingerprint
from analytics.release.splits import Splitter
from analytics.release.verify import CHECKSUMS, checksum_lines, sha256_of
from labels.formats.common import zipped

MAX_NAMED = 20
"""Defects that a message names; the number of all is said."""
_META = "part.json"


class Shelf(Protocol):
    """Where a release and its parts lie."""

    def part(self, batch: str, digest: str) -> bytes | None:
        """A part that an earlier try has made; ``None`` when there is none."""

    def keep_part(self, batch: str, digest: str, data: bytes) -> None:
        """Keep a part for the next try."""

    def put_file(self, path: str, file: Path) -> None:
        """Shelve a finished file of the release."""

    def commit(self, data: bytes) -> None:
        """Write ``release.json``; drop the parts."""

    def discard(self) -> None:
        """Take finished files of an uncommitted release away; parts stay."""

    def previous(self, name: str, folder: Path) -> Mapping[str, Path]:
        """Tables of an earlier release, copied into ``folder``."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a release is: ``done`` of ``total`` batches; ``reused``: this one was made by an earlier try."""

    batch: str
    done: int
    total: int
    images: int
    objects: int
    reused: bool


def write_release(
    plan: ReleasePlan,
    load: Callable[[str], BatchInput],
    shelf: Shelf,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
    check: bool = True,
    scratch: Path | None = None,
) -> dict[str, Any]:
    """Make all files of a release and commit it.

    Args:
        load: a batch by its key; called once per batch, in order.
        progress: called after every batch.
        check: read every format back and compare it with the source. Without it the bytes are the same: it is for
            making a release again that was checked when it was made.
        scratch: folder for what is being put together; needs about twice the size of the release.

    Returns:
        The content of ``release.json``.

    Raises:
        ReleaseDefectError: labels that cannot be released, a format that does not come back as it went in, nothing
            left by the filter, or a full disk. Nothing of the release can be seen then.
        SplitError: the splits that were asked for cannot be.
    """
    exporters = chosen(plan)
    specs = [spec for exporter in exporters.values() for spec in exporter.files(plan)]
    try:
        with tempfile.TemporaryDirectory(prefix="reefline-release-", dir=scratch) as folder:
            assembly = Assembly(Path(folder), specs)
            try:
                total, checked = _collect(plan, load, shelf, exporters, specs, assembly, progress, check, Path(folder))
                files = assembly.finish()
            finally:
                assembly.close()
            return _shelve(plan, files, total, checked, shelf, Path(folder))
    except OSError as error:
        shelf.discard()
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise ReleaseDefectError(
                f"the disk is full ({error.filename or 'store or scratch folder'}): nothing of the release is visible; "
                "make room and ask again, finished parts are reused"
            ) from error
        raise
    except BaseException:
        shelf.discard()
        raise


def _collect(
    plan: ReleasePlan,
    load: Callable[[str], BatchInput],
    shelf: Shelf,
    exporters: Mapping[str, Exporter],
    specs: list[FileSpec],
    assembly: Assembly,
    progress: Callable[[Progress], None],
    check: bool,
    folder: Path,
) -> tuple[Counter[str], int]:
    numbers: Counter[str] = Counter()
    checked = 0
    splitter = Splitter(plan.by_subset)
    batches = sorted(plan.batches)
    for done, batch in enumerate(batches, 1):
        given = load(batch).chosen(plan.filter)
        given.images = splitter.assign(given.images, given.subset)
        digest = fingerprint(plan, given, given.tables(), numbers)
        mine = counts(given)
        drawn = checked < CHECKED_OBJECTS or int(digest[:8], 16) / 0xFFFFFFFF < CHECKED_SHARE
        due = drawn and check
        kept = _kept(shelf.part(batch, digest), due)
        sections = kept or _made(plan, given, numbers, exporters, specs, folder, due)
        if kept is None:
            shelf.keep_part(batch, digest, _packed(sections, due))
        assembly.add(sections)
        numbers += mine
        checked += mine["objects"] if drawn else 0
        progress(Progress(batch, done, len(batches), mine["frames"], mine["objects"], kept is not None))
    if not numbers["frames"]:
        raise ReleaseDefectError(
            f"the batches hold no usable picture that the filter lets through ({plan.filter.words()}): choose others"
        )
    return numbers, checked


def _made(
    plan: ReleasePlan,
    given: BatchInput,
    numbers: Counter[str],
    exporters: Mapping[str, Exporter],
    specs: list[FileSpec],
    folder: Path,
    due: bool,
) -> dict[str, bytes]:
    _refuse(given.defects(plan.taxonomy), f"batch {given.batch} cannot be released")
    sections: dict[str, bytes] = {}
    for exporter in exporters.values():
        sections |= exporter.sections(plan, given, numbers)
    if due:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            alone = Assembly(Path(place), specs)
            alone.add(sections)
            defects = check_batch(plan, given, alone.finish(), list(exporters))
        _refuse(defects, f"batch {given.batch}: a format does not come back as it went in")
    return sections


def _refuse(defects: list[str], what: str) -> None:
    if defects:
        more = f"; and {len(defects) - MAX_NAMED} more" if len(defects) > MAX_NAMED else ""
        raise ReleaseDefectError(f"{what}: {'; '.join(defects[:MAX_NAMED])}{more}")


def _packed(sections: Mapping[str, bytes], checked: bool) -> bytes:
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in sections.items()}
    return zipped({**sections, _META: json.dumps({"checked": checked, "sha256": sums}).encode()}, packed=False)


def _kept(data: bytes | None, due: bool) -> dict[str, bytes] | None:
    """The sections of a kept part; ``None`` when there is none, it is damaged, or a check is still due."""
    if data is None:
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sections = {name: archive.read(name) for name in archive.namelist()}
        meta = json.loads(sections.pop(_META))
    except (zipfile.BadZipFile, KeyError, ValueError):
        return None
    whole = {name: hashlib.sha256(part).hexdigest() for name, part in sections.items()} == meta["sha256"]
    return sections if whole and (meta["checked"] or not due) else None


def _shelve(
    plan: ReleasePlan, files: dict[str, Path], total: Counter[str], checked: int, shelf: Shelf, folder: Path
) -> dict[str, Any]:
    if plan.previous:
        (folder / "previous").mkdir()
        before = shelf.previous(plan.previous, folder / "previous")
        files["CHANGELOG.md"] = _text(folder / "CHANGELOG.md", changelog(plan.previous, before, plan.name, files))
    summary = summarised(total)
    files["README.md"] = _text(folder / "README.md", datasheet(plan, summary, checked))
    sums = {path: sha256_of(file) for path, file in files.items()}
    lines = checksum_lines(sums)
    files[CHECKSUMS] = folder / CHECKSUMS
    files[CHECKSUMS].write_bytes(lines)
    for path, file in sorted(files.items()):
        shelf.put_file(path, file)
    record: dict[str, Any] = {
        "name": plan.name,
        "batches": sorted(plan.batches),
        "reason": plan.reason,
        "formats": list(plan.formats),
        "filter": plan.filter.words(),
        "previous": plan.previous,
        "counts": summary,
        "checked_objects": checked,
        "taxonomy": plan.taxonomy.reference,
        "taxa": list(plan.taxonomy.names),
        "licence": plan.licence,
    }
    if plan.unfit:
        record |= {"override": plan.override, "unfit": {batch: list(why) for batch, why in plan.unfit.items()}}
    record["content_sha256"] = hashlib.sha256(lines).hexdigest()
    shelf.commit((json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
    shutil.rmtree(folder / "files", ignore_errors=True)
    return record


def _text(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def summarised(total: Counter[str]) -> dict[str, Any]:
    """Counts of a release for people."""

    def under(prefix: str) -> dict[str, int]:
        return {k.removeprefix(prefix): n for k, n in sorted(total.items()) if k.startswith(prefix)}

    balance: dict[str, dict[str, int]] = {}
    taxa: Counter[str] = Counter()
    for key, number in under("taxa/").items():
        split, _, taxon = key.partition("/")
        balance.setdefault(taxon, {})[split] = number
        taxa[taxon] += number
    return {
        "images": total["frames"],
        "colonies": _sum(under("outlines/").values()),
        "splits": under("images/"),
        "taxa": dict(sorted(taxa.items())),
        "balance": dict(sorted(balance.items())),
        "sources": under("sources/"),
        "models": sorted(under("models/")),
        "people": sorted(under("people/")),
        "corners": total["corners"],
        "lattice": total["lattice"],
    }


def _sum(values: Iterable[int]) -> int:
    return sum(values)
