import argparse
import json
import zipfile
from collections import OrderedDict

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from trust_core.data.files import file_sha256
from trust_core.errors import ModelError
from trust_core.model import weights
from trust_core.model.recognition.recognise import recognise
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


def test_weights_below_names_of_ones_own_and_an_optimiser_beside_them(tmp_path, state):
    moments = {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}
    stored = {
        "checkpoint": {"trained": {"inner": state}, "optim_state": moments},
        "optimizer": moments,
    }
    torch.save(stored, tmp_path / "a.pth")
    assert same(read_weights(tmp_path / "a.pth").tensors, state)
    torch.save({"a": {"b": {"c": {"d": state}}}}, tmp_path / "b.pth")
    with pytest.raises(ModelError, match="holds no state dict"):
        read_weights(tmp_path / "b.pth")


def test_a_prefix_that_is_not_common_stays(tmp_path, state):
    torch.save({**state, "model.extra": torch.ones(1)}, tmp_path / "net.pt")
    assert "model.extra" in read_weights(tmp_path / "net.pt").tensors


@pytest.mark.parametrize("around", ["", "module.", "module._orig_mod."])
def test_what_training_frameworks_add_is_ignored_and_said(tmp_path, state, around):
    lightning = {f"{around}model.{key}": value for key, value in state.items()}
    torch.save(
        {"state_dict": {**lightning, f"{around}criterion.weight": torch.ones(2), "step": 4}},
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
    """The sentence, naming the file, and at most three lines of advice."""
    with pytest.raises(ModelError) as caught:
        read_weights(path)
    message = str(caught.value)
    assert path.name in message
    assert message.count("\n") <= 3
    return message


def test_a_pickled_module_is_refused_with_the_two_lines(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "net.pt")
    message = refused(tmp_path / "net.pt")
    assert "torch.nn.modules.linear.Linear" in message
    assert "torch.save(found.state_dict()" in message


def follow(message, path, monkeypatch):
    """Run the lines of advice, where the file is; the file that they write."""
    monkeypatch.chdir(path.parent)
    before = set(path.parent.iterdir())
    code = [line.strip() for line in message.splitlines() if line.startswith("    ")]
    assert not any(path.stem in line for line in code), "a file name is part of code"
    scope = {"torch": torch}
    for line in code:
        exec(line.replace("YOUR_FILE", path.name.replace("'", "\\'")), scope)
    (written,) = set(path.parent.iterdir()) - before
    return written


def unsafe(state):
    module = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 3, bias=False)))
    module.load_state_dict({"conv.weight": state["conv.weight"]})
    plain = {"conv.weight": state["conv.weight"]}
    options = argparse.Namespace(lr=0.1)
    return {
        "module": module,
        "lightning": {"state_dict": plain, "hyper_parameters": options, "epoch": 1},
        "args": {"model": plain, "args": options},
        "nested": {"model": {"state_dict": plain}, "args": options},
        "ultralytics": {"epoch": -1, "model": module.half(), "ema": None, "train_args": {}},
        "its average": {"model": None, "ema": module, "train_args": {}},
        "flat": {**plain, "args": options},
    }


@pytest.mark.parametrize(
    "kind", ["module", "lightning", "args", "nested", "ultralytics", "its average", "flat"]
)
def test_the_advice_for_unsafe_files_works(tmp_path, state, kind, monkeypatch):
    path = tmp_path / "it's mine.ckpt"
    torch.save(unsafe(state)[kind], path)
    written = follow(refused(path), path, monkeypatch)
    found = read_weights(written).tensors
    assert torch.allclose(found["conv.weight"], state["conv.weight"], atol=1e-2)
    assert len(found) == 1


@pytest.mark.filterwarnings("ignore")
def test_the_advice_for_programs_works(tmp_path, monkeypatch):
    module = nn.Linear(2, 2)
    for name, save in (
        ("a.pt", lambda path: torch.jit.script(module).save(path)),
        ("b.pt2", lambda path: torch.export.save(
            torch.export.export(module, (torch.ones(1, 2),)), path)),
    ):  # fmt: skip
        path = tmp_path / name.replace(".", "/mine.")
        path.parent.mkdir()
        save(str(path))
        written = follow(refused(path), path, monkeypatch)
        assert same(read_weights(written).tensors, dict(module.state_dict()))


AVERAGES = [
    ({"state_dict": "raw", "state_dict_ema": "ema"}, "state_dict", "state_dict_ema"),
    ({"model": "raw", "model_ema": "ema"}, "model", "model_ema"),
    ({"net": "raw", "swa": "ema"}, "net", "swa"),
]


@pytest.mark.parametrize(("content", "taken", "other"), AVERAGES)
def test_two_sets_of_weights_are_both_named(tmp_path, state, content, taken, other, monkeypatch):
    average = {"n_averaged": torch.tensor(5), **{f"module.{k}": v + 1 for k, v in state.items()}}
    sets = {"raw": state, "ema": average}
    path = tmp_path / "mine.pth"
    torch.save({key: sets[name] for key, name in content.items()} | {"epoch": 3}, path)
    weights = read_weights(path)
    assert same(weights.tensors, state)
    assert f'"{taken}" and "{other}"' in weights.notes[0]
    written = follow(weights.notes[0], path, monkeypatch)
    assert same(read_weights(written).tensors, {k: v + 1 for k, v in state.items()})


def test_the_average_alone_and_beside_in_one_dict(tmp_path, state):
    torch.save({"ema": state, "epoch": 3}, tmp_path / "net.pth")
    weights = read_weights(tmp_path / "net.pth")
    assert same(weights.tensors, state)
    assert 'under "ema"' in weights.notes[0]
    both = {f"model.{k}": v for k, v in state.items()}
    both |= {f"ema_model.module.{k}": v + 1 for k, v in state.items()}
    torch.save({"state_dict": both | {"ema_model.n_averaged": torch.tensor(5)}}, tmp_path / "n.pt")
    weights = read_weights(tmp_path / "n.pt")
    assert same(weights.tensors, state)
    assert any('under "model"' in note and '"ema_model"' in note for note in weights.notes)


def test_several_networks_are_not_chosen_from(tmp_path, state):
    torch.save({"teacher": state, "student": state}, tmp_path / "net.pth")
    assert "several networks (teacher, student)" in refused(tmp_path / "net.pth")


@pytest.mark.parametrize("form", ["pth", "ckpt", "safetensors"])
@pytest.mark.parametrize("names", [("student", "teacher"), ("model_a", "model_b")])
def test_networks_beside_each_other_in_one_dict_and_the_advice(tmp_path, monkeypatch, form, names):
    one, other = (torchvision.models.resnet18(num_classes=2).state_dict() for _ in names)
    if names[0] == "student":
        other = {key: value for key, value in other.items() if not key.startswith("layer4")}
    both = {f"{names[0]}.{key}": value for key, value in one.items()}
    both |= {f"{names[1]}.module.{key}": value for key, value in other.items()}
    path = tmp_path / f"net.{form}"
    if form == "safetensors":
        save_file(both, path)
    else:
        torch.save({"state_dict": both, "epoch": 3} if form == "ckpt" else both, path)
    message = refused(path)
    assert f"holds several networks ({', '.join(names)})" in message
    written = follow(message, path, monkeypatch)
    found = read_weights(written).tensors
    assert {key.removeprefix(f"{names[0]}."): value.shape for key, value in found.items()} == {
        key: value.shape for key, value in one.items()
    }
    assert recognise(written, found).blueprint.name == "torchvision/resnet18"


def test_wrappers_in_the_middle_of_keys(tmp_path, state):
    keys = {"conv._orig_mod.weight": "conv.weight", "_orig_mod.fc._orig_mod.weight": "fc.weight"}
    torch.save({key: state[name] for key, name in keys.items()}, tmp_path / "net.pth")
    assert same(read_weights(tmp_path / "net.pth").tensors, state)


@pytest.mark.filterwarnings("ignore")
def test_quantised_weights_are_called_so(tmp_path):
    net = nn.Sequential(nn.Linear(4, 2)).eval()
    dynamic = torch.ao.quantization.quantize_dynamic(net, {nn.Linear}, dtype=torch.qint8)
    torch.save(dynamic.state_dict(), tmp_path / "net.pth")
    assert "is quantised" in refused(tmp_path / "net.pth")
    torch.save({"w": torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.qint8)},
               tmp_path / "net.pth")  # fmt: skip
    assert "is quantised" in refused(tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("n.h5", b"\x89HDF\r\n\x1a\n" + bytes(99), "Keras"),
        ("n.pth", b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        ("n.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        ("n.pt", b"\n<!DOCTYPE html><html>", "web page"),
        ("n.tflite", b"\x1c\0\0\0TFL3" + bytes(99), "TensorFlow Lite"),
        ("n.engine", b"ptrt" + bytes(99), "TensorRT"),
        ("n.engine", bytes(99), "TensorRT"),
        ("n.xml", b"<?xml version='1.0'?><net name='m'>", "OpenVINO"),
        ("n.pb", bytes(99), "TensorFlow graph"),
        ("n.joblib", b"\x80\x04", "pickle"),
        ("n.pth", b'{"architecture": 1}', "JSON"),
    ],
)
def test_foreign_files_are_called_what_they_are(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    assert words in refused(tmp_path / name)


def test_foreign_archives_and_folders(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("model.weights.h5", b"x")
    assert "Keras" in refused(tmp_path / "net.keras")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.safetensors").touch()
    assert "is a folder; name the model file in it: model.safetensors" in refused(tmp_path / "run")


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
        ({"a": entry(shape=[1] * 9, offsets=(0, 4))}, b"\0" * 4, None, "dimensions"),
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
    assert "larger tensors than it stores" in refused(tmp_path / "net.pth")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ({"epoch": 3}, "no state dict"),
        ([torch.ones(2)], "no state dict"),
        (torch.ones(2), "no state dict"),
        ({"w": torch.eye(3).to_sparse()}, "sparse"),
        ({"w": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])}, "without data"),
    ],
)
def test_files_without_a_usable_state_dict(tmp_path, content, cause):
    torch.save(content, tmp_path / "net.pth")
    assert cause in refused(tmp_path / "net.pth")


def test_files_that_are_none(tmp_path, monkeypatch):
    assert "no model file" in refused(tmp_path / "absent.pth")
    (tmp_path / "empty.pth").touch()
    assert "empty" in refused(tmp_path / "empty.pth")
    (tmp_path / "noise.pth").write_bytes(b"\x81PNG\r\n" * 100)
    assert "no PyTorch file" in refused(tmp_path / "noise.pth")
    torch.save({"w": torch.ones(1000)}, tmp_path / "whole.pth")
    (tmp_path / "torn.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:3000])
    assert "no PyTorch file" in refused(tmp_path / "torn.pth")
    monkeypatch.setattr(weights, "MOST_TENSORS", 2)
    torch.save({str(i): torch.ones(1) for i in range(9)}, tmp_path / "many.pth")
    assert "tensors" in refused(tmp_path / "many.pth")
    monkeypatch.setattr(weights, "LARGEST_FILE", 100)
    assert "GiB" in refused(tmp_path / "whole.pth")
