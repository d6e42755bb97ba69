"""A stage whose pictures go through a model together, by the batch runner. No Dagster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assets.common.pictures import decode_rgb
from assets.common.stage import Done, Made, Many, Work
from inference.runner import Picture, Task, run_batch
from resources.object_store import StoreError
from resources.tables import BatchTables


def with_task(
    tables: BatchTables,
    task: Task[Any],
    then: Callable[[Work, NDArray[np.uint8], Any], Done],
    *,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Many:
    """Pictures seen by a task.

    Args:
        task: prepares, runs the engine, finishes.
        then: what the stage makes of a picture and its result; runs in the runner's threads, and may store pictures.
        workers: threads that decode, and as many that finish; 0 = one per processor.
        progress: called with the numbers of pictures done and to be done.
    """

    def many(works: Sequence[Work]) -> Iterator[Made]:
        if not works:
            return  # the model need not be loaded to find that everything is done
        by_id = {work.image_id: work for work in works}
        outcomes = run_batch(
            (Picture(work.image_id, partial(tables.image, work.source)) for work in works),
            task,
            then=lambda picture, image, result: then(by_id[picture.key], image, result),
            decode=decode_rgb,
            workers=workers,
            fatal=(StoreError,),
            progress=(lambda done: progress(done, len(works))) if progress else None,
        )
        for outcome in outcomes:
            yield Made(by_id[outcome.key], outcome.result, outcome.reason, outcome.seconds * 1000)

    return many
