"""The maps of one part: the very masks of the score, raw values, and their pictures."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.fakes import passed_parts, random_parts, write_fake_audit
from trust_core.audit.run import rescore
from trust_core.figures.part_maps import (
    DATA_SCALE,
    OWN_SCALE,
    SIDES,
    PartMaps,
    fitted,
    map_ends,
    map_panel,
    map_scale,
    maps_of,
    photo_panel,
    strip_picture,
    truth_mask,
)
from trust_core.model.placement import audit_box
from trust_core.storage.audit_files import Audit


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return write_fake_audit(tmp_path_factory.mktemp("maps") / "audit", random_parts(40))


@pytest.fixture(scope="module", params=["half", "top:0.2", "otsu"])
def rescored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """A fake whose scores do follow from its maps."""
    audit = write_fake_audit(tmp_path_factory.mktemp("rescored") / "audit", random_parts(24))
    rescore(audit.folder, audit.manifest, request.param)
    return replace(audit, manifest=replace(audit.manifest, mask=request.param))


def test_masks_are_those_of_the_score(rescored: Audit):
    scores = rescored.query("SELECT * FROM scores ORDER BY row")
    assert len(scores) > 20
    for score in scores.to_dict("records"):
        masks = maps_of(rescored, score).masks
        for side in ("defect", "good"):
            both = (masks[side] & masks["agnostic"]).sum()
            either = (masks[side] | masks["agnostic"]).sum()
            assert both / either == score[f"iou_{side}"]


def test_raw_values_are_the_stored_ones_times_their_scale(audit: Audit):
    score = audit.query("SELECT * FROM scores ORDER BY row").iloc[3]
    raw = maps_of(audit, score).raw
    stored = audit.maps("gradient")[3].astype(np.float32)
    np.testing.assert_allclose(raw["agnostic"], stored * score["scale_gradient"], rtol=1e-6)
    assert raw["defect"].shape == audit.maps("defect").shape[1:]
    assert map_scale(audit, "agnostic") == 2.0


def test_a_map_that_is_not_finite_is_still_drawn(tmp_path: Path):
    audit = write_fake_audit(tmp_path / "audit", passed_parts([0.1], []))
    file = audit.folder / "maps" / "layer4.defect.npy"
    values = np.load(file)
    values[0, 0, :3] = np.nan, np.inf, -np.inf
    np.save(file, values)
    maps = maps_of(audit, audit.query("SELECT * FROM scores ORDER BY row").iloc[0])
    assert np.isfinite(maps.raw["defect"]).all()


def test_every_panel_is_a_picture_of_the_photograph_and_opacity_matters(audit: Audit):
    score = audit.query("SELECT * FROM scores ORDER BY row").iloc[0]
    photo = fitted(Image.new("L", (30, 20), 120), 300)
    assert photo.size == (300, 200)
    maps, box = maps_of(audit, score), audit_box(audit, photo.size)
    for side in SIDES:
        clear, strong = (
            np.asarray(Image.open(io.BytesIO(map_panel(photo, box, maps, side, 2.0, opacity))))
            for opacity in (0.0, 1.0)
        )
        assert clear.shape == strong.shape == (200, 300, 3)
        assert np.abs(clear.astype(int) - strong).max() > 40
    small = Image.open(io.BytesIO(strip_picture(fitted(photo, 90), box, maps)))
    assert small.size == (90, 60)


def test_the_true_defect_is_outlined_and_not_covered(tmp_path: Path):
    mask = np.zeros((40, 40), np.uint8)
    mask[16:24, 16:24] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    truth = truth_mask(tmp_path, "mask.png", (200, 200))
    assert truth.sum() == 40 * 40
    photo = Image.new("L", (200, 200), 120)
    drawn = np.asarray(Image.open(io.BytesIO(photo_panel(photo, truth)))).astype(int)
    assert np.abs(drawn[90:110, 90:110] - 120).max() < 12
    assert (drawn.max(2) - drawn.min(2)).max() > 80


def test_the_maps_of_both_classes_end_at_the_strongest_cell_of_both(audit: Audit) -> None:
    cells = {"defect": [[0.5, 1.9]], "good": [[0.0, 0.13]], "agnostic": [[3.0, 7.0]]}
    raw = {side: np.array(values, dtype=np.float32) for side, values in cells.items()}
    maps = PartMaps(raw, {})
    strongest = {side: float(values.max()) for side, values in raw.items()}
    assert map_ends(audit, maps, OWN_SCALE) == strongest
    assert map_ends(audit, maps) == strongest | {"good": strongest["defect"]}
    assert map_ends(audit, maps, DATA_SCALE) == dict.fromkeys(raw, 2.0)
    nothing = PartMaps({side: np.zeros((1, 2), np.float32) for side in raw}, {})
    assert map_ends(audit, nothing) == dict.fromkeys(raw, 1.0)
