import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tests.data.pictures import encode, png, write_all
from tests.model.networks import Tiny
from trust_core.data.samples import Dataset
from trust_core.errors import DataError
from trust_core.model.checks.sample_images import (
    class_pictures,
    look_at_masks,
    previews,
    sample_images,
)
from trust_core.model.detector import Detector
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing


def dataset_of(root, roles=("certify", "test", "train", "tune"), each=20):
    """Dark good and bright defective images of every role; the number names the grey value."""
    rows, value = [], 0
    for role in roles:
        for index in range(each):
            value += 1
            path = f"{role}{index}.png"
            write_all(root, {path: png(value)})
            rows.append((f"{index:04}{role}", path, index % 2, role))
    samples = pd.DataFrame(rows, columns=["sample_id", "path", "label", "role"])
    return Dataset(root, samples, "CSV", (), ())


def value_of(content):
    return Image.open(io.BytesIO(content)).getpixel((0, 0))


def test_the_same_images_every_time_whatever_the_order(tmp_path):
    dataset = dataset_of(tmp_path)
    shuffled = Dataset(dataset.root, dataset.samples.sample(frac=1, random_state=1), "CSV", (), ())
    one, two = (sample_images(each, Preprocessing((8, 8)), 6) for each in (dataset, shuffled))
    assert torch.equal(one.pixels, two.pixels)
    assert one.labels.tolist() == [0, 0, 0, 1, 1, 1]
    # Of tune, which was written last: the first of each label by sample_id.
    assert (one.pixels[:, 0, 0, 0] * 255).round().tolist() == [61, 63, 65, 62, 64, 66]


def test_tune_comes_before_train_and_sealed_roles_only_where_nothing_else_is(tmp_path):
    both = sample_images(dataset_of(tmp_path), Preprocessing((8, 8)), 30)
    assert len(both.pixels) == 30
    assert both.pixels.min() * 255 > 40.5  # none of certify and test, whose values end at 40
    sealed = dataset_of(tmp_path / "sealed", ("certify",))
    assert len(sample_images(sealed, Preprocessing((8, 8)), 30).pixels) == 20


def test_unreadable_images_are_counted(tmp_path):
    dataset = dataset_of(tmp_path)
    for index in (0, 1, 2):
        (tmp_path / f"tune{index}.png").write_bytes(b"no image")
    found = sample_images(dataset, Preprocessing((8, 8)), 6)
    assert (found.unreadable, found.labels.tolist()) == (3, [0, 1, 1])
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"Of 6 images looked at in .* none can be read"):
        sample_images(dataset, Preprocessing((8, 8)), 6)


@pytest.mark.parametrize("channels", ["rgb", "bgr", "grey"])
def test_previews_show_what_the_network_sees_and_says(tmp_path, channels):
    dataset = dataset_of(tmp_path)
    colours = np.zeros((4, 4, 3), np.uint8)
    colours[..., 0] = 200
    Image.fromarray(colours).save(tmp_path / "tune0.png")
    detector = Detector(Tiny(), Preprocessing((32, 32), channels=channels), choose_convention(2))
    shown = previews(detector, dataset, each=2)
    assert [each.label for each in shown] == [0, 0, 1, 1]
    picture = Image.open(io.BytesIO(shown[2].picture))
    assert picture.size == (32, 32)
    pixels = detector.preprocessing.pixels(picture.convert("RGB"))
    z = detector.log_odds(torch.tensor(pixels)[None].float() / 255)
    assert shown[2].probability == pytest.approx(float(z.sigmoid()), abs=1e-6)
    assert value_of(shown[1].picture) == (60 if channels == "grey" else (200, 0, 0))  # tune0


def test_previews_of_sealed_or_unreadable_images_are_none(tmp_path):
    detector = Detector(Tiny(), Preprocessing((32, 32)), choose_convention(2))
    assert previews(detector, dataset_of(tmp_path, ("test",))) == []
    dataset = dataset_of(tmp_path / "other", ("tune",), each=4)
    for path in dataset.root.iterdir():
        path.write_bytes(b"")
    assert previews(detector, dataset) == []


def test_pictures_of_a_class_are_spread_over_it(tmp_path):
    files = {f"a/{i:02}.png": png(i) for i in range(9)} | {"b/1.png": png(99), "c/1.png": b""}
    write_all(tmp_path, files)
    found = class_pictures(tmp_path, ("a", "b", "c"), each=3)
    assert {name: [value_of(p) for p in pictures] for name, pictures in found.items()} == {
        "a": [0, 3, 6],
        "b": [99],
        "c": [],
    }


def test_pictures_of_the_labels_of_a_table(tmp_path):
    write_all(tmp_path, {"1.png": png(1), "2.png": png(2), "3.png": png(3)})
    table = tmp_path / "samples.csv"
    table.write_text("path,label\n1.png,fine\n2.png,dent\n3.png,fine\n")
    found = class_pictures(tmp_path, ("fine", "none"), table)
    assert [value_of(picture) for picture in found["fine"]] == [1, 3]
    assert found["none"] == []


def test_pictures_are_small(tmp_path):
    write_all(tmp_path, {"a/1.png": png(7, size=(640, 320)), "b/1.png": png(8)})
    (picture,) = class_pictures(tmp_path, ("a",))["a"]
    assert Image.open(io.BytesIO(picture)).size == (160, 80)


def test_masks_are_shown_in_red_with_their_share_and_counted(tmp_path):
    samples = pd.DataFrame(
        [("a.png", 1, "tune", "m.png|n.png"), ("b.png", 1, "test", "m.png"),
         ("c.png", 0, "tune", "m.png"), ("d.png", 1, "train", "gone.png")],
        columns=["path", "label", "role", "mask_path"],
    )  # fmt: skip
    left, right = np.zeros((2, 60, 80), np.uint8)
    left[:, :20], right[:, 60:] = 1, 255
    write_all(tmp_path, {name: png(100, (80, 60)) for name in ("a.png", "b.png", "c.png", "d.png")})
    write_all(tmp_path, {"m.png": encode(left, "PNG"), "n.png": encode(right, "PNG")})
    found = look_at_masks(Dataset(tmp_path, samples, "CSV", (), ()))
    assert (found.masked, found.defective, found.good_masked) == (3, 3, 1)
    assert found.shares == (0.5,)  # of a.png: b.png is sealed, the mask of d.png is gone
    (shown,) = found.previews
    assert shown.share == 0.5
    pixels = np.asarray(Image.open(io.BytesIO(shown.picture))).astype(int)
    assert (pixels[:, 25:55] == 100).all()
    # 100 + (255 - 100) * 90 / 255 within, the colour itself on the outline
    assert (abs(pixels[:, [5, 75], 0] - 155) <= 1).all()
    assert (pixels[:, [19, 60]] == (255, 0, 96)).all()
