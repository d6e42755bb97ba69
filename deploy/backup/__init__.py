"""Backup, restore, verification and upgrade of an installation.

A backup is a set of parts (``dagster``, ``inbox``, ``cvat_database``, ``store``, ``clickhouse``, ``sandbox``, ``cvat``,
``surveys``, ``settings``), each a list of files with their hashes; the bytes are kept once by hash and shared by all
sets, so a second backup copies only what is new. Of CVAT there are two: ``cvat_database``, all of its rows, and
``cvat``, its own backups of single review tasks. What belongs elsewhere: CVAT's files, which an operator copies.

The parts are taken in an order that makes them fit together while the installation works: Dagster first, then the
inbox, then CVAT, whose tasks name pictures, then the store that holds them. What is newer in a later part is found, and
not done twice, when work goes on: a run that the inbox does not know of is repeated, and repeating costs only what is
missing.
"""
