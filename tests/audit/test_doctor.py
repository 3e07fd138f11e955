"""What is damaged on disk is noticed, repaired where it can be, and named where it cannot."""

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.fakes import random_parts, write_fake_audit
from tests.small import small_dataset, small_detector
from trust_core.audit.doctor import examine
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.cli.main import main
from trust_core.decision.indicators.stored import add_indicators
from trust_core.decision.journal import JOURNAL, append, entries, journal_faults
from trust_core.errors import StoreError
from trust_core.storage.audit_files import INDICATORS, SAMPLES, SCORES, open_audit
from trust_core.storage.manifest import COPY, MANIFEST, read_manifest
from trust_core.storage.shards import SHARDS

SETTINGS = AuditSettings(strengths=(0, 1))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return small_dataset(tmp_path_factory.mktemp("data") / "images", 16)


@pytest.fixture(scope="module")
def made(dataset, tmp_path_factory):
    return run_audit(small_detector(), dataset, SETTINGS, tmp_path_factory.mktemp("a") / "audit")


@pytest.fixture
def folder(made, tmp_path) -> Path:
    return Path(shutil.copytree(made.folder, tmp_path / "audit"))


def flip(path: Path, place: float = 0.5, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1 << bit
    path.write_bytes(content)


def sentences(folder: Path) -> list[tuple[str, bool]]:
    return [(finding.sentence, finding.repaired) for finding in examine(folder)[1]]


def test_a_sound_audit_is_sound_and_stays_as_it_is(folder):
    manifest = read_manifest(folder)
    assert set(manifest.files) >= {SAMPLES, SCORES, INDICATORS, "maps/3.defect.npy"}
    assert sentences(folder) == []
    assert read_manifest(folder) == manifest


def test_a_flip_is_noticed_on_opening_and_named_with_what_mends_it(folder, made, dataset):
    for name in read_manifest(folder).files:
        path = folder / name
        before, status = path.read_bytes(), path.stat()
        flip(path)
        with pytest.raises(StoreError, match="is not what the audit wrote"):
            open_audit(folder)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        open_audit(folder)  # a disk that forgets changes no time; doctor reads all the same
        (sentence, repaired), *others = sentences(folder)
        assert not others
        assert not repaired
        assert sentence.startswith(f"{name} is not what the audit wrote; this computes it anew")
        path.write_bytes(before)
    flip(folder / SCORES)
    again = run_audit(small_detector(), dataset, SETTINGS, folder)
    for table in ("samples", "scores"):
        pd.testing.assert_frame_equal(
            again.query(f"SELECT * FROM {table} ORDER BY ALL"),
            made.query(f"SELECT * FROM {table} ORDER BY ALL"),
        )
    assert sentences(folder) == []


def test_a_copy_with_other_times_opens_and_is_remembered(folder):
    for path in folder.rglob("*.*"):
        path.touch()
    assert open_audit(folder).manifest.counts.total == 16
    assert sentences(folder) == []
    noted = read_manifest(folder).files
    assert all((folder / n).stat().st_mtime_ns == noted[n].changed for n in noted)


@pytest.mark.parametrize("name", [MANIFEST, COPY])
@pytest.mark.parametrize("damage", ["flipped", "empty", "gone"])
def test_a_manifest_comes_back_from_its_copy(folder, name, damage):
    before = read_manifest(folder)
    path = folder / name
    if damage == "flipped":
        flip(path, 0.3)
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
    if name == MANIFEST:
        with pytest.raises(StoreError):
            open_audit(folder)
    found = sentences(folder)
    assert [repaired for _, repaired in found] == (
        [] if (name, damage) == (COPY, "gone") else [True]
    )
    assert open_audit(folder).manifest == before


def test_every_flip_of_a_manifest_is_noticed(folder):
    content = (folder / MANIFEST).read_bytes()
    for place in range(0, len(content), 13):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        (folder / MANIFEST).write_bytes(changed)
        with pytest.raises(StoreError, match=r"is damaged|was written in format"):
            read_manifest(folder)


def test_an_empty_manifest_costs_no_shard(dataset, made, tmp_path):
    def stop(state):
        if state.done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_audit(small_detector(), dataset, SETTINGS, tmp_path / "a", progress=stop, batch_size=4)
    (tmp_path / "a" / MANIFEST).write_bytes(b"")
    shards = len(list((tmp_path / "a" / SHARDS).glob("[0-9]*")))
    counts = []
    run_audit(
        small_detector(),
        dataset,
        SETTINGS,
        tmp_path / "a",
        progress=lambda state: counts.append(state.done),
    )
    assert counts[0] > 4 * shards
    assert read_manifest(tmp_path / "a").counts == made.manifest.counts


def test_damaged_shards_and_what_was_left_behind_are_removed(dataset, tmp_path):
    def stop(state):
        if state.done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_audit(small_detector(), dataset, SETTINGS, tmp_path / "a", progress=stop, batch_size=4)
    flip(tmp_path / "a" / SHARDS / "000001" / "arrays.npz")
    (tmp_path / "a" / SHARDS / ".000007.unfinished").mkdir()
    (tmp_path / ".b.deleted").mkdir()
    found = examine(tmp_path)[1]
    assert [finding.repaired for finding in found] == [True] * 3
    assert not (tmp_path / "a" / SHARDS / "000001").exists()
    assert not list(tmp_path.rglob("*.unfinished"))
    assert not (tmp_path / ".b.deleted").exists()
    assert examine(tmp_path) == (1, [])


def test_indicators_that_come_later_are_noted(folder):
    audit = open_audit(folder)
    ids = pd.read_parquet(folder / INDICATORS)[["sample_id"]]
    add_indicators(audit, ids.assign(best_overlap=1.0))
    assert "best_overlap" in open_audit(folder).stored_indicators
    assert sentences(folder) == []


def test_an_audit_of_before_checksums_opens_and_is_checked_as_far_as_it_goes(tmp_path):
    folder = write_fake_audit(tmp_path / "old", random_parts(30)).folder
    assert sentences(folder) == []
    content = (folder / SCORES).read_bytes()
    (folder / SCORES).write_bytes(content[: len(content) // 2])
    ((sentence, repaired),) = sentences(folder)
    assert sentence.startswith(f"{SCORES} is not what the audit wrote")
    assert not repaired


def test_the_command_exits_3_only_when_something_is_left_to_do(folder, capsys):
    assert main(["doctor", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"audits": 1, "sound": True, "findings": []}
    flip(folder / SAMPLES)
    assert main(["doctor", str(folder)]) == 3
    out = capsys.readouterr()
    assert "damaged " in out.out
    assert "1 fault needs somebody" in out.err
    assert main(["doctor", str(folder / "maps")]) == 2


@pytest.fixture
def journal(tmp_path):
    audit = write_fake_audit(tmp_path / "audit", random_parts(12))
    for index in range(4):
        append(audit, "label_disputed", sample_id=str(index), note="a reflection")
    return audit


def test_a_journal_that_nobody_touched_has_no_faults(journal):
    assert journal_faults(journal.folder) == []


@pytest.mark.parametrize("index", range(4))
def test_a_line_that_is_removed_is_noticed(journal, index):
    path = journal.folder / JOURNAL
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:index] + lines[index + 1 :]))
    assert journal_faults(journal.folder)
    assert len(entries(journal)) == 3


@pytest.mark.parametrize("index", range(4))
def test_a_line_that_is_changed_is_noticed(journal, index):
    path = journal.folder / JOURNAL
    content = path.read_bytes().replace(b'"sample_id": "%d"' % index, b'"sample_id": "9"')
    path.write_bytes(content)
    assert journal_faults(journal.folder)


@pytest.mark.parametrize("line", [b"\xff\xfe", b"5", b"[]", b"null", b"[" * 100_000, b"{"])
def test_a_bad_line_takes_nothing_else_with_it(journal, line):
    path = journal.folder / JOURNAL
    path.write_bytes(line + b"\n" + path.read_bytes())
    assert [entry["sample_id"] for entry in entries(journal)] == list("0123")
    assert any("line 1 cannot be read" in fault for fault in journal_faults(journal.folder))


def test_a_journal_of_before_the_chain_is_read_and_protected_from_now_on(journal):
    path = journal.folder / JOURNAL
    old = [
        {key: value for key, value in json.loads(line).items() if key != "previous"}
        for line in path.read_bytes().splitlines()
    ]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in old))
    (journal.folder / "decisions.head.json").unlink()
    assert journal_faults(journal.folder) == []
    append(journal, "label_disputed", sample_id="4", note="new")
    assert [entry["sample_id"] for entry in entries(journal)] == list("01234")
    assert journal_faults(journal.folder) == []
    path.write_bytes(path.read_bytes().replace(b'"sample_id": "1"', b'"sample_id": "7"'))
    assert journal_faults(journal.folder)
