"""ONNX graphs as exporters write them, rewritten to what the conversion to PyTorch takes.

Each function changes one thing about a graph: constants behind further nodes, half precision,
operators of newer opsets, a fixed batch, the order of the input's axes, names. None of them changes
a number that the network computes.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.inliner
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference
from torch import nn

OPSET = 17  # whose operators are converted
STANDARD = ("", "ai.onnx")
LARGEST_COPIED = 2**10
LARGEST_FOLDED = 2**24  # elements of a constant that is computed here
LONGEST_NAME = 80
REDUCTIONS = frozenset(
    """ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
    ReduceSumSquare""".split()  # noqa: SIM905
)
FLOATS = {TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}

Array = npt.NDArray[Any]


class _Constants:
    """Constants of a graph by name, read when they are asked for."""

    def __init__(self, model: ModelProto) -> None:
        self.tensors = {tensor.name: tensor for tensor in model.graph.initializer}

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def __getitem__(self, name: str) -> Array:
        return numpy_helper.to_array(self.tensors[name])

    def get(self, name: str) -> Array | None:
        """A constant; None where the value is computed."""
        return numpy_helper.to_array(self.tensors[name]) if name in self else None


def prepare(model: ModelProto) -> list[str]:
    """Rewrite a graph, in place, so that it can be converted.

    Args:
        model: checked, with all its weights inside.

    Returns:
        Sentences the user should read.

    Raises:
        ValueError: something in it has no equivalent; the cause.
    """
    if model.functions:
        model.CopyFrom(onnx.inliner.inline_local_functions(model))
    _refuse(model)
    notes = _to_float32(model)
    _fold_constants(model)
    _gathers_as_reshapes(model)
    with without_weights(model):
        inferred = shape_inference.infer_shapes(model, data_prop=True).graph.value_info
    del model.graph.value_info[:]
    model.graph.value_info.extend(inferred)
    _to_opset(model)
    _drop_integer_outputs(model)
    _rename_nodes(model)
    return notes


@contextmanager
def without_weights(model: ModelProto) -> Iterator[None]:
    """The graph with its large constants known by type and shape alone: they are slow to copy."""
    graph = model.graph
    tensors = list(graph.initializer)
    inputs = list(graph.input)
    known = {entry.name for entry in inputs}
    del graph.initializer[:]
    for tensor in tensors:
        if math.prod(tensor.dims) <= LARGEST_COPIED:
            graph.initializer.append(tensor)
        elif tensor.name not in known:
            entry = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            graph.input.append(entry)
    try:
        yield
    finally:
        del graph.initializer[:], graph.input[:]
        graph.initializer.extend(tensors)
        graph.input.extend(inputs)


def declare_outputs(model: ModelProto) -> list[str]:
    """Say of outputs that a file leaves without a shape that they have two sides; their names."""
    bare = [entry for entry in model.graph.output if not entry.type.tensor_type.HasField("shape")]
    for entry in bare:
        kind = entry.type.tensor_type.elem_type or TensorProto.FLOAT
        entry.CopyFrom(helper.make_tensor_value_info(entry.name, kind, ["batch", "outputs"]))
    return [entry.name for entry in bare]


def infer_outputs(model: ModelProto, names: Iterable[str]) -> None:
    """Give outputs, which nothing truly declares, the types that follow from a checked graph."""
    bare = [entry for entry in model.graph.output if entry.name in set(names)]
    for entry in bare:
        entry.ClearField("type")
    if bare:
        inferred = shape_inference.infer_shapes(model, data_prop=True).graph
        known = {entry.name: entry for entry in inferred.output}
        for entry in bare:
            entry.CopyFrom(known[entry.name])


def image_input(model: ModelProto) -> tuple[int, int, tuple[int, int], bool]:
    """Batch, channels and (H, W) of the one image input, and whether its channels come last.

    Returns:
        The batch (0 = any), channels, (H, W) with 0 for what the graph leaves open, and the order.

    Raises:
        ValueError: it is no batch of images of 1 or 3 channels.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    images = [entry for entry in model.graph.input if entry.name not in weights]
    if len(images) != 1:
        raise ValueError(
            f"it has {len(images)} inputs ({', '.join(e.name for e in images[:4])}), and a "
            "classifier of images has one."
        )
    sides = [side.dim_value for side in images[0].type.tensor_type.shape.dim]
    if len(sides) == 4 and sides[1] in (1, 3):
        return sides[0], sides[1], (sides[2], sides[3]), False
    if len(sides) == 4 and sides[3] in (1, 3):
        return sides[0], sides[3], (sides[1], sides[2]), True
    shape = "x".join(str(side or "?") for side in sides)
    raise ValueError(
        f"its input is {shape}, and images of 1 or 3 channels are read (batch, channels, height, "
        "width; or channels last)."
    )


def channels_first(model: ModelProto) -> None:
    """Take images with their channels first, for a graph that takes them last."""
    entry = model.graph.input[0]
    batch, *sides, channels = entry.type.tensor_type.shape.dim
    shape = [side.dim_value or side.dim_param or "any" for side in (batch, channels, *sides)]
    name = "images_channels_first"
    turn = helper.make_node("Transpose", [name], [entry.name], name="to_last", perm=[0, 2, 3, 1])
    model.graph.node.insert(0, turn)
    entry.CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))


def any_batch(model: ModelProto, batch: int, shapes: dict[str, list[int]]) -> None:
    """Let a graph that was exported for a batch of one size take any.

    The axis of the images is followed from node to node; where a shape is written down, its side on
    that axis is left open. Whether that was right is for the caller to see, by running.

    Args:
        model: prepared.
        batch: the size it was exported for.
        shapes: of all values that depend on the image, at that size.
    """
    graph = model.graph
    constants = _Constants(model)
    places = {graph.input[0].name: (0, 1)}
    nodes: list[NodeProto] = []
    for node in graph.node:
        source = next((name for name in node.input if name in places), None)
        if source is None or node.op_type == "Shape":
            nodes.append(node)
            continue
        result = shapes.get(node.output[0], [])
        place = _batch_place(node, places[source], shapes.get(source, []), result, constants)
        places.update(dict.fromkeys(node.output, place))
        axis = place[0]
        if node.op_type == "Reshape":
            sides = [*result[:axis], -1, *result[axis + 1 :]]
            node.input[1] = _constant(model, f"{node.output[0]}_shape", sides)
        elif node.op_type == "Expand" and node.input[1] in constants:
            sides = [int(side) for side in constants[node.input[1]]]
            first = axis - len(result) + len(sides)
            sides[first : first + 1] = [1] * (first >= 0)
            node.input[1] = _constant(model, f"{node.output[0]}_shape", sides)
        elif node.op_type == "Concat" and axis == 0:
            for index, name in enumerate(node.input):
                if name in constants and constants[name].shape[:1] == (batch,):
                    node.input[index] = f"{node.name}_{index}_repeated"
                    nodes += _repeated(model, constants[name], source, node.input[index])
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    for entry in (graph.input[0], *graph.output):
        if entry.type.tensor_type.shape.dim:
            entry.type.tensor_type.shape.dim[0].dim_param = "any"


def _batch_place(
    node: NodeProto,
    place: tuple[int, int],
    given: list[int],
    result: list[int],
    constants: _Constants,
) -> tuple[int, int]:
    """Where the images lie in a node's result, from where they lie in what it reads.

    A place is an axis, and how many others lie outside of the images within that axis: 1, but in
    rows of tokens and images together the number of tokens.
    """
    axis, outer = place
    attributes = _attributes(node)
    kind = node.op_type
    listed = attributes.get("axes")
    if listed is None and len(node.input) > 1 and kind in ("Squeeze", "Unsqueeze", "ReduceSum"):
        listed = constants.get(node.input[1])
    if kind == "Transpose":
        return list(attributes.get("perm", range(len(given))[::-1])).index(axis), outer
    if kind == "Reshape":
        before = int(np.prod(given[:axis])) * outer
        sides = np.cumprod([1, *result])
        if len(result) == 2 and before > 1 and result[0] % before == 0:
            return 0, before  # rows of features
        return next((k for k in range(len(result)) if sides[k] == before), axis), 1
    if kind == "Gather" and node.input[1] in constants and len(result) < len(given):
        return axis - (axis > attributes.get("axis", 0) % len(given)), outer
    if kind == "Unsqueeze" and listed is not None:
        new = {int(each) % len(result) for each in listed}
        return [k for k in range(len(result)) if k not in new][axis], outer
    if listed is not None and (kind == "Squeeze" or not attributes.get("keepdims", 1)):
        return axis - sum(int(each) % len(given) < axis for each in listed), outer
    return axis + max(len(result) - len(given), 0), outer  # broadcast


def _repeated(model: ModelProto, value: Array, source: str, result: str) -> list[NodeProto]:
    """Nodes that repeat a constant (a class token) for as many images as `source` holds."""
    one = _constant_like(model, f"{result}_one", value[:1])
    rest = _constant(model, f"{result}_rest", [int(side) for side in value.shape[1:]])
    count, shape = f"{result}_count", f"{result}_to"
    return [
        helper.make_node("Shape", [source], [count], name=count, start=0, end=1),
        helper.make_node("Concat", [count, rest], [shape], name=shape, axis=0),
        helper.make_node("Expand", [one, shape], [result], name=result),
    ]


def _refuse(model: ModelProto) -> None:
    """Say of what has no gradients, or no equivalent, what it is."""
    nodes = model.graph.node
    kinds = {node.op_type for node in nodes}
    if quantised := sorted(
        k
        for k in kinds
        if "Quantize" in k or k.startswith("QLinear") or k in ("ConvInteger", "MatMulInteger")
    ):
        raise ValueError(
            f"it is quantised ({quantised[0]}), and rounded numbers have no gradients; use the "
            "network from before quantisation."
        )
    if foreign := sorted({f"{n.domain}: {n.op_type}" for n in nodes if n.domain not in STANDARD}):
        raise ValueError(
            f"it uses operators outside of the ONNX standard ({', '.join(foreign[:3])}), as "
            "optimising for one runtime leaves them; use the file from before."
        )
    if branches := sorted(kinds & {"If", "Loop", "Scan"}):
        raise ValueError(
            f"it holds a branch or loop ({branches[0]}); export the network for one fixed way "
            "through it."
        )


def _to_float32(model: ModelProto) -> list[str]:
    """Weights and arithmetic of other precisions in float32."""
    graph = model.graph
    found: set[int] = set()

    def widen(tensor: TensorProto) -> None:
        if tensor.data_type in FLOATS:
            found.add(tensor.data_type)
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    for tensor in graph.initializer:
        widen(tensor)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                widen(attribute.t)
            elif node.op_type == "Cast" and attribute.name == "to" and attribute.i in FLOATS:
                attribute.i = TensorProto.FLOAT
    for entry in (*graph.input, *graph.output):
        if entry.type.tensor_type.elem_type in FLOATS:
            entry.type.tensor_type.elem_type = TensorProto.FLOAT
    if found:
        del graph.value_info[:]
    names = ", ".join(sorted(TensorProto.DataType.Name(kind).lower() for kind in found))
    return [f"Weights in {names} were converted to float32."] if found else []


def _fold_constants(model: ModelProto) -> None:
    """Compute what depends on constants alone, where that is small."""
    graph = model.graph
    values = {tensor.name: tensor for tensor in graph.initializer}
    arrays: dict[str, Array] = {}
    left = []
    for node in graph.node:
        folded = _folded(node, values, arrays)
        if folded is None:
            left.append(node)
            continue
        values[node.output[0]] = numpy_helper.from_array(folded, node.output[0])
        arrays[node.output[0]] = folded
    produced = {name for node in left for name in node.output}
    results = {entry.name for entry in graph.output}
    used = {name for node in left for name in node.input} | results
    tensors = [t for name, t in values.items() if name in used and name not in produced]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(left)
    graph.initializer.extend(tensors)
    constant = {tensor.name for tensor in tensors}
    inputs = [entry for entry in graph.input if entry.name not in constant]
    del graph.input[:]
    graph.input.extend(inputs)


def _folded(
    node: NodeProto, values: dict[str, TensorProto], arrays: dict[str, Array]
) -> Array | None:
    """The value of a node all of whose inputs are constants; None for any other."""
    if len(node.output) != 1 or any(name and name not in values for name in node.input):
        return None
    attributes = _attributes(node)
    if node.op_type == "Constant":
        value = next(iter(attributes.values()), None)
        if isinstance(value, TensorProto):
            return numpy_helper.to_array(value)
        return None if value is None or isinstance(value, bytes) else _plain(value)
    compute = FOLDS.get(node.op_type)
    if compute is None:
        return None
    inputs = []
    for name in node.input:
        if name and name not in arrays:
            arrays[name] = numpy_helper.to_array(values[name])
        inputs.append(arrays[name] if name else None)
    try:
        shapes = [i.shape for i in inputs if i is not None]
        if (
            node.op_type in (*BROADCASTING, "Div", "Mod", "Equal", "Where")
            and np.prod(np.broadcast_shapes(*shapes)) > LARGEST_FOLDED
        ):
            return None
        return np.asarray(compute(inputs, attributes))
    except (ValueError, IndexError, TypeError, KeyError):
        return None  # the conversion says what is wrong with it


def _plain(value: object) -> Array:
    floating = isinstance(value, float) or (
        isinstance(value, (list, tuple)) and any(isinstance(each, float) for each in value)
    )
    return np.asarray(value, np.float32 if floating else np.int64)


def _cast(inputs: list[Any], attributes: dict[str, Any]) -> Array:
    return inputs[0].astype(helper.tensor_dtype_to_np_dtype(attributes["to"]))


def _slice(inputs: list[Any], _: dict[str, Any]) -> Array:
    data, starts, ends, *more = inputs
    axes = more[0] if more and more[0] is not None else range(len(starts))
    steps = more[1] if len(more) > 1 and more[1] is not None else [1] * len(starts)
    places = [slice(None)] * data.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        places[int(axis)] = slice(int(start), int(end), int(step))
    return data[tuple(places)]


def _reshape(inputs: list[Any], attributes: dict[str, Any]) -> Array:
    data, shape = inputs
    zero = attributes.get("allowzero", 0)
    sides = [
        data.shape[place] if side == 0 and not zero else int(side)
        for place, side in enumerate(shape)
    ]
    return data.reshape(sides)


def _unsqueeze(inputs: list[Any], attributes: dict[str, Any]) -> Array:
    axes = inputs[1] if len(inputs) > 1 else attributes["axes"]
    return np.expand_dims(inputs[0], tuple(int(axis) for axis in axes))


def _squeeze(inputs: list[Any], attributes: dict[str, Any]) -> Array:
    axes = inputs[1] if len(inputs) > 1 else attributes.get("axes")
    return np.squeeze(inputs[0], None if axes is None else tuple(int(axis) for axis in axes))


def _quotient(one: Array, other: Array) -> Array:
    if np.issubdtype(one.dtype, np.integer):
        return np.trunc(one / other).astype(one.dtype)
    return one / other


def _broadcast(function: Callable[..., Array], inputs: list[Any], _: dict[str, Any]) -> Array:
    _check_size(np.broadcast_shapes(*(each.shape for each in inputs)))
    return function(*inputs)


def _check_size(shape: Iterable[int]) -> None:
    if math.prod(shape) > LARGEST_FOLDED:
        raise ValueError("a constant is too large to be computed here.")


def _filled(shape: Array, value: TensorProto | None) -> Array:
    _check_size(shape.tolist())
    fill = numpy_helper.to_array(value).reshape(()) if value else np.float32(0)
    return np.full(shape.astype(int), fill)


def _expanded(value: Array, shape: Array) -> Array:
    sides = np.broadcast_shapes(value.shape, tuple(int(side) for side in shape))
    _check_size(sides)
    return np.broadcast_to(value, sides).copy()


BROADCASTING: dict[str, Callable[..., Array]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": _quotient,
    "Equal": np.equal,
    "Where": np.where,
}
FOLDS: dict[str, Callable[[list[Any], dict[str, Any]], Any]] = {
    "Identity": lambda i, a: i[0],
    "Cast": _cast,
    "Transpose": lambda i, a: i[0].transpose(a.get("perm")),
    "Neg": lambda i, a: -i[0],
    "Sqrt": lambda i, a: np.sqrt(i[0]),
    "Shape": lambda i, a: np.asarray(i[0].shape[a.get("start", 0) : a.get("end")], np.int64),
    "ConstantOfShape": lambda i, a: _filled(i[0], a.get("value")),
    "Expand": lambda i, a: _expanded(*i),
    "Mod": lambda i, a: np.fmod(*i) if a.get("fmod") else np.mod(*i),
    "Gather": lambda i, a: np.take(i[0], i[1], a.get("axis", 0)),
    "Concat": lambda i, a: np.concatenate(i, a["axis"]),
    "Slice": _slice,
    "Reshape": _reshape,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    **{name: partial(_broadcast, function) for name, function in BROADCASTING.items()},
}


def _gathers_as_reshapes(model: ModelProto) -> None:
    """A flat value read in its own order is a Reshape, which PyTorch writes as Gather."""
    constants = _Constants(model)
    flat = {
        node.output[0]
        for node in model.graph.node
        if node.op_type == "Reshape" and node.input[1] in constants
        if list(constants[node.input[1]]) == [-1]
    }
    for node in model.graph.node:
        if node.op_type != "Gather" or node.input[0] not in flat or node.input[1] not in constants:
            continue
        places = constants[node.input[1]]
        if places.ndim and (places.ravel() == np.arange(places.size)).all():
            shape = _constant(model, f"{node.output[0]}_shape", [int(s) for s in places.shape])
            node.CopyFrom(
                helper.make_node("Reshape", [node.input[0], shape], node.output, name=node.name)
            )


def _to_opset(model: ModelProto) -> None:
    """Operators as opset 17 has them, where a newer one writes the same otherwise.

    Raises:
        ValueError: an operator does what opset 17 cannot say.
    """
    version = max((e.version for e in model.opset_import if e.domain in STANDARD), default=1)
    constants = _Constants(model)
    shapes = _shapes(model)
    for node in model.graph.node:
        attributes = _attributes(node)
        if node.op_type == "Reshape" and attributes.get("allowzero"):
            # A 0 would be a side of length 0, and there is none; left out, it would be a copy.
            if node.input[1] in constants and 0 in constants[node.input[1]]:
                raise ValueError("a Reshape makes a tensor without any elements.")
            _without(node, "allowzero")
        if version <= OPSET:
            continue
        if node.op_type in REDUCTIONS and len(node.input) > 1:
            axes = constants.get(node.input[1])
            if axes is None and node.input[1]:
                raise ValueError(f"the axes of {node.op_type} are computed, not written down.")
            del node.input[1:]
            _without(node, "noop_with_empty_axes")
            if axes is not None:
                node.attribute.append(helper.make_attribute("axes", [int(a) for a in axes]))
        elif node.op_type == "Split" and "num_outputs" in attributes:
            side = shapes.get(node.input[0], [])
            axis = attributes.get("axis", 0)
            parts = attributes["num_outputs"]
            if not side or not side[axis]:
                raise ValueError("a Split has parts of unknown size.")
            size = -(-side[axis] // parts)
            sizes = [size] * (parts - 1) + [side[axis] - size * (parts - 1)]
            _without(node, "num_outputs")
            node.input.append(_constant(model, f"{node.output[0]}_sizes", sizes))
        elif node.op_type == "Pad" and len(node.input) > 3 and node.input[3]:
            _pad_all_axes(model, node, constants, len(shapes.get(node.input[0], [])))
        elif node.op_type == "Resize":
            if attributes.get("antialias") or "axes" in attributes:
                raise ValueError("a Resize with antialiasing, or of some axes, is not converted.")
            for name in ("antialias", "keep_aspect_ratio_policy"):
                _without(node, name)
    for entry in model.opset_import:
        if entry.domain in STANDARD:
            entry.version = min(entry.version, OPSET)


def _pad_all_axes(model: ModelProto, node: NodeProto, constants: _Constants, rank: int) -> None:
    if node.input[1] not in constants or node.input[3] not in constants or not rank:
        raise ValueError("the widths of a Pad are computed, not written down.")
    axes, given = constants[node.input[3]], constants[node.input[1]]
    widths = [0] * (2 * rank)
    for place, axis in enumerate(axes):
        widths[int(axis) % rank] = int(given[place])
        widths[rank + int(axis) % rank] = int(given[place + len(axes)])
    node.input[1] = _constant(model, f"{node.output[0]}_widths", widths)
    del node.input[3:]


def _drop_integer_outputs(model: ModelProto) -> None:
    """Leave out labels (an ArgMax beside the logits), where something else is left."""
    kept = [
        entry
        for entry in model.graph.output
        if entry.type.tensor_type.elem_type in (0, TensorProto.FLOAT)
    ]
    if kept and len(kept) < len(model.graph.output):
        del model.graph.output[:]
        model.graph.output.extend(kept)
    needed = {entry.name for entry in model.graph.output}
    nodes = []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            needed.update(node.input)
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(reversed(nodes))


def _rename_nodes(model: ModelProto) -> None:
    """Names that are also names of PyTorch modules: letters, digits and underscores, each once."""
    taken = {entry.name for entry in (*model.graph.input, *model.graph.initializer)}
    for node in model.graph.node:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", node.name or f"{node.op_type}_{node.output[0]}")
        name = plain.strip("_")[-LONGEST_NAME:] or node.op_type
        if hasattr(nn.Module(), name) or name.startswith(("initializers", "onnx_initializer")):
            name = f"node_{name}"
        unique, count = name, 1
        while unique in taken:
            count += 1
            unique = f"{name}_{count}"
        taken.add(unique)
        node.name = unique


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def _without(node: NodeProto, name: str) -> None:
    kept = [each for each in node.attribute if each.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)


def _constant(model: ModelProto, name: str, numbers: list[int]) -> str:
    """A new constant of whole numbers, by its name."""
    return _constant_like(model, name, np.asarray(numbers, np.int64))


def _constant_like(model: ModelProto, name: str, array: Array) -> str:
    model.graph.initializer.append(numpy_helper.from_array(array, name))
    return name


def _shapes(model: ModelProto) -> dict[str, list[int]]:
    """Sides of every value whose shape is known; 0 for one that is not."""
    graph = model.graph
    return {
        entry.name: [side.dim_value for side in entry.type.tensor_type.shape.dim]
        for entry in (*graph.input, *graph.value_info, *graph.output)
        if entry.type.tensor_type.HasField("shape")
    }
