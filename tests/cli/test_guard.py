"""`guard` on the command line: export of what was decided, check, run."""

import csv
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision.models import resnet18

from tests.small import write_images
from trust_core.cli.main import main
from trust_core.deploy.log import read_log
from trust_core.deploy.reference import NUMBERS, REFERENCE, Reference, save_reference
from trust_core.storage.audit_files import open_audit

for _package in ("onnx", "onnxruntime"):
    pytest.importorskip(_package, reason="the extra onnx is not installed")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """An audit with an operating point, and the guard of it."""
    place = tmp_path_factory.mktemp("guard")
    torch.manual_seed(0)
    save_file(resnet18(num_classes=2).state_dict(), place / "detector.safetensors")
    images = write_images(place / "images", 24)
    audit, guard = place / "audit", place / "guard"
    words = ["--size", "64x64", "--mean", "0.5", "--std", "0.25", "--strengths", "0,1"]
    words += ["--samples", "samples.csv", "--defect-index", "0", "--decision-threshold", "0.9"]
    assert main(["audit", str(place / "detector.safetensors"), str(images), *words,
                 f"--out={audit}"]) == 0  # fmt: skip
    why = ["--why", "tried on tune"]
    assert main(["decide", str(audit), "--threshold=-0.2", "--strength=0", *why]) == 0
    assert main(["guard", "export", str(audit), "--out", str(guard), "--onnx"]) == 0
    return audit, guard, images


def told(capsys, *words: object) -> tuple[int, dict]:
    capsys.readouterr()
    code = main([*map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_policy_says_what_was_decided(folders):
    audit, guard, _ = folders
    policy = json.loads((guard / "policy.json").read_text())
    assert {
        *("threshold", "strength", "indicator", "decision", "layer", "maps", "mask"),
        *("preprocessing", "model_sha256", "audit_sha256", "certificate"),
    } <= policy.keys()
    assert (policy["threshold"], policy["strength"]) == (-0.2, 0)
    assert policy["why"] == "tried on tune"
    assert policy["decision"] == {"rule": "threshold", "threshold": 0.9}
    assert policy["model_sha256"] == open_audit(audit).manifest.model.sha256


@pytest.mark.parametrize("engine", [[], ["--onnx"]], ids=["torch", "onnx"])
def test_run_decides_as_the_audit_and_writes_a_row_a_part(folders, capsys, tmp_path, engine):
    audit, guard, images = folders
    out = tmp_path / "out.csv"
    code, result = told(capsys, "guard", "run", guard, images, "--out", out, *engine)
    assert code == 0
    passed = open_audit(audit).query(
        """SELECT path, iou_difference FROM samples JOIN scores USING (sample_id)
           WHERE outcome IN ('FN', 'TN') AND strength = 0"""
    )
    flagged = set(passed.loc[~(passed["iou_difference"] < -0.2), "path"])
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == {"path", "decision", "p_defect", "indicator", "reason"}
    assert {row["path"] for row in rows if row["decision"] == "re_inspect"} == flagged
    assert {row["path"] for row in rows if row["decision"] != "defective"} == set(passed["path"])
    assert result["decisions"] == {
        "defective": 24 - len(passed),
        "good": len(passed) - len(flagged),
        "re_inspect": len(flagged),
    }


def test_check_is_ok_or_exits_3(folders, capsys, tmp_path):
    _, guard, images = folders
    assert told(capsys, "guard", "check", guard, "--onnx") == (
        0,
        {"guard": str(guard), "ok": True, "differences": []},
    )
    other = tmp_path / "changed"
    other.mkdir()
    for file in guard.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    weights = load_file(other / "model.safetensors")
    save_file(weights | {"fc.bias": weights["fc.bias"] + 0.1}, other / "model.safetensors")
    code, result = told(capsys, "guard", "check", other)
    assert (code, result["ok"]) == (3, False)
    assert "model.safetensors has changed." in result["differences"]
    assert main(["guard", "run", str(other), str(images)]) == 3
    assert "not the one that was exported" in capsys.readouterr().err


def test_a_folder_that_is_taken_is_not_written_to(folders, capsys):
    audit, guard, _ = folders
    assert main(["guard", "export", str(audit), "--out", str(guard)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_an_audit_whose_model_has_gone_is_said_so(folders, capsys, tmp_path):
    audit, _, _ = folders
    model = open_audit(audit).manifest.model.path
    torn = load_file(model)
    save_file({name: t + 1 for name, t in torn.items()}, model)
    try:
        assert main(["guard", "export", str(audit), "--out", str(tmp_path / "g")]) == 2
        assert "is not the file that was audited" in capsys.readouterr().err
        assert not (tmp_path / "g").exists()
    finally:
        save_file(torn, model)


@pytest.fixture
def line(folders, capsys, tmp_path):
    """A guard whose audit was like its log, and that log."""
    _, guard, images = folders
    mine, log = tmp_path / "guard", tmp_path / "log.jsonl"
    shutil.copytree(guard, mine)
    assert told(capsys, "guard", "run", guard, images, "--log", log)[0] == 0
    seen = read_log(log)
    columns = (seen[name].to_numpy() for name in NUMBERS)
    save_reference(Reference(*columns, np.zeros(len(seen), dtype=bool), 2.0), mine)
    return mine, log


def test_the_line_is_compared_with_the_audit(line, capsys, tmp_path):
    guard, log = line
    code, result = told(capsys, "guard", "drift", guard, log)
    assert (code, result["alarm"], result["images"], result["every"]) == (0, False, 24, 2)
    assert [shift["name"] for shift in result["shifts"]][-1] == "the sharpness of the images"
    assert result["recall_sentence"] == ""
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label\npart000_0.png,0\n")
    code, result = told(capsys, "guard", "drift", guard, log, "--labels", labels)
    assert "Export the guard with an audit rate" in result["recall_sentence"]
    assert main(["guard", "drift", str(guard), str(log)]) == 0
    assert "No drift to be seen in 24 images" in capsys.readouterr().out


def test_a_line_that_drifted_exits_3(line, capsys, tmp_path):
    guard, log = line
    out = tmp_path / "many.csv"
    odd = read_log(log).nlargest(1, "p_defect")[["path", "decision", "p_defect", "indicator"]]
    pd.concat([odd.assign(reason="")] * 300).to_csv(out, index=False)
    code, result = told(capsys, "guard", "drift", guard, out)
    assert (code, result["alarm"]) == (3, True)
    out.write_text("a,b\n1,2\n")
    assert main(["guard", "drift", str(guard), str(out)]) == 2
    assert "no file of decisions" in capsys.readouterr().err


def test_what_cannot_be_compared_is_said(line, capsys):
    guard, log = line
    kept = (guard / REFERENCE).read_bytes()
    nothing = np.zeros(0)
    save_reference(Reference(*[nothing] * len(NUMBERS), nothing.astype(bool), 1.0), guard)
    assert main(["guard", "drift", str(guard), str(log)]) == 2  # no image of it was in tune
    assert "no image for choosing" in capsys.readouterr().err
    (guard / REFERENCE).write_bytes(kept)
    policy = json.loads(log.read_text().splitlines()[0])["policy"]
    log.write_text(log.read_text().replace(policy, "0" * 12))
    assert main(["guard", "drift", str(guard), str(log)]) == 2
    assert "log of another guard" in capsys.readouterr().err
