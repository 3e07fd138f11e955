"""Headers, words and numbers of label columns."""

import pandas as pd
import pytest

from trust_core.data.label_columns import label_headers, read_label_column
from trust_core.errors import DataError, LabelsNeeded


def frame(**columns):
    columns = {name.replace("__", " "): list(cells) for name, cells in columns.items()}
    rows = len(next(iter(columns.values())))
    return pd.DataFrame(columns, index=range(2, 2 + rows), dtype="str")


def labels(table, good=()):
    return read_label_column(table, good, "t.csv").labels


@pytest.mark.parametrize("header", ["is_good", "ok", "OK", "pass", "Is Normal", "is-ok",
                                    "okay_flag", "passed", "normal", "has_no_defects"])  # fmt: skip
@pytest.mark.parametrize("cells", ["01", ("False", "True"), ("no", "YES"), ("0,0", "1,0"),
                                   ("n", "y"), ("nein", "ja"), ("FALSCH", "WAHR")])  # fmt: skip
def test_one_is_good_where_the_header_asks_for_good_parts(header, cells):
    read = read_label_column(frame(**{header: [*cells, cells[1]]}), (), "t.csv")
    assert (read.labels, read.kinds, read.good) == ([1, 0, 0], ["", "", ""], ())
    assert read.notes == (
        f"Labels come from the column {header} of t.csv: good is {cells[1]} (2), defective "
        f"{cells[0]} (1).",
    )


@pytest.mark.parametrize("header", ["anomaly", "is_anomaly", "NG", "nok", "fail", "has_defect",
                                    "defects", "bad", "Is Defective", "defect flag"])  # fmt: skip
@pytest.mark.parametrize("cells", ["01", ("false", "true"), ("No", "yes"), ("OK", "NG"),
                                   ("0.0", "1.0"), ("good", "bad")])  # fmt: skip
def test_one_is_defective_where_the_header_asks_for_defects(header, cells):
    assert labels(frame(**{header: [*cells, cells[1]]})) == [0, 1, 1]


@pytest.mark.parametrize("header", ["result", "status", "verdict", "Judgement", "QC result"])
def test_words_below_a_header_that_says_nothing(header):
    for good, defective in (("OK", "NG"), ("pass", "fail"), ("good", "crack")):
        read = read_label_column(frame(**{header: [good, defective]}), (), "t.csv")
        assert read.labels == [0, 1]
        assert f"the column {header} of t.csv: good is {good} (1)" in read.notes[0]


@pytest.mark.parametrize("cells", ["01", ("yes", "no"), ("true", "false"), ("ok", "1"),
                                   ("good", "0", "crack")])  # fmt: skip
def test_numbers_and_answers_below_a_header_that_says_nothing_are_asked_for(cells):
    with pytest.raises(LabelsNeeded, match="Which labels hold good parts") as caught:
        labels(frame(result=cells))
    assert caught.value.folders == dict.fromkeys(cells, 1)
    answer = read_label_column(frame(result=cells), cells[:1], "t.csv")
    assert answer.labels == [0, *[1] * (len(cells) - 1)]
    assert set(answer.kinds) <= {"", "crack"}  # 1 and no are no kinds of defect


@pytest.mark.parametrize("cells", ["012", ("0", "0.7"), ("-1", "1"), ("", "1")])
@pytest.mark.parametrize("header", ["anomaly", "is_good", "quality", "label"])
def test_other_numbers_are_refused(header, cells):
    with pytest.raises(DataError, match=r"t\.csv, line \d: the label '.*' .* is neither 0"):
        labels(frame(**{header: cells}))


def test_what_is_good_is_not_lost_beside_class_names():
    read = read_label_column(frame(label=["0", "good", "crack", "1", "Normal"]), (), "t.csv")
    assert (read.labels, read.kinds) == ([0, 0, 1, 1, 0], ["", "", "crack", "", ""])
    assert read.good == ("0", "Normal", "good")


def test_yes_below_label_answers_nothing():
    with pytest.raises(LabelsNeeded, match=r"no \(1\), yes \(1\)"):
        labels(frame(label=["yes", "no"]))


@pytest.mark.parametrize("header", ["No. defects", "no_defects", "free", "path", "lot", "goodness"])
def test_headers_that_are_none_of_labels(header):
    assert label_headers([header]) == []


def test_the_documented_column_comes_first():
    table = frame(ok="10", status=("NG", "OK"), label="01", anomaly="10")
    assert label_headers(list(table.columns)) == ["label", "ok", "anomaly", "status"]
    assert labels(table.drop(columns=["ok", "anomaly"])) == [0, 1]


def test_a_column_that_tells_comes_before_one_that_does_not():
    read = read_label_column(frame(**{"class": ["bottle", "cable"], "anomaly": "01"}), (), "t.csv")
    assert read.labels == [0, 1]
    assert "the column anomaly" in read.notes[0]
    assert labels(frame(**{"class": ["bottle", "cable"], "anomaly": "01"}), good=["cable"]) == [
        1,
        0,
    ]
    with pytest.raises(DataError, match="columns result, status may hold the labels"):
        labels(frame(result=["ok", "ng"], status=["ok", "ok"]))


def test_columns_that_contradict_each_other_are_refused():
    with pytest.raises(DataError, match=r"line 3: by the column is_good this image is good, by the "
                       r"column anomaly it is not \(in 1 row\)"):  # fmt: skip
        labels(frame(is_good="011", anomaly="110"))
    with pytest.raises(DataError, match=r"by the column label .* is_good .*in 3 rows"):
        labels(frame(label="011", is_good="011"))  # 1 means good here, too
    assert labels(frame(label="011", is_good="100")) == [0, 1, 1]
    assert labels(frame(label="011", reject="001")) == [0, 1, 1]  # another machine's decision
    assert labels(frame(label=["good", "bad", "bad"], reject="100")) == [0, 1, 1]
