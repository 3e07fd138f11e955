"""Where batches run: here, the next ones read and the last one written while one is computed."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
Result = TypeVar("Result")

READ_AHEAD = 2  # batches read while one is in the network; more only costs memory


def run_local(
    items: Iterable[Item], load: Callable[[Item], Loaded], work: Callable[[Loaded], Result]
) -> Iterator[Result]:
    """`work(load(item))` for every item, in order.

    Args:
        items: what to run, in the order of the results.
        load: reads one item; runs in a thread, up to `READ_AHEAD` items ahead.
        work: the network's part; runs in the caller's thread.
    """
    with ThreadPoolExecutor(max_workers=READ_AHEAD, thread_name_prefix="read") as pool:
        waiting: deque[Future[Loaded]] = deque()
        for item in items:
            waiting.append(pool.submit(load, item))
            if len(waiting) > READ_AHEAD:
                yield work(waiting.popleft().result())
        while waiting:
            yield work(waiting.popleft().result())


def run_behind(results: Iterable[Result], save: Callable[[Result], Loaded]) -> Iterator[Loaded]:
    """`save(result)` for every result, in order, in a thread: one is saved while the next is made.

    Args:
        results: made in the caller's thread as they are asked for.
        save: writes one result.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="write") as pool:
        before: Future[Loaded] | None = None
        for result in results:
            now = pool.submit(save, result)
            if before is not None:
                yield before.result()
            before = now
        if before is not None:
            yield before.result()
