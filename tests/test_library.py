"""The public names: all of them are there, cost nothing to import, and docs/library.md runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_model

import trust_core
from tests.small import small_network, write_images
from trust_core.decision.indicators.registry import INDICATORS
from trust_core.explanation.cams import SPECIFIC
from trust_core.explanation.overlap import MASKS

PAGE = Path(__file__).parents[1] / "docs" / "library.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_every_public_name_is_there_and_on_the_page():
    for name in trust_core.__all__:
        assert getattr(trust_core, name) is not None
        assert f"trust_core.{name}" in PAGE.read_text(encoding="utf-8"), name


def test_a_name_that_is_none():
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = trust_core.nothing_such


def test_importing_the_core_loads_no_torch():
    code = "import sys, trust_core; print('torch' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.fixture
def _registries_as_they_were():
    before = [(table, dict(table)) for table in (SPECIFIC, MASKS, INDICATORS)]
    yield
    for table, entries in before:
        table.clear()
        table.update(entries)


@pytest.mark.usefixtures("_registries_as_they_were")
def test_the_examples_of_the_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(tmp_path / "workspace"))
    for kind, seed in (("good", 0), ("scratch", 1)):
        source = write_images(tmp_path / f"made-{kind}", 200, seed)
        wanted = {"good": 0, "scratch": 1}[kind]
        (tmp_path / "parts" / kind).mkdir(parents=True)
        for index, file in enumerate(sorted(source.glob("*.png"))):
            if index // 2 % 2 == wanted:
                Image.open(file).save(tmp_path / "parts" / kind / file.name)
    torch.manual_seed(0)
    save_model(torchvision.models.resnet18(num_classes=1), "detector.safetensors")
    names: dict[str, object] = {"module": small_network()}
    for example in EXAMPLES:
        exec(compile(example, str(PAGE), "exec"), names)
    counts = "SELECT outcome, count(*) FROM samples GROUP BY outcome ORDER BY outcome"
    assert names["audit"].query(counts).equals(names["second"].query(counts))
    assert 0 <= names["found"].curves[0.0].auroc <= 1
    assert names["result"].bits.shape == (32, 32)
    assert "iou_defect_rise" in trust_core.INDICATORS
