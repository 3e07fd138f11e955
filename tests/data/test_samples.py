import hashlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trust_core.data.samples import sample_id, sample_table


def test_sample_id_is_the_hash_of_the_path():
    assert sample_id("good/1.png") == hashlib.sha256(b"good/1.png").hexdigest()[:16]


@pytest.mark.parametrize("same", ["./good/1.png", "good//1.png", "good\\1.png", "x/../good/1.png"])
def test_spellings_of_one_path_are_one_sample(same):
    assert sample_id(same) == sample_id("good/1.png")


@pytest.mark.parametrize("other", ["Good/1.png", "good/01.png", "good/1.jpg", "1.png"])
def test_other_paths_are_other_samples(other):
    assert sample_id(other) != sample_id("good/1.png")


@given(st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: "\0" not in text))
def test_decomposed_names_of_a_mac_are_the_same(name):
    assert sample_id(unicodedata.normalize("NFD", name)) == sample_id(
        unicodedata.normalize("NFC", name)
    )


def test_missing_columns_are_empty_text():
    table = sample_table(["a.png"], [1], kind=["crack"])
    assert table.to_dict("records") == [
        {"path": "a.png", "label": 1, "kind": "crack", "split": "", "role": "", "group": "",
         "mask_path": ""}
    ]  # fmt: skip
