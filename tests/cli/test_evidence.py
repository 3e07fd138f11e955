"""The job `evidence`: what it writes, of which images, and what it refuses."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from tests.cli.test_main import INPUT, arguments, save_network
from tests.small import write_images
from trust_core.cli.evidence import image_files
from trust_core.cli.main import main
from trust_core.figures.evidence import scale_end
from trust_core.storage.audit_files import EVIDENCE


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ware")
    save_network(folder / "detector.safetensors")
    images = write_images(folder / "images", 24)
    assert main(arguments(folder / "detector.safetensors", images, folder / "audit")) == 0
    return folder


def run(capsys, *words: object) -> tuple[int, dict, str]:
    capsys.readouterr()
    code = main(["evidence", *map(str, words)])
    printed = capsys.readouterr()
    return code, json.loads(printed.out) if printed.out.startswith("{") else {}, printed.err


def test_an_image_gets_an_overlay_an_array_and_a_summary(files, tmp_path, capsys):
    image = files / "images" / "part001_0.png"
    code, result, _ = run(
        capsys,
        *(files / "detector.safetensors", image, "--audit", files / "audit"),
        *("--out", tmp_path / "out", "--json"),
    )
    assert code == 0
    assert result == json.loads((tmp_path / "out" / "evidence.json").read_text())
    (entry,) = result["images"]
    bits = np.load(entry["array"])
    assert bits.shape == (64, 64)
    assert bits.dtype == np.float32
    strongest = entry["strongest"]
    assert bits[strongest["row"], strongest["column"]] == strongest["bits"]
    assert abs(strongest["bits"]) == np.abs(bits).max()
    assert Image.open(entry["overlay"]).size == (64, 64)
    assert result["scale_bits"] == pytest.approx(scale_end(bits))
    assert (entry["forwards"], entry["backwards"]) == (2, 1)
    assert entry["p_defect"] == pytest.approx(1 / (1 + np.exp(-entry["log_odds"])))
    assert (files / "audit" / EVIDENCE).exists()


def test_a_folder_and_files_go_together_and_what_cannot_be_read_is_left_out(
    files, tmp_path, capsys
):
    folder = tmp_path / "folder"
    write_images(folder / "deep", 3)
    (folder / "broken.png").write_bytes(b"no picture")
    code, result, errors = run(
        capsys,
        *(files / "detector.safetensors", folder, files / "images" / "part000_0.png", "gone.png"),
        *("--audit", files / "audit", "--out", tmp_path / "out", "--form", "plug-in", "--json"),
    )
    assert code == 0
    assert len(result["images"]) == 4
    assert [entry["image"] for entry in result["failed"]] == [
        str(folder / "broken.png"),
        "gone.png",
    ]
    assert "not an image of a known format" in result["failed"][0]["reason"]
    assert "the file is not there" in errors
    names = sorted(p.name for p in (tmp_path / "out").glob("*.png"))
    assert names == [
        *("deep-part000_0.png", "deep-part000_1.png", "deep-part001_0.png", "part000_0.png")
    ]


def test_without_an_audit_the_images_given_teach_it(files, tmp_path, capsys):
    code, result, errors = run(
        capsys,
        *(files / "detector.safetensors", files / "images", *INPUT),
        *("--window", 6, "--out", tmp_path / "out", "--json"),
    )
    assert code == 0
    assert "learnt from the images given" in errors
    assert result["surroundings"] == "the images given"
    assert len(result["images"]) == 24


def test_people_are_told_in_words(files, tmp_path, capsys):
    words = [files / "detector.safetensors", files / "images" / "part000_0.png"]
    assert (
        main([*map(str, ["evidence", *words, "--audit", files / "audit"]), "--out", str(tmp_path)])
        == 0
    )
    printed = capsys.readouterr().out
    assert "p(defective)" in printed
    assert "1 image, 0 left out; orange and blue end at" in printed


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--form", "shap"], "There is no form of evidence 'shap'; choose from first-order"),
        (["--window", "25"], "Window 25: write a whole number of pixels from 1 to 24"),
        (["--stride", "11"], "Stride 11: write a whole number from 1 to the window, 10"),
        (["--samples", "0", "--form", "path"], "Samples 0: write a whole number"),
    ],
)
def test_what_means_nothing_is_refused(files, tmp_path, capsys, words, sentence):
    image = files / "images" / "part000_0.png"
    choices = ["--audit", files / "audit", "--out", tmp_path / "out"]
    code, _, errors = run(capsys, files / "detector.safetensors", image, *choices, *words)
    assert code == 2
    assert sentence in errors


def test_another_model_is_refused(files, tmp_path, capsys):
    save_network(tmp_path / "other.safetensors", outputs=2, **{"fc.bias": torch.tensor([9.0, 0.0])})
    image = files / "images" / "part000_0.png"
    code, _, errors = run(capsys, tmp_path / "other.safetensors", image, "--audit", files / "audit")
    assert code == 2
    assert "is not the file that was audited" in errors


def test_nothing_readable_is_an_error(files, tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"")
    choices = ["--audit", files / "audit", "--out", tmp_path / "out"]
    code, _, errors = run(capsys, files / "detector.safetensors", tmp_path / "a.png", *choices)
    assert code == 2
    assert "None of 1 images can be read; the first: a.png" in errors
    (tmp_path / "empty").mkdir()
    code, _, errors = run(capsys, files / "detector.safetensors", tmp_path / "empty", *choices)
    assert code == 2
    assert "There are no images in" in errors


def test_an_output_folder_that_cannot_be_made_is_told(files, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    image = files / "images" / "part000_0.png"
    choices = ["--audit", files / "audit", "--out", tmp_path / "file"]
    code, _, errors = run(capsys, files / "detector.safetensors", image, *choices)
    assert code == 2
    assert "name another by --out" in errors


def test_images_of_one_name_keep_apart(tmp_path):
    words = [str(tmp_path / "a" / "x.png"), str(tmp_path / "b" / "x.jpg"), str(tmp_path / "y.png")]
    assert [name for _, name in image_files(words)] == ["x", "x-2", "y"]
