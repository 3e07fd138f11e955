"""An audit on disk: reading a finished one, and every folder that is none."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.fakes import GRID, Part, passed_parts, random_parts, write_fake_audit
from trust_core.errors import StoreError
from trust_core.storage.atomic import write_json
from trust_core.storage.audit_files import (
    INDICATORS,
    SAMPLES,
    SCORES,
    Audit,
    open_audit,
    release_pages,
)
from trust_core.storage.manifest import MANIFEST, read_manifest, write_manifest
from trust_core.storage.shards import write_table
from trust_core.storage.workspace import WORKSPACE_VARIABLE, workspace_folder


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return write_fake_audit(tmp_path / "audit", random_parts(30))


def test_passed_holds_the_passed_images_of_the_roles_in_one_order_at_every_strength(audit: Audit):
    passed = audit.passed(["tune", "test"])
    samples = audit.query("SELECT * FROM samples").set_index("sample_id")
    mine = samples[samples["outcome"].isin(["FN", "TN"]) & samples["role"].isin(["tune", "test"])]
    assert len(mine) > 3
    for strength in audit.strengths:
        at = passed[passed["strength"] == strength]
        assert at["sample_id"].tolist() == sorted(mine.index)
        for column in ("label", "kind", "group", "p_defect", "outcome"):
            assert at[column].tolist() == mine.loc[at["sample_id"], column].tolist()
    assert len(passed) == len(mine) * len(audit.strengths)
    assert audit.passed([]).empty


def test_nan_stays_nan(tmp_path: Path):
    audit = write_fake_audit(tmp_path / "a", passed_parts(missed=[math.nan], good=[0.25]))
    values = audit.passed(["tune"]).query("strength == 0").set_index("outcome")["iou_difference"]
    assert math.isnan(values["FN"])
    assert values["TN"] == 0.25


@pytest.mark.parametrize("name", ["o'brien", 'a "quote"', "50 %", "naïve ⌀", "a;b--", "{a,b}"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str):
    audit = write_fake_audit(tmp_path / name, random_parts(12))
    assert len(audit.query("SELECT * FROM samples")) == 12
    assert audit.maps("good").shape[1:] == GRID


@pytest.mark.parametrize(
    ("name", "beside"), [("lot [2]", "lot 2"), ("lot *", "lot 1"), ("a?", "ab")]
)
def test_a_folder_name_is_no_pattern_that_another_audit_matches(
    tmp_path: Path, name: str, beside: str
):
    write_fake_audit(tmp_path / beside, random_parts(9))
    audit = write_fake_audit(tmp_path / name, random_parts(12))
    assert len(audit.query("SELECT * FROM samples")) == 12


def test_parameters_of_a_query_are_values_not_sql(audit: Audit):
    text = "x' OR '1'='1"
    assert audit.query("SELECT * FROM samples WHERE path = ?", [text]).empty


def test_maps_are_mapped_into_memory_and_indexed_by_row(audit: Audit):
    maps = audit.maps("defect")
    assert isinstance(maps, np.memmap)
    assert maps is audit.maps("defect")
    row = audit.query("SELECT row FROM scores ORDER BY row DESC LIMIT 1")["row"].item()
    assert row == len(maps) - 1


def test_id_and_key_follow_the_model_pass_the_table_and_the_mask(audit: Audit):
    audits = [audit]
    for part in ("model_pass", "table", "mask"):
        audits.append(Audit(audit.folder, replace(audit.manifest, **{part: "another"})))
    assert len({one.id for one in audits}) == len({one.key for one in audits}) == 4


def test_indicators_that_come_later_or_are_made_anew_change_the_key_and_not_the_id(tmp_path: Path):
    audit = write_fake_audit(tmp_path / "audit", random_parts(9))
    path = audit.folder / INDICATORS
    table = pd.read_parquet(path)
    keys = {audit.key}
    path.unlink()
    keys.add(audit.key)
    for column in (0.5, 0.25):  # the same columns with other values
        write_table(path, table.assign(entropy=column))
        keys.add(audit.key)
    assert len(keys) == 4
    assert audit.id == open_audit(audit.folder).id


def test_an_audit_opened_by_a_relative_path_survives_a_change_of_folder(
    audit: Audit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.chdir(audit.folder.parent)
    opened = open_audit(Path("audit"))
    monkeypatch.chdir(tmp_path.parent)
    assert len(opened.query("SELECT * FROM samples")) == 30


def assert_refused(folder: Path, *parts: str) -> None:
    with pytest.raises(StoreError) as caught:
        open_audit(folder)
    for part in (str(folder), *parts):
        assert part in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_that_is_no_audit_is_refused(tmp_path: Path):
    assert_refused(tmp_path, "holds no audit (no manifest.json)", "name the folder")
    assert_refused(tmp_path / "nowhere", "holds no audit")
    (tmp_path / "file").write_text("x")
    assert_refused(tmp_path / "file", "holds no audit")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"schema_version": 1',
        b"[]",
        b'"text"',
        b"null",
        b"{}",
        b"\xff\xfe{}",
        b"\x00" * 40,
    ],
)
def test_a_damaged_manifest_is_refused(audit: Audit, content: bytes):
    (audit.folder / MANIFEST).write_bytes(content)
    assert_refused(audit.folder, MANIFEST, "is damaged", "into a new folder")


def test_a_manifest_without_a_status_is_damaged(audit: Audit):
    write_json(audit.folder / MANIFEST, {"schema_version": 1})
    assert_refused(audit.folder, MANIFEST, "is damaged")


@pytest.mark.parametrize("version", [2, 99, 0, "1"])
def test_an_audit_in_another_format_is_refused(audit: Audit, version: object):
    write_manifest(audit.folder, replace(audit.manifest, schema_version=version))
    assert_refused(audit.folder, f"format {version}, this program reads 1", "run the audit again")


def test_an_audit_that_has_not_finished_is_refused(audit: Audit):
    write_manifest(audit.folder, replace(audit.manifest, status="running"))
    assert_refused(audit.folder, "has not finished", "resume")


@pytest.mark.parametrize("file", [SAMPLES, SCORES])
def test_an_audit_without_its_tables_is_refused(audit: Audit, file: str):
    (audit.folder / file).unlink()
    assert_refused(audit.folder, f"{file} is missing")


def test_the_good_neighbour_opens(audit: Audit):
    again = open_audit(audit.folder)
    assert again.manifest == audit.manifest
    assert again.strengths == (0.0, 1.0, 4.0)
    assert read_manifest(audit.folder) == audit.manifest


def test_the_workspace_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path))
    assert workspace_folder() == tmp_path
    monkeypatch.delenv(WORKSPACE_VARIABLE)
    assert workspace_folder() == Path("workspace")


def test_one_image_is_enough(tmp_path: Path):
    audit = write_fake_audit(tmp_path / "a", [Part(defective=False, p=0.1, deltas=(0.5,))])
    assert len(audit.passed(["tune"])) == 3
    assert pd.isna(audit.query("SELECT predicted FROM samples")["predicted"]).sum() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_what_was_read_of_a_mapped_array_is_given_back(tmp_path: Path):
    def mapped_kilobytes() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("RssFile")).split()[1])

    np.save(tmp_path / "values.npy", np.ones((10_000, 1000), dtype=np.float16))
    values = np.load(tmp_path / "values.npy", mmap_mode="r")
    before = mapped_kilobytes()
    assert values.sum(dtype=np.float64) == 1e7
    read = mapped_kilobytes()
    assert read - before > 15_000
    release_pages(values)
    assert read - mapped_kilobytes() > 15_000
    assert values[-1].sum(dtype=np.float64) == 1000
    release_pages(np.ones((2, 2), dtype=np.float16))  # in memory: nothing to give back
