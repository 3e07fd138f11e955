"""What passes during a run leaves no trace: read errors, exchanged files, a lost drive."""

import dataclasses
import errno
from pathlib import Path

import pandas as pd
import pytest

from tests.small import Stop, small_dataset, small_detector, stopped_after
from trust_core.audit import run
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.data import files
from trust_core.data.files import PAUSES, hash_files, patiently
from trust_core.errors import DataError
from trust_core.model.preprocessing import Preprocessing
from trust_core.storage.audit_files import open_audit
from trust_core.storage.shards import SHARDS

SETTINGS = AuditSettings(strengths=(0, 1))
BATCH = 8


@pytest.fixture
def dataset(tmp_path):
    return small_dataset(tmp_path / "images")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(files, "PAUSES", (0.0,) * len(PAUSES))
    files._in_vain.clear()
    yield
    files._in_vain.clear()


def audit(dataset, folder, **more):
    return run_audit(small_detector(), dataset, SETTINGS, folder, batch_size=BATCH, **more)


def tables(found):
    return [found.query(f"SELECT * FROM {n} ORDER BY ALL") for n in ("samples", "scores")]


def assert_same(one, two):
    for first, second in zip(tables(one), tables(two), strict=True):
        pd.testing.assert_frame_equal(first, second)


class Flaky:
    """Fails some times, then gives an answer."""

    def __init__(self, failures: int, number: int = errno.EIO) -> None:
        self.failures, self.number, self.calls = failures, number, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise OSError(self.number, "no")
        return "content"


@pytest.mark.parametrize("failures", range(len(PAUSES) + 1))
def test_an_error_that_passes_is_waited_for(failures):
    read = Flaky(failures)
    assert patiently(read) == "content"
    assert read.calls == failures + 1


def test_what_waiting_does_not_mend_is_said_at_once():
    read = Flaky(1, errno.ENOENT)
    with pytest.raises(FileNotFoundError):
        patiently(read)
    assert read.calls == 1


def test_where_nothing_can_be_read_a_file_costs_one_try():
    first, second, third, fourth = Flaky(99), Flaky(99), Flaky(0), Flaky(1)
    for read in (first, second):
        with pytest.raises(OSError, match="no"):
            patiently(read)
    assert (first.calls, second.calls) == (len(PAUSES) + 1, 1)
    assert patiently(third) == "content"
    assert patiently(fourth) == "content"  # patience is back


def test_a_hash_is_tried_again_too(dataset, monkeypatch):
    tries, original = [], files.file_sha256

    def flaky(path: str) -> str:
        tries.append(path)
        if tries.count(path) == 1:
            raise OSError(errno.EIO, "no")
        return original(path)

    monkeypatch.setattr(files, "file_sha256", flaky)
    paths = dataset.samples["path"].tolist()
    assert hash_files(dataset.root, paths) == dataset.samples["sha256"].tolist()


def test_other_bytes_than_those_listed_are_never_scored(dataset, tmp_path):
    """Two files exchange their names between hashing and decoding."""
    one, two = (dataset.root / path for path in dataset.samples["path"][:2])
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    samples, _ = tables(audit(dataset, tmp_path / "a"))
    unread = samples[samples["status"] == "unreadable"]
    assert set(unread["path"]) == {one.name, two.name}
    assert unread["reason"].str.endswith("the file has changed since the images were listed.").all()


def test_a_batch_of_nothing_readable_is_merged_and_mended_on_resume(dataset, tmp_path):
    undisturbed = audit(dataset, tmp_path / "undisturbed")
    gone = [dataset.root / path for path in dataset.samples["path"][:BATCH]]
    for path in gone:
        path.rename(path.with_suffix(".away"))

    with pytest.raises(Stop):
        audit(dataset, tmp_path / "resumed", progress=stopped_after(3 * BATCH))
    without = audit(dataset, tmp_path / "without")
    assert without.manifest.unreadable == BATCH
    for path in gone:
        path.with_suffix(".away").rename(path)
    assert_same(audit(dataset, tmp_path / "resumed"), undisturbed)


def test_a_picture_that_is_back_before_the_end_is_scored(dataset, tmp_path):
    undisturbed = audit(dataset, tmp_path / "undisturbed")
    path = dataset.root / dataset.samples["path"][0]
    path.rename(path.with_suffix(".away"))

    def back(state):
        if state.done == state.total:
            path.with_suffix(".away").rename(path)

    assert_same(audit(dataset, tmp_path / "a", progress=back), undisturbed)


@pytest.mark.parametrize("mounted", [True, False])
def test_a_drive_that_goes_away_stops_the_run_and_loses_nothing(
    dataset, tmp_path, monkeypatch, mounted
):
    monkeypatch.setattr(run, "LOST_IMAGES", BATCH if mounted else 1000)
    undisturbed = audit(dataset, tmp_path / "undisturbed")
    away = dataset.root.with_name("away")

    def unplug(state):
        if not away.exists():
            dataset.root.rename(away)
            if mounted:
                dataset.root.mkdir()

    with pytest.raises(DataError, match="no longer there as they were listed") as caught:
        audit(dataset, tmp_path / "a", progress=unplug)
    assert "run the same command again" in str(caught.value)
    if mounted:
        dataset.root.rmdir()
    away.rename(dataset.root)
    assert_same(audit(dataset, tmp_path / "a"), undisturbed)


def test_too_little_memory_for_a_picture_is_the_reason_of_its_row(dataset, tmp_path, monkeypatch):
    name = dataset.samples["path"][3]
    original = Preprocessing.read

    def greedy(self: Preprocessing, path: Path, content: bytes | None = None):
        if path.name == name:
            raise MemoryError
        return original(self, path, content)

    monkeypatch.setattr(Preprocessing, "read", greedy)
    samples, _ = tables(audit(dataset, tmp_path / "a"))
    row = samples.set_index("path").loc[name]
    assert row["reason"] == f"{name}: there is not enough memory to decode it."
    assert (samples["status"] == "unreadable").sum() == 1


def test_a_damaged_shard_is_computed_anew(dataset, tmp_path):
    undisturbed = audit(dataset, tmp_path / "undisturbed")

    with pytest.raises(Stop):
        audit(dataset, tmp_path / "a", progress=stopped_after(3 * BATCH))
    for index, file in enumerate(("arrays.npz", "scores.parquet", "samples.parquet")):
        path = tmp_path / "a" / SHARDS / f"{index:06d}" / file
        content = bytearray(path.read_bytes())
        if index == 1:
            del content[len(content) // 2 :]
        else:
            content[len(content) // 2] ^= 1
        path.write_bytes(content)
    assert_same(audit(dataset, tmp_path / "a"), undisturbed)


def test_shards_of_before_checksums_are_gone_on_from(dataset, tmp_path):
    undisturbed = audit(dataset, tmp_path / "undisturbed")

    def stop(state):
        if state.done >= 3 * BATCH:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audit(dataset, tmp_path / "a", progress=stop)
    for shard in (tmp_path / "a" / SHARDS).glob("[0-9]*"):
        (shard / "sha256.json").unlink()
        for table in ("samples", "scores"):
            path = shard / f"{table}.parquet"
            pd.read_parquet(path).drop(columns="retry", errors="ignore").to_parquet(path)
    counts = []
    again = audit(dataset, tmp_path / "a", progress=lambda state: counts.append(state.done))
    assert counts[0] > 3 * BATCH
    assert_same(again, undisturbed)
    assert open_audit(tmp_path / "a").manifest.unreadable == 0


def test_a_dataset_that_was_listed_unread_is_not_tried_for_ever(dataset, tmp_path):
    samples = dataset.samples.copy()
    samples.loc[0, "sha256"] = ""
    listed = dataclasses.replace(dataset, samples=samples)
    found, _ = tables(audit(listed, tmp_path / "a"))
    reasons = found.loc[found["status"] == "unreadable", "reason"]
    assert len(reasons) == 1
    assert reasons.iloc[0].endswith("could not be read when the images were listed.")
