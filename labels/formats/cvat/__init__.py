"""CVAT: label definitions, pre-labels on their way in, reviewed labels on their way out. Plain dicts, no network.

Coordinates: CVAT counts from the outer corner of the top-left pixel, reefline from its centre; the difference of half a
pixel is added by :func:`to_cvat` and taken off by :func:`from_cvat`, so nothing else has to know of it.
"""

from labels.formats.cvat.answer import AnsweredJob, AnsweredTask, JobAnswer, TaskAnswer
from labels.formats.cvat.geometry import HALF_PIXEL, cut_holes
from labels.formats.cvat.guide import coral_guide, corner_guide, lattice_guide
from labels.formats.cvat.read import ANNOTATION, UNPLACED, from_cvat
from labels.formats.cvat.specs import corner_label_spec, lattice_label_spec, taxonomy_label_specs
from labels.formats.cvat.write import CvatFormatError, cvat_points, to_cvat

__all__ = [
    "ANNOTATION",
    "HALF_PIXEL",
    "UNPLACED",
    "AnsweredJob",
    "AnsweredTask",
    "CvatFormatError",
    "JobAnswer",
    "TaskAnswer",
    "coral_guide",
    "corner_guide",
    "corner_label_spec",
    "cut_holes",
    "cvat_points",
    "from_cvat",
    "lattice_guide",
    "lattice_label_spec",
    "taxonomy_label_specs",
    "to_cvat",
]
