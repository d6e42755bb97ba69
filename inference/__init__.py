"""Seeing: from the bytes of a photo to corners, lattice nodes, a clean picture and coral outlines.

Belongs here: decoding, finders, rectifying, lattice removal, segmentation, mask<->polygon, the model registry, the
generator of scenes with known truth, training scripts.
Stays out: where pictures are stored, CVAT, Dagster. Functions take arrays and return arrays and label rows.
"""
