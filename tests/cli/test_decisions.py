"""`certify` and `gate` on the command line: what they print, and how they end."""

import json
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from tests.decision.test_certify import KEYS, parts
from tests.fakes import passed_parts, write_fake_audit
from trust_core.cli.main import main
from trust_core.data.tables import samples_of_csv
from trust_core.decision.journal import dispute


@pytest.fixture
def audit(tmp_path: Path) -> str:
    return str(write_fake_audit(tmp_path / "audit", parts(30), strengths=(0.0, 1.0)).folder)


def test_certify_prints_one_json_object(audit: str, capsys):
    assert main(["certify", audit, "--recall", "0.9", "--confidence", "0.95", "--json"]) == 0
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert result.keys() >= KEYS
    assert set(result["threshold_shift"]) >= {"certified", "tn_loss"}
    assert set(result["test"]) >= {"fn_recall", "tn_loss", "counts"}
    assert (result["certified"], result["chosen_by"]) == (True, "proposed on tune")
    assert printed.err == ""


def test_what_is_not_certified_exits_3_and_still_prints(audit: str, capsys):
    assert main(["certify", audit, "--recall", "0.95", "--json"]) == 3
    printed = capsys.readouterr()
    assert json.loads(printed.out)["certified"] is False
    assert "Cannot be certified: 30 missed parts; 59 are needed" in printed.err
    assert len(printed.err.splitlines()) == 1


def test_certify_in_words(audit: str, capsys):
    assert main(["certify", audit, "--recall", "0.9", "--strength", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.index("Verdict:") < printed.index("Certified: at least 90 %")
    assert "threshold shift" in printed
    assert "Seal of certify opened" in printed
    assert "opened before this was chosen" not in printed
    assert main(["certify", audit, "--recall", "0.9", "--strength", "0"]) == 0
    assert "opened before this was chosen" in capsys.readouterr().out
    assert main(["certify", audit, "--recall", "0.99"]) == 3
    assert "threshold shift" not in capsys.readouterr().out


def test_the_last_decision_is_certified_and_flags_win(audit: str, capsys):
    point = ["--threshold", "0.1", "--strength", "1", "--indicator", "iou_defect", "--why", "x"]
    assert main(["decide", audit, *point]) == 0
    capsys.readouterr()
    found = []
    for flags in ([], ["--indicator", "log_odds", "--strength", "0"]):
        assert main(["certify", audit, "--recall", "0.8", "--json", *flags]) == 0
        result = json.loads(capsys.readouterr().out)
        found.append((result["indicator"], result["strength"]))
    assert found == [("iou_defect", 1.0), ("log_odds", 0.0)]


def test_the_best_recall_within_a_loss(audit: str, capsys):
    assert main(["certify", audit, "--max-tn-loss", "0.3", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["recall_target"] is None
    assert 0.3 < result["recall_lower_bound"] < 1
    assert main(["certify", audit, "--max-tn-loss", "0.3"]) == 0
    assert "Proven at the threshold that loses at most 30 %" in capsys.readouterr().out


def test_gate_exits_0_or_3_and_writes_junit(audit: str, tmp_path: Path, capsys):
    junit = tmp_path / "gate.xml"
    command = ["gate", audit, "--recall", "0.9", "--confidence", "0.95", "--junit", str(junit)]
    assert main([*command, "--max-tn-loss", "1"]) == 0
    assert Xml.parse(junit).getroot().get("failures") == "0"
    assert capsys.readouterr().out.count("met") == 3
    assert main([*command, "--max-tn-loss", "0", "--json"]) == 3
    printed = capsys.readouterr()
    assert json.loads(printed.out)["met"] is False
    assert "exceeds 0.00 %" in printed.err
    assert Xml.parse(junit).getroot().get("failures") == "2"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["certify", "--recall", "95"], "recall 95: write a share between 0 and 1, such as 0.95"),
        (["certify", "--recall", "1"], "recall 1 cannot be proven from any number of parts"),
        (["certify", "--recall", "0.9", "--confidence", "1"], "confidence 1 cannot be proven"),
        (["certify", "--recall", "0.9", "--strength", "3"], "Strength 3 was not audited"),
        (["certify", "--recall", "0.9", "--indicator", "x"], "There is no indicator 'x'"),
        (["certify", "--max-tn-loss", "-1"], "max TN loss -1: write a share"),
        (["gate", "--recall", "0.9", "--max-tn-loss", "9"], "max TN loss 9: write a share"),
    ],
)
def test_bad_input_is_one_sentence_and_opens_no_seal(audit: str, arguments, sentence, capsys):
    job, *rest = arguments
    assert main([job, audit, *rest]) == 2
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert len(printed.err.splitlines()) == 1
    assert printed.out == ""
    assert not (Path(audit) / "decisions.jsonl").exists()


@pytest.mark.parametrize("rest", [[], ["--recall", "0.9", "--max-tn-loss", "0.1"]])
def test_certify_wants_exactly_one_of_two_forms(audit: str, rest, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["certify", audit, *rest])
    assert ended.value.code == 2


def test_a_folder_without_an_audit_is_said(tmp_path: Path, capsys):
    assert main(["gate", str(tmp_path), "--recall", "0.9"]) == 2
    assert "holds no audit" in capsys.readouterr().err


def test_labels_called_wrong_are_turned_in_the_recount_and_in_the_file(tmp_path: Path, capsys):
    audit = write_fake_audit(tmp_path / "audit", passed_parts([0.9, 0.5], [0.7, 0.3]))
    (sample_id,) = audit.query("SELECT sample_id FROM scores WHERE iou_difference > 0.8 LIMIT 1")[
        "sample_id"
    ]
    dispute(audit, sample_id, "only dust", "Ada")
    file = tmp_path / "labels.csv"
    assert main(["labels", str(audit.folder), "--csv", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["before"]["outcomes"] == {"FN": 2, "TP": 0, "TN": 2, "FP": 0}
    assert told["after"]["outcomes"] == {"FN": 1, "TP": 0, "TN": 3, "FP": 0}
    assert (told["corrected"], told["to_check"]) == (1, None)
    assert [(e["who"], e["note"]) for e in told["called_wrong"]] == [("Ada", "only dust")]
    table = samples_of_csv(Path(audit.manifest.data.root), file, ("good",), None).table
    assert table["label"].sum() == 1
    assert main(["labels", str(audit.folder)]) == 0
    printed = capsys.readouterr().out
    assert "With 1 label turned: FN 1  TP 0  TN 3  FP 0." in printed
    assert "no second reader" in printed
