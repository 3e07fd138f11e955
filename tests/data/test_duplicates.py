import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.data.pictures import photo, write_all
from trust_core.data.duplicates import near_duplicates
from trust_core.data.layouts import read_dataset
from trust_core.data.samples import Dataset
from trust_core.errors import DataError


def test_copies_in_train_and_test_are_said_first(tmp_path):
    write_all(
        tmp_path,
        {f"{split}/{name}/{n}.jpg": photo(n + 10 * len(name) + 100 * (n > 1) * len(split))
         for split in ("train", "test") for name in ("good", "bad") for n in range(4)},
    )  # fmt: skip
    first = read_dataset(tmp_path).notes[0]
    assert first.startswith("4 pictures lie in several splits (train and test), byte for byte")
    assert first.endswith("each counts in the earliest, train, only.")


def test_copies_are_said_where_nothing_is_left_to_audit(tmp_path):
    for split in ("train", "test"):
        write_all(tmp_path, {f"{split}/{name}/1.jpg": photo(len(name)) for name in ("good", "bad")})
    with pytest.raises(DataError, match=r"2 pictures lie in several splits.*All images are train"):
        read_dataset(tmp_path)


def part(seed: int) -> Image.Image:
    """A part in its fixture, always in one place: an edge, a hole, and a texture of its own."""
    rng = np.random.default_rng(seed)
    values = np.full((120, 160), 90.0)
    values[20:100, 30:130] = 160
    values[50:70, 70:90] = 20
    values += np.linspace(-20, 20, 160) * rng.uniform(-1, 1)  # the light of the day
    values += np.kron(rng.normal(0, 6, (60, 80)), np.ones((2, 2))) + rng.normal(0, 3, (120, 160))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def dataset(root, images, roles, groups=None):
    paths = [f"{n:02}.png" for n in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        image.save(root / path)
    table = pd.DataFrame({"path": paths, "role": roles, "group": groups or paths})
    return Dataset(root, table, "CSV", (), ())


def saved_again(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.resize((128, 96)).point(lambda v: v * 1.1).save(stream, "JPEG", quality=80)
    return Image.open(stream)


def test_near_duplicates_are_found_and_parts_in_one_fixture_are_not(tmp_path):
    images = [part(seed) for seed in range(24)]
    roles = ["train"] * 12 + ["test"] * 12
    assert near_duplicates(dataset(tmp_path, images, roles)).sentence == ""
    images[20], images[14] = saved_again(images[3]), saved_again(images[7])
    found = near_duplicates(dataset(tmp_path, images, roles))
    assert set(found.pairs) == {("03.png", "20.png"), ("07.png", "14.png")}
    assert found.looked_at == 24
    assert found.sentence.startswith("2 images are nearly the same picture as one of another role,")
    groups = [f"{n:02}.png" for n in range(24)]
    groups[20] = groups[3]
    assert near_duplicates(dataset(tmp_path, images, roles, groups)).pairs == (
        ("07.png", "14.png"),
    )


def test_few_or_unreadable_or_blank_pictures_are_no_duplicates(tmp_path):
    few = [part(1), part(1), part(2)]
    assert near_duplicates(dataset(tmp_path, few, ["train", "test", "test"])).looked_at == 0
    blank = [Image.new("L", (40, 40), 90)] * 12
    data = dataset(tmp_path, blank, ["train", "test"] * 6)
    (tmp_path / "00.png").write_bytes(b"no picture")
    found = near_duplicates(data)
    assert (found.pairs, found.looked_at) == ((), 11)
