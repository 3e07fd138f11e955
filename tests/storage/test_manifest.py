"""The manifest: its JSON is read and written key for key, of this version and of others."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes import random_parts, write_fake_audit
from trust_core.errors import StoreError
from trust_core.storage.manifest import (
    MANIFEST,
    Manifest,
    MapRecord,
    OutcomeCounts,
    as_json,
    as_record,
    read_manifest,
    write_manifest,
)


def content_of(folder: Path) -> dict[str, object]:
    content = json.loads((folder / MANIFEST).read_text())
    content.pop("sha256", None)
    return content


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_fake_audit(tmp_path / "audit", random_parts(30)).folder


def test_what_is_written_back_is_what_was_read(folder: Path):
    before = content_of(folder)
    manifest = read_manifest(folder)
    write_manifest(folder, manifest)
    assert content_of(folder) == before
    assert read_manifest(folder) == manifest


def test_its_parts_are_typed(folder: Path):
    manifest = read_manifest(folder)
    assert manifest.settings.strengths == (0.0, 1.0, 4.0)
    assert isinstance(manifest.maps[0], MapRecord)
    assert manifest.maps[0].grid == tuple(content_of(folder)["maps"][0]["grid"])
    assert manifest.model.convention.defect == (1,)
    assert isinstance(manifest.counts_by_role["tune"], OutcomeCounts)
    assert sum(part.total for part in manifest.counts_by_role.values()) == manifest.counts.total


def test_keys_of_another_version_survive_a_rewrite(folder: Path):
    content = content_of(folder) | {"new": [1, {"a": None}]}
    for part in (content["settings"], content["model"], content["maps"][0], content["counts"]):
        part["new"] = {"deep": [2]}
    (folder / MANIFEST).write_text(json.dumps(content))
    write_manifest(folder, replace(read_manifest(folder), table="another"))
    assert content_of(folder) == content | {"table": "another"}


def test_keys_that_an_earlier_version_did_not_write_have_their_defaults(folder: Path):
    content = content_of(folder)
    for key in ("precision", "mask_head", "unscored", "counts_by_split"):
        del content[key]
    del content["data"]["source"], content["settings"]["tta"], content["settings"]["precision"]
    (folder / MANIFEST).write_text(json.dumps(content))
    manifest = read_manifest(folder)
    assert (manifest.precision, manifest.mask_head, manifest.unscored) == (None, None, 0)
    assert manifest.counts_by_split == {}
    assert (manifest.data.source, manifest.settings.tta) == ("", False)
    assert manifest.settings.precision == "fp32"


def test_a_run_writes_no_results_before_it_has_any(folder: Path):
    content = content_of(folder)
    write_manifest(folder, replace(read_manifest(folder), status="running"))
    left_out = set(content) - set(content_of(folder))
    results = {"counts", "counts_by_role", "counts_by_split", "unreadable", "unscored"}
    assert left_out == {"timings", *results}
    assert "display_scale" not in content_of(folder)["maps"][0]
    assert content_of(folder)["maps"][0]["name"] == content["maps"][0]["name"]


def test_a_model_that_came_from_no_file_names_none(folder: Path):
    manifest = read_manifest(folder)
    assert "path" not in as_json(manifest.model)
    named = as_json(replace(manifest.model, path="/a.pt", options={"layers": ("x",)}))
    assert (named["path"], named["options"]) == ("/a.pt", {"layers": ["x"]})


def test_a_manifest_says_at_least_its_format_and_status():
    assert as_record(Manifest, {"schema_version": 1, "status": "running"}).maps == ()
    with pytest.raises(TypeError, match="status"):
        as_record(Manifest, {"schema_version": 1})


@pytest.mark.parametrize(
    "wrong",
    [{"maps": [{"name": "defect"}]}, {"counts_by_role": 5}, {"model": "resnet"}, {"maps": [1]}],
)
def test_parts_of_another_kind_are_damage(folder: Path, wrong: dict[str, object]):
    (folder / MANIFEST).write_text(json.dumps(content_of(folder) | wrong))
    with pytest.raises(StoreError, match="is damaged"):
        read_manifest(folder)
