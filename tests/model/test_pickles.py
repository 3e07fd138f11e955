import pickle
import resource
import zipfile
from collections import Counter, OrderedDict

import pytest
import torch

from trust_core.errors import ModelError
from trust_core.model import pickles
from trust_core.model.pickles import scan
from trust_core.model.weights import read_weights

TENSOR = {"w": torch.arange(6.0).reshape(2, 3)}


def saved(path, content: bytes):
    """A file as torch.save writes it, with another pickle in it."""
    torch.save(TENSOR, path.with_suffix(".whole"))
    with zipfile.ZipFile(path.with_suffix(".whole")) as whole, zipfile.ZipFile(path, "w") as made:
        for name in whole.namelist():
            made.writestr(name, content if name.endswith("/data.pkl") else whole.read(name))
    return path


def opcodes(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + b"."


def nested(depth: int) -> bytes:
    """A mapping whose key is a tuple of the same tuple twice, and so on: 2^depth to be hashed."""
    shared = b")" + b"".join(b"q%ch%c\x86" % (place, place) for place in range(depth))
    return opcodes(b"}", shared, b"K\x01s")


def tensor(size: bytes, stride: bytes, numbers: bytes = b"K\x06") -> bytes:
    storage = (
        b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" + b"0X\3\0\0\0cpu" + numbers + b"tQ"
    )
    made = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0" + size + stride
    return opcodes(b"}X\1\0\0\0w", made, b"\x89ccollections\nOrderedDict\n)RtRs")


ATTACKS = {
    "bytearray": opcodes(b"}X\1\0\0\0wc__builtin__\nbytearray\n\x8a\5\0\0\0\x80\1\x85Rs"),
    "hex": opcodes(b"}X\1\0\0\0wc_codecs\nencode\nX\2\0\0\0\xc3\xa9X\3\0\0\0hex\x86Rs"),
    "shared tuples": nested(60),
    "stride 0": tensor(b"\x8a\5\0\0\0\0\1\x85", b"K\0\x85"),
    "beyond its storage": tensor(b"K\7\x85", b"K\1\x85"),
    "storage beyond the file": tensor(b"K\6\x85", b"K\1\x85", b"\x8a\5\0\0\0\0\1"),
    "nine dimensions": tensor(b"(" + b"K\1" * 9 + b"t", b"(" + b"K\1" * 9 + b"t"),
    "negative": tensor(b"J\xff\xff\xff\xff\x85", b"K\1\x85"),
    "a long integer": opcodes(b"}X\1\0\0\0w\x8a\x10" + b"\1" * 16 + b"s"),
    "methods of a mapping": opcodes(
        b"ccollections\nOrderedDict\n)R}X\6\0\0\0valuesK\1sb"
    ),
    "a dictionary of tuples": opcodes(b"}K\1\x85K\1s"),
    "another class": opcodes(b"cos\nsystem\nX\4\0\0\0true\x85R"),
    "a call of a text": opcodes(b"X\4\0\0\0true)R"),
    "nothing on the stack": opcodes(b"s"),
    "an empty memory": opcodes(b"h\1"),
    "a frame": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
}  # fmt: skip


def test_what_the_attacks_are_made_of_is_read(tmp_path):
    path = saved(tmp_path / "net.pt", tensor(b"K\2K\3\x86", b"K\3K\1\x86"))
    assert torch.equal(read_weights(path).tensors["w"], TENSOR["w"])


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_attacks_are_refused_before_anything_is_built(tmp_path, name, form, monkeypatch):
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was built"))
    path = tmp_path / "net.pt"
    if form == "zip":
        saved(path, ATTACKS[name])
    else:
        start = [pickle.dumps(part, 2) for part in (pickles.LEGACY_MAGIC, 1001, {})]
        path.write_bytes(b"".join([*start, ATTACKS[name], pickle.dumps(["0"], 2)]) + bytes(32))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError, match=r"^net\.pt "):
        read_weights(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


@pytest.mark.parametrize(
    ("limit", "value", "content"),
    [
        ("MOST_OPCODES", 10, TENSOR),
        ("MOST_BUILT", 2, [torch.ones(1), torch.ones(1), torch.ones(1)]),
        ("LARGEST_PICKLE", 40, TENSOR),
        ("DEEPEST_TUPLE", 3, {"a": ((((1,),),),)}),
    ],
)
def test_limits(tmp_path, limit, value, content, monkeypatch):
    torch.save(content, tmp_path / "net.pt")
    scan(tmp_path / "net.pt")
    monkeypatch.setattr(pickles, limit, value)
    with pytest.raises(ModelError):
        scan(tmp_path / "net.pt")


def test_shared_storages_count_once_for_each_tensor(tmp_path, monkeypatch):
    one = torch.ones(1000)
    torch.save({str(number): one[:] for number in range(100)}, tmp_path / "net.pt")
    scan(tmp_path / "net.pt")
    monkeypatch.setattr(pickles, "MOST_SHARED", 1000)
    with pytest.raises(ModelError, match="larger tensors"):
        scan(tmp_path / "net.pt")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("zipped", [True, False])
def test_what_training_writes_passes(tmp_path, zipped):
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.kind = "decay"
    more = {
        "optimizer": {
            "state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.ones(2, 1, 3, 3)}},
            "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999), "fused": None, "params": [0]}],
        },
        "scheduler": {"milestones": Counter({2: 1}), "_last_lr": [1e-3], "last_epoch": 0},
        "types": {str(d): torch.ones(2).to(d) for d in (torch.half, torch.int8, torch.bool)},
        "parameters": torch.nn.Parameter(torch.ones(2)), "marked": parameter,
        "empty": torch.ones(0, 3), "view": torch.arange(12.0).reshape(3, 4).t()[1:],
        "counts": Counter(a=1), "size": torch.Size([1, 2]), "device": torch.device("cpu"),
        "names": OrderedDict(a=(1, 2.5, None, True, "é")), "number": 2**40,
    }  # fmt: skip
    if zipped:  # the old form cannot hold it
        more["unsigned"] = torch.ones(2, dtype=torch.uint16)
    content = {"state_dict": network.state_dict(), "more": [more]}
    torch.save(content, tmp_path / "net.pt", _use_new_zipfile_serialization=zipped)
    scan(tmp_path / "net.pt")
    assert read_weights(tmp_path / "net.pt").tensors.keys() == network.state_dict().keys()
