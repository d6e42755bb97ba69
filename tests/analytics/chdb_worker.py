"""One embedded ClickHouse in a process of its own, asked over a pipe: a process serves one folder only.

``with Worker(folder) as worker: worker.ask(function, *arguments)`` runs ``function(clickhouse, *arguments)`` there.
"""

from __future__ import annotations

import multiprocessing
import traceback


def _serve(folder, pipe):
    from resources.clickhouse import ClickHouse

    clickhouse = ClickHouse(f"chdb://{folder}")
    while True:
        asked = pipe.recv()
        if asked is None:
            return
        function, arguments = asked
        try:
            pipe.send((True, function(clickhouse, *arguments)))
        except Exception as error:
            pipe.send((False, f"{type(error).__name__}: {error}\n{traceback.format_exc()}"))


class WorkerError(Exception):
    """What went wrong over there; the message begins with the name of the error."""


class Worker:
    """The process and its folder."""

    def __init__(self, folder):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(folder, theirs), daemon=True)
        self._process.start()

    def ask(self, function, *arguments):
        """The answer of ``function(clickhouse, *arguments)``; both must be importable there."""
        self._pipe.send((function, arguments))
        good, answer = self._pipe.recv()
        if not good:
            raise WorkerError(answer)
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._pipe.send(None)
        self._process.join(20)
