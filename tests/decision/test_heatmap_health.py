"""Heatmap health: empty maps and reasons counted on maps written by hand."""

from pathlib import Path

import numpy as np

from tests.fakes import passed_parts, write_fake_audit
from trust_core.decision.heatmap_health import heatmap_health
from trust_core.storage.audit_files import MAPS, open_audit

NAN = float("nan")


def test_empty_maps_are_counted(tmp_path: Path) -> None:
    images = passed_parts([0.5, 0.4, NAN], [0.3, 0.2]) + passed_parts([0.1], [], role="test")
    audit = write_fake_audit(tmp_path / "audit", images, strengths=(0.0,))
    rows = audit.query(
        """SELECT row, outcome FROM scores JOIN samples USING (sample_id)
           WHERE role = 'tune' ORDER BY row"""
    )
    file = audit.folder / MAPS / "layer4.defect.npy"
    maps = np.load(file)
    missed, good = (rows["row"][rows["outcome"] == name].to_numpy() for name in ("FN", "TN"))
    maps[[*missed[:2], good[0]]] = 0
    np.save(file, maps)
    found = heatmap_health(open_audit(audit.folder), ("tune",))
    defect = next(one for one in found.maps if one.name == "defect")
    assert (defect.images, defect.empty) == (5, 3)
    assert (defect.missed, defect.empty_missed) == (3, 2)
    assert all(one.empty == 0 for one in found.maps if one.name != "defect")
    assert sum(count for _, count in found.unscored) == 1
    assert len(found.findings) == 2
    assert "empty for 2 of 3 missed defects" in found.findings[0]


def test_healthy_maps_find_nothing(tmp_path: Path) -> None:
    audit = write_fake_audit(tmp_path / "audit", passed_parts([0.5], [0.3]), strengths=(0.0,))
    assert heatmap_health(audit, ("tune",)).findings == ()
    assert heatmap_health(audit, ("test",)).images == 0
