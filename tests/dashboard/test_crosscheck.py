"""Our kept maps against the package grad-cam, on a real audit of a small network."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dashboard.parts.crosscheck import check, compared_form
from tests.dashboard.ware import ARCHITECTURE, write_audit
from tests.fakes import Part, passed_parts
from trust_core.audit.reopen import reopened
from trust_core.errors import ModelError
from trust_core.figures.part_maps import maps_of
from trust_core.model.open import ModelOptions
from trust_core.storage.audit_files import MANIFEST, Audit, open_audit


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    parts = [*passed_parts([0.1], [0.2]), Part(True, 0.9, (0,))]
    return write_audit(tmp_path_factory.mktemp("checked") / "audit", parts)


def test_the_package_gives_the_maps_that_were_kept(audit: Audit):
    detector = reopened(audit)
    assert compared_form(audit) == "gradcam"
    rows = audit.query("SELECT * FROM scores JOIN samples USING (sample_id) ORDER BY row")
    seen = 0.0
    for row in rows.to_dict("records"):
        ours = dict(maps_of(audit, row).raw)
        found = check(audit, detector, row["path"], ours)
        assert all(result.agrees for result in found.values())
        seen += sum(float(result.theirs.max()) for result in found.values())
    assert seen > 0, "maps that are zero everywhere would agree with anything"


def test_another_map_is_told_apart(audit: Audit):
    row = audit.query("SELECT * FROM scores JOIN samples USING (sample_id) ORDER BY row").iloc[0]
    ours = {side: values + 0.01 for side, values in maps_of(audit, row).raw.items()}
    ours["defect"][0, 0] += np.abs(ours["defect"]).max()
    found = check(audit, reopened(audit), row["path"], ours)
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
        reopened(moved)


def test_an_audit_that_does_not_name_its_model_says_so(audit: Audit, tmp_path: Path):
    with pytest.raises(ModelError, match="does not say where its model file lies"):
        reopened(changed(audit, tmp_path, path=None))


def test_another_file_under_the_same_name_is_refused(audit: Audit, tmp_path: Path):
    with pytest.raises(ModelError, match="is not the file that was audited"):
        reopened(changed(audit, tmp_path, sha256="0" * 64))


def test_the_architecture_is_the_one_that_was_audited(audit: Audit, tmp_path: Path):
    """The weights fit several architectures, of which the audit chose one by its images."""
    asked = []

    def opening(_: Path, options: ModelOptions) -> SimpleNamespace:
        asked.append(options.arch)
        sha256 = audit.manifest["model"]["sha256"]
        return SimpleNamespace(architecture=options.arch, sha256=sha256)

    settled = changed(audit, tmp_path, architecture="timm/tf_resnet")
    assert reopened(settled, opening).architecture == "timm/tf_resnet"
    assert asked == [ARCHITECTURE, "timm/tf_resnet"]


def test_a_form_the_package_has_not_is_not_compared(audit: Audit, tmp_path: Path):
    manifest = audit.manifest | {"settings": audit.manifest["settings"] | {"specific": ["ours"]}}
    assert compared_form(Audit(tmp_path, manifest)) is None
    package = audit.manifest["settings"] | {"specific": ["package-scorecam"]}
    assert compared_form(Audit(tmp_path, audit.manifest | {"settings": package})) == "scorecam"
