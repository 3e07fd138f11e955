import pytest

from trust_core.data.names import choose_good, first_few, is_good, normalised_name, role_of_split
from trust_core.errors import DataError, LabelsNeeded

GOOD = [
    "good", "Good", "OK", "ok", "normal", "free", "MT_Free", "pass", "non-defective",
    "no_defect", "defect_free", "Defect-Free", "No Defect",
]  # fmt: skip
MISLEADING = [
    "nok", "not_good", "NotOK", "n.ok", "abnormal", "no_good", "not ok", "ng", "bad", "defect",
    "0", "1", "positive", "negative", "a", "goods_in", "no_pass", "nonfree",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_known_names_of_good(name):
    assert is_good(name)


@pytest.mark.parametrize("name", MISLEADING)
def test_names_that_are_not_good(name):
    assert not is_good(name)


def test_folder_order_decides_nothing():
    assert choose_good({"a_scratch": 3, "ok": 5}, ()) == {"ok"}
    assert choose_good({"good": 3, "a": 5}, ()) == {"good"}
    assert choose_good({"z": 3, "good": 5}, ()) == {"good"}


def test_negated_names_stand_beside_good_ones():
    assert choose_good({"ok": 1, "nok": 1, "not_ok": 1}, ()) == {"ok"}
    assert choose_good({"defect_free": 1, "defect": 1}, ()) == {"defect_free"}


@pytest.mark.parametrize(
    "names", [["a", "b"], ["0", "1"], ["nok", "iok"], ["good", "good_2"], ["good", "unknown"],
              ["ok", "scratch free"], ["not_good", "bad"]]
)  # fmt: skip
def test_unclear_names_are_asked_for(names):
    with pytest.raises(LabelsNeeded, match="--good NAME") as caught:
        choose_good(dict.fromkeys(names, 7), ())
    assert caught.value.folders == dict.fromkeys(names, 7)
    assert f"{names[0]} (7)" in str(caught.value)


@pytest.mark.parametrize(
    ("names", "good"),
    [
        (["ok_front", "def_front"], ["ok_front"]),
        (["front-OK", "back-ok", "front-NG"], ["front-ok", "back-ok"]),
        (["pass_1", "fail_1", "anomaly"], ["pass_1"]),
        (["normal", "normal_2", "bad parts"], ["normal", "normal_2"]),
        (["def_front", "ok_front", "no_defect"], ["ok_front", "no_defect"]),
    ],
)
def test_names_are_told_by_a_word_of_theirs_where_all_are(names, good):
    assert choose_good(dict.fromkeys(names, 7), ()) == set(good)


@pytest.mark.parametrize(
    "names", [["ok_front", "scratch"], ["ok_front", "ok_back"], ["ok_def", "ng"],
              ["not_ok_front", "ok_front"], ["ok_front", "def_front", "unknown_ok"]]
)  # fmt: skip
def test_one_name_without_such_a_word_is_asked_for(names):
    with pytest.raises(LabelsNeeded):
        choose_good(dict.fromkeys(names, 7), ())


def test_what_the_user_says_holds_alone():
    assert choose_good({"ok": 1, "B": 1, "c": 1}, ("b",)) == {"b"}
    assert choose_good({"good": 1, "good_2": 1, "bad": 1}, ("good", "good_2")) == {"good", "good_2"}


def test_a_name_that_is_not_there_lists_those_that_are():
    with pytest.raises(DataError, match=r"--good gut: there is no such folder; found A, B\."):
        choose_good({"A": 1, "B": 2}, ("gut",))


def test_split_names():
    assert [role_of_split(name) for name in ("Train", "VAL", "calib", "holdout", "x", "")] == [
        "train", "tune", "certify", "test", None, None,
    ]  # fmt: skip


def test_helpers():
    assert normalised_name("Non-Defective") == normalised_name("non_defective") == "nondefective"
    assert first_few(list("abc"), 2) == "a, b, ..."
    assert first_few(list("ab"), 2) == "a, b"
