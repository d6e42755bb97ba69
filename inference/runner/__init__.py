"""The batch runner: many pictures through one model, as fast as the engine goes, in bounded memory.

Reading, decoding and preparing the next pictures, the engine's calls, and finishing and encoding the last ones overlap
in threads. Belongs here: threads, queues, back-pressure, isolation of failures. Stays out: what is seen (tasks live
beside their models), where pictures come from, and which ones are done already (``assets.common.stage``).
"""

from __future__ import annotations

from inference.runner.pictures import Outcome, Picture, Task, decode_rgb
from inference.runner.pipeline import DEFAULT_MEMORY, run_batch

__all__ = ["DEFAULT_MEMORY", "Outcome", "Picture", "Task", "decode_rgb", "run_batch"]
