"""ONNX files of both exporters, held to onnxruntime on the same images."""

import sys

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from tests.model.networks import build
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.data.layouts import read_dataset
from trust_core.errors import ModelError
from trust_core.model.detector import Detector
from trust_core.model.open import ModelOptions, open_detector
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing

pytestmark = pytest.mark.filterwarnings("ignore")
SIZE = (64, 64)
PLAIN = ModelOptions(mean=(0.0,), std=(1.0,))
SMALL = ("timm/test_resnet", "timm/test_efficientnet", "timm/test_convnext", "timm/test_vit")
MORE = (
    "torchvision/resnet18",
    "torchvision/mobilenet_v3_small",
    "torchvision/vit_b_32",
    "torchvision/densenet121",
    "torchvision/shufflenet_v2_x0_5",
    "timm/convnext_atto",
    "timm/swin_tiny_patch4_window7_224",
)
SIZED = {"timm/test_vit": "img_size", "timm/swin_tiny_patch4_window7_224": "img_size"}
SIZED |= {"torchvision/vit_b_32": "image_size"}


def network(name):
    return build(name, **({SIZED[name]: SIZE[0]} if name in SIZED else {}))


def export(path, module, kind="legacy", size=SIZE, batch=1):
    """As people export: by the old exporter, the same for one batch alone, or the new default."""
    images = torch.zeros(batch, 3, *size)
    if kind == "new":
        torch.onnx.export(module, (images,), str(path), verbose=False)
        return path
    free = {"input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}} if kind == "legacy" else {}
    torch.onnx.export(module, (images,), str(path), dynamo=False, opset_version=17, **free)
    return path


def by_onnxruntime(path, pixels, batch=1):
    """Outputs of the file itself, one image after the other."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    answers = [
        session.run(None, {name: np.repeat(x[None], batch, 0)})[0][:1] for x in pixels.numpy()
    ]
    return torch.from_numpy(np.concatenate(answers))


CASES = [(name, kind) for name in SMALL for kind in ("legacy", "fixed", "new")]
CASES += [(name, kind) for name in MORE for kind in ("legacy", "new")]
QUICK = [(name, kind) for name, kind in CASES if name in SMALL and kind != "new"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [pytest.param(*c, marks=[pytest.mark.slow] * (c not in QUICK)) for c in CASES],
)
def test_a_file_of_either_exporter_gives_the_numbers_of_onnxruntime(tmp_path, name, kind):
    module = network(name)
    path = export(tmp_path / "net.onnx", module, kind)
    detector = open_detector(path, PLAIN)
    pixels = torch.rand(3, 3, *SIZE)
    wanted = by_onnxruntime(path, pixels)
    scale = 1 + wanted.abs().max()
    assert (detector.logits(pixels) - wanted).abs().max() < 1e-4 * scale
    own = Detector(module, Preprocessing(SIZE), choose_convention(2))
    one, two = (d.forward_with_gradients(pixels, input_gradient=True) for d in (detector, own))
    assert torch.allclose(one.input_gradient, two.input_gradient, atol=1e-4 * scale)
    assert list(detector.grids.values()) == list(own.grids.values())
    (activation,), (same,) = one.activations.values(), two.activations.values()
    assert torch.allclose(activation, same, atol=1e-3 * (1 + same.abs().max()))


@pytest.mark.parametrize("kind", ["legacy", "new"])
def test_a_whole_audit_is_written_whatever_the_nodes_are_called(tmp_path, parts, kind):
    path = export(tmp_path / "net.onnx", network("timm/test_resnet"), kind)
    if kind == "new":
        assert (tmp_path / "net.onnx.data").exists()
    else:
        assert any("/" in node.name for node in onnx.load(path).graph.node)
    audit = run_audit(
        open_detector(path, PLAIN), read_dataset(parts), AuditSettings(strengths=(0.0, 1.0)),
        out=tmp_path / "audit",
    )  # fmt: skip
    samples = pd.read_parquet(tmp_path / "audit" / "samples.parquet")
    pixels = torch.stack([pixels_of(parts / each) for each in samples["path"]])
    logits = by_onnxruntime(path, pixels)
    assert np.abs(samples["log_odds"] - (logits[:, 1] - logits[:, 0]).numpy()).max() < 1e-4
    assert audit.manifest.unscored == 0


@pytest.mark.parametrize("name", ["../../escaped/{}", "/etc/{}", "..", "a\\b", "train", "x" * 900])
def test_hostile_node_names_stay_in_the_folder(tmp_path, parts, name):
    path = export(tmp_path / "net.onnx", network("timm/test_resnet"))
    model = onnx.load(path)
    for index, node in enumerate(model.graph.node):
        node.name = name.format(index)
    onnx.save(model, path)
    before = set(tmp_path.parent.rglob("*"))
    run_audit(open_detector(path, PLAIN), read_dataset(parts), out=tmp_path / "audit")
    new = set(tmp_path.parent.rglob("*")) - before
    assert all(tmp_path / "audit" in (each, *each.parents) for each in new)


def pixels_of(path):
    from PIL import Image

    return torch.from_numpy(np.asarray(Image.open(path).convert("RGB"))).permute(2, 0, 1) / 255


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    from PIL import Image

    root = tmp_path_factory.mktemp("parts")
    rng = np.random.default_rng(0)
    for index in range(8):
        path = root / ("good" if index % 2 else "crack") / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (*SIZE, 3), np.uint8)).save(path)
    return root


def same_numbers(path, pixels=None, tolerance=1e-4, options=PLAIN, wanted=None):
    pixels = torch.rand(3, 3, *SIZE) if pixels is None else pixels
    detector = open_detector(path, options)
    wanted = by_onnxruntime(path, pixels) if wanted is None else wanted
    assert (detector.logits(pixels) - wanted).abs().max() < tolerance * (1 + wanted.abs().max())
    return detector


def test_a_batch_of_four(tmp_path):
    path = export(tmp_path / "net.onnx", network("timm/test_vit"), "fixed", batch=4)
    pixels = torch.rand(3, 3, *SIZE)
    same_numbers(path, pixels, wanted=by_onnxruntime(path, pixels, batch=4))


def test_images_with_their_channels_last(tmp_path):
    class Last(nn.Sequential):
        def forward(self, x):
            return super().forward(x.permute(0, 3, 1, 2))

    path = tmp_path / "net.onnx"
    torch.onnx.export(
        Last(network("timm/test_resnet")).eval(),
        (torch.zeros(1, *SIZE, 3),),
        str(path),
        dynamo=False,
    )
    pixels = torch.rand(3, 3, *SIZE)
    detector = same_numbers(path, pixels, wanted=by_onnxruntime(path, pixels.permute(0, 2, 3, 1)))
    assert detector.preprocessing.size == SIZE
    assert next(iter(detector.grids.values())) == (2, 2)


def test_weights_in_half_precision_are_widened_and_it_is_said(tmp_path):
    module = network("timm/test_resnet")
    path = export(tmp_path / "net.onnx", module)
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            half = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    for entry in (*model.graph.input, *model.graph.output):
        entry.type.tensor_type.elem_type = TensorProto.FLOAT16
    del model.graph.value_info[:]
    onnx.save(model, path)
    pixels = torch.rand(3, 3, *SIZE)
    state = {k: v.half().float() if v.is_floating_point() else v
             for k, v in module.state_dict().items()}  # fmt: skip
    module.load_state_dict(state)
    with torch.no_grad():
        detector = same_numbers(path, pixels, 1e-2, wanted=module(pixels))
    assert "float16 were converted to float32" in detector.notes[0]


def test_a_dense_layer_as_product_and_sum_counts_as_one(tmp_path):
    """As TensorFlow and Keras write it: the layer explained is the last one with a grid."""
    path = export(tmp_path / "net.onnx", network("timm/test_resnet"))
    model = onnx.load(path)
    gemm = model.graph.node[-1]
    weight = next(t for t in model.graph.initializer if t.name == gemm.input[1])
    turned = numpy_helper.from_array(numpy_helper.to_array(weight).T.copy(), "turned")
    model.graph.initializer.append(turned)
    bias, output = gemm.input[2], gemm.output[0]
    source = gemm.input[0]
    model.graph.node.remove(gemm)
    model.graph.node.append(helper.make_node("MatMul", [source, "turned"], ["product"]))
    model.graph.node.append(helper.make_node("Add", ["product", bias], [output]))
    onnx.save(model, path)
    before = open_detector(export(tmp_path / "as_it_was.onnx", network("timm/test_resnet")), PLAIN)
    assert same_numbers(path).grids.values() != {}
    assert list(open_detector(path, PLAIN).grids.values()) == list(before.grids.values())


def test_a_label_beside_the_logits_is_left_out(tmp_path):
    path = export(tmp_path / "net.onnx", network("timm/test_resnet"))
    model = onnx.load(path)
    logits = model.graph.output[0].name
    model.graph.node.append(helper.make_node("ArgMax", [logits], ["label"], axis=1, keepdims=0))
    model.graph.output.insert(0, helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]))
    onnx.save(model, path)
    pixels = torch.rand(3, 3, *SIZE)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    wanted = torch.from_numpy(session.run([logits], {"x": pixels.numpy()})[0])
    same_numbers(path, pixels, wanted=wanted)


@pytest.mark.parametrize("left", ["type", "no type"])
def test_outputs_without_a_shape(tmp_path, left):
    path = export(tmp_path / "net.onnx", network("timm/test_resnet"))
    model = onnx.load(path)
    logits = model.graph.output[0]
    model.graph.node.append(helper.make_node("ArgMax", [logits.name], ["label"], axis=1))
    model.graph.output.append(helper.make_tensor_value_info("label", TensorProto.INT64, None))
    if left == "type":
        logits.type.tensor_type.ClearField("shape")
    else:
        for entry in model.graph.output:
            entry.ClearField("type")
    path.write_bytes(model.SerializeToString())
    same_numbers(path)


def test_a_graph_of_whole_numbers_gets_pixels_up_to_255(tmp_path):
    path = export(tmp_path / "net.onnx", network("timm/test_resnet"))
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1 / 255), "scale"))
    for node in model.graph.node:
        node.input[:] = ["scaled" if name == "x" else name for name in node.input]
    model.graph.node.insert(0, helper.make_node("Mul", ["floating", "scale"], ["scaled"]))
    model.graph.node.insert(0, helper.make_node("Cast", ["x"], ["floating"], to=TensorProto.FLOAT))
    onnx.save(model, path)
    pixels = torch.randint(0, 256, (3, 3, *SIZE), dtype=torch.uint8)
    wanted = by_onnxruntime(path, pixels)
    detector = open_detector(path, ModelOptions())
    found = detector.log_odds(pixels.float() / 255)
    assert (found - (wanted[:, 1] - wanted[:, 0])).abs().max() < 1e-4
    assert "reads whole numbers from 0 to 255" in " ".join(detector.notes)
    assert "could not be compared" not in " ".join(detector.notes)


def split(tmp_path, location="weights.bin"):
    path = export(tmp_path / "net.onnx", network("timm/test_resnet"))
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin",
              size_threshold=0)  # fmt: skip
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = location if entry.key == "location" else entry.value
    path.write_bytes(model.SerializeToString())
    return path


def test_weights_beside_the_file_are_part_of_what_is_hashed(tmp_path):
    path = split(tmp_path)
    first = same_numbers(path).sha256
    content = bytearray((tmp_path / "weights.bin").read_bytes())
    content[1] ^= 1
    (tmp_path / "weights.bin").write_bytes(content)
    assert open_detector(path, PLAIN).sha256 != first


@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        ("../weights.bin", "in another folder"),
        ("/etc/hostname", "in another folder"),
        ("sub/weights.bin", "in another folder"),
        ("link.bin", "in another folder"),
        ("absent.bin", "not beside it"),
        ("short.bin", "is not the file"),
    ],
)
def test_weights_are_read_from_right_beside_the_file_alone(tmp_path, location, sentence):
    path = split(tmp_path, location)
    (tmp_path / "link.bin").symlink_to(tmp_path / "weights.bin")
    (tmp_path / "short.bin").write_bytes((tmp_path / "weights.bin").read_bytes()[:-8])
    with pytest.raises(ModelError, match=sentence):
        open_detector(path, PLAIN)


def one_node(path, *nodes, sides=("n", 3, 64, 64), domain=""):
    graph = helper.make_graph(
        list(nodes), "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, sides)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    onnx.save(helper.make_model(graph, opset_imports=opsets), path)
    return path


@pytest.mark.parametrize(
    ("node", "domain", "sentence"),
    [
        (helper.make_node("Det", ["x"], ["y"]), "", "it uses Det, which is not converted"),
        (helper.make_node("FusedConv", ["x"], ["y"], domain="com.microsoft"), "com.microsoft",
         "outside of the ONNX standard"),
    ],
)  # fmt: skip
def test_what_cannot_be_converted_is_named(tmp_path, node, domain, sentence):
    with pytest.raises(ModelError, match=sentence):
        open_detector(one_node(tmp_path / "net.onnx", node, domain=domain))


@pytest.mark.parametrize(
    ("sides", "sentence"),
    [(("n", 4, 64, 64), "its input is .x4x64x64"), (("n", 10), "images of 1 or 3 channels")],
)
def test_what_reads_no_photographs(tmp_path, sides, sentence):
    node = helper.make_node("Relu", ["x"], ["y"])
    with pytest.raises(ModelError, match=sentence):
        open_detector(one_node(tmp_path / "net.onnx", node, sides=sides))


def test_a_quantised_file(tmp_path):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = export(tmp_path / "net.onnx", network("timm/test_resnet"))
    quantize_dynamic(path, tmp_path / "small.onnx", weight_type=QuantType.QUInt8)
    with pytest.raises(ModelError, match="is quantised"):
        open_detector(tmp_path / "small.onnx")


def test_a_file_that_is_no_onnx(tmp_path):
    (tmp_path / "noise.onnx").write_bytes(b"\x89PNG" * 50)
    with pytest.raises(ModelError, match=r"noise.onnx is no valid ONNX"):
        open_detector(tmp_path / "noise.onnx")


def test_without_the_packages_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx2torch", None)
    with pytest.raises(ModelError, match=r"net.onnx.*pip install onnx onnx2torch"):
        open_detector(tmp_path / "net.onnx")


def outside(name="outside"):
    """A tensor whose numbers are in a file of another folder."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1],
                         data_location=TensorProto.EXTERNAL)  # fmt: skip
    tensor.external_data.add(key="location", value="../../etc/hostname")
    return tensor


@pytest.mark.parametrize("place", ["constant", "list", "branch", "function", "sparse"])
def test_weights_elsewhere_are_refused_wherever_a_graph_holds_them(tmp_path, place):
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    node = helper.make_node("Identity", ["x"], ["y"])
    inside = helper.make_node("Constant", [], ["c"], value=outside())
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    if place == "constant":
        graph.node.append(inside)
    elif place == "list":
        node = graph.node.add(op_type="Constant")
        node.attribute.add(name="value", type=9).tensors.append(outside())
    elif place == "branch":
        body = helper.make_graph([inside], "body", [], values[1:])
        graph.node.append(helper.make_node("If", ["x"], ["z"], then_branch=body, else_branch=body))
    elif place == "sparse":
        graph.sparse_initializer.add(dims=[1], values=outside(), indices=outside("places"))
    model = helper.make_model(graph)
    if place == "function":
        model.functions.add(name="f", domain="d", node=[inside])
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="in another folder"):
        open_detector(tmp_path / "net.onnx", PLAIN)


def test_what_onnxruntime_cannot_run_is_opened_with_a_note(tmp_path, monkeypatch):
    path = export(tmp_path / "n.onnx", network("timm/test_resnet"))

    def unknown(*_):
        raise onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented("no such operator.")

    monkeypatch.setattr(onnxruntime, "InferenceSession", unknown)
    notes = open_detector(path, PLAIN).notes
    assert any("could not be compared with onnxruntime (no such operator);" in n for n in notes)
