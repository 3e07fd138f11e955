import hashlib
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trust_core.data.roles import LEAST_DEFECTIVE, ROLES, assign_roles
from trust_core.decision.certificate import Demand, needed
from trust_core.errors import DataError, SettingsError

NAMES = [
    "",
    "train",
    "Training",
    "fit",
    "tune",
    "val",
    "dev",
    "certify",
    "calib",
    "test",
    "Holdout",
]
rows = st.lists(st.tuples(st.integers(0, 12), st.sampled_from(NAMES)), min_size=1, max_size=40)


def samples(groups, splits, roles=None):
    return pd.DataFrame(
        {
            "group": pd.Series([str(group) for group in groups], dtype="str"),
            "split": pd.Series(list(splits), dtype="str"),
            "role": pd.Series(list(roles or [""] * len(groups)), dtype="str"),
            "label": np.zeros(len(groups), dtype=np.int8),
        }
    )


def roles_of(groups, splits, roles=None):
    return assign_roles(samples(groups, splits, roles))[0]["role"].tolist()


def by_group(table):
    return table.groupby("group")["role"].agg(set).to_dict()


def assigned(table):
    """None where nothing is left to choose on: the one lawful refusal of known names."""
    try:
        return assign_roles(table)[0]
    except DataError:
        return None


@given(rows)
def test_groups_never_cross_roles(rows):
    table = assigned(samples(*zip(*rows, strict=True)))
    if table is not None:
        assert all(len(roles) == 1 for roles in by_group(table).values())
        assert set(table["role"]) <= set(ROLES)


@given(rows, st.randoms(use_true_random=False))
def test_row_order_does_not_matter(rows, random):
    table = samples(*zip(*rows, strict=True))
    order = list(range(len(rows)))
    random.shuffle(order)
    first, second = assigned(table), assigned(table.iloc[order])
    assert (first is None) == (second is None)
    if first is not None:
        pd.testing.assert_frame_equal(first, second.sort_index())


@given(rows, st.lists(st.integers(100, 200), max_size=20))
def test_new_groups_move_no_old_one(rows, new):
    """As long as they bring no split that was not named before."""
    old = samples(*zip(*rows, strict=True))
    name = rows[0][1]
    added = pd.concat([old, samples(new, [name] * len(new))], ignore_index=True)
    before, after = assigned(old), assigned(added)
    if before is not None and after is not None:
        assert by_group(before).items() <= by_group(after).items()


@given(rows)
def test_the_earliest_named_role_wins(rows):
    table = assigned(samples(*zip(*rows, strict=True)))
    named = {split.casefold() for _, split in rows}
    if table is None or not named & {"certify", "calib"} or not named & {"tune", "val", "dev"}:
        return  # a role was derived
    order = {"train": 0, "training": 0, "fit": 0, "tune": 1, "val": 1, "dev": 1, "certify": 2}
    for group, roles in by_group(table).items():
        ranks = [order.get(split.casefold(), 2 if split == "calib" else 3)
                 for number, split in rows if str(number) == group and split]  # fmt: skip
        if ranks:
            assert roles == {ROLES[min(ranks)]}


def test_the_input_is_left_alone():
    table = samples([1, 2], ["tune", "test"])
    before = table.copy()
    assign_roles(table)
    pd.testing.assert_frame_equal(table, before)


def test_named_roles_are_kept_without_a_note():
    table, notes = assign_roles(samples([1, 2, 3, 4], ["train", "val", "calib", "test"]))
    assert table["role"].tolist() == list(ROLES)
    assert notes == ()


def test_role_comes_before_split():
    splits, roles = ["train", "val", "calib", "test"], ["", "train", "", ""]
    assert roles_of([1, 2, 3, 4], splits, roles) == ["train", "train", "certify", "test"]


def test_a_torn_group_goes_to_the_earliest_and_is_told():
    table, notes = assign_roles(
        samples([1, 1, 1, 2, 3, 4], ["test", "train", "tune", "tune", "certify", "test"])
    )
    assert table["role"].tolist() == ["train"] * 3 + ["tune", "certify", "test"]
    assert notes == (
        "1 group lay in several roles and went whole to the earliest: 2 images moved "
        "(1 from tune, 1 from test).",
    )


def test_half_of_the_tune_groups_certify():
    groups = range(4000)
    table, notes = assign_roles(samples(groups, ["tune", "test"] * 2000), "half")
    counts = Counter(table["role"])
    assert counts["test"] == 2000
    assert counts["tune"] + counts["certify"] == 2000
    assert abs(counts["tune"] - 1000) < 100  # 4.5 standard deviations
    assert "No certify is named" in notes[0]


@pytest.mark.parametrize(("defective", "taken"), [(80, False), (400, True)])
def test_tune_is_cut_only_where_both_halves_can_do_their_job(defective, taken):
    table = samples(range(1000), ["tune"] * 1000)
    table["label"] = (np.arange(1000) < defective).astype(np.int8)
    found, notes = assign_roles(table)
    assert (set(found["role"]) == {"tune", "certify"}) == taken
    halves = assign_roles(table, "half")[0].query("label == 1")["role"].value_counts()
    assert (halves.min() >= LEAST_DEFECTIVE) == taken
    assert str(halves["tune"]) in notes[0]
    assert str(halves["certify"]) in notes[0]
    assert f"--certify {'none' if taken else 'half'}" in notes[0]
    assert set(assign_roles(table, "none")[0]["role"]) == {"tune"}
    with pytest.raises(SettingsError, match="auto, half, none"):
        assign_roles(table, "some")


def test_the_least_is_what_a_proof_takes():
    assert needed(Demand(0.95, 0.95)) == LEAST_DEFECTIVE


@pytest.mark.parametrize("split", ["", "test"])
def test_forty_forty_twenty(split):
    counts = Counter(roles_of(range(10_000), [split] * 10_000))
    for role, share in (("tune", 0.4), ("certify", 0.4), ("test", 0.2)):
        assert abs(counts[role] / 10_000 - share) < 0.02


def test_without_any_split_the_user_is_asked():
    _, notes = assign_roles(samples(range(50), [""] * 50))
    assert "Was the detector trained on any of these images?" in notes[0]
    assert notes[1].startswith("Roles: train 0 images in 0 groups, tune ")


def test_a_named_certify_takes_nothing_from_test():
    groups, splits = range(3000), ["certify", "test", "test"] * 1000
    table, notes = assign_roles(samples(groups, splits))
    roles = table["role"].to_numpy()
    assert (roles[::3] == "certify").all()
    assert set(roles[1::3]) == {"tune", "test"}
    assert abs((roles == "tune").sum() / 2000 - 2 / 3) < 0.05
    assert "2:1" in notes[0]


def test_unnamed_images_follow_their_group():
    roles = roles_of([1, 1, 2, 3, 4], ["", "train", "tune", "certify", "test"])
    assert roles == ["train", "train", "tune", "certify", "test"]


def test_unnamed_groups_are_divided_and_named_ones_stay():
    splits = ["train"] * 20 + [""] * 200
    table, notes = assign_roles(samples(range(220), splits))
    assert (table["role"][:20] == "train").all()
    assert set(table["role"][20:]) == {"tune", "certify", "test"}
    assert notes[0].startswith("200 groups have no split")


def test_the_hash_is_fixed_for_ever():
    """An audit repeated years later must find the same roles; these were computed once."""
    assert roles_of(range(8), [""] * 8) == [
        "tune", "certify", "certify", "tune", "test", "tune", "certify", "test",
    ]  # fmt: skip


def test_unknown_split_names_are_an_error():
    with pytest.raises(DataError, match=r"Unknown split 'fold1', 'fold2': use train, tune"):
        assign_roles(samples([1, 2, 3], ["fold2", "train", "fold1"]))


@pytest.mark.parametrize("split", ["train", "certify"])
def test_nothing_left_to_choose_on(split):
    with pytest.raises(DataError, match=f"All images are {split}; .* has not seen"):
        assign_roles(samples([1, 2], [split, split]))


def test_a_handful_of_images_is_never_refused_for_its_hash():
    for group in range(20):
        assert roles_of([group], [""])[0] in ROLES


def test_many_groups_are_quick_enough_to_hash_each_once(monkeypatch):
    calls = []
    sha256 = hashlib.sha256
    monkeypatch.setattr(hashlib, "sha256", lambda name: calls.append(name) or sha256(name))
    assign_roles(samples(np.repeat(range(10), 50), [""] * 500))
    assert len(calls) == 10
