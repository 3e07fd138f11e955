"""Paths in tables of other machines and other folders."""

import pytest

from tests.data.pictures import mask, photo, write_all
from trust_core.data.layouts import read_dataset
from trust_core.errors import DataError


@pytest.fixture
def root(tmp_path):
    return write_all(
        tmp_path / "parts",
        {f"cam {k}/T\u00fcr {n}.PNG": photo(9 * k + n, "PNG") for k in (1, 2) for n in (1, 2)},
    )


NAMES = [("cam 1", "1"), ("cam 1", "2"), ("cam 2", "1"), ("cam 2", "2")]
WANTED = {f"cam {k}/T\u00fcr {n}.PNG": int(n == 2) for k in (1, 2) for n in (1, 2)}


def read(root, row, file=None, separator=","):
    file = file or root.parent / "t.csv"
    file.parent.mkdir(exist_ok=True)
    rows = [separator.join((row.format(cam, n), str(int(n == "2")))) for cam, n in NAMES]
    file.write_text("\n".join((separator.join(("path", "label")), *rows)), "utf-8")
    dataset = read_dataset(root, samples=file)
    found = dataset.samples.set_index("path")["label"].to_dict()
    return found, " ".join(dataset.notes)


@pytest.mark.parametrize(
    ("row", "note"),
    [
        (
            "C:\\Users\\op\\x\\{}\\T\u00fcr {}.PNG",
            "The folder C:/Users/op/x of t.csv was taken to be the data folder.",
        ),
        ("/mnt/d/{}/T\u00fcr {}.PNG", "The folder /mnt/d of t.csv was taken to be the data"),
        ("\\\\nas\\share\\{}\\T\u00fcr {}.PNG", "The folder //nas/share of t.csv was taken"),
        ("Parts/{}/Tu\u0308r {}.PNG", "The folder Parts of t.csv was taken to be the data"),
        ("{}/t\u00fcr {}.png", "Names of images in t.csv are no paths"),
        ("{}/T\u00fcr {}", "Names of images in t.csv are no paths"),
    ],
)
def test_paths_of_other_machines_and_bare_names(root, row, note):
    found, notes = read(root, row)
    assert found == WANTED
    assert note in notes


def test_paths_from_the_folder_of_the_table(root):
    found, notes = read(root, "../{}/T\u00fcr {}.PNG", root / "lists" / "t.csv")
    assert found == WANTED
    assert "Paths of images were taken from the folder of t.csv." in notes


def test_file_names_that_only_one_image_has(tmp_path):
    root = write_all(
        tmp_path / "set",
        {f"a/{n}.jpg": photo(n, size=(32, 24)) for n in range(4)}
        | {f"a_masks/{n}.png": mask(n > 1, size=(32, 24)) for n in range(4)},
    )
    file = tmp_path / "t.csv"
    file.write_text("image_id|label|mask\n" + "".join(f"{n}|{n // 2}|{n}.png\n" for n in range(4)))
    samples = read_dataset(root, samples=file).samples.sort_values("path")
    assert samples["path"].tolist() == [f"a/{n}.jpg" for n in range(4)]
    assert samples["mask_path"].tolist() == [f"a_masks/{n}.png" for n in range(4)]
    assert samples["label"].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    "row", ["T\u00fcr {1}.PNG", "other/{}/T\u00fcr {}.PNG", "/mnt/{}/T\u00fcr {}.jpg"]
)
def test_what_is_not_certain_is_refused(root, row):
    """Two images of a name; a folder of another name, which may hold other images; no such file."""
    with pytest.raises(DataError, match="paths have to be relative to the data folder"):
        read(root, row)


@pytest.mark.parametrize("separator", ["|", ";", "\t"])
def test_separators(root, separator):
    assert read(root, "{}/T\u00fcr {}.PNG", separator=separator)[0] == WANTED


@pytest.mark.parametrize(
    "text",
    [
        'sep=|\r\n"path, as on the disk"|path|label\r\nx;y|a, 1.png|1,0\r\nx|b.png|0,0\r\n',
        '"sep=\t"\r\npath\tis ok\r\na, 1.png\tno\r\nb.png\tyes\r\n',
        '\r\npath,result\r\n"a, 1.png",NOK\r\nb.png,OK\r\n',
        '"File Name"|"a;b;c;d"|OK/NG\n"a, 1.png"|x|NG\n"b.png"|y|OK\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_with_separators_in_their_cells(tmp_path, text, encoding):
    root = write_all(tmp_path / "set", ["a, 1.png", "b.png"])
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    samples = read_dataset(root, samples=tmp_path / "t.csv").samples
    assert dict(zip(samples["path"], samples["label"], strict=True)) == {"a, 1.png": 1, "b.png": 0}
