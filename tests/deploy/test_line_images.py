"""Folders of new images: decisions as CSV and Parquet, a log, and what arrives while it watches."""

import csv
import json
import shutil
import threading
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from trust_core.deploy.line_images import (
    DECISION_COLUMNS,
    decision_table,
    find_images,
    inspect_files,
    watch,
)
from trust_core.deploy.log import GuardLog, guard_log, read_log
from trust_core.errors import DataError, SettingsError, StoreError

FULL = Path("/dev/full")  # a disk without room


@pytest.fixture
def line(ware, tmp_path):
    """A folder of new images, one of them torn."""
    folder = tmp_path / "line"
    (folder / "below").mkdir(parents=True)
    for index, file in enumerate(ware.files(ware.paths("tune"))):
        shutil.copy(file, folder / ("below" if index % 2 else ".") / file.name)
    (folder / "torn.png").write_bytes(b"torn")
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_row_a_part(guard, line, tmp_path, kind):
    out, images = tmp_path / f"out.{kind}", find_images([line])
    with decision_table(out) as write:
        counts = inspect_files(guard, images, write)
    table = pd.read_csv(out) if kind == "csv" else pq.read_table(out).to_pandas()
    assert tuple(table.columns) == DECISION_COLUMNS
    assert table["path"].tolist() == [image.name for image in images]
    assert "below/" in "".join(table["path"])
    assert table["decision"].value_counts().to_dict() == {n: k for n, k in counts.items() if k}
    torn = table[table["path"] == "torn.png"].iloc[0]
    assert torn["decision"] == "re_inspect"
    assert torn["reason"].startswith("unreadable")
    assert pd.isna(torn["p_defect"])
    expected = guard.inspect([image.path for image in images], [image.name for image in images])
    assert table["decision"].tolist() == [part.decision for part in expected]


def test_the_log_says_the_same_and_keeps_no_image(guard, line, tmp_path):
    path, images = tmp_path / "guard.jsonl", find_images([line])
    log = guard_log(path, guard.folder)
    inspect_files(guard, images[:5], lambda _: None, log)
    inspect_files(guard, images[5:], lambda _: None, log)
    read = read_log(path)
    assert read["path"].tolist() == [image.name for image in images]
    assert set(read["policy"]) == {log.policy}
    assert read["time"].is_monotonic_increasing
    assert read["p_defect"].isna().sum() == 1
    assert not read["audit_sample"].any()
    assert set(json.loads(path.read_text().splitlines()[0])) == {"time", "policy", *read.columns}


def test_a_torn_last_line_is_left_out_and_another_file_refused(guard, line, tmp_path):
    path = tmp_path / "guard.jsonl"
    inspect_files(guard, find_images([line])[:3], lambda _: None, guard_log(path, guard.folder))
    path.write_text(path.read_text() + '{"time": "2026-')
    assert len(read_log(path)) == 3
    inspect_files(guard, find_images([line])[:2], lambda _: None, guard_log(path, guard.folder))
    assert len(read_log(path)) == 5
    (tmp_path / "other").write_text("1\n2\n")
    with pytest.raises(StoreError, match="Line 1 of"):
        read_log(tmp_path / "other")
    with pytest.raises(StoreError, match="Cannot write the log"):
        guard_log(tmp_path / "no" / "folder", guard.folder)
    with pytest.raises(StoreError, match="No space left"):
        inspect_files(guard, find_images([line])[:1], lambda _: None, GuardLog(FULL, "x"))


def test_files_come_go_and_are_renamed_while_it_watches(guard, line):
    """By another thread, as fast as it can; whatever is there in the end was decided on, whole."""
    seen, going = {}, threading.Event()
    files = [(file.name, file.read_bytes()) for file in sorted(line.glob("*.png"))]

    def busy():
        for turn in range(60):
            name, content = files[turn % len(files)]
            half = line / f"{turn} {name}"
            half.write_bytes(content[: len(content) // 2])
            half.write_bytes(content)
            if turn % 3 == 0:
                half.rename(line / f"renamed {turn} {name}")
            elif turn % 3 == 1:
                half.unlink()
        going.set()

    looks_after = 0

    def stop():
        nonlocal looks_after
        looks_after += going.is_set()
        return looks_after == 4

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        watch(guard, [line], lambda parts: seen.update({p.name: p for p in parts}), stop=stop,
              poll=0.01)  # fmt: skip
    finally:
        thread.join()
    assert {image.name for image in find_images([line])} <= seen.keys()
    for image in find_images([line]):
        assert (seen[image.name].p_defect is None) == ("torn.png" in image.name)


def test_what_arrives_is_inspected_once_when_it_is_whole(guard, line, tmp_path):
    seen, looks = [], 0
    files = sorted(line.glob("*.png"))
    late = tmp_path / "late.png"
    shutil.move(files[0], late)

    def stop():
        nonlocal looks
        looks += 1
        if looks == 3:
            (line / "late.png").write_bytes(late.read_bytes()[:50])  # still being written
        if looks == 4:
            shutil.copy(late, line / "late.png")
        return looks == 8

    counts = watch(
        guard, [line], lambda parts: seen.extend(p.name for p in parts), stop=stop, poll=0.01
    )
    assert sorted(seen) == sorted(image.name for image in find_images([line]))
    assert counts.total() == len(seen)


def test_a_folder_that_cannot_be_listed_is_told_once_and_waited_for(guard, line, tmp_path):
    seen, told, looks = [], [], 0

    def stop():
        nonlocal looks
        looks += 1
        if looks == 3:
            line.rename(tmp_path / "away")
        if looks == 5:
            (tmp_path / "away").rename(line)
        return looks == 8

    watch(guard, [line], lambda parts: seen.extend(p.name for p in parts), stop=stop, poll=0.01,
          tell=told.append)  # fmt: skip
    assert sorted(seen) == sorted(image.name for image in find_images([line]))
    assert len(told) == 1
    assert str(line) in told[0]


def test_what_means_nothing_is_said(guard, tmp_path):
    with pytest.raises(DataError, match="No image in"):
        find_images([tmp_path])
    with pytest.raises(SettingsError, match="csv or"), decision_table(tmp_path / "out.xlsx"):
        pass
    with pytest.raises(SettingsError, match="no folder"):
        watch(guard, [tmp_path / "a.png"], lambda _: None)


def test_a_table_without_a_part_is_still_a_table(tmp_path):
    for name in ("a.csv", "a.parquet"):
        with decision_table(tmp_path / name):
            pass
    with (tmp_path / "a.csv").open() as file:
        assert next(csv.reader(file)) == list(DECISION_COLUMNS)
    assert pq.read_table(tmp_path / "a.parquet").num_rows == 0
