"""The maps of one part: the very masks of the score, raw values, and its sentences."""

import io
import math
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dashboard.parts import part_words
from tests.fakes import Part, passed_parts, random_parts, write_fake_audit
from trust_core.audit.run import rescore
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.part_filter import Filters, page_of_parts, part_rows
from trust_core.figures.part_maps import (
    SIDES,
    display_scale,
    fitted,
    map_panel,
    maps_of,
    photo_panel,
    seen_by_network,
    strip_picture,
    truth_mask,
)
from trust_core.storage.audit_files import Audit

POINT = OperatingPoint("iou_difference", 0.0, 0.25, "tune")


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return write_fake_audit(tmp_path_factory.mktemp("maps") / "audit", random_parts(40))


@pytest.fixture(scope="module", params=["half", "top:0.2", "otsu"])
def rescored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """A fake whose scores do follow from its maps."""
    audit = write_fake_audit(tmp_path_factory.mktemp("rescored") / "audit", random_parts(24))
    audit.manifest["mask"] = request.param
    rescore(audit.folder, audit.manifest, request.param)
    return audit


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
    assert display_scale(audit, "agnostic") == 2.0


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
    maps, box = maps_of(audit, score), seen_by_network(audit, photo.size)
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
    truth = truth_mask(tmp_path / "mask.png", (200, 200))
    assert truth.sum() == 40 * 40
    photo = Image.new("L", (200, 200), 120)
    drawn = np.asarray(Image.open(io.BytesIO(photo_panel(photo, truth)))).astype(int)
    assert np.abs(drawn[90:110, 90:110] - 120).max() < 12
    assert (drawn.max(2) - drawn.min(2)).max() > 80


@pytest.mark.parametrize(
    ("part", "threshold", "words"),
    [
        (Part(True, 0.03, (0.5,), kind="crack"), 0.2, r"missed defect \(crack\) that is flagged"),
        (Part(True, 0.03, (0.1,)), 0.2, r"missed defect that is overlooked.* 3 %"),
        (Part(False, 0.2, (0.5,)), 0.2, "good part that is flagged"),
        (Part(False, 0.2, (0.1,)), 0.2, "good part that passes"),
        (Part(True, 0.9, (0.1,)), 0.2, "caught defect: called defective"),
        (Part(False, 0.9, (0.1,)), 0.2, "false alarm: a good part called defective"),
        (Part(False, math.nan, (0.1,)), 0.2, "could not be read"),
    ],
)
def test_the_sentence_on_top(tmp_path: Path, part: Part, threshold: float, words: str):
    audit = write_fake_audit(tmp_path / "audit", [part, Part(False, 0.1, (0.0,))])
    point = OperatingPoint("iou_difference", 0.0, threshold, "tune")
    path = f"{part.kind or 'defective' if part.defective else 'good'}/0000.png"
    row = page_of_parts(audit, point, Filters(search=path), 1).iloc[0]
    sentence, below = part_words.finding(row)
    assert below == path
    assert re.search(words, sentence)


def test_overlaps_in_words():
    score = {"iou_defect": 0.41, "iou_good": 0.78, "iou_difference": -0.37, "strength": 0.5}
    told = part_words.difference(score | {"status": "scored"})
    assert "overlaps <b>41 %</b> with where the network looks; the good map <b>78 %</b>" in told
    assert "Δ = 0.41 − 0.78 = <b>−0.37</b>" in told
    assert "ε = 0.5" in told
    none = dict.fromkeys(("iou_defect", "iou_good", "iou_difference"), math.nan)
    told = part_words.difference(none | {"strength": 0.0, "status": "the agnostic map is constant"})
    assert "the agnostic map is constant" in told
    assert "always flagged" in told


def test_names_from_outside_stay_text(tmp_path: Path):
    hostile = "<img src=x onerror=alert(1)>"
    parts = [Part(True, 0.2, (0.5,), kind="<b>", group=hostile)] * 2
    audit = write_fake_audit(tmp_path / "audit", parts)
    row = page_of_parts(audit, POINT, Filters(), 1).iloc[0]
    photos, _ = part_rows(audit, POINT, row["sample_id"])
    for html in (part_words.facts(audit, row, POINT), part_words.group_heading(photos, 2)):
        assert "<img" not in html
        assert "&lt;img" in html
