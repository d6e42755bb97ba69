"""Assembly: Definitions, jobs, schedules, and the ``reefline`` command line.

Belongs here: which assets, jobs, sensors and resources make the code location; commands that call the rooms above.
Stays out: logic. Commands of the embedded runtime join by the entry-point group ``reefline.commands``.
"""
