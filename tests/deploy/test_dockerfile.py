"""The Dockerfile, as far as it can be tried without Docker: its pins, its code, its command."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trust_core.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
STEPS = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()


def step(word: str, about: str = "") -> str:
    """What follows the one step of a kind."""
    (found,) = [line for line in STEPS if line.startswith(word) and about in line]
    return found.removeprefix(word).strip()


def test_its_pins_are_all_but_those_of_the_tests(tmp_path):
    shutil.copy(ROOT / step("COPY", "requirements.txt").split()[0], tmp_path)
    filters = step("RUN", "torch.txt").partition("&& pip install")[0]
    subprocess.run(["sh", "-ec", filters], cwd=tmp_path, check=True)
    torch = (tmp_path / "torch.txt").read_text().split()
    rest = (tmp_path / "rest.txt").read_text()
    assert [line.partition("==")[0] for line in torch] == ["torch", "torchvision"]
    for name in ("timm", "fastapi", "uvicorn", "onnxruntime", "safetensors", "prometheus"):
        assert f"\n{name}" in rest
    assert "pytest" not in rest
    assert not any(line.startswith("torch") for line in rest.splitlines())


def test_what_it_copies_is_all_that_a_server_needs(tmp_path):
    name, _ = step("COPY", "trust_core").split()
    shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    words = "import trust_core.cli.guard, trust_core.deploy.server, trust_core.deploy.guard as g"
    code = f"{words}; print(g.__file__)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, '.'); {code}"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(str(tmp_path))


def test_its_command_is_one_of_ours(capsys):
    python, flag, package, *words = json.loads(step("ENTRYPOINT"))
    assert (python, flag, package) == ("python", "-m", "trust_core")
    with pytest.raises(SystemExit) as ended:
        main([*words[:2], "--help"])
    assert ended.value.code == 0
    assert "--host" in capsys.readouterr().out
    assert main(words) == 2  # there is no /guard here
    assert "/guard holds no guard" in capsys.readouterr().err
    assert json.loads(step("HEALTHCHECK").partition("CMD")[2])[0] == "python"
