"""Group commit: deliveries that come in while a transaction is being written share the next one.

A durable commit costs a sync of the disk, several milliseconds, whether it holds one row or a hundred. One at a time is
written, so nothing queues for the database's lock, and each sender is answered after the commit of its own row.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool

from resources.inbox import Delivery

BATCH = 200
"""Rows per transaction at most; the sensor writes between two of them."""

Store = Callable[[Sequence[Delivery]], Sequence[bool]]
"""Keeps deliveries in one transaction, all or none; whether each was new. ``Inbox.insert_many``."""

Waiting = tuple[Delivery, asyncio.Future[bool]]


class GroupWriter:
    """Stores deliveries of many requests, in the order in which they came. For one event loop."""

    def __init__(self, store: Store, batch: int = BATCH) -> None:
        """Write with ``store``, at most ``batch`` rows at once. Nothing runs while nothing waits."""
        self._store = store
        self._batch = batch
        self._waiting: deque[Waiting] = deque()
        self._task: asyncio.Task[None] | None = None

    async def insert(self, delivery: Delivery) -> bool:
        """Keep a delivery; ``False`` when the same event is there already. Committed when it returns.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: it is not kept.
        """
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((delivery, kept))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())
        return await kept

    async def _write(self) -> None:
        while self._waiting:
            await self._keep([self._waiting.popleft() for _ in range(min(self._batch, len(self._waiting)))])

    async def _keep(self, group: Sequence[Waiting]) -> None:
        try:
            new = await run_in_threadpool(self._store, [delivery for delivery, _ in group])
        except OperationalError as error:
            # Locked, full or gone. What waits behind has no time for the same patience once more: CVAT wants its
            # answer within 10 s.
            _fail([*group, *self._waiting], error)
            self._waiting.clear()
        except Exception as error:
            if len(group) == 1:
                _fail(group, error)
                return
            for one in group:  # one that the database does not take must not cost the others theirs
                await self._keep([one])
        else:
            for (_, kept), is_new in zip(group, new, strict=True):
                if not kept.done():  # its request may have been given up meanwhile
                    kept.set_result(is_new)


def _fail(group: Sequence[Waiting], error: Exception) -> None:
    for _, kept in group:
        if not kept.done():
            kept.set_exception(error)
