"""How an audit stands, in words."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes import random_parts, write_fake_audit
from trust_core.decision.operating_point import FlagCounts, OperatingPoint
from trust_core.decision.proposal import Proposal
from trust_core.decision.standing import NOT_WORTH, UNKNOWN, WORTH, Standing, standing
from trust_core.figures.words import standing as words

POINT = OperatingPoint("iou_difference", 0.0, 0.1, "tune")
SHIFT = OperatingPoint("p_defect", 0.0, 0.126, "tune")
NOTHING_ELSE, SOMETHING = (
    Proposal(name, 0.0, "", 9, ()) for name in ("p_defect", "iou_difference")
)


@pytest.fixture(scope="module")
def stands(tmp_path_factory: pytest.TempPathFactory) -> Standing:
    folder: Path = tmp_path_factory.mktemp("standing") / "audit"
    return standing(write_fake_audit(folder, random_parts(200)), POINT)


def like(stands: Standing, groups: int = 20, good: int = 30, **changes: object) -> Standing:
    judged = replace(stands.judged, groups=groups, good_groups=good)
    return replace(stands, judged=judged, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"state": WORTH, "role": "test"},
            "A second look is worth it: IoU difference is better than threshold shift.",
        ),
        (
            {"state": NOT_WORTH},
            "A second look by IoU difference is not worth it: threshold shift is better.",
        ),
        (
            {"state": NOT_WORTH, "point": SHIFT},
            "A second look is not worth it here: nothing is shown to beat threshold shift.",
        ),
        ({"state": UNKNOWN, "role": "tune"}, "cannot be told yet: the photos that would tell are"),
        (
            {"state": UNKNOWN, "role": "test", "needed": 50},
            "cannot be told yet: about 30 more missed parts are needed.",
        ),
        (
            {"state": UNKNOWN, "role": "test", "needed": None},
            "cannot be told yet: 20 missed parts show no clear lead either way.",
        ),
        (
            {"state": UNKNOWN, "role": "test", "point": SHIFT, "proposal": NOTHING_ELSE},
            "cannot be told yet: the photos for choosing show too few parts to choose",
        ),
        (
            {"state": UNKNOWN, "role": "tune", "point": SHIFT, "proposal": SOMETHING},
            "cannot be told yet: shown is threshold shift itself; IoU difference is proposed.",
        ),
        ({"state": UNKNOWN, "groups": 1}, "takes at least 5 more missed parts."),
        ({"state": UNKNOWN, "groups": 5}, "takes at least 1 more missed part."),
        ({"state": UNKNOWN, "good": 4}, "takes at least 2 more good parts."),
        (
            {"state": UNKNOWN, "groups": 3, "good": 5},
            "takes at least 3 more missed parts and 1 more good part.",
        ),
    ],
)
def test_the_state(stands: Standing, changes: dict, says: str):
    assert says in words.state_sentence(like(stands, **changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"state": WORTH, "role": "test", "closed": ()},
            "Send to re-inspection what has an IoU difference of 0.1 or more.",
        ),
        (
            {"state": WORTH, "role": "test", "closed": ("certify",)},
            "Prove it on Decide; then send to re-inspection what has an IoU difference",
        ),
        (
            {"state": NOT_WORTH, "point": SHIFT},
            "Lower the decision threshold: look again at what has a defect probability of 0.126",
        ),
        ({"state": NOT_WORTH}, "Use threshold shift instead"),
        ({"state": UNKNOWN, "groups": 2}, "Collect at least 4 more missed parts; until then"),
        ({"state": UNKNOWN, "role": "test"}, "Collect more missed parts and audit again"),
        (
            {"state": UNKNOWN, "role": "tune", "point": SHIFT, "proposal": SOMETHING},
            "Choose IoU difference on Decide",
        ),
        (
            {"state": UNKNOWN, "groups": 0, "missed": {"tune": 0, "test": 0}},
            "Audit more defective parts: of these the detector missed none.",
        ),
        (
            {"state": UNKNOWN, "role": "tune", "needed": 15, "sealed_groups": 16},
            "Open the seal of test on Decide: it holds 16 missed parts",
        ),
        (
            {"state": UNKNOWN, "role": "tune", "needed": 40, "sealed_groups": 16},
            "test holds 16 missed parts, and with the lead seen so far about 40 would be needed",
        ),
        (
            {"state": UNKNOWN, "role": "tune", "needed": None, "sealed_groups": 16},
            "many more would be needed",
        ),
    ],
)
def test_the_action(stands: Standing, changes: dict, says: str):
    assert says in words.action_sentence(like(stands, **changes))


def test_the_catch_stands_beside_threshold_shift_and_chance(stands: Standing):
    counts = FlagCounts(12, 88, 9, 21, 40, 7)
    told = words.catch_sentence(replace(stands, counts=counts, catch=(0.43, 0.94)))
    assert "calls 100 photos good; 12 show a defect." in told
    assert "Looking again at 30 of them by IoU difference catches 9 of 12" in told
    assert "(95 % sure: 43 % to 94 % of such defects)" in told
    assert (
        "Threshold shift catches 7 with as many; as many picked at random would catch about 3.6."
        in told
    )
    own = words.catch_sentence(replace(stands, counts=counts, point=SHIFT))
    assert "threshold shift catches 7" not in own


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        (FlagCounts(0, 0, 0, 0), "calls nothing good, so nothing can be looked at again"),
        (FlagCounts(0, 9, 0, 2), "missed no defect, so there is nothing to catch"),
        (FlagCounts(1, 9, 0, 0), "1 of them shows a defect. At this threshold none is looked at"),
    ],
)
def test_nothing_to_catch_is_said(stands: Standing, counts: FlagCounts, says: str):
    assert says in words.catch_sentence(replace(stands, counts=counts))
    assert words.catch_bars(counts, "iou_difference") == ""
    assert bool(words.basis_sentence(replace(stands, counts=counts))) == bool(counts.fn)


def test_all_misses_and_how_many_may_be_looked_at(stands: Standing):
    missed = {"tune": 1, "certify": 0, "test": 14}
    told = words.missed_sentence(replace(stands, missed=missed, closed=("certify", "test")))
    assert told == (
        "15 photos of missed defects in all: 1 of them may be looked at, 14 in test sealed."
    )
    open_now = words.missed_sentence(replace(stands, missed=missed, closed=()))
    assert open_now == "15 photos of missed defects in all, and all may be looked at."


def test_who_chose_and_why():
    entry = {
        "indicator": "p_defect", "threshold": 0.25, "strength": 0.0, "who": "Ada",
        "when": "2026-05-12T09:30:00+0000", "why": "six a shift",
    }  # fmt: skip
    assert words.chosen_sentence(entry) == (
        "Decided: threshold shift, τ 0.25, by Ada, on 12 May 2026, 09:30: “six a shift”."
    )
    assert words.chosen_sentence(None) == ""
    assert words.chosen_sentence(entry | {"threshold": "x"}) == ""


def test_bars_tell_each_way():
    bars = words.catch_bars(FlagCounts(12, 88, 9, 21, 40, 7), "iou_difference")
    assert [bars.count(name) for name in ("IoU difference", "Threshold shift", "at random")] == [
        1, 1, 1,
    ]  # fmt: skip
    assert "<td>9</td>" in bars
    assert "<td>7</td>" in bars
    assert "<td>3.6</td>" in bars
