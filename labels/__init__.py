"""The vocabulary: what a shape, a manifest row, a lattice, a taxonomy and a survey *are*, and how they are written.

Belongs here: Arrow schemas and their row types, lattice topologies and taxonomies (data files under ``data/``),
quadrat names, geometry that is plain data (homographies), the survey model, file formats (bytes in, bytes out).
Stays out: disk, network, databases, Dagster, image decoding, models.
"""
