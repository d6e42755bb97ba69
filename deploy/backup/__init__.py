"""Backup, restore, verification and upgrade of an installation.

A backup is a set of parts (``dagster``, ``inbox``, ``store``, ``clickhouse``, ``sandbox``, ``cvat``, ``surveys``,
``settings``), each a list of files with their hashes; the bytes are kept once by hash and shared by all sets, so a
second backup copies only what is new. What belongs elsewhere: backing up CVAT as a whole (the dump of its database),
which is not ours; what is kept of it are its own backups of review tasks, which ``cvat_tasks`` brings back.

The parts are taken in an order that makes them fit together while the installation works: Dagster first, then the
inbox, then the store. What is newer in a later part is found, and not done twice, when work goes on: a run that the
inbox does not know of is repeated, and repeating costs only what is missing.
"""
