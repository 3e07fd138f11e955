"""Audits on a Ray cluster of two nodes on this machine: the scores of a local run, whatever dies.

A node here is a set of Ray processes with its own object store; they share the disk, as the nodes
of a cluster share the images.
"""

import dataclasses
import os
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.small import small_dataset, small_detector
from trust_core.audit.cluster import Cluster
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.data.samples import Dataset
from trust_core.errors import DataError, EngineError
from trust_core.storage.audit_files import Audit
from trust_core.storage.shards import SHARDS

os.environ.setdefault("RAY_AUTH_MODE", "disabled")
ray = pytest.importorskip("ray", reason="needs the extra: pip install .[ray]")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SETTINGS = AuditSettings(strengths=(0, 1, 4))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return small_dataset(tmp_path_factory.mktemp("images"), 200)


@pytest.fixture(scope="module")
def local(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return run_audit(small_detector(), dataset, SETTINGS, tmp_path_factory.mktemp("local") / "a")


@pytest.fixture
def nodes():
    from ray.cluster_utils import Cluster as Nodes

    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 1})
    yield nodes, [nodes.add_node(num_cpus=1)]
    ray.shutdown()
    nodes.shutdown()


def same(one: Audit, other: Audit) -> None:
    """Rows in the same order, scores within the tolerances of DESIGN §6, the same maps."""
    for name in ("samples", "scores"):
        a, b = (audit.query(f"SELECT * FROM {name}") for audit in (one, other))
        assert a["sample_id"].tolist() == b["sample_id"].tolist()
        pd.testing.assert_frame_equal(a, b, rtol=1e-4, atol=1e-4)
    for entry in one.manifest.maps:
        np.testing.assert_allclose(
            one.maps(entry.name), other.maps(entry.name), rtol=1e-3, atol=1e-3
        )


def test_two_nodes_give_the_scores_of_a_local_run(nodes, dataset, local, tmp_path):
    audit = run_audit(
        small_detector(),
        dataset,
        SETTINGS,
        tmp_path / "a",
        batch_size=8,
        cluster=Cluster(nodes[0].address),
    )
    same(local, audit)


def test_a_node_that_dies_costs_time_but_no_parts(nodes, dataset, local, tmp_path):
    cluster, workers = nodes
    killed = threading.Event()

    def kill(progress: object) -> None:
        if not killed.is_set():
            killed.set()
            cluster.remove_node(workers[0], allow_graceful=False)
            cluster.add_node(num_cpus=1)

    audit = run_audit(
        small_detector(),
        dataset,
        SETTINGS,
        tmp_path / "a",
        batch_size=4,
        progress=kill,
        cluster=Cluster(cluster.address),
    )
    assert killed.is_set()
    same(local, audit)


def test_a_run_that_was_stopped_does_only_what_is_missing(nodes, dataset, local, tmp_path):
    folder, seen = tmp_path / "a", []

    def stop(progress) -> None:
        if progress.done >= 80:
            raise KeyboardInterrupt

    def note(progress) -> None:
        seen.append(progress.done)

    cluster = Cluster(nodes[0].address)
    with pytest.raises(KeyboardInterrupt):
        run_audit(
            small_detector(),
            dataset,
            SETTINGS,
            folder,
            batch_size=8,
            progress=stop,
            cluster=cluster,
        )
    kept = {path.name: path.stat().st_mtime_ns for path in (folder / SHARDS).glob("[0-9]*")}
    assert 10 <= len(kept) < 25
    audit = run_audit(small_detector(), dataset, SETTINGS, folder, progress=note, cluster=cluster)
    assert min(seen) == 8 * len(kept) + 8
    assert seen == sorted(seen)
    assert audit.manifest.timings.images == 200  # of both runs
    same(local, audit)


def test_images_that_a_machine_cannot_reach_are_one_sentence(nodes, dataset, tmp_path):
    gone = dataclasses.replace(dataset, root=Path("/not/shared"))
    with pytest.raises(DataError, match="cannot reach the images: /not/shared is not there"):
        run_audit(
            small_detector(), gone, SETTINGS, tmp_path / "a", cluster=Cluster(nodes[0].address)
        )


def test_a_machine_without_the_folder_reads_from_the_address(nodes, dataset, local, tmp_path):
    far = dataclasses.replace(dataset, root=Path("/not/shared"), source=dataset.root.as_uri())
    cluster = Cluster(nodes[0].address)
    audit = run_audit(
        small_detector(), far, SETTINGS, tmp_path / "a", batch_size=50, cluster=cluster
    )
    same(local, audit)
    assert (audit.query("SELECT reason FROM samples")["reason"] == "").all()
    other = dataclasses.replace(far, source=(tmp_path / "none").as_uri())
    with pytest.raises(DataError, match=r"cannot reach the images: Nothing is at file:///.*none"):
        run_audit(small_detector(), other, SETTINGS, tmp_path / "b", cluster=cluster)


def test_a_detector_that_kills_its_workers_is_given_up(nodes, dataset, tmp_path):
    detector = small_detector()
    detector.module.register_forward_pre_hook(_die)
    with pytest.raises(
        EngineError, match=r"workers of the Ray cluster failed: .*same command goes"
    ):
        run_audit(detector, dataset, SETTINGS, tmp_path / "a", cluster=Cluster(nodes[0].address, 1))


def _die(*_: object) -> None:
    if ray.is_initialized() and ray.get_runtime_context().get_actor_id():
        time.sleep(0.1)
        os._exit(1)


def test_an_address_where_nobody_answers_is_one_sentence(dataset, tmp_path):
    cluster = Cluster("127.0.0.1:1")
    with pytest.raises(EngineError, match=r"No Ray cluster answers at 127\.0\.0\.1:1"):
        run_audit(small_detector(), dataset, SETTINGS, tmp_path / "a", cluster=cluster)
