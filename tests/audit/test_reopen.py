"""The model of an audit opened again: the audited file, in the architecture it was audited in."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.dashboard.ware import ARCHITECTURE, write_audit
from tests.fakes import passed_parts
from trust_core.audit.reopen import reopen_detector
from trust_core.errors import ModelError
from trust_core.model.open import ModelOptions
from trust_core.storage.audit_files import Audit, open_audit
from trust_core.storage.manifest import write_manifest


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return write_audit(tmp_path_factory.mktemp("reopened") / "audit", passed_parts([0.1], [0.2]))


def changed(audit: Audit, folder: Path, **model: object) -> Audit:
    model_record = replace(audit.manifest.model, **model)
    manifest = replace(audit.manifest, model=model_record, files={})
    for file in ("samples.parquet", "scores.parquet"):
        (folder / file).write_bytes((audit.folder / file).read_bytes())
    write_manifest(folder, manifest)
    return open_audit(folder)


def test_a_model_that_moved_is_said_with_its_path(audit: Audit, tmp_path: Path):
    moved = changed(audit, tmp_path, path="/gone/model.pth")
    with pytest.raises(ModelError, match=r"moved: /gone/model\.pth is not there"):
        reopen_detector(moved)


def test_an_audit_that_does_not_name_its_model_says_so(audit: Audit, tmp_path: Path):
    with pytest.raises(ModelError, match="does not say where its model file lies"):
        reopen_detector(changed(audit, tmp_path, path=""))


def test_another_file_under_the_same_name_is_refused(audit: Audit, tmp_path: Path):
    with pytest.raises(ModelError, match="is not the file that was audited"):
        reopen_detector(changed(audit, tmp_path, sha256="0" * 64))


def test_the_architecture_is_the_one_that_was_audited(audit: Audit, tmp_path: Path):
    """The weights fit several architectures, of which the audit chose one by its images."""
    opened_as = []

    def opening(_: Path, options: ModelOptions) -> SimpleNamespace:
        opened_as.append(options.arch)
        sha256 = audit.manifest.model.sha256
        return SimpleNamespace(architecture=options.arch, sha256=sha256)

    settled = changed(audit, tmp_path, architecture="timm/tf_resnet")
    assert reopen_detector(settled, opening).architecture == "timm/tf_resnet"
    assert opened_as == [ARCHITECTURE, "timm/tf_resnet"]
