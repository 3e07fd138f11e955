import json
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from trust_core.data.files import file_sha256
from trust_core.errors import ModelError
from trust_core.model import weights
from trust_core.model.weights import read_weights


@pytest.fixture
def state():
    return {"conv.weight": torch.randn(4, 3, 3, 3), "fc.weight": torch.randn(2, 4)}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_a_plain_state_dict(tmp_path, state, suffix):
    path = tmp_path / f"net{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    weights = read_weights(path)
    assert same(weights.tensors, state)
    assert weights.notes == ()
    assert weights.sha256 == file_sha256(path)


@pytest.mark.parametrize("nest", ["state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "_orig_mod.", "module._orig_mod."])
def test_nested_and_prefixed(tmp_path, state, nest, prefix):
    path = tmp_path / "checkpoint.pth"
    wrapped = {f"{prefix}{key}": value for key, value in state.items()}
    torch.save({nest: wrapped, "epoch": 3, "optimizer": {"lr": 0.1}}, path)
    weights = read_weights(path)
    assert same(weights.tensors, state)
    assert f'under "{nest}"' in weights.notes[0]


def test_a_prefix_that_is_not_common_stays(tmp_path, state):
    torch.save({**state, "model.extra": torch.ones(1)}, tmp_path / "net.pt")
    assert "model.extra" in read_weights(tmp_path / "net.pt").tensors


def test_what_training_frameworks_add_is_ignored_and_said(tmp_path, state):
    lightning = {f"model.{key}": value for key, value in state.items()}
    torch.save(
        {"state_dict": {**lightning, "criterion.weight": torch.ones(2), "step": 4}},
        tmp_path / "net.ckpt",
    )
    weights = read_weights(tmp_path / "net.ckpt")
    assert same(weights.tensors, state)
    assert "2 entries" in weights.notes[1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_other_precisions_become_float32_and_it_is_said(tmp_path, state, dtype, suffix):
    path = tmp_path / f"net{suffix}"
    small = {key: value.to(dtype) for key, value in state.items()}
    save_file(small, path) if suffix == ".safetensors" else torch.save(small, path)
    weights = read_weights(path)
    assert same(weights.tensors, {key: value.float() for key, value in small.items()})
    assert str(dtype).removeprefix("torch.") in weights.notes[0]


def refused(path):
    """The sentence, at most three lines, naming the file."""
    with pytest.raises(ModelError) as caught:
        read_weights(path)
    message = str(caught.value)
    assert path.name in message
    assert message.count("\n") <= 2
    return message


def test_a_pickled_module_is_refused_with_the_two_lines(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "net.pt")
    message = refused(tmp_path / "net.pt")
    assert "torch.nn.modules.linear.Linear" in message
    assert "torch.save(model.state_dict()" in message


class _Payload:
    """Writes a file when unpickled by anyone who is not careful."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


def test_a_planted_payload_does_not_run(tmp_path):
    torch.save({"weight": torch.ones(2), "x": _Payload(tmp_path / "pwned")}, tmp_path / "net.pth")
    assert "run code when opened" in refused(tmp_path / "net.pth")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.filterwarnings("ignore")
def test_torchscript_is_refused_whatever_it_is_called(tmp_path):
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "net.pth"))
    message = refused(tmp_path / "net.pth")
    assert "torch.jit.load" in message
    assert "torch.save(model.state_dict()" in message


@pytest.mark.parametrize("name", ["net.pt2", "net.pth"])
def test_an_exported_program_is_refused_whatever_it_is_called(tmp_path, name):
    program = torch.export.export(nn.Linear(2, 2), (torch.ones(1, 2),))
    torch.export.save(program, tmp_path / "net.pt2")
    (tmp_path / "net.pt2").rename(tmp_path / name)
    assert "torch.export.load" in refused(tmp_path / name)


def write_safetensors(path, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    size = len(text) if length is None else length
    path.write_bytes(size.to_bytes(8, "little") + text + data)


def entry(shape=(2,), offsets=(0, 8), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    ("header", "data", "length", "cause"),
    [
        ({"a": entry()}, b"\0" * 8, 2**62, "announces a header"),
        ({"a": entry()}, b"\0" * 8, 4096, "announces a header"),
        (b"{not json", b"", None, "invalid JSON"),
        (b"[" * 5000, b"", None, "invalid JSON"),
        ({"a": entry(offsets=(0, 2**40), shape=(2**38,))}, b"\0" * 8, None, "not fully covered"),
        ({"a": entry(shape=(2**30,))}, b"\0" * 8, None, "invalid shape"),
        ({"a": entry(shape=(2**63, 2, 0), offsets=(0, 0))}, b"", None, "overflow"),
        ({"a": entry(), "b": entry(offsets=(4, 12))}, b"\0" * 12, None, "invalid offset"),
        ({"a": entry(offsets=(8, 16))}, b"\0" * 16, None, "invalid offset"),
        ({"a": entry()}, b"\0" * 4, None, "not fully covered"),
        ({"a": entry()}, b"\0" * 12, None, "not fully covered"),
        ({"a": entry(shape=(-2,), offsets=(8, 0))}, b"\0" * 8, None, "invalid JSON"),
        ({"a": entry(dtype="F1")}, b"\0" * 8, None, "F1"),
        ({"a": entry(shape=(4,), offsets=(0, 2), dtype="F4")}, b"\0" * 2, None, "unknown type F4"),
        ({"a": [1]}, b"", None, "invalid"),
        (b'{"a": 1, "a": 2}', b"", None, "invalid"),
        ({}, b"", None, "0 tensors"),
    ],
)
def test_a_lying_safetensors_header(tmp_path, header, data, length, cause):
    write_safetensors(tmp_path / "net.safetensors", header, data, length)
    assert cause in refused(tmp_path / "net.safetensors")


def test_its_honest_neighbour(tmp_path):
    write_safetensors(tmp_path / "net.safetensors", {"a": entry()}, b"\0" * 8)
    assert read_weights(tmp_path / "net.safetensors").tensors["a"].tolist() == [0, 0]


def test_a_file_that_unpacks_to_more_than_itself(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10_000_000))
    assert "unpack to more" in refused(tmp_path / "net.pth")


def test_a_tensor_larger_than_its_storage(tmp_path):
    torch.save({"w": torch.zeros(1).expand(2**20, 2**20)}, tmp_path / "net.pth")
    assert "GiB" in refused(tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ({"epoch": 3}, "no state dict"),
        ([torch.ones(2)], "no state dict"),
        (torch.ones(2), "no state dict"),
        ({"w": torch.eye(3).to_sparse()}, "sparse"),
    ],
)
def test_files_without_a_usable_state_dict(tmp_path, content, cause):
    torch.save(content, tmp_path / "net.pth")
    assert cause in refused(tmp_path / "net.pth")


def test_files_that_are_none(tmp_path, monkeypatch):
    assert "no model file" in refused(tmp_path / "absent.pth")
    (tmp_path / "empty.pth").touch()
    assert "empty" in refused(tmp_path / "empty.pth")
    (tmp_path / "noise.pth").write_bytes(b"\x89PNG\r\n" * 100)
    assert "no PyTorch file" in refused(tmp_path / "noise.pth")
    torch.save({"w": torch.ones(1000)}, tmp_path / "whole.pth")
    (tmp_path / "torn.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:3000])
    assert "no PyTorch file" in refused(tmp_path / "torn.pth")
    monkeypatch.setattr(weights, "MOST_TENSORS", 2)
    torch.save({str(i): torch.ones(1) for i in range(9)}, tmp_path / "many.pth")
    assert "tensors" in refused(tmp_path / "many.pth")
    monkeypatch.setattr(weights, "LARGEST_FILE", 100)
    assert "GiB" in refused(tmp_path / "whole.pth")
