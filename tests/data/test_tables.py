import codecs
from pathlib import Path

import pytest

from tests.data.pictures import mask, photo, write_all
from trust_core.data.layouts import read_dataset
from trust_core.data.tables import group_columns, label_tables, samples_of_csv
from trust_core.errors import DataError, LabelsNeeded, SettingsError


@pytest.fixture
def read(tmp_path):
    """Reads the table `text` over four images."""

    def read(text, name="samples.csv", **options):
        write_all(tmp_path / "set", ["a.png", "b.png", "x/c.png", "x/d.png", "m/a.png"])
        content = text if isinstance(text, bytes) else text.encode()
        (tmp_path / name).write_bytes(content)
        return read_dataset(tmp_path / "set", samples=tmp_path / name, **options)

    return read


def rows(dataset, *columns):
    return dataset.samples.set_index("path")[list(columns)].sort_index().to_dict("list")


def test_every_column(read):
    dataset = read(
        "path,label,mask,group,split,kind,role\n"
        "a.png,1,m/a.png,p1,train,hole,\n"
        "b.png,0,,p2,val,hole,tune\n"
        "x/c.png,0,,p3,val,,certify\n"
        "x/d.png,1,,,test,crack,\n"
    )
    assert dataset.layout == "CSV"
    assert dataset.good == ()
    columns = ("label", "kind", "split", "role", "mask_path")
    assert rows(dataset, *columns) == {
        "label": [1, 0, 0, 1],
        "kind": ["hole", "", "", "crack"],
        "split": ["train", "val", "val", "test"],
        "role": ["train", "tune", "certify", "test"],
        "mask_path": ["m/a.png", "", "", ""],
    }
    samples = dataset.samples.set_index("path")
    own = samples.loc["x/d.png", "sample_id"]
    assert samples["group"].to_dict() == {
        "a.png": "p1", "b.png": "p2", "x/c.png": "p3", "x/d.png": own,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "Image_Path;Is_Defective;Mask_Path\r\na.png;1;m/a.png\r\nb.png;0;\r\n",
        "filename\tlabel\tgt\na.png\t1\tm/a.png\nb.png\t0\t\n",
        codecs.BOM_UTF8.decode() + 'path,label,mask\n"a.png",1,m\\a.png\n\n ./b.png , 0 \n',
        'path,label,mask,remark\na.png,1.0,./m/a.png,"two,\nlines"\nb.png,0.0,,,,\n',
    ],
)
def test_as_people_and_spreadsheets_write_it(read, text):
    dataset = read(text)
    assert rows(dataset, "label", "mask_path") == {"label": [1, 0], "mask_path": ["m/a.png", ""]}
    assert dataset.samples["path"].sort_values().tolist() == ["a.png", "b.png"]


def test_names_in_another_encoding_or_normalisation(tmp_path):
    write_all(tmp_path, ["\u00e9.png", "o\u0308.png", "b.png"])
    (tmp_path / "s.csv").write_bytes("path,label\n\u00e9.png,1\nb.png,0\n".encode("cp1252"))
    assert "\u00e9.png" in set(read_dataset(tmp_path, samples=tmp_path / "s.csv").samples["path"])
    (tmp_path / "s.csv").write_text("path,label\n\u00f6.png,1\nb.png,0\n", "utf-8")
    assert "o\u0308.png" in set(read_dataset(tmp_path, samples=tmp_path / "s.csv").samples["path"])


@pytest.mark.parametrize(
    "content",
    [
        "path\tlabel\r\na.png\t1\r\nb.png\t0\r\n".encode("utf-16"),  # Excel's "Unicode text"
        "path,label\r\na.png,1\r\nb.png,0\r\n".encode("utf-16-le"),
        "path,label\r\na.png,1\r\nb.png,0\r\n".encode("utf-16-be"),
        b"sep=;\r\nFilename;Class\r\na.png;1\r\nb.png;0\r\n",
    ],
)
def test_tables_of_excel(read, content):
    samples = read(content).samples
    assert dict(zip(samples["path"], samples["label"], strict=True)) == {"a.png": 1, "b.png": 0}


def test_absolute_paths_below_the_folder(read, tmp_path):
    dataset = read(f"path,label\n{tmp_path}/set/a.png,1\nb.png,0\n")
    assert rows(dataset, "label") == {"label": [1, 0]}
    assert set(dataset.samples["path"]) == {"a.png", "b.png"}


def test_the_table_may_be_named_relative_to_the_data(read, tmp_path):
    read("path,label\na.png,1\nb.png,0\n")
    write_all(tmp_path / "set", {"inside.csv": b"path,label\na.png,0\nb.png,1\n"})
    dataset = read_dataset(tmp_path / "set", samples=Path("inside.csv"))
    assert rows(dataset, "label") == {"label": [0, 1]}


@pytest.mark.parametrize(
    ("zero", "one"),
    [("0", "1"), ("good", "defective"), ("OK", "NOK"), ("normal", "Anomaly"), ("False", "True"),
     ("pass", "fail"), ("0", "bad")],
)  # fmt: skip
def test_words_for_labels(read, zero, one):
    dataset = read(f"path,label\na.png,{one}\nb.png,{zero}\n")
    assert rows(dataset, "label", "kind") == {"label": [1, 0], "kind": ["", ""]}
    assert dataset.good == ()


def test_class_names_as_labels(read):
    dataset = read("path,label\na.png,Crack\nb.png,good\nx/c.png,crack\nx/d.png,defective\n")
    assert rows(dataset, "label", "kind") == {
        "label": [1, 0, 1, 1], "kind": ["Crack", "", "Crack", ""],
    }  # fmt: skip
    assert dataset.good == ("good",)
    with pytest.raises(LabelsNeeded, match=r"Which labels hold good parts.*gut \(1\), riss \(1\)"):
        read("path,label\na.png,riss\nb.png,gut\n")
    assert rows(read("path,label\na.png,riss\nb.png,gut\n", good=["GUT"]), "label") == {
        "label": [1, 0]
    }


def test_the_user_may_say_that_one_is_good(read):
    dataset = read("path,label\na.png,1\nb.png,0\n", good=["1"])
    assert rows(dataset, "label", "kind") == {"label": [0, 1], "kind": ["", ""]}


def test_a_needless_good_is_told(read):
    dataset = read("path,label\na.png,1\nb.png,0\n", good=["MT_Free"])
    assert "--good MT_Free was not used: the table says what is good." in dataset.notes


def test_kinds_from_class_folders(tmp_path):
    write_all(tmp_path, ["MT_Free/Imgs/1.png", "MT_Crack/Imgs/1.png", "MT_Crack/Imgs/2.png"])
    (tmp_path / "s.csv").write_text(
        "path,label\nMT_Free/Imgs/1.png,0\nMT_Crack/Imgs/1.png,1\nMT_Crack/Imgs/2.png,1\n"
    )
    dataset = read_dataset(tmp_path, samples=tmp_path / "s.csv")
    assert rows(dataset, "kind") == {"kind": ["MT_Crack", "MT_Crack", ""]}


def test_masks_are_found_when_the_table_names_none(tmp_path):
    write_all(tmp_path, {"1.jpg": photo(1), "1_mask.png": mask(True), "2.jpg": photo(2),
                         "2_mask.png": mask(True)})  # fmt: skip
    (tmp_path / "s.csv").write_text("path,label\n1.jpg,0\n2.jpg,1\n2_mask.png,1\n")
    dataset = read_dataset(tmp_path, samples=tmp_path / "s.csv")
    assert rows(dataset, "label", "mask_path") == {
        "label": [0, 1, 1], "mask_path": ["1_mask.png", "", ""],
    }  # fmt: skip


def test_which_column_is_the_group(read):
    text = "path,label,group,lot\na.png,1,g1,l1\nb.png,0,g2,l1\n"
    assert rows(read(text), "group") == {"group": ["g1", "g2"]}
    assert rows(read(text, group_column="lot"), "group") == {"group": ["l1", "l1"]}
    asked = read(text, group_pattern="[ab]")
    assert rows(asked, "group") == {"group": ["a", "b"]}
    assert "The group pattern was used instead" in " ".join(asked.notes)
    with pytest.raises(SettingsError, match="it has path, label, group, lot"):
        read(text, group_column="part")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"samples\.csv is empty"),
        ("path,label\n", r"samples\.csv holds no rows"),
        ("path,y\na.png,1\n", r"samples\.csv has no column label; its columns are path, y\."),
        ("name,label\na.png,1\n", r"samples\.csv has no column path"),
        ("path,label,label\na.png,1,0\n", "several columns label"),
        ("path,label\na.png,1\nb,c.png,0\n", "line 3: 3 cells, but 2 columns"),
        (b"path,label\na.png,\x811\n", "not a table in UTF-8"),
        (
            "a.png,1\nb.png,0\n",
            r"samples\.csv begins with a row \(a\.png, 1\) .* a line with path,label above it",
        ),
        (b"PK\3\4", r"samples\.csv is an Excel workbook; save its sheet as CSV"),
        ("path,label\nq.png,1\nr.png,0\na.png,0\n", r"2 of 3 images .* \(q\.png, r\.png\)"),
        ("path,label,mask\na.png,1,m/q.png\nb.png,0,\n", r"1 of 1 mask .* \(m/q\.png\)"),
        ("path,label\n../a.png,1\nb.png,0\n", r"1 image outside of .* \(\.\./a\.png\)"),
        ("path,label\n/etc/passwd,1\nb.png,0\n", "outside of"),
        ("path,label\na.png,1\n,0\n", "line 3: no path"),
        ("path,label\na.png,1\n./a.png,0\n", r"1 image more than once \(a\.png\)"),
        ("path,label\na.png,1\nb.png,2\n", r"line 3: the label '2' \(in 1 row\) is neither"),
        ("path,label\na.png,1\nb.png,\n", "line 3: the label ''"),
        ("path,label\na.png,0.33\nb.png,0\n", "line 2: the label '0.33'"),
        ("path,label\na.png,1\nb.png,1\n", "All 2 images of .* are defective"),
        ("path,label,split\na.png,1,fold1\nb.png,0,\n", "Unknown split 'fold1'"),
        ("path,label\na.png,1\nx,0\n", r"1 of 2 images .* \(x\)"),
    ],
)
def test_tables_that_do_not_fit(read, text, sentence):
    with pytest.raises(DataError, match=sentence) as caught:
        read(text)
    assert "\n" not in str(caught.value)


def test_a_table_that_is_not_there(tmp_path):
    write_all(tmp_path, ["a.png"])
    with pytest.raises(DataError, match=r"none\.csv cannot be read: No such file"):
        read_dataset(tmp_path, samples=tmp_path / "none.csv")


def test_which_tables_say_labels_and_what_may_name_a_group(tmp_path):
    contents = {
        "labels.csv": "path,label,lot\na.png,0,7\n",
        "other.csv": "path,lot\na.png,7\n",
        "empty.csv": "path,label\n",
        "none.csv": "",
        "perhaps.csv": "path,status\na.png,ok\n",
        "decided.csv": "path,ok\na.png,1\n",
        "named.csv": "path,is_ok\na.png,1\n",
    }
    paths = [tmp_path / name for name in contents]
    for path, text in zip(paths, contents.values(), strict=True):
        path.write_text(text)
    assert label_tables([*paths, tmp_path / "gone.csv"]) == (
        [paths[0], paths[-1]],
        paths[-3:-1],
    )
    assert group_columns(paths[0]) == ["lot"]
    assert group_columns(paths[1]) == ["lot"]
    assert group_columns(tmp_path / "gone.csv") == []


def test_several_masks_in_a_cell(tmp_path):
    write_all(tmp_path, ["1.png", "2.png", "a.png", "b.png"])
    (tmp_path / "t.csv").write_text("path,label,mask\n1.png,1,a.png | b.png\n2.png,0,\n")
    table = samples_of_csv(tmp_path, tmp_path / "t.csv", (), None).table
    assert table["mask_path"].tolist() == ["a.png|b.png", ""]
