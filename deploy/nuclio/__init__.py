"""CVAT's own AI tools: the functions that CVAT calls through Nuclio, as QUADRATSEG's sites know them by name.

Belongs here: which functions there are (``catalog``), how a request is read and answered (``handler``, ``response``),
their Nuclio configuration (one folder each, written by ``generate``), and a server to try them without Docker
(``serve``). Stays out: how anything is found (``inference.functions``).
"""
