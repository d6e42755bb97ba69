"""The CVAT sandbox: the part of CVAT's REST API (version 2.54) that reefline uses, for trying and testing.

It keeps its data in SQLite, fires signed webhooks with CVAT's sequence and noise, and shows pictures with their shapes.
It is held to the real CVAT by contract tests. Production is CVAT itself; this is not a substitute for it.

``store`` keeps objects, ``views`` writes them as CVAT does, ``changes`` makes changes and the events they cause,
``hooks`` delivers events (``faults`` says how badly), ``api`` and ``media`` are the HTTP routes, ``pages`` is what a
person sees.
"""
