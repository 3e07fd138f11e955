"""The kept maps against the package grad-cam, on a real audit of a small network."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.dashboard.ware import write_audit
from tests.fakes import Part, passed_parts
from trust_core.audit.gradcam_check import check_maps, package_form
from trust_core.audit.reopen import reopen_detector
from trust_core.errors import SettingsError
from trust_core.figures.part_maps import maps_of
from trust_core.storage.audit_files import Audit


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    parts = [*passed_parts([0.1], [0.2]), Part(True, 0.9, (0,))]
    return write_audit(tmp_path_factory.mktemp("checked") / "audit", parts)


def test_the_package_gives_the_maps_that_were_kept(audit: Audit):
    detector = reopen_detector(audit)
    rows = audit.query("SELECT * FROM scores JOIN samples USING (sample_id) ORDER BY row")
    seen = 0.0
    for row in rows.to_dict("records"):
        found = check_maps(audit, detector, row["path"], maps_of(audit, row).raw)
        assert found.form == "gradcam"
        assert found.agrees
        seen += sum(float(values.max()) for values in found.theirs.values())
    assert seen > 0, "maps that are zero everywhere would agree with anything"


def test_another_map_is_told_apart(audit: Audit):
    row = audit.query("SELECT * FROM scores JOIN samples USING (sample_id) ORDER BY row").iloc[0]
    ours = {side: values + 0.01 for side, values in maps_of(audit, row).raw.items()}
    ours["defect"][0, 0] += np.abs(ours["defect"]).max()
    found = check_maps(audit, reopen_detector(audit), row["path"], ours)
    assert not found.agrees
    assert found.largest == max(found.differences.values()) > 0.5


def with_form(audit: Audit, folder: Path, form: str) -> Audit:
    settings = replace(audit.manifest.settings, specific=(form,))
    return Audit(folder, replace(audit.manifest, settings=settings))


def test_a_form_the_package_has_not_is_not_compared(audit: Audit, tmp_path: Path):
    assert package_form(audit) == "gradcam"
    assert package_form(with_form(audit, tmp_path, "package-scorecam")) == "scorecam"
    with pytest.raises(SettingsError, match="has no map of this form"):
        package_form(with_form(audit, tmp_path, "ours"))
