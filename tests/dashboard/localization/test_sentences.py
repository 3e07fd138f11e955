"""What the page Localization says of its masks."""

import math

import numpy as np
import pytest

from dashboard.localization.sentences import iou_text, part_sentence, why_they_differ
from dashboard.localization.url_state import MaskSettings
from trust_core.decision.localization.metrics import THRESHOLDS, Masks
from trust_core.decision.localization.pixel_counts import MASK_HEAD, MaskCounts


def one(predicted: int, true: int, overlap: int) -> MaskCounts:
    table = np.zeros((2 * len(THRESHOLDS) + 2, 1), dtype=np.int32)
    table[49], table[99 + 49], table[-2], table[-1] = predicted, overlap, true, 200
    return MaskCounts(MASK_HEAD, table)


SETTINGS = MaskSettings(MASK_HEAD, 0.5, 0.0, "loose", "", "tune")


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        (one(0, 4, 0), "The mask marks nothing from this threshold on."),
        (one(20, 0, 0), "The mask marks 10 % of the photo."),
        (one(20, 4, 0), "The mask marks 10 % of the photo, beside the defect."),
        (one(20, 10, 10), "The mask and the defect overlap by 50 % (IoU)."),
        (None, "The network gave no answer for this photograph, so there is no mask."),
    ],
)
def test_a_part_in_words(counts: MaskCounts | None, sentence: str) -> None:
    assert part_sentence(counts, SETTINGS) == sentence


def test_why_the_two_agreements_differ() -> None:
    area, none = np.full(11, 1000), np.zeros(11, dtype=np.int64)
    true = np.array([900, *[10] * 10])
    masks = Masks(none, none, true, area, np.ones(11, dtype=bool), np.arange(11))
    assert "of which the largest 1 of 11 defects hold 90 %" in why_they_differ(masks)
    assert [iou_text(v) for v in (0.6449, 0.0061, math.nan)] == ["0.64", "0.006", "–"]
