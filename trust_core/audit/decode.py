"""Batches of decoded images, in the caller's thread or by a pool of processes.

A processor that computes itself is fed by a thread or two. A GPU is so much faster that all cores
have to decode for it, and not as threads: these would hold the interpreter just when the one that
feeds the GPU needs it. The processes are plain ones, started by the name of this module, so that a
program without a `__main__` guard may audit, and they end when their input does, whatever becomes
of the audit.
"""

import hashlib
import io
import os
import pickle
import queue
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from trust_core.data.images import image_bytes, no_memory
from trust_core.errors import EngineError, UnreadableImage
from trust_core.model.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import Tensor

    from trust_core.data.samples import Dataset

Pixels = npt.NDArray[np.uint8]
Failure = tuple[str, bool]  # why an image could not be read, "" where it could; whether it may pass

CHUNK = 16  # images that a process decodes at a time, at most
PIPE_BYTES = 1 << 20  # the most that Linux gives a user
MOST_PROCESSES = 32
DIED = (
    "a process that decodes images has died, which is usually for want of memory; what is finished "
    "is kept, so the same command goes on from there"
)


@dataclass(frozen=True)
class Batch:
    """Decoded images, `n` of them.

    Attributes:
        sample_ids: `(n,)` text.
        reasons: why an image cannot be read, "" where it can, `(n,)` text.
        pixels: `(n, c, H, W)` uint8; black where an image cannot be read: rows stay aligned. On a
            GPU when it was uploaded ahead.
        passing: whether an image could not be read for a reason that may pass, so that another try
            is worth while, `(n,)`.
    """

    sample_ids: npt.NDArray[np.object_]
    reasons: npt.NDArray[np.object_]
    pixels: "Pixels | Tensor"
    passing: npt.NDArray[np.bool_]


class DecodingPool:
    """Processes that decode images, each led by a thread of this one; from `decoding_pool`."""

    def __init__(self, processes: Sequence["subprocess.Popen[bytes]"]) -> None:
        self.size = len(processes)
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        for process in processes:
            self._idle.put(process)
        self._threads = ThreadPoolExecutor(self.size, thread_name_prefix="decode")

    def read(
        self,
        root: Path,
        paths: Sequence[str],
        preprocessing: Preprocessing,
        contents: Sequence[bytes] | None,
        hashes: Sequence[str] | None,
        pixels: Pixels,
    ) -> list[Failure]:
        """Fill `pixels`, `(n, c, H, W)`; the failure, or none, of each image."""
        size = max(1, min(CHUNK, -(-len(paths) // self.size)))

        def chunk(start: int) -> list[Failure]:
            part = slice(start, start + size)
            given = (values[part] if values else None for values in (contents, hashes))
            job = root, paths[part], preprocessing, *given
            return self._chunk(job, pixels[part])

        found = self._threads.map(chunk, range(0, len(paths), size))
        return [failure for part in found for failure in part]

    def close(self) -> None:
        """End the threads; nothing must be reading."""
        self._threads.shutdown()

    def _chunk(self, job: tuple[object, ...], pixels: Pixels) -> list[Failure]:
        process = self._idle.get()
        assert process.stdin
        assert process.stdout
        try:
            pickle.dump(job, process.stdin)
            process.stdin.flush()
            failures: list[Failure] = pickle.load(process.stdout)  # noqa: S301 - from `decode_jobs`
            got = cast(io.BufferedReader, process.stdout).readinto(pixels.data.cast("B"))
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise EngineError(DIED) from error
        finally:
            self._idle.put(process)
        if got < pixels.nbytes:
            raise EngineError(DIED)
        return failures


@contextmanager
def decoding_pool(processes: int | None = None) -> Iterator[DecodingPool]:
    """Processes that decode, as many as there are cores but one when not told otherwise."""
    count = processes or max(2, min(MOST_PROCESSES, (os.cpu_count() or 1) - 1))
    with ExitStack() as stack:
        started = []
        for _ in range(count):
            process = subprocess.Popen(
                [sys.executable, "-m", "trust_core.audit.decode"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pipesize=PIPE_BYTES,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            stack.callback(_end, process)
            started.append(process)
        pool = DecodingPool(started)
        stack.callback(pool.close)
        yield pool


def _end(process: "subprocess.Popen[bytes]") -> None:
    with process, suppress(BrokenPipeError):  # of one that has ended already
        assert process.stdin
        process.stdin.close()


def read_batch(
    dataset: "Dataset",
    preprocessing: Preprocessing,
    rows: slice,
    pool: DecodingPool | None = None,
    *,
    pinned: bool = False,
) -> Batch:
    """Decode and resize some images of the sample table; what cannot be read gets its reason."""
    samples = dataset.samples.iloc[rows]
    ids, paths, hashes = (samples[name].tolist() for name in ("sample_id", "path", "sha256"))
    return read_images(
        dataset.root, ids, paths, preprocessing, hashes=hashes, pool=pool, pinned=pinned
    )


def read_images(
    root: Path,
    sample_ids: Sequence[str],
    paths: Sequence[str],
    preprocessing: Preprocessing,
    contents: Sequence[bytes] | None = None,
    pool: DecodingPool | None = None,
    hashes: Sequence[str] | None = None,
    *,
    pinned: bool = False,
) -> Batch:
    """Decode and resize images by ids and paths, without a sample table; or from the files' bytes.

    Args:
        root: of the paths.
        sample_ids: `n` of them.
        paths: below `root`.
        preprocessing: to the network's input.
        contents: bytes of the files, where they were read already.
        pool: who decodes; None: this thread.
        hashes: sha256 of each file as it was listed ("": could not be read then); a picture whose
            bytes have another is not scored. None: whatever is there.
        pinned: into memory that a GPU reads by itself.
    """
    pixels = _blank((len(paths), preprocessing.input_channels, *preprocessing.size), pinned=pinned)
    decode = pool.read if pool else _decode
    failures = decode(root, paths, preprocessing, contents, hashes, pixels)
    return Batch(
        sample_ids=np.array(sample_ids, dtype=object),
        reasons=np.array([reason for reason, _ in failures], dtype=object),
        pixels=pixels,
        passing=np.array([passing for _, passing in failures], dtype=bool),
    )


def _blank(shape: tuple[int, ...], *, pinned: bool) -> Pixels:
    if not pinned:
        return np.zeros(shape, dtype=np.uint8)
    import torch

    return torch.zeros(shape, dtype=torch.uint8, pin_memory=True).numpy()


def _decode(
    root: Path,
    paths: Sequence[str],
    preprocessing: Preprocessing,
    contents: Sequence[bytes] | None,
    hashes: Sequence[str] | None,
    pixels: Pixels,
) -> list[Failure]:
    """As `DecodingPool.read`, here."""
    failures = [("", False)] * len(paths)
    for index, path in enumerate(paths):
        listed = hashes[index] if hashes else None
        try:
            content = contents[index] if contents else image_bytes(root / path)
            if listed is not None:
                _check_listed(root / path, content, listed)
            pixels[index] = preprocessing.pixels(preprocessing.read(root / path, content))
        except MemoryError:
            failures[index] = (str(no_memory(root / path)), True)
        except UnreadableImage as error:
            # What was not readable when it was listed makes another audit once it is.
            failures[index] = (str(error), error.passing and listed != "")
    return failures


def _check_listed(path: Path, content: bytes, listed: str) -> None:
    """Refuse bytes other than those that the audit says it is of."""
    if not listed:
        raise UnreadableImage(f"{path.name}: it could not be read when the images were listed.")
    if hashlib.sha256(content).hexdigest() != listed:
        raise UnreadableImage(
            f"{path.name}: the file has changed since the images were listed.", passing=True
        )


def decode_jobs() -> None:
    """A process of the pool: jobs from standard input, failures and pixels to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a keyboard's reaches the audit, which ends this
    jobs, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # whoever prints
    while True:
        try:
            job = pickle.load(jobs)  # noqa: S301 - from the audit
            root, paths, preprocessing, contents, hashes = job
            shape = (len(paths), preprocessing.input_channels, *preprocessing.size)
            pixels = _blank(shape, pinned=False)
            failures = _decode(root, paths, preprocessing, contents, hashes, pixels)
            pickle.dump(failures, answers)
            answers.write(pixels.data.cast("B"))
            answers.flush()
        except (EOFError, BrokenPipeError):
            os._exit(0)  # the audit has ended, or was ended; there is nobody to tell


if __name__ == "__main__":
    decode_jobs()
