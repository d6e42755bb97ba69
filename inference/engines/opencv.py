"""OpenCV's methods by name, so that surveys, manifests and the registry name them like models.

A method of OpenCV has no weights: nothing is loaded, nothing runs in batches, and there are no numbers between picture
and result. So it is no :class:`~inference.engines.protocol.Engine`; the finders and the inpainter are functions of a
picture. What they share with models is a reference, ``opencv-<method>@<version>``, which labels and manifests carry in
the place of ``name@version#hash``; the version changes when the same picture would give another result.
"""

from __future__ import annotations

from dataclasses import dataclass

ENGINE = "opencv"


@dataclass(frozen=True, slots=True)
class Method:
    """A way of seeing without weights. ``name`` as in survey files; ``task`` as in model cards."""

    name: str
    version: str
    task: str
    what: str

    @property
    def reference(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"


METHODS = (
    Method("opencv-corners", "2", "corners", "frame by its borders, corners refined on the edges"),
    Method("opencv-lattice", "1", "lattice", "strings tracked in strips, topology fitted under a homography"),
    Method("opencv-telea", "2", "removal", "inpainting by fast marching"),
    Method("opencv-ns", "2", "removal", "inpainting by Navier-Stokes"),
)


def method(name: str) -> Method | None:
    """The method of this name, or of ``name@version``; None when there is none."""
    wanted, _, version = name.partition("@")
    return next((m for m in METHODS if m.name == wanted and version in ("", m.version)), None)
