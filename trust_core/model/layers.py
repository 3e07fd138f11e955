"""Explainable layers of a network, and the one that is chosen by rule.

The network is run once and its autograd graph is read; no table of layer names is needed. A layer
is a module whose output depends on the image, reaches the log-odds and still has spatial extent.
The layer by rule is the last one that *everything* passes through (so neither the inside of a
residual block nor one of several branches), before the last weighted layer of the decision.

Notation: N images, C channels, h, w the layer's grid, T tokens, H, W the network's input size.
"""

import difflib
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from trust_core.errors import ModelError, SettingsError
from trust_core.model.autograd_graph import Edge, Graph
from trust_core.model.depths import choose_depths

CLASS_TOKENS = range(9)  # a class token and up to eight registers or distillation tokens
WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd)


@dataclass(frozen=True)
class Layer:
    """One explainable layer and how its output becomes maps.

    Attributes:
        name: dotted name of the module whose output is taken.
        channels: C.
        grid: (h, w).
        layout: "first" (N, C, h, w), "last" (N, h, w, C) or "tokens" (N, T, C).
        prefix: number of tokens before those of the grid (class token, registers).
        relu: the network applies a ReLU to this output right after the module, as a function, so
            it is applied here first. That changes nothing further on: relu(relu(x)) = relu(x).
    """

    name: str
    channels: int
    grid: tuple[int, int]
    layout: str
    prefix: int = 0
    relu: bool = False

    def maps(self, output: Tensor) -> Tensor:
        """The module's output (or its gradient) as (N, C, h, w)."""
        if self.layout == "first":
            return output
        if self.layout == "last":
            return output.permute(0, 3, 1, 2)
        tokens = output[:, self.prefix :].transpose(1, 2)
        return tokens.reshape(output.shape[0], self.channels, *self.grid)


@dataclass(frozen=True)
class Trace:
    """What one run through the network has shown.

    Attributes:
        layers: every explainable layer by name, in the order their outputs arise.
        default: name of the layer by rule; "" when there is none.
        activated: whether the layer by rule is taken after a non-linearity.
        features: name of the last nn.Linear, whose input is the features (N, F); "" for none.
        averaged: layer -> name of the nn.Linear whose input is the average of the layer's cells,
            where that average is all of the layer that the decision depends on.
        depths: names of the layers that probes read, from the first to the last.
    """

    layers: dict[str, Layer]
    default: str
    activated: bool
    features: str
    averaged: dict[str, str]
    depths: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Visit:
    """One tensor that a module returned. `storage` and `version` tell aliases of one value."""

    name: str
    output: Tensor
    edge: Edge
    storage: int
    version: int
    weighted_before: int


def trace_layers(module: nn.Module, log_odds: Callable[[Tensor], Tensor], pixels: Tensor) -> Trace:
    """Run the network once and find its explainable layers.

    `log_odds` takes pixels (N, c, H, W) in [0, 1], of which two images of noise will do, to
    log-odds (N,), through the module, which is in eval mode with frozen parameters.

    Raises:
        ModelError: the log-odds have no gradient with respect to the pixels.
    """
    pixels = pixels.detach().clone().requires_grad_()
    visits: list[_Visit] = []
    weighted: list[str] = []
    flat: dict[str, Edge] = {}

    def enter(name: str) -> Callable[..., None]:
        def note(_: nn.Module, inputs: tuple[object, ...]) -> None:
            weighted.append(name)
            flat.pop(name, None)  # called again: the last call counts
            x = inputs[0] if inputs else None
            if isinstance(x, Tensor) and x.ndim == 2 and x.requires_grad:
                flat[name] = _edge(x)

        return note

    def leave(name: str) -> Callable[..., None]:
        def note(_: nn.Module, __: object, output: object) -> None:
            if isinstance(output, Tensor) and output.requires_grad:
                visits.append(
                    _Visit(
                        name,
                        output.detach(),
                        _edge(output),
                        output.untyped_storage().data_ptr(),
                        output._version,
                        len(weighted),
                    )
                )

        return note

    with ExitStack() as hooks, torch.enable_grad():
        for name, part in module.named_modules():
            if name:
                hooks.callback(part.register_forward_hook(leave(name)).remove)
            if isinstance(part, WEIGHTED):
                hooks.callback(part.register_forward_pre_hook(enter(name)).remove)
        z = log_odds(pixels)
    if not z.requires_grad:
        raise ModelError(
            "The network's output has no gradient with respect to the image, so it cannot be "
            "explained; remove detach(), no_grad() or argmax from its forward."
        )

    graph = Graph(_edge(z))
    size = (int(pixels.shape[2]), int(pixels.shape[3]))
    layers: dict[str, Layer] = {}
    shown: dict[str, _Visit] = {}
    seen: set[tuple[int, int]] = set()
    for visit in visits:
        layer = _layer(visit, len(pixels), size, seen, relu=graph.only_feeds_relu(visit.edge))
        if layer is not None and not layer.prefix:
            seen.add(layer.grid)
        if layer is not None and visit.edge in graph.edges:
            layers.pop(visit.name, None)  # called again: the last call counts
            shown.pop(visit.name, None)
            layers[visit.name], shown[visit.name] = layer, visit

    modules = dict(module.named_modules())
    on_path = [name for name in weighted if _reaches(modules[name], name, visits, graph)]
    head = len(weighted) - 1 - weighted[::-1].index(on_path[-1]) if on_path else len(weighted)
    for visit in reversed(shown.values()):
        layer = layers[visit.name]
        if (
            visit.weighted_before > head
            or graph.resampled(visit.edge)
            or _edge(pixels) in graph.reach(avoiding=visit.edge)
            or (layer.prefix and not _grid_matters(z, visit, layer))
        ):
            continue
        name = min(_aliases(visit, shown.values()), key=lambda alias: alias.count("."))
        activated = layers[name].relu or graph.activated(visit.edge)
        break
    else:
        name, activated = "", False
    linear = on_path[-1] if on_path else ""
    heads = {n: part for n in flat if isinstance(part := modules[n], nn.Linear)}
    features = linear if linear in heads else ""
    averaged: dict[str, str] = {}
    for each, part in heads.items():
        for found in _averaged(flat[each], shown.values(), graph):
            # Where the network's ReLU follows, its derivative is 0 at 0: no plain average.
            if layers[found].channels == part.in_features and not layers[found].relu:
                averaged[found] = each
    passed = graph.bottlenecks(_edge(pixels))
    distinct = {  # of several names of one value the shortest; a bare convolution is not the end
        min(_aliases(visit, shown.values()), key=lambda alias: alias.count("."))
        for visit in shown.values()
        if visit.edge in passed
        and visit.weighted_before <= head
        and not graph.resampled(visit.edge)
        and not isinstance(modules[visit.name], WEIGHTED)
    }
    depths = choose_depths([(each, x.grid) for each, x in layers.items() if each in distinct])
    return Trace(layers, name, activated, features, averaged, depths or (name,) * bool(name))


def choose_layer(trace: Trace, wanted: str) -> Layer:
    """The layer a user has named.

    Raises:
        SettingsError: there is no such explainable layer; close names are listed.
    """
    if wanted in trace.layers:
        return trace.layers[wanted]
    close = difflib.get_close_matches(wanted, trace.layers, n=3, cutoff=0.3)
    hint = f" Near it: {', '.join(close)}." if close else ""
    raise SettingsError(
        f'The network has no layer "{wanted}" with a spatial grid on the way to its decision.'
        f"{hint} By rule it would be {trace.default or 'none'}."
    )


def _layer(
    visit: _Visit,
    images: int,
    size: tuple[int, int],
    seen: set[tuple[int, int]],
    *,
    relu: bool,
) -> Layer | None:
    """How an output is laid out, or None when it has no grid of more than one cell.

    Tokens before the grid (a class token) are only assumed when the grid has been `seen` without.
    """
    shape = tuple(visit.output.shape)
    if shape[0] != images or not visit.output.is_floating_point():
        return None
    if len(shape) == 4:
        first = Layer(visit.name, shape[1], (shape[2], shape[3]), "first", relu=relu)
        last = Layer(visit.name, shape[3], (shape[1], shape[2]), "last", relu=relu)
        for fits in (_divides, _strides):
            for layer in (first, last):
                if layer.grid != (1, 1) and fits(layer.grid, size):
                    return layer
    if len(shape) == 3:
        for prefix in CLASS_TOKENS:
            cells = shape[1] - prefix
            # Square patches of a whole number of pixels: the grid has the input's aspect ratio.
            for rows in range(1, size[0] + 1):
                columns = rows * size[1] // size[0]
                whole = rows * columns == cells > 1 and _divides((rows, columns), size)
                if whole and (not prefix or (rows, columns) in seen):
                    return Layer(visit.name, shape[2], (rows, columns), "tokens", prefix, relu)
    return None


def _divides(grid: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether (h, w) is the input's H, W divided by one whole stride."""
    return size[0] % grid[0] == 0 and size[0] * grid[1] == size[1] * grid[0]


def _strides(grid: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether (h, w) is the input's H, W brought down by one stride, give or take the edges.

    Whatever the padding of its layers, a stride s leaves between H/s - 3 and H/s + 2 cells.
    """
    low = max(size[0] / (grid[0] + 3), size[1] / (grid[1] + 3))
    high = min(size[0] / max(grid[0] - 2, 0.5), size[1] / max(grid[1] - 2, 0.5))
    return low <= high and grid[0] <= size[0] + 2 and grid[1] <= size[1] + 2


def _reaches(part: nn.Module, name: str, visits: list[_Visit], graph: Graph) -> bool:
    """Whether the log-odds depend on an output of this weighted layer."""
    return any(visit.name == name and visit.edge in graph.edges for visit in visits)


def _aliases(visit: _Visit, visits: Iterable[_Visit]) -> list[str]:
    """Names of all modules that returned this very value (a view of it counts)."""
    return [
        other.name
        for other in visits
        if (other.storage, other.version) == (visit.storage, visit.version)
        and other.output.numel() == visit.output.numel()
    ]


def _averaged(value: Edge, visits: Iterable[_Visit], graph: Graph) -> list[str]:
    """The layers that a value is the average of, and that matter to the log-odds only so."""
    averages = graph.averaged(value)
    others = graph.reach(avoiding=value) if averages else set()
    return [v.name for v in visits if v.edge in averages and v.edge not in others]


def _edge(value: Tensor) -> Edge:
    edge = get_gradient_edge(value)
    return edge.node, edge.output_nr


def _grid_matters(z: Tensor, visit: _Visit, layer: Layer) -> bool:
    """Whether the log-odds depend on the grid's tokens at all, not on the class token alone."""
    (gradient,) = torch.autograd.grad(
        z.sum(), [GradientEdge(visit.edge[0], visit.edge[1], None)], retain_graph=True
    )
    return bool(layer.maps(gradient).any()) or not gradient.any()
