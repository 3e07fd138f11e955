"""The guard gives the audit's decisions, and refuses what is not as it was exported."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file
from torch import nn

from tests.deploy.ware import SETTINGS, Ware, make_ware
from tests.small import small_dataset, small_network
from trust_core.audit.run import run_audit
from trust_core.decision.indicators.registry import ABSENT, INDICATORS, available
from trust_core.decision.tuning.autotune import autotune
from trust_core.deploy.export import export_guard
from trust_core.deploy.guard import Guard, check_guard
from trust_core.deploy.indicators import FITTED_INDICATORS
from trust_core.deploy.onnx_guard import load_onnx_guard
from trust_core.deploy.operating_point import DeployedPoint
from trust_core.deploy.policy import (
    DEFECTIVE,
    GOOD,
    POLICY,
    RE_INSPECT,
    WEIGHTS,
    GuardRefused,
    write_guard_sums,
)
from trust_core.errors import ModelError, StoreError
from trust_core.model.open import ModelOptions, open_detector


@pytest.fixture(scope="module")
def ware(tmp_path_factory) -> Ware:
    made = make_ware(tmp_path_factory.mktemp("ware"), layers=("1", "3"))
    autotune(made.audit)
    return made


def test_every_indicator_of_an_audit_can_be_exported():
    assert set(ABSENT) == {*FITTED_INDICATORS, "best_overlap"}


def decisions(ware: Ware, guard: Guard, role: str) -> tuple[list[str], list[str]]:
    """What the audit decides on the images of a role, and what the guard does."""
    policy, paths = guard.policy, ware.paths(role)
    values = ware.values(role, policy.indicator, policy.strength)
    given = guard.inspect(ware.files(paths), paths)
    for part in given:
        if np.isfinite(values.get(part.name, np.nan)):
            assert part.indicator == pytest.approx(values[part.name], rel=1e-5, abs=1e-5)
    wanted = [
        DEFECTIVE
        if path not in values
        else RE_INSPECT
        if not values[path] < policy.threshold
        else GOOD
        for path in paths
    ]
    return wanted, [part.decision for part in given]


SOME = ("evidence_mass", "mask_alarm")  # below: other forms, another network


@pytest.mark.parametrize("indicator", [name for name in INDICATORS if name not in SOME])
def test_its_decisions_are_those_of_the_audit(ware, tmp_path, indicator):
    assert indicator in available(ware.audit)
    strength = 2.0 if indicator.endswith("shift") or indicator == "log_odds" else 0.0
    made = ware.export(tmp_path / "guard", indicator, strength)
    wanted, given = decisions(ware, made, "test")
    assert given == wanted
    assert set(given) == {DEFECTIVE, GOOD, RE_INSPECT}
    assert check_guard(made.folder, module=ware.detector.module).ok


@pytest.mark.parametrize("indicator", ["iou_difference", "iou_defect", "good_disagreement"])
def test_and_under_perturbation(ware, tmp_path, indicator):
    made = ware.export(tmp_path / "guard", indicator, 2.0)
    wanted, given = decisions(ware, made, "test")
    assert given == wanted


def test_pixel_evidence_is_exported_too(tmp_path):
    made = make_ware(tmp_path, 60, settings={"specific": ("gradcam", "evidence")})
    guard = made.export(tmp_path / "guard", "evidence_mass")
    wanted, given = decisions(made, guard, "test")
    assert given == wanted
    assert RE_INSPECT in given
    with pytest.raises(ModelError, match="evidence of pixels"):
        made.export(tmp_path / "other", "evidence_mass", onnx=True)


class Marked(nn.Module):
    """A network with a mask head beside its decision."""

    def __init__(self, decision: nn.Module) -> None:
        super().__init__()
        self.decision = decision

    def forward(self, x):
        below = self.decision[:4](x)
        return self.decision[4:](below), below.mean(1, keepdim=True) - 0.2


def test_the_alarm_of_a_mask_head_is_exported_too(tmp_path):
    made = make_ware(tmp_path, 60, wrap=Marked)
    guard = made.export(tmp_path / "guard", "mask_alarm", onnx=True)
    wanted, given = decisions(made, guard, "test")
    assert given == wanted
    assert RE_INSPECT in given
    graph = load_onnx_guard(guard.folder).inspect(made.files(made.paths("test")))
    assert [part.decision for part in graph] == wanted


def test_an_onnx_network_with_weights_beside_it_becomes_one_file(tmp_path):
    file = tmp_path / "network.onnx"
    torch.onnx.export(small_network(), (torch.rand(1, 3, 32, 32),), str(file), dynamo=False,
                      dynamic_axes={"input": {0: "n"}}, input_names=["input"])  # fmt: skip
    onnx.save(onnx.load(file), file, save_as_external_data=True, location="network.onnx.data",
              size_threshold=0)  # fmt: skip
    options = ModelOptions(mean=(0.5,), std=(0.25,))
    detector = open_detector(file, options)
    audit = run_audit(
        detector,
        small_dataset(tmp_path / "images", 60),
        SETTINGS,
        tmp_path / "audit",
        origin={"path": str(file), "options": asdict(options)},
    )
    values = Ware(audit, detector).values("test", "iou_difference", 0.0)
    point = DeployedPoint("iou_difference", 0.0, float(np.nanmedian([*values.values()])), "a test")
    export_guard(audit, tmp_path / "guard", point)
    file.unlink()
    (tmp_path / "network.onnx.data").unlink()
    guard = Guard.load(tmp_path / "guard")
    wanted, given = decisions(Ware(audit, detector), guard, "test")
    assert given == wanted
    assert sorted(path.name for path in guard.folder.glob("*.onnx*")) == ["model.onnx"]


def test_one_by_one_in_batches_and_in_threads_are_the_same(ware, guard):
    paths = ware.paths("tune")
    files = ware.files(paths)
    together = guard.inspect(files, paths)
    with ThreadPoolExecutor(8) as pool:
        alone = list(pool.map(lambda file, path: guard.inspect([file], [path])[0], files, paths))
    assert [part.decision for part in alone] == [part.decision for part in together]
    for one, other in zip(alone, together, strict=True):
        assert one.log_odds == pytest.approx(other.log_odds, abs=1e-4)


def test_files_bytes_pictures_and_arrays_are_the_same_part(ware, guard):
    file = ware.files(ware.paths("tune"))[0]
    picture = Image.open(file)
    forms = [file, str(file), file.read_bytes(), picture, np.asarray(picture)]
    assert len({part.log_odds for part in guard.inspect(forms)}) == 1


@pytest.mark.parametrize("mode", ["1", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_a_picture_in_hand_is_read_as_its_file_would_be(guard, tmp_path, mode):
    grey = np.random.default_rng(0).integers(0, 256, (40, 30), dtype=np.uint8)
    kind = "jpg" if mode in {"CMYK", "YCbCr"} else "png"
    file = tmp_path / f"part.{'tif' if mode == 'PA' else kind}"
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    picture = deep if mode == "I;16" else Image.fromarray(grey).convert("RGB").convert(mode)
    picture.getexif()[0x0112] = 6  # turned
    picture.save(file, exif=picture.getexif())
    with Image.open(file) as held:
        np.testing.assert_array_equal(guard.pixels(held), guard.pixels(file))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((20, 20), np.float32),  # from 0 to 1, most likely: it would be seen as black
        np.zeros((20, 20, 3), np.int32),
        np.zeros((20, 20, 4), np.uint8),
        np.zeros((0, 20), np.uint8),
        np.zeros(20, np.uint8),
        Image.new("F", (20, 20)),
        Image.new("I", (20, 20)),
        Image.new("L", (0, 0)),
        b"",
    ],
)
def test_numbers_without_an_agreed_range_are_no_picture(guard, image):
    (part,) = guard.inspect([image])
    assert (part.decision, part.p_defect) == (RE_INSPECT, None)
    assert part.reason.startswith("unreadable: ")


def test_what_cannot_be_read_is_re_inspected_with_its_reason(ware, guard, tmp_path):
    (tmp_path / "torn.png").write_bytes(b"no picture")
    good = ware.files(ware.paths("tune"))[0]
    torn, whole = guard.inspect([tmp_path / "torn.png", good])
    assert (torn.decision, torn.p_defect, torn.indicator) == (RE_INSPECT, None, None)
    assert torn.reason.startswith("unreadable: torn.png")
    assert whole.p_defect is not None


def test_maps_are_those_of_the_audit(ware, guard):
    audit, path = ware.audit, ware.paths("test")[0]
    (part,) = guard.inspect(ware.files([path]), [path], maps=True)
    row = audit.query(
        """SELECT scores.* FROM scores JOIN samples USING (sample_id)
           WHERE path = ? AND strength = 0""",
        [path],
    ).iloc[0]
    for name in ("defect", "good", "gradient"):
        wanted = audit.maps(name)[int(row["row"])].astype(np.float32) * row[f"scale_{name}"]
        np.testing.assert_allclose(part.maps[name], wanted, rtol=2e-3, atol=1e-6)


def test_an_audit_rate_draws_good_parts_only(ware, tmp_path):
    made = ware.export(tmp_path / "guard", audit_rate=1.0)
    given = made.inspect(ware.files(ware.paths("tune")))
    assert {part.decision for part in given if part.audit_sample} == {GOOD}
    assert all(part.audit_sample for part in given if part.decision == GOOD)
    assert all("audit sample" in part.reason for part in given if part.audit_sample)


def test_a_share_of_them_is_drawn(ware, tmp_path):
    made = ware.export(tmp_path / "guard", audit_rate=0.3)
    file = next(f for f in ware.files(ware.paths("tune")) if made.inspect([f])[0].decision == GOOD)
    pixels = np.repeat(made.pixels(file)[None], 64, 0)
    drawn = sum(
        part.audit_sample for _ in range(20) for part in made.inspect_pixels(pixels, ["a"] * 64)
    )
    assert abs(drawn / 1280 - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 1280)


def changed(guard: Guard, folder: Path) -> Path:
    """A copy of the guard, to be changed."""
    folder.mkdir()
    for file in guard.folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def refused(folder: Path, ware: Ware) -> str:
    check = check_guard(folder, module=ware.detector.module)
    assert not check.ok
    with pytest.raises(GuardRefused) as told:
        Guard.load(folder, module=ware.detector.module)
    assert told.value.exit_code == 3
    return " ".join(check.differences)


def test_a_changed_weight_is_refused(ware, guard, tmp_path):
    folder = changed(guard, tmp_path / "changed")
    weights = load_file(folder / WEIGHTS)
    weights["6.weight"] = weights["6.weight"] * np.float32(1.01)
    save_file(weights, folder / WEIGHTS)
    assert f"{WEIGHTS} has changed" in refused(folder, ware)
    write_guard_sums(folder)  # whoever also mends the sums is told by the golden parts
    assert "z at strength 0 differs on the golden parts" in refused(folder, ware)


def test_a_changed_mean_is_refused(ware, guard, tmp_path):
    folder = changed(guard, tmp_path / "changed")
    policy = json.loads((folder / POLICY).read_text())
    policy["preprocessing"]["mean"] = [0.48, 0.5, 0.5]
    (folder / POLICY).write_text(json.dumps(policy, indent=1) + "\n")
    told = refused(folder, ware)
    assert "policy.json says preprocessing.mean [0.48, 0.5, 0.5], exported was [0.5, 0.5," in told
    write_guard_sums(folder)
    assert "z at strength 0 differs on the golden parts" in refused(folder, ware)


def test_a_changed_byte_of_the_policy_is_refused_with_what_it_says(ware, guard, tmp_path):
    folder = changed(guard, tmp_path / "changed")
    text = (folder / POLICY).read_text()
    (folder / POLICY).write_text(text.replace('"half"', '"otsu"'))
    assert 'policy.json says mask "otsu", exported was "half".' in refused(folder, ware)
    (folder / POLICY).write_text(text + " ")
    assert "policy.json has changed" in refused(folder, ware)


@pytest.mark.parametrize("name", [POLICY, WEIGHTS, "golden.safetensors", "SHA256SUMS"])
def test_a_file_that_is_gone_or_torn_is_told(ware, guard, tmp_path, name):
    folder = changed(guard, tmp_path / "changed")
    (folder / name).write_bytes((folder / name).read_bytes()[:-40])
    if name == POLICY:
        with pytest.raises(StoreError, match="damaged"):
            check_guard(folder)
        return
    assert name in refused(folder, ware)
    (folder / name).unlink()
    assert name in refused(folder, ware)


def test_no_guard_is_said_so(tmp_path):
    with pytest.raises(StoreError, match="holds no guard"):
        Guard.load(tmp_path)


def test_it_loads_neither_streamlit_nor_what_it_does_not_need():
    code = "import sys, torch; import trust_core.deploy.guard; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"streamlit", "dashboard", "plotly", "sklearn", "fastapi"}
