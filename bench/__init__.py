"""Benchmarks: each module has ``rows()``, and ``python -m bench`` writes them to ``bench/results.json``.

A figure counts with its reference beside it, measured in the same run, and the command that makes it again.
"""
