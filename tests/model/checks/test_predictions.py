import pandas as pd
import pytest
import torch

from tests.small import small_dataset, small_detector
from trust_core.data.images import read_image
from trust_core.errors import DataError
from trust_core.model.checks.predictions import compare_expected, try_expected

TABLE = pd.DataFrame({"path": ["a/1.png", "a/2.png", "b/3.png"], "p_defect": [0.1, 0.9, None]})


def compare(tmp_path, text):
    (tmp_path / "mine.csv").write_text(text)
    return compare_expected(tmp_path / "mine.csv", TABLE)


def test_reproduced(tmp_path):
    found = compare(tmp_path, "path,p\n./a/1.png,0.105\na\\2.png,0.9\n")
    assert (found.compared, found.reproduced) == (2, 2)
    assert found.largest == pytest.approx(0.005)
    assert found.sentence == "All 2 expected predictions are reproduced (largest Δp 0.005)."


def test_not_reproduced(tmp_path):
    found = compare(tmp_path, "path,p\na/1.png,0.1\na/2.png,0.4\nb/3.png,0.5\nc.png,1\n")
    assert (found.compared, found.reproduced, found.worst) == (2, 1, "a/2.png")
    assert found.largest == pytest.approx(0.5)
    assert "Only 1 of 2" in found.sentence
    assert "2 of its paths are not in the data" in found.sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path,score\na/1.png,1\n", "no column p"),
        ("path,p\na/1.png,high\n", "number from 0 to 1"),
        ("path,p\na/1.png,3.5\n", "number from 0 to 1"),
        ("path,p\nelsewhere.png,0.5\n", "none of its 1 paths"),
        ("path,p\n", "none of its 0 paths"),
        ("", "cannot be read"),
    ],
)
def test_wrong_files(tmp_path, text, sentence):
    with pytest.raises(DataError, match=sentence):
        compare(tmp_path, text)


@pytest.fixture
def small(tmp_path):
    return small_detector(), small_dataset(tmp_path / "data")


def test_a_few_images_are_tried_before_an_audit(tmp_path, small):
    detector, dataset = small
    paths = dataset.samples["path"].tolist()
    images = [detector.preprocessing.pixels(read_image(dataset.root / path)) for path in paths]
    answers = [torch.from_numpy(image)[None].float() / 255 for image in images]
    truth = {p: float(detector.log_odds(x).sigmoid()) for p, x in zip(paths, answers, strict=True)}
    (tmp_path / "mine.csv").write_text("path,p\n" + "".join(f"{p},{q}\n" for p, q in truth.items()))
    found = try_expected(tmp_path / "mine.csv", detector, dataset, images=5)
    assert 3 <= found.compared <= 5
    assert found.reproduced == found.compared
    (tmp_path / "mine.csv").write_text(f"path,p\n{paths[0]},{1 - truth[paths[0]]}\n")
    found = try_expected(tmp_path / "mine.csv", detector, dataset)
    assert found.largest == pytest.approx(abs(1 - 2 * truth[paths[0]]), abs=1e-5)


def test_images_that_cannot_be_tried_say_so(tmp_path, small):
    detector, dataset = small
    path = dataset.samples["path"].iloc[0]
    (tmp_path / "mine.csv").write_text("path,p\nelsewhere.png,0.5\n")
    with pytest.raises(DataError, match="none of its 1 paths"):
        try_expected(tmp_path / "mine.csv", detector, dataset)
    (dataset.root / path).write_bytes(b"no image")
    (tmp_path / "mine.csv").write_text(f"path,p\n{path},0.5\n")
    with pytest.raises(DataError, match="none of the 1 images tried can be read"):
        try_expected(tmp_path / "mine.csv", detector, dataset)
