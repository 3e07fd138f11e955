"""`localize` on the command line: what it prints, the seal it opens, and how it refuses."""

import json
from pathlib import Path

import pytest

from tests.fakes import random_parts, write_fake_audit
from trust_core.cli.main import main
from trust_core.decision.journal import entries
from trust_core.decision.localization.metrics import METRICS
from trust_core.storage.audit_files import SAMPLES, Audit


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return write_fake_audit(tmp_path / "audit", random_parts(160), mask_head=True)


def test_it_prints_one_json_object_and_keeps_the_seal(audit: Audit, capsys) -> None:
    assert main(["localize", str(audit.folder), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result.keys() >= {*METRICS, "by_size", "left_out", "contradictions", "best"}
    assert (result["source"], result["threshold"], result["role"]) == ("mask", 0.5, "tune")
    for name in METRICS:
        low, high = result[name]["interval"]
        assert low <= result[name]["value"] <= high
    assert entries(audit) == []


def test_the_command_of_before_goes_on_working(audit: Audit, capsys) -> None:
    printed = []
    for name in ("localize", "localise"):
        assert main([name, str(audit.folder), "--json"]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


def test_every_option_reaches_the_numbers(audit: Audit, capsys) -> None:
    def metrics(*options: str) -> dict:
        assert main(["localize", str(audit.folder), "--json", *options]) == 0
        return json.loads(capsys.readouterr().out)

    plain = metrics()
    higher = metrics("--threshold", "0.9")
    assert higher["seg_recall"]["hits"] < plain["seg_recall"]["hits"]
    larger = metrics("--min-area", "0.02")
    assert larger["false_alarms"]["hits"] <= plain["false_alarms"]["hits"]
    assert larger["seg_recall"]["hits"] < plain["seg_recall"]["hits"]
    assert metrics("--source", "gradient")["contradictions"] is None
    test = metrics("--role", "test")
    assert test["role"] == "test"
    assert [entry["role"] for entry in entries(audit)] == ["test"]


def test_it_speaks_in_words(audit: Audit, capsys) -> None:
    assert main(["localize", str(audit.folder)]) == 0
    printed = capsys.readouterr().out
    for words in (
        "Masks of the mask head from 0.5",
        "Seg_mIoU, mean over images",
        "pooled mIoU, over all pixels together",
        "tiny, under 0.1 % of the photo",
        "called good while the mask marks something",
        "Seg_mIoU is highest",
    ):
        assert words in printed
    assert main(["localize", str(audit.folder), "--source", "defect", "--role", "all"]) == 0
    printed = capsys.readouterr()
    assert "Masks of the heatmap defect" in printed.out
    assert "Seal opened and logged: certify, test." in printed.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--threshold", "0.505"], "choose 0.01, 0.02"),
        (["--min-area", "2"], "a share of the picture"),
        (["--source", "nonsense"], "choose from mask, defect"),
        (["--role", "train"], "enter no curve"),
    ],
)
def test_a_bad_option_is_one_sentence(audit: Audit, capsys, options, sentence) -> None:
    assert main(["localize", str(audit.folder), *options]) == 2
    printed = capsys.readouterr()
    last = printed.err.strip().splitlines()[-1]
    assert sentence in last
    assert printed.out == ""
    assert entries(audit) == []


def test_data_without_masks_is_told(audit: Audit, capsys) -> None:
    samples = audit.query("SELECT * FROM samples ORDER BY sample_id").assign(mask_path="")
    samples.to_parquet(audit.folder / SAMPLES, index=False)
    assert main(["localize", str(audit.folder)]) == 2
    assert "marks no defect" in capsys.readouterr().err
