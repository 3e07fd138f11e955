"""How many images go through a network at once: as many as memory allows, and fewer if it fails."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import torch

from trust_core.audit.decode import Batch, decoding_pool, read_batch
from trust_core.data.samples import Dataset
from trust_core.errors import SettingsError
from trust_core.messages import Message
from trust_core.model.detector import Detector
from trust_core.storage.shards import ARRAY_FILES, Shard

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

    `results` are made in the caller's thread as they are asked for.
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


@contextmanager
def batch_reader(detector: Detector, dataset: Dataset) -> Iterator[Callable[[slice], Batch]]:
    """A function that reads rows of the sample table, for the threads of `run_local`.

    For a GPU by processes, into memory that it reads by itself, and from there onto it, while it
    computes.
    """
    gpu = detector.device.type == "cuda"
    with decoding_pool() if gpu else nullcontext() as pool:

        def read(rows: slice) -> Batch:
            batch = read_batch(dataset, detector.preprocessing, rows, pool, pinned=gpu)
            return upload(batch, detector.device) if gpu else batch

        yield read


@cache
def _copying(device: torch.device) -> torch.cuda.Stream:
    """One stream for all copies: what PyTorch allocates in a stream is used again in it alone."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def upload(batch: Batch, device: torch.device) -> Batch:
    """The batch with its pixels on a GPU, copied in a stream of its own while another computes.

    Where memory is short the pixels stay, to be moved when it is the batch's turn.
    """
    stream = _copying(device)
    try:
        with torch.cuda.stream(stream):
            pixels = torch.as_tensor(batch.pixels).to(device, non_blocking=True)
    except torch.OutOfMemoryError:
        return batch
    stream.synchronize()
    return replace(batch, pixels=pixels)


BUDGET = 2 << 30  # bytes, or half of what is free if that is less
MOST_ON_CPU, MOST_ON_GPU = 64, 256  # beyond these a batch gains no speed
OVERHEAD = 1.5  # of what a graph keeps, with room; a batch that fails all the same is halved
COPIES = 8  # of the pixels: as read, as numbers, normalised, moved, and their gradients


def fitting_batch(detector: Detector, budget: int | None = None) -> int:
    """Images a pass, from what one image was seen to keep; at least one.

    Scores do not depend on it. Without a `budget` in bytes it is `BUDGET` or half of the free
    memory, on a GPU half of its own.
    """
    gpu = detector.device.type == "cuda"
    if budget is None:
        budget = _free(detector.device) // 2
        budget = budget if gpu else min(BUDGET, budget)
    height, width = detector.preprocessing.size
    pixels = 4 * detector.channels * height * width
    one = OVERHEAD * detector.bytes_per_image + COPIES * pixels
    return max(1, min(MOST_ON_GPU if gpu else MOST_ON_CPU, int(budget / one)))


class Halving:
    """Scores batches; one that does not fit into memory is halved, and so are those after it."""

    def __init__(self, score: Callable[[Batch], Shard]) -> None:
        self._score = score
        self._most: int | None = None

    def __call__(self, batch: Batch) -> Shard:
        """The scores of a batch, however many passes they take.

        Raises:
            SettingsError: not even one image fits.
        """
        while True:
            size = min(len(batch.sample_ids), self._most or len(batch.sample_ids))
            try:
                return _joined([self._score(part) for part in _pieces(batch, size)])
            except (MemoryError, RuntimeError) as error:
                if not _out_of_memory(error):
                    raise
                if size <= 1:
                    raise SettingsError(
                        Message(
                            "One image alone does not fit into memory with this network; free some "
                            "memory, or choose a smaller {size}."
                        )
                    ) from error
            # Only here has the error, which holds all that was computed, let go of it.
            self._most = -(-size // 2)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def _pieces(batch: Batch, size: int) -> list[Batch]:
    parts = [slice(start, start + size) for start in range(0, len(batch.sample_ids), size)]
    return [
        Batch(batch.sample_ids[p], batch.reasons[p], batch.pixels[p], batch.passing[p])
        for p in parts
    ]


def _joined(parts: list[Shard]) -> Shard:
    """The shard of a batch from those of its pieces."""
    if len(parts) == 1:
        return parts[0]
    scores = pd.concat([part.scores for part in parts], ignore_index=True)
    order = np.lexsort((scores["strength"], scores["sample_id"].to_numpy(dtype=str)))
    kept = {name: [getattr(part, name) for part in parts] for name in ARRAY_FILES}
    return Shard(
        samples=pd.concat([part.samples for part in parts], ignore_index=True),
        scores=scores.iloc[order].reset_index(drop=True),
        maps={n: np.concatenate([part.maps[n] for part in parts])[order] for n in parts[0].maps},
        **{n: None if pieces[0] is None else np.concatenate(pieces) for n, pieces in kept.items()},
    )


def _out_of_memory(error: Exception) -> bool:
    """Whether PyTorch (on any device) or NumPy could not get the memory it asked for."""
    text = str(error).lower()
    return (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or "out of memory" in text
        or "can't allocate memory" in text
        or "alloc_failed" in text  # of cuDNN and cuBLAS
    )


def _free(device: torch.device) -> int:
    """Bytes that can be had: of a GPU (with what PyTorch holds unused), or of the machine."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + unused
    table = Path("/proc/meminfo")
    lines = table.read_text().splitlines() if table.exists() else []
    said = [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    return said[0] if said else 2 * BUDGET
