"""CoralNet's CSV of points: ``Name, Row, Column, Label``; rows and columns are pixels of the picture, from 0."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass

HEAD = b"Name,Row,Column,Label\n"
_NEEDED = ("Name", "Row", "Column", "Label")


class CoralNetError(ValueError):
    """The file is no list of CoralNet points; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class NetPoint:
    """A labelled point: file name of the picture, place in its pixels, label code, who said so."""

    name: str
    row: int
    column: int
    label: str
    annotator: str | None = None


def coralnet_rows(points: Iterable[NetPoint]) -> bytes:
    """The lines of points, without the head."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for point in points:
        writer.writerow([point.name, point.row, point.column, point.label])
    return buffer.getvalue().encode()


def read_coralnet(data: bytes, origin: str = "file") -> tuple[list[NetPoint], list[str]]:
    """Points of an annotations CSV, and one line for each row that cannot be used.

    Raises:
        CoralNetError: the file has not the columns that points need.
    """
    text = data.decode("utf-8-sig", "replace")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    heads = {(head or "").strip().lower(): head for head in rows.fieldnames or []}
    missing = [name for name in _NEEDED if name.lower() not in heads]
    if missing:
        raise CoralNetError(f"{origin}: no column {', '.join(missing)}: export 'Annotations, CSV' from CoralNet")
    points, problems = [], []
    for number, row in enumerate(rows, 2):
        values = {name: (row[heads[name.lower()]] or "").strip() for name in _NEEDED}
        try:
            place = int(float(values["Row"])), int(float(values["Column"]))
        except (ValueError, OverflowError):
            problems.append(
                f"{origin}:{number}: row {values['Row']!r}, column {values['Column']!r} are no whole numbers"
            )
            continue
        if not values["Label"] or not values["Name"]:
            problems.append(f"{origin}:{number}: no {'label' if values['Name'] else 'picture name'}")
            continue
        annotator = (row.get(heads.get("annotator", "")) or "").strip() or None
        points.append(NetPoint(values["Name"], *place, values["Label"], annotator))
    return points, problems


def read_labelset(data: bytes, origin: str = "labelset.csv") -> dict[str, tuple[str, str]]:
    """Label code -> name and functional group, from CoralNet's label set.

    Raises:
        CoralNetError: the file has not the columns.
    """
    rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig", "replace"), newline=""))
    heads = {(head or "").strip().lower().replace(" ", "_"): head for head in rows.fieldnames or []}
    missing = [name for name in ("name", "short_code", "functional_group") if name not in heads]
    if missing:
        raise CoralNetError(f"{origin}: no column {', '.join(missing)}: export the label set from CoralNet")
    code, name, group = heads["short_code"], heads["name"], heads["functional_group"]
    return {row[code].strip(): (row[name].strip(), row[group].strip()) for row in rows if row[code]}
