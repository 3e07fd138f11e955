"""Drift of a line against its audit, on numbers of one's choice; and labels that come back."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.fakes import Part, passed_parts, random_parts, write_fake_audit
from trust_core.deploy.drift import NO_AUDIT_SAMPLE, drift
from trust_core.deploy.line_log import returned_labels
from trust_core.deploy.reference import Reference, line_reference, load_reference, save_reference
from trust_core.errors import DataError, SettingsError, StoreError


def numbers(draw: np.random.Generator, count: int, defective: float) -> pd.DataFrame:
    """Parts with a share of defective ones, as a guard logs them."""
    bad = draw.random(count) < defective
    p = 1 / (1 + np.exp(-draw.normal(2.0 * bad - 2, 1)))
    return pd.DataFrame(
        {
            "path": [f"{n}.png" for n in range(count)],
            "decision": np.where(p >= 0.5, "defective", "good"),
            "p_defect": p,
            "indicator": np.where(p >= 0.5, np.nan, draw.normal(0.3 * bad, 0.2)),
            "brightness": draw.normal(100, 5, count),
            "sharpness": draw.normal(3, 0.5, count),
            "audit_sample": False,
            "label": bad,
        }
    )


def reference(count: int = 400, seed: int = 0, **more: object) -> Reference:
    """An audit of images like the line's, a fifth of them defective."""
    table = numbers(np.random.default_rng(seed), count, 0.2)
    columns = (table[n].to_numpy() for n in ("p_defect", "indicator", "brightness", "sharpness"))
    return replace(Reference(*columns, table["label"].to_numpy(), 1.0), **more)


@pytest.mark.parametrize("defective", [0.2, 0.1, 0.01])
def test_a_line_with_fewer_defects_has_not_drifted(defective: float) -> None:
    log = numbers(np.random.default_rng(5), 1500, defective)
    found = drift(reference(), log, threshold=0.3)
    assert not found.alarm
    assert found.called_at is None
    assert found.sentence.startswith("No drift to be seen in 1,500 images")


@pytest.mark.parametrize("what", ["p_defect", "indicator", "brightness", "sharpness"])
def test_a_change_of_any_number_is_called(what: str) -> None:
    log = numbers(np.random.default_rng(6), 500, 0.01)
    log[what] = log[what] * 0.7 if what in ("brightness", "sharpness") else log[what] + 0.15
    found = drift(reference(), log, threshold=0.3)
    assert found.alarm
    assert found.called_at
    assert found.called_at < 500
    loudest = max(found.shifts, key=lambda shift: shift.evidence)
    assert what.split("_")[0] in loudest.name or what == "p_defect"
    assert f"called at image {found.called_at}" in found.sentence


def test_more_defects_than_the_audit_had_are_called() -> None:
    log = numbers(np.random.default_rng(7), 600, 0.6)
    assert drift(reference(), log, threshold=0.3).alarm


def test_photographs_of_one_part_count_once() -> None:
    once = numbers(np.random.default_rng(8), 200, 0.05)
    thrice = once.loc[once.index.repeat(3)].reset_index(drop=True)
    first = drift(reference(), once, threshold=0.3)
    second = drift(reference(images_per_group=3.0), thrice, threshold=0.3)
    assert (second.every, second.images, second.compared) == (3, 600, 200)
    assert second.evidence == pytest.approx(first.evidence)
    assert drift(reference(), thrice, threshold=0.3, every=3).evidence == second.evidence


def test_shares_are_told_beside_the_audit() -> None:
    log = numbers(np.random.default_rng(9), 300, 0.1)
    log.loc[log["indicator"] >= 0.3, "decision"] = "re_inspect"
    log.loc[0, ["p_defect", "indicator", "decision"]] = [np.nan, np.nan, "re_inspect"]
    found = drift(reference(), log, threshold=0.3)
    rest = log.iloc[1:]
    went = rest["decision"] != "defective"
    assert found.unreadable == 1
    assert found.defective == (~went).mean()
    assert found.flagged == (rest["decision"][went] == "re_inspect").mean()
    audited = reference()
    assert found.flagged_audit == (audited.indicator[audited.passed] >= 0.3).mean()


def test_without_brightness_the_other_numbers_serve() -> None:
    log = numbers(np.random.default_rng(10), 200, 0.05)
    log[["brightness", "sharpness"]] = np.nan
    found = drift(reference(), log, threshold=0.3)
    assert [shift.name for shift in found.shifts] == ["the defect probability", "the indicator"]


def test_an_empty_log_says_so() -> None:
    log = numbers(np.random.default_rng(0), 3, 0.1).head(0)
    found = drift(reference(), log, threshold=0.3)
    assert not found.alarm
    assert "nothing to compare" in found.sentence
    assert found.as_json()["flagged"] is None


@pytest.mark.parametrize("wrong", [{"alpha": 0.0}, {"alpha": 2.0}, {"every": -1}])
def test_settings_that_mean_nothing(wrong: dict) -> None:
    log = numbers(np.random.default_rng(0), 3, 0.1)
    with pytest.raises(SettingsError):
        drift(reference(), log, threshold=0.3, **wrong)


def inspected() -> tuple[pd.DataFrame, dict[str, bool]]:
    """100 parts: 20 flagged, 8 of the other 80 sampled; labels of both, 10 and 1 defective."""
    log = numbers(np.random.default_rng(0), 100, 0.0)
    log["decision"] = ["re_inspect"] * 20 + ["good"] * 80
    log.loc[20:27, "audit_sample"] = True
    labels = {f"{n}.png": n < 10 or n == 20 for n in range(28)}
    return log, labels


def test_labels_update_the_recall() -> None:
    log, labels = inspected()
    found = drift(reference(), log, threshold=0.3, labels=labels).recall
    assert found is not None
    assert (found.flagged_defects, found.audited_defects) == (10, 1)
    assert (found.flagged_rate, found.audit_rate) == (1.0, 0.1)
    assert found.recall == pytest.approx(10 / (10 + 1 / 0.1))


def test_what_nobody_drew_is_left_out() -> None:
    log, labels = inspected()
    first = drift(reference(), log, threshold=0.3, labels=labels).recall
    returned = labels | {f"{n}.png": True for n in range(60, 70)}  # from customers
    assert drift(reference(), log, threshold=0.3, labels=returned).recall == first


def test_labels_of_flagged_parts_alone_say_nothing() -> None:
    log, labels = inspected()
    flagged = {name: label for name, label in labels.items() if int(name[:-4]) < 20}
    found = drift(reference(), log, threshold=0.3, labels=flagged)
    assert found.recall is None
    assert found.recall_sentence == NO_AUDIT_SAMPLE


def test_the_reference_is_one_photograph_a_part_and_survives_the_disk(tmp_path: Path) -> None:
    images = [
        Part(True, 0.2, (0.5,), group="a"),
        Part(True, 0.3, (0.4,), group="a"),
        *passed_parts([], [math.nan], group="b"),
        Part(True, 0.9, (0.1,), group="c"),
        Part(False, math.nan, (0.1,), group="d"),
        Part(False, 0.1, (0.2,), "test", group="e"),
    ]
    audit = write_fake_audit(tmp_path / "audit", images, strengths=(0.0,))
    found = line_reference(audit, "iou_difference", 0.0)
    assert len(found.p_defect) == 3
    assert found.images_per_group == pytest.approx(4 / 3)
    assert sorted(found.defective.tolist()) == [False, True, True]
    assert np.isinf(found.indicator).sum() == 1
    assert np.isnan(found.indicator).sum() == 1
    assert (found.sharpness > 0).all()
    save_reference(found, tmp_path)
    again = load_reference(tmp_path)
    for name in ("p_defect", "indicator", "brightness", "sharpness", "defective"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    assert again.images_per_group == found.images_per_group


def test_a_reference_without_photographs(tmp_path: Path) -> None:
    import shutil

    audit = write_fake_audit(tmp_path / "audit", random_parts(40))
    shutil.rmtree(audit.manifest.data.root)
    assert np.isnan(line_reference(audit, "iou_difference", 0.0).brightness).all()


def test_a_guard_without_a_reference_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="export the guard again"):
        load_reference(tmp_path)
    (tmp_path / "reference.safetensors").write_bytes(b"x")
    with pytest.raises(StoreError, match="is damaged"):
        load_reference(tmp_path)


def test_labels_are_read(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    for text in ("path,label\na.png,1\nb.png, Good \n", "\ufeffImage;OK\na.png;no\nb.png;yes\n"):
        file.write_text(text)
        assert returned_labels(file) == {"a.png": True, "b.png": False}
    for text, said in (
        ("path\na", "no column label"),
        ("path,label\na,maybe", '"maybe"'),
        ("path,label\na,good\nb,maybe", '"maybe"'),
    ):
        file.write_text(text)
        with pytest.raises(DataError, match=said):
            returned_labels(file)
    with pytest.raises(DataError):
        returned_labels(tmp_path / "none.csv")


@pytest.mark.slow
def test_of_200_lines_without_drift_at_most_16_raise_an_alarm() -> None:
    alarms = 0
    for run in range(200):
        draw = np.random.default_rng(1000 + run)
        log = numbers(draw, 500, 0.2)
        alarms += drift(reference(300, run), log, threshold=0.3, seed=run).alarm
    assert alarms <= 16
