"""Backgrounds that the masks of a data set tell together."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.data.pictures import photo, write_all
from trust_core.data.layouts import read_dataset
from trust_core.data.mask_decoding import read_masks
from trust_core.errors import DataError

SIZE = (32, 24)
SPOT = np.zeros(SIZE[::-1], bool)
SPOT[4:9, 5:12] = True
LARGE = np.zeros_like(SPOT)
LARGE[:20] = True
NOTHING = np.zeros_like(SPOT)


def coloured(background, mark):
    return lambda marked: Image.fromarray(np.array([background, mark], np.uint8)[marked * 1])


WRITTEN = {
    "black on white": coloured(255, 0),
    "black on white, one bit": lambda marked: Image.fromarray(~marked),
    "1 where good": coloured(1, 0),
    "255 on 128": coloured(128, 255),
    "0 on 128": coloured(128, 0),
    "red on white": coloured((255, 255, 255), (255, 0, 0)),
    "opaque black on opaque white": coloured((255, 255, 255, 255), (0, 0, 0, 255)),
    "viridis": coloured((68, 1, 84), (253, 231, 36)),
    "16 bits": lambda marked: Image.fromarray(np.where(marked, 0, 65535).astype(np.uint16)),
}


def file(image, form="PNG"):
    stream = io.BytesIO()
    image.save(stream, form)
    return stream.getvalue()


def marked(dataset):
    samples = dataset.samples[dataset.samples["mask_path"] != ""]
    return {
        row.path: int(read_masks(dataset.root, row.mask_path).sum()) for row in samples.itertuples()
    }


@pytest.mark.parametrize("name", WRITTEN)
def test_masks_of_good_images_tell_the_background(tmp_path, name):
    write = WRITTEN[name]
    folders = {"good": [NOTHING] * 3, "crack": [SPOT, LARGE, SPOT]}
    for k, (folder, masks) in enumerate(folders.items()):
        for n, each in enumerate(masks):
            write_all(tmp_path, {f"{folder}/{n}.jpg": photo(9 * k + n, size=SIZE),
                                 f"{folder}/{n}_mask.png": file(write(each))})  # fmt: skip
    dataset = read_dataset(tmp_path)
    assert marked(dataset) == {f"good/{n}.jpg": 0 for n in range(3)} | {
        f"crack/{n}.jpg": int(mask.sum()) for n, mask in enumerate(folders["crack"])
    }
    (note,) = [note for note in dataset.notes if note.startswith("The background of the masks is")]
    assert note.endswith(": 3 masks of good images are of that colour alone.")


@pytest.mark.parametrize(
    ("name", "form"),
    [*((name, "PNG") for name in WRITTEN), ("black on white", "JPEG"), ("255 on 128", "JPEG")],
)
def test_masks_that_give_the_labels_tell_their_background_together(tmp_path, name, form):
    masks = [NOTHING, SPOT, NOTHING, SPOT]
    for n, each in enumerate(masks):
        written = file(WRITTEN[name](each), form)
        write_all(
            tmp_path,
            {f"{n}.png": photo(n, "PNG", SIZE), f"{n}_mask.{form.lower()}": written},
        )
    dataset = read_dataset(tmp_path)
    labels = dataset.samples.set_index("path")["label"].to_dict()
    assert labels == {f"{n}.png": n % 2 for n in range(4)}
    if form == "PNG":
        assert marked(dataset) == {f"{n}.png": int(mask.sum()) for n, mask in enumerate(masks)}
    assert any(
        note.endswith("2 of 4 masks are of that colour alone, and it covers more than half of each "
                      "of the others.")
        for note in dataset.notes
    )  # fmt: skip


def test_masks_of_good_images_in_a_colour_that_the_others_lack_tell_nothing(tmp_path):
    for n in range(3):
        write_all(tmp_path, {f"good/{n}.jpg": photo(n, size=SIZE),
                             f"good/{n}_mask.png": file(coloured(0, 255)(~NOTHING)),
                             f"bad/{n}.jpg": photo(9 + n, size=SIZE),
                             f"bad/{n}_mask.png": file(coloured(0, 255)(SPOT))})  # fmt: skip
    dataset = read_dataset(tmp_path)
    assert marked(dataset)["bad/1.jpg"] == SPOT.sum()
    assert "3 masks of good images mark something, of 6, e.g. good/0_mask.png." in dataset.notes


def test_a_table_names_the_background(tmp_path):
    rows = ["path,label,mask"]
    for n in range(2):
        write_all(tmp_path, {f"{n}.jpg": photo(n, size=SIZE),
                             f"masks/{n}.png": file(WRITTEN["black on white"](LARGE))})  # fmt: skip
        rows.append(f"{n}.jpg,{n},{f'masks/{n}.png|background=255' if n else ''}")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    dataset = read_dataset(tmp_path, samples=tmp_path / "t.csv")
    assert marked(dataset) == {"1.jpg": LARGE.sum()}
    (tmp_path / "t.csv").write_text("\n".join(rows).replace("=255", "=white"))
    with pytest.raises(DataError, match=r"1 of 2 masks .* \(background=white\)"):
        read_dataset(tmp_path, samples=tmp_path / "t.csv")
