"""Seeing: from the bytes of a photo to corners, lattice nodes, a clean picture and coral outlines.

Belongs here: decoding, finders, rectifying, lattice removal, segmentation, mask<->polygon, the model registry, the
generator of scenes with known truth, training scripts.
Stays out: where pictures are stored, CVAT, Dagster. Functions take arrays and return arrays and label rows.
"""

import os

# Since 1.29 ONNX Runtime tells its maker about every session, and a process may hang or crash at its end because of it.
# It looks at this once, when it is loaded; who wants it sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
