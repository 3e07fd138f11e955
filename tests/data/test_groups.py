import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from trust_core.data.groups import groups_by_pattern, merge_identical
from trust_core.errors import SettingsError


def samples(*rows):
    table = pd.DataFrame(rows, columns=["sha256", "group", "label"])
    return table.assign(path=[f"{index}.png" for index in range(len(rows))])


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"part\d+", ["part12", ""]),
        (r"lot(\d+)/part(\d+)", ["7|12", ""]),
        (r"(?P<part>part\d+)_(\d)", ["part12", ""]),
        (r"lot(\d+)(x)?", ["7|", ""]),
    ],
)
def test_what_a_pattern_names(pattern, expected):
    assert groups_by_pattern(["lot7/part12_1.png", "other.png"], pattern) == expected


def test_a_pattern_that_is_none():
    with pytest.raises(SettingsError, match=r"--group-pattern '\(' is not a regular expression"):
        groups_by_pattern(["x"], "(")


@pytest.mark.parametrize("pattern", [r"(?<=lot)\d+", r"(\w)\1", r"a(?!b)"])
def test_a_pattern_that_looks_around_or_back(pattern):
    with pytest.raises(SettingsError, match=r"looks ahead or behind, or back.*cannot"):
        groups_by_pattern(["x"], pattern)


def test_no_pattern_takes_forever():
    paths = ["a" * 5000 + ".png"] * 20
    assert groups_by_pattern(paths, r"(.+)+X") == [""] * 20  # `re` would take 2^5000 steps


def test_copies_share_a_group_with_all_that_hang_on_them():
    table = samples(("x", "d", 0), ("x", "b", 0), ("y", "b", 0), ("y", "c", 0), ("z", "e", 0))
    groups, notes = merge_identical(table)
    assert groups.tolist() == ["b", "b", "b", "b", "e"]
    assert notes == (
        "4 images are byte-identical copies of one another (2 different pictures); 2 groups were "
        "merged with the group of their copy.",
    )


def test_nothing_identical_nothing_said():
    groups, notes = merge_identical(samples(("x", "a", 0), ("y", "b", 1)))
    assert groups.tolist() == ["a", "b"]
    assert notes == ()


def test_unreadable_files_are_identical_to_nothing():
    groups, notes = merge_identical(samples(("", "a", 0), ("", "b", 1)))
    assert groups.tolist() == ["a", "b"]
    assert notes == ()


def test_copies_with_both_labels_are_told():
    table = samples(("a", "a", 0), ("a", "a", 0), ("x", "a", 0), ("x", "b", 1))
    _, notes = merge_identical(table)
    assert notes[1] == (
        "1 picture is labelled both good and defective, for one 2.png and 3.png: "
        "correct the labels."
    )


@given(st.lists(st.tuples(st.sampled_from("uvwxyz"), st.sampled_from("abcdefgh")), min_size=1))
def test_merged_groups_are_the_connected_components(rows):
    nodes = sorted({name for row in rows for name in row})  # groups sort before hashes
    edges = np.zeros((len(nodes), len(nodes)))
    for sha, group in rows:
        edges[nodes.index(sha), nodes.index(group)] = 1
    _, component = connected_components(edges, directed=False)
    merged, _ = merge_identical(samples(*[(sha, group, 0) for sha, group in rows]))
    first = [nodes[component.tolist().index(component[nodes.index(group)])] for _, group in rows]
    assert merged.tolist() == first
