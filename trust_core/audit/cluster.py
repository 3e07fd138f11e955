"""Batches on a Ray cluster: the same batch function, in actors that hold the detector.

The detector travels to the actors through Ray, images are read where they are scored, and scores
come back to the process that writes the audit: the machines need to share the images, by a folder
or by an address such as `s3://bucket/parts`, and nothing else. With an address, a machine that has
no copy of a batch's images reads them from there. Every finished batch is written at once, so that
a run that stops goes on where it ended, whatever engine goes on.
"""

import logging
import os
import pickle
import platform
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trust_core.audit.decode import read_images
from trust_core.audit.engine import Halving
from trust_core.audit.score import score_batch
from trust_core.audit.settings import AuditSettings
from trust_core.data.remote import changed_contents
from trust_core.data.samples import Dataset
from trust_core.errors import DataError, EngineError
from trust_core.model.detector import Detector
from trust_core.model.modules import frozen_copy
from trust_core.storage.shards import Shard

if TYPE_CHECKING:
    from trust_core.explanation.evidence.patch_gaussian import PatchGaussian

RESTARTS = 5  # of one actor, before a run is given up
PATIENCE = 5  # seconds until a cluster must have answered
READERS = ("StreamingExecutor", "iter_threaded")  # names of Ray Data's threads
WAITING = 2  # batches an actor has beside the one it works on


@dataclass(frozen=True)
class Cluster:
    """The Ray cluster that batches run on.

    Attributes:
        address: of a running cluster (`auto`, `HOST:PORT`); None = this machine alone.
        workers: actors; None = as many as there are processors, or GPUs when they use such.
        gpus: that each actor takes; 0 = it computes on one processor.
    """

    address: str | None = None
    workers: int | None = None
    gpus: float = 0.0


@dataclass(frozen=True)
class Order:
    """What an actor needs to score batches.

    `detector` are the arguments of `Detector`, whose module travels with them. Images lie below
    `root`, the same path on every machine where there is no `source`, an address to read them from.
    """

    detector: Mapping[str, Any]
    settings: AuditSettings
    surroundings: "PatchGaussian | None"
    root: Path
    source: str


class Scorer:
    """An actor: holds the detector, and turns paths of images into shards."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        import ray

        told: Order = ray.get(order["order"])
        device = "cuda" if ray.get_gpu_ids() else "cpu"
        detector = Detector(**told.detector, device=device)
        self.order, self.detector = told, detector
        self.score = Halving(
            lambda batch: score_batch(detector, told.settings, batch, told.surroundings)
        )

    def __call__(self, rows: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """The shard of one batch; an empty one, and why, where the images are out of reach."""
        sample_ids, paths, hashes = pickle.loads(rows["images"][0])  # noqa: S301 - packed below
        packed, trouble = b"", ""
        try:
            order = self.order
            contents = changed_contents(order.root, order.source, paths, hashes)
            preprocessing = self.detector.preprocessing
            batch = read_images(
                order.root, sample_ids, paths, preprocessing, contents, hashes=list(hashes)
            )
            packed = pickle.dumps(self.score(batch), protocol=5)
        except DataError as error:
            machine = f"{platform.node()}, a machine of the cluster,"
            trouble = f"{machine} cannot reach the images: {error}"
        return {
            "index": rows["index"],
            "shard": np.array([packed], dtype=object),
            "trouble": np.array([trouble], dtype=object),
        }


def run_on_cluster(
    cluster: Cluster,
    detector: Detector,
    dataset: Dataset,
    settings: AuditSettings,
    surroundings: "PatchGaussian | None",
    batches: Mapping[int, slice],
) -> Iterator[tuple[int, Shard]]:
    """Number and shard of every batch, in the order they are finished.

    A worker that dies is started again, and its batches with it. `batches` are rows of the sample
    table, by number.

    Raises:
        EngineError: no Ray, no cluster, or workers that die again and again.
        DataError: a machine cannot reach the images.
    """
    if not batches:
        return
    with _connected(cluster) as ray:
        told = Order(
            _arguments(detector), settings, surroundings, dataset.root.absolute(), dataset.source
        )
        table = dataset.samples[["sample_id", "path", "sha256"]]
        left = {
            index: pickle.dumps(table.iloc[rows].to_numpy(dtype=object).T)
            for index, rows in batches.items()
        }
        order, lost = ray.put(told), 0
        while left:
            try:
                # Closed, not left to the garbage collector, since an error keeps its frames alive.
                with closing(iter(_scored(ray, cluster, order, left).iter_rows())) as rows:
                    for row in rows:
                        if not row["shard"]:
                            raise DataError(row["trouble"])
                        index = int(row["index"])
                        del left[index]
                        yield index, pickle.loads(row["shard"])  # noqa: S301 - from Scorer
            except ray.exceptions.ActorUnavailableError as error:
                # A machine went away in the middle of a call, which Ray does not try again.
                lost += 1
                if lost > RESTARTS:
                    raise _given_up(error) from error
            except ray.exceptions.RayError as error:
                raise _given_up(error) from error


def _scored(ray: Any, cluster: Cluster, order: object, left: Mapping[int, bytes]) -> Any:  # noqa: ANN401 - of Ray
    """The data set of Ray whose rows are the shards of these batches."""
    jobs = [{"index": index, "images": images} for index, images in left.items()]
    actors = min(cluster.workers or _room(ray, cluster.gpus), len(jobs))
    return ray.data.from_items(jobs, override_num_blocks=len(jobs)).map_batches(
        Scorer,
        fn_constructor_args=({"order": order},),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(
            min_size=1, max_size=actors, max_tasks_in_flight_per_actor=1 + WAITING
        ),
        num_cpus=0 if cluster.gpus else 1,
        num_gpus=cluster.gpus or None,
        max_restarts=RESTARTS,
        max_task_retries=RESTARTS,
    )


def _given_up(error: Exception) -> EngineError:
    return EngineError(
        f"The workers of the Ray cluster failed: {_reason(error)}; what is finished is kept, so "
        "the same command goes on from there; if memory ran out, use fewer --workers or less "
        "--memory."
    )


def _arguments(detector: Detector) -> dict[str, Any]:
    """What makes the same detector on another machine, which need not have a GPU if this has."""
    names = ("preprocessing", "convention", "layers", "architecture", "sha256", "notes")
    given = {name: getattr(detector, name) for name in names}
    return given | {"module": frozen_copy(detector.module, "cpu")}


@contextmanager
def _connected(cluster: Cluster) -> Iterator[Any]:
    """The package ray, connected; what was connected before stays so."""
    try:
        import ray
        import ray.data
    except ImportError:
        raise EngineError(
            "--engine ray needs the package Ray: pip install 'ray[data]', or run with "
            "--engine local."
        ) from None
    mine = not ray.is_initialized()
    if mine:
        try:
            _knock(cluster.address)
            ray.init(
                address=cluster.address,
                logging_level=logging.ERROR,
                log_to_driver=False,
                include_dashboard=False if cluster.address is None else None,
            )
        except (ConnectionError, RuntimeError, ValueError, OSError, AssertionError) as error:
            where = cluster.address or "this machine"
            raise EngineError(
                f"No Ray cluster answers at {where} ({_reason(error)}); start one with "
                "`ray start --head`, or leave --ray-address out to use this machine alone."
            ) from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False  # standard output belongs to the caller
    try:
        yield ray
    finally:
        if mine:
            _wait_for_threads()
            ray.shutdown()


def _wait_for_threads() -> None:
    """Wait until the threads that Ray Data reads with have ended.

    One that still asks for something when Ray is shut down takes the whole process with it.
    """
    for thread in threading.enumerate():
        if thread.name.startswith(READERS):
            thread.join(PATIENCE)


def _knock(address: str | None) -> None:
    """Raise an `OSError` when nobody listens at HOST:PORT: Ray itself would wait for minutes."""
    host, _, port = (address or "").rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), PATIENCE).close()


def _room(ray: Any, gpus: float) -> int:  # noqa: ANN401 - a module
    """Actors that the cluster has room for; one at least."""
    has = ray.cluster_resources()
    return max(1, int(has.get("GPU", 0) / gpus if gpus else has.get("CPU", os.cpu_count() or 1)))


def _reason(error: BaseException) -> str:
    """The first line of what went wrong; Ray tells it with all its stack."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:200].rstrip(".")
