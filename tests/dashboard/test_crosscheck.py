"""Our kept maps against the package grad-cam, on a real audit of a small network."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from tests.dashboard.ware import ARCHITECTURE, SIDE, write_network
from tests.fakes import Part, passed_parts, write_fake_audit
from trust_core.audit import run_audit
from trust_core.dashboard.parts.crosscheck import check, check_model, compared_form, model_source
from trust_core.dashboard.parts.maps import maps_of
from trust_core.dashboard.parts.thumbnails import source
from trust_core.data.samples import SAMPLE_COLUMNS, Dataset
from trust_core.errors import ModelError
from trust_core.model.opening import ModelOptions, open_detector
from trust_core.settings import AuditSettings
from trust_core.store import MANIFEST, Audit, open_audit


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    folder = tmp_path_factory.mktemp("checked")
    options = ModelOptions(arch=ARCHITECTURE, size=(SIDE, SIDE))
    model = write_network(folder / "network.safetensors")
    detector = open_detector(model, options)
    images = write_fake_audit(
        folder / "images", [*passed_parts([0.1], [0.2]), Part(True, 0.9, (0,))]
    )
    samples = images.query("SELECT * FROM samples")[list(SAMPLE_COLUMNS)]
    dataset = Dataset(Path(images.manifest["data"]["root"]), samples, "CSV", (), ())
    origin = {"path": str(model), "options": json.loads(json.dumps(asdict(options)))}
    settings = AuditSettings(strengths=(0.0,))
    return run_audit(detector, dataset, settings, folder / "audit", origin=origin)


def test_the_package_gives_the_maps_that_were_kept(audit: Audit):
    path, options = model_source(audit)
    detector = open_detector(path, options)
    check_model(audit, detector)
    assert compared_form(audit) == "gradcam"
    rows = audit.query("SELECT * FROM scores JOIN samples USING (sample_id) ORDER BY row")
    seen = 0.0
    for row in rows.to_dict("records"):
        ours = dict(maps_of(audit, row).raw)
        found = check(audit, detector, source(audit, row["path"]), ours)
        assert all(result.agrees for result in found.values())
        seen += sum(float(result.theirs.max()) for result in found.values())
    assert seen > 0, "maps that are zero everywhere would agree with anything"


def test_another_map_is_told_apart(audit: Audit):
    path, options = model_source(audit)
    row = audit.query("SELECT * FROM scores JOIN samples USING (sample_id) ORDER BY row").iloc[0]
    ours = {side: values + 0.01 for side, values in maps_of(audit, row).raw.items()}
    ours["defect"][0, 0] += np.abs(ours["defect"]).max()
    found = check(audit, open_detector(path, options), source(audit, row["path"]), ours)
    assert not found["defect"].agrees


def changed(audit: Audit, folder: Path, **model: object) -> Audit:
    manifest = audit.manifest | {"model": audit.manifest["model"] | model}
    for file in ("samples.parquet", "scores.parquet"):
        (folder / file).write_bytes((audit.folder / file).read_bytes())
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return open_audit(folder)


def test_a_model_that_moved_is_said_with_its_path(audit: Audit, tmp_path: Path):
    moved = changed(audit, tmp_path, path="/gone/model.pth")
    with pytest.raises(ModelError, match=r"moved: /gone/model\.pth is not there"):
        model_source(moved)


def test_an_audit_that_does_not_name_its_model_says_so(audit: Audit, tmp_path: Path):
    with pytest.raises(ModelError, match="does not say where its model file lies"):
        model_source(changed(audit, tmp_path, path=None))


def test_another_file_under_the_same_name_is_refused(audit: Audit, tmp_path: Path):
    path, options = model_source(audit)
    detector = open_detector(path, options)
    with pytest.raises(ModelError, match="changed since the audit"):
        check_model(changed(audit, tmp_path, sha256="0" * 64), detector)


def test_a_form_the_package_has_not_is_not_compared(audit: Audit, tmp_path: Path):
    manifest = audit.manifest | {"settings": audit.manifest["settings"] | {"specific": ["ours"]}}
    assert compared_form(Audit(tmp_path, manifest)) is None
    package = audit.manifest["settings"] | {"specific": ["package-scorecam"]}
    assert compared_form(Audit(tmp_path, audit.manifest | {"settings": package})) == "scorecam"
