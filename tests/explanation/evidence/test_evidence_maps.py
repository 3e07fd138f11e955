"""Evidence as heatmaps of an audit: maps, hash, kept surroundings, and the indicator they give."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.explanation.evidence.test_patch_gaussian import random_patch_gaussian
from tests.explanation.networks import TinyResNet, make
from tests.small import small_dataset, small_detector
from trust_core.audit.identity import identify
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.decision.curves import scored
from trust_core.decision.tuning.autotune import autotune
from trust_core.errors import DataError, SettingsError
from trust_core.explanation.evidence import audit_gaussian
from trust_core.explanation.evidence.audit_gaussian import (
    as_pixels,
    audit_patch_gaussian,
    fit_to_files,
)
from trust_core.explanation.evidence.evidence_maps import concentration, evidence_maps
from trust_core.explanation.evidence.forms import evidence
from trust_core.explanation.heatmaps import heatmaps
from trust_core.explanation.overlap import overlap, to_comparison_grid
from trust_core.model.preprocessing import Preprocessing
from trust_core.storage.audit_files import EVIDENCE

BOTH = AuditSettings(
    strengths=(0, 1), specific=("evidence", "gradcam"), agnostic=("evidence", "gradient")
)


@pytest.fixture(scope="module")
def ware(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ware")
    return small_detector(), small_dataset(folder / "images"), folder


@pytest.fixture(scope="module")
def audit(ware):
    detector, dataset, folder = ware
    return run_audit(detector, dataset, BOTH, folder / "audit")


def test_a_batch_has_the_first_order_evidence_of_its_images():
    torch.manual_seed(0)
    detector = make(TinyResNet(), side=(64, 128))
    pixels = torch.rand(3, 3, 64, 128)
    pixels[1] = pixels[1, :1]  # a grey one among them
    given = random_patch_gaussian(10, 2, channels=3)
    gradient = detector.forward_with_gradients(pixels, input_gradient=True).input_gradient
    found = evidence_maps(pixels, gradient, given)
    for image, cells in zip(pixels, found, strict=True):
        bits = evidence(detector, image, given, stride=5, check=False).bits
        expected = bits.reshape(64, 1, 64, 2).mean((1, 3))
        np.testing.assert_allclose(cells, expected, atol=1e-4)


def test_the_signed_part_is_specific_and_the_magnitude_agnostic():
    detector = make(TinyResNet())
    pixels = torch.rand(2, 3, 32, 32)
    response, bits = detector.forward_with_gradients(pixels), torch.randn(2, 64, 64)
    made = heatmaps(
        detector,
        pixels,
        response,
        detector.layers[0],
        ("evidence", "gradcam"),
        ("gradient", "evidence"),
        bits,
    )
    assert list(made) == [
        "defect",
        "good",
        "gradcam_defect",
        "gradcam_good",
        "gradient",
        "evidence",
    ]
    assert torch.equal(made["defect"], bits.relu())
    assert torch.equal(made["good"], (-bits).relu())
    assert torch.equal(made["evidence"], made["defect"] + made["good"])
    assert made["gradcam_defect"].shape == made["gradient"].shape == (2, 4, 4)


def test_maps_of_different_grids_overlap_on_the_comparison_grid():
    fine, coarse = torch.rand(5, 64, 64), torch.rand(5, 7, 7)
    mixed = overlap(fine, fine.flip(1), coarse)
    alike = overlap(fine, fine.flip(1), to_comparison_grid(coarse))
    assert np.array_equal(mixed.iou_difference, alike.iou_difference)


def test_an_audit_keeps_evidence_as_its_maps(ware, audit):
    detector, dataset, _ = ware
    grids = {entry.name: entry.grid for entry in audit.manifest.maps}
    assert grids["defect"] == grids["good"] == grids["evidence"] == (64, 64)
    assert grids["gradcam_defect"] == grids["gradient"] == (8, 8)
    row = audit.query(
        "SELECT scores.*, path FROM scores JOIN samples USING (sample_id) WHERE strength = 0"
    ).iloc[3]
    pixels = as_pixels(detector.preprocessing, dataset.root / row["path"])[None]
    gradient = detector.forward_with_gradients(pixels, input_gradient=True).input_gradient
    bits = evidence_maps(pixels, gradient, audit_patch_gaussian(audit))[0].numpy()
    kept = {
        name: audit.maps(name)[row["row"]] * row[f"scale_{name}"] for name in ("defect", "good")
    }
    np.testing.assert_allclose(kept["defect"] - kept["good"], bits, atol=2e-3 * abs(bits).max())


def test_each_strength_has_the_evidence_at_that_strength(audit):
    rows = audit.query(
        "SELECT sample_id, strength, row FROM scores WHERE sample_id IN "
        "(SELECT sample_id FROM scores WHERE strength = 1) ORDER BY sample_id, strength"
    )["row"].to_numpy()
    maps = audit.maps("evidence")
    assert (maps[rows[::2]] != maps[rows[1::2]]).any(axis=(1, 2)).all()


def test_an_audit_with_other_maps_may_keep_evidence_beside_them(ware):
    detector, dataset, folder = ware
    settings = AuditSettings(strengths=(0,), specific=("gradcam", "evidence"))
    found = run_audit(detector, dataset, settings, folder / "beside")
    plain = run_audit(detector, dataset, AuditSettings(strengths=(0,)), folder / "plain")
    both = [a.query("SELECT * FROM scores ORDER BY row")["iou_difference"] for a in (found, plain)]
    assert both[0].equals(both[1])
    assert "evidence_mass" in found.stored_indicators
    assert "evidence_mass" not in plain.stored_indicators
    with pytest.raises(SettingsError, match="evidence among the forms of --specific"):
        scored(plain, ["tune"], "evidence_mass", 0.0)


def test_autotune_tries_evidence_with_other_maps(audit):
    assert "best_overlap" in autotune(audit).test


def test_a_killed_run_goes_on_with_the_same_surroundings(ware, audit, monkeypatch):
    detector, dataset, folder = ware
    kept = (audit.folder / EVIDENCE).read_bytes()
    again = folder / "again"
    states = []

    def stop(state):
        states.append(state)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_audit(detector, dataset, BOTH, again, batch_size=16, progress=stop)
    monkeypatch.setattr(audit_gaussian, "fit_patch_gaussian", None)  # a second fit would fail
    found = run_audit(detector, dataset, BOTH, again)
    assert (again / EVIDENCE).read_bytes() == kept
    first, second = (a.query("SELECT * FROM scores ORDER BY row") for a in (audit, found))
    np.testing.assert_allclose(first["iou_difference"], second["iou_difference"], atol=0.02)


def test_surroundings_are_learnt_from_open_roles_only(ware, monkeypatch):
    detector, dataset, folder = ware
    found = run_audit(detector, dataset, AuditSettings(strengths=(0,)), folder / "roles")
    assert not (found.folder / EVIDENCE).exists()  # made when it is first asked for
    read = []
    decode = Preprocessing.read
    monkeypatch.setattr(Preprocessing, "read", lambda s, p: read.append(p) or decode(s, p))
    first = audit_patch_gaussian(found)
    roles = dataset.samples.set_index("path")["role"]
    assert {roles[p.name] for p in read} == {"train", "tune"}
    assert len(read) == roles.isin(["train", "tune"]).sum()
    again = audit_patch_gaussian(found)
    assert len(read) == roles.isin(["train", "tune"]).sum()  # read back, not fitted again
    assert np.array_equal(first.covariance, again.covariance)
    assert audit_patch_gaussian(found, 24).window == 24


def test_the_model_pass_knows_what_evidence_was_measured_against(ware):
    detector, dataset, _ = ware
    sealed = dataset.samples.assign(role=dataset.samples["role"].replace("train", "test"))
    other = dataclasses.replace(dataset, samples=sealed)
    for settings, same in ((BOTH, False), (AuditSettings(), True)):
        passes = {identify(detector, given, settings).model_pass for given in (dataset, other)}
        assert (len(passes) == 1) is same


def test_a_folder_that_cannot_be_written_still_shows_evidence(ware, monkeypatch):
    detector, dataset, folder = ware
    found = run_audit(detector, dataset, AuditSettings(strengths=(0,)), folder / "locked")

    def refuse(*_):
        raise PermissionError("read-only")

    monkeypatch.setattr(audit_gaussian, "save_patch_gaussian", refuse)
    assert audit_patch_gaussian(found).window == 10
    assert not (found.folder / EVIDENCE).exists()


def test_images_that_are_gone_are_told(ware, tmp_path):
    detector = ware[0]
    with pytest.raises(DataError, match=r"of 2 in .* none can be read; put the images back"):
        fit_to_files(tmp_path, ["a.png", "b.png"], detector.preprocessing)


def test_concentration_by_hand():
    """64 cells: the strongest twentieth are 3 of them."""
    spread_out, one, none = torch.ones(8, 8), torch.zeros(8, 8), -torch.ones(8, 8)
    one[2, 2], one[5, 5:] = 6, 1
    found = concentration(torch.stack([spread_out, one, none]))
    assert found.tolist() == pytest.approx([3 / 64, 8 / 9, 0])
