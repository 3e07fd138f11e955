"""The detector under audit: pixels in; log-odds, activations and gradients out.

Notation: N images, c channels of the network input, H, W its size, K outputs, C channels and
h, w grid of an explanation layer, F penultimate features.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from trust_core.errors import ModelError, SettingsError, first_line
from trust_core.messages import Message
from trust_core.model.depths import pooled as pool
from trust_core.model.layers import Layer, Trace, choose_layer, trace_layers
from trust_core.model.modules import arithmetic, dtype_of, frozen_copy, graph_bytes, input_channels
from trust_core.model.outputs import Convention, logits_of, mask_logits_of
from trust_core.model.preprocessing import Preprocessing
from trust_core.model.probabilities import LastStep, watched

CLOSE = 1e-4  # relative; fp32 gradients of one network agree to about 1e-6

# Tensor cores read channels-last; without them (fp32 on a GPU) cuDNN is at its best in this.
PLAIN = torch.contiguous_format


@dataclass(frozen=True)
class Response:
    """What a detector did with N images.

    Attributes:
        log_odds: (N,) evidence z for defective.
        logits: (N, K).
        activations: explanation layer -> (N, C, h, w), after the non-linearity.
        gradients: explanation layer -> dz/dA, (N, C, h, w).
        input_gradient: dz/dx, (N, c, H, W), before normalisation; None when not asked for.
        features: (N, F), the input of the last nn.Linear; None when there is none.
        mask_logits: (N, 1, H', W') evidence for defective per pixel; None without a mask head.
        pooled: (N, D), the pooled activations of all depths in a row; None when not asked for.
    """

    log_odds: Tensor
    logits: Tensor
    activations: dict[str, Tensor]
    gradients: dict[str, Tensor]
    input_gradient: Tensor | None
    features: Tensor | None
    mask_logits: Tensor | None = None
    pooled: Tensor | None = None


class Detector:
    """A network, how images are prepared for it, what its outputs mean, and where it is explained.

    The network is copied: the module that was given is never hooked, moved or changed, and what is
    later done to it changes nothing here. On the copy no hook outlives a call, also one that fails.
    Calls are serialised by a lock.

    A grey input of one channel is repeated for a network that reads three, so its gradient is that
    of the one channel.

    Where the decision reads nothing of the explanation layers but the average of their cells
    (global pooling, then a linear layer), dz/dA is the derivative for that average, shared out over
    the cells, and no graph is kept over anything larger. Whether it is so is read from the graph,
    and tried.

    Attributes:
        module: the copy, in eval mode, its weights frozen and in the memory format that suits it.
        channels: what the network reads, 1 or 3.
        bytes_per_image: what the graph of a pass with an input gradient keeps of one image.
        mask_grid: (H', W') of the mask head's answer; None without one.
        explained: the explanation layers by name.
        last_step: a softmax or sigmoid at the end, and how it is undone.
        averages: explanation layer -> the linear layer that reads the average of its cells, where
            dz/dA is shared out from that; empty where it is not.
        depths: the layers that are pooled for probes, from the first to the last.
        alternatives: architectures with the same keys and shapes that compute something else.
        assumed: those notes on what a file does not tell that change every number if wrong.
        other_heads: names of the same network with another function in a head of one's own.

    Args:
        module: any network of one image input; (N, c, H, W) to (N, K) logits.
        preprocessing: size, channels and normalisation of its input.
        convention: which outputs mean defective.
        layers: explanation layers, dotted names; empty = one chosen by rule.
        architecture: a name to show.
        sha256: of the model file.
        device: where it runs.
        notes: sentences the user should read, for instance what was taken by default.

    Raises:
        ModelError: the module cannot be run on its own input size, or has no layer to explain.
        SettingsError: a named layer does not exist.
    """

    def __init__(
        self,
        module: nn.Module,
        preprocessing: Preprocessing,
        convention: Convention,
        layers: Sequence[str] = (),
        *,
        architecture: str = "your own module",
        sha256: str = "",
        device: str = "cpu",
        notes: Sequence[str] = (),
    ) -> None:
        self._dtype = dtype_of(module)
        self.module = frozen_copy(module, device)
        self.preprocessing = preprocessing
        self.convention = convention
        self.architecture = architecture
        self.sha256 = sha256
        self.alternatives: tuple[str, ...] = ()
        self.assumed: tuple[str, ...] = ()
        self.other_heads: tuple[str, ...] = ()
        self.device = torch.device(device)
        self._lock = threading.RLock()
        self.channels = input_channels(module) or preprocessing.input_channels
        self.mask_grid: tuple[int, int] | None = None
        self.bytes_per_image = 0
        self.last_step = LastStep()
        self._format: torch.memory_format
        self._mean: Tensor
        self._std: Tensor
        trace, self._fastest = self._trace_in_best_format()
        self._features = trace.features
        self._last = trace.default
        self._all_layers = trace.layers
        self.depths = tuple(trace.layers[name] for name in trace.depths)
        names = tuple(dict.fromkeys(layers)) or (trace.default,)
        if names == ("",):
            raise ModelError(
                "No layer of the network keeps a spatial grid on the way to its decision "
                "(its tokens form no grid of the input's shape), so there is nothing to explain."
            )
        self.explained = {name: choose_layer(trace, name) for name in names}
        self.layers = tuple(self.explained)
        self.grids = {name: layer.grid for name, layer in self.explained.items()}
        self.notes = (*notes, *filter(None, [self.last_step.note]))
        if not layers and not trace.activated:
            self.notes += (
                f"The explanation layer {trace.default} is the last one with a grid; this "
                "architecture applies no non-linearity after it, so its activations may be "
                "negative.",
            )
        self.averages: dict[str, str] = {}
        self.averages = self._verified(trace.averaged)

    def log_odds(self, pixels: Tensor) -> Tensor:
        """Evidence for *defective*, without a graph.

        Pixels (N, c, H, W) in [0, 1] to log-odds z (N,).
        """
        return self.convention.log_odds(self.logits(pixels))

    def logits(self, pixels: Tensor) -> Tensor:
        """The bare outputs, without a graph.

        Pixels (N, c, H, W) in [0, 1] to logits (N, K).
        """
        with self._lock, torch.no_grad(), self._arithmetic():
            return self._forward(self._checked(pixels))

    def depth_maps(self, pixels: Tensor) -> dict[str, Tensor]:
        """Activations at every depth, without a graph.

        Pixels are (N, c, H, W) in [0, 1].

        Returns:
            Name of the depth -> (N, C, h, w), what `forward_with_gradients` pools.
        """
        found: dict[str, Tensor] = {}
        with self._lock, torch.no_grad(), ExitStack() as stack:
            # The network may go on in place.
            self._watch_depths(stack, lambda name, maps: found.update({name: maps.clone()}))
            stack.enter_context(self._arithmetic())
            self._forward(self._checked(pixels))
        return found

    def forward_with_gradients(
        self,
        pixels: Tensor,
        *,
        input_gradient: bool = False,
        precision: str = "fp32",
        masks: bool = True,
        pooled: bool = False,
    ) -> Response:
        """Log-odds with the activations of the explanation layers and their gradients.

        One forward and one backward, without parameter gradients. Without `input_gradient` the
        graph begins at the earliest explanation layer, or above it at the average of its cells
        where that is all the decision reads: nothing is kept or derived below.

        Args:
            pixels: (N, c, H, W) in [0, 1].
            input_gradient: also dz/dx, from the same backward.
            precision: a key of `PRECISIONS`. With "bf16" the network runs in it up to the last
                layer with a grid; what the decision makes of that, and all results, are in full.
                "tf32" is "fp32" but on a GPU.
            masks: also what a mask head says.
            pooled: also the pooled activations of all depths.
        """
        pools: dict[str, Tensor] = {}
        outputs: dict[str, Tensor] = {}
        inputs: dict[str, Tensor] = {}
        averages = {} if input_gradient else self.averages

        def keep_output(layer: Layer) -> Callable[..., Tensor]:
            def hook(_: nn.Module, __: object, output: Tensor) -> Tensor:
                output = (output.relu() if layer.relu else output).to(self._dtype)
                if not averages and not output.requires_grad:
                    output = output.detach().requires_grad_()
                outputs[layer.name] = output
                return output.clone()  # the network may go on in place

            return hook

        def keep_input(name: str) -> Callable[..., tuple[object, ...]]:
            def hook(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[object, ...]:
                first, *others = given
                if name in averages.values():
                    first = first.detach().requires_grad_()
                inputs[name] = first
                return first, *others

            return hook

        with self._lock, ExitStack() as stack:
            if pooled:
                self._watch_depths(stack, lambda name, maps: pools.update({name: pool(maps)}))
            for layer in self.explained.values():
                part = self.module.get_submodule(layer.name)
                stack.callback(part.register_forward_hook(keep_output(layer)).remove)
            for name in {self._features, *averages.values()} - {""}:
                part = self.module.get_submodule(name)
                stack.callback(part.register_forward_pre_hook(keep_input(name)).remove)
            stack.enter_context(self._arithmetic(precision))
            x = self._checked(pixels).detach()
            with torch.enable_grad():
                x = x.requires_grad_() if input_gradient else x
                output = self._output(x, masks=masks)
                logits = self.last_step.logits(logits_of(output)).to(self._dtype)
                z = self.convention.log_odds(logits)
                leaves = [inputs[name] for name in averages.values()] or [*outputs.values()]
                gradients = torch.autograd.grad(
                    z.sum(),
                    [*leaves, *([x] if input_gradient else [])],
                    allow_unused=True,
                    materialize_grads=True,
                )
        mask_logits = mask_logits_of(output, self.convention) if masks else None
        layers = [self.explained[name] for name in outputs]
        activations = {layer.name: layer.maps(outputs[layer.name].detach()) for layer in layers}
        if averages:
            by_name = dict(zip(averages, gradients, strict=True))
            derived = {name: _shared_out(by_name[name], maps) for name, maps in activations.items()}
        else:
            # The gradient of the input, when there is one, is left over at the end.
            derived = {
                layer.name: layer.maps(g) for layer, g in zip(layers, gradients, strict=False)
            }
        features = inputs.get(self._features)
        return Response(
            log_odds=z.detach(),
            logits=logits.detach(),
            activations=activations,
            gradients=derived,
            input_gradient=gradients[-1] if input_gradient else None,
            features=None if features is None else features.detach(),
            mask_logits=None if mask_logits is None else mask_logits.detach().to(self._dtype),
            pooled=torch.cat([pools[d.name] for d in self.depths], 1) if pools else None,
        )

    @contextmanager
    def tapped(
        self, layer: str, tap: Callable[[Tensor], Tensor]
    ) -> Iterator[Callable[[Tensor], Tensor]]:
        """The network with one layer's activations led through a function, for others' methods.

        While it is open, calls of other threads wait.

        Args:
            layer: one of `layers`.
            tap: activations (N, C, h, w), after the non-linearity, to what takes their place.

        Yields:
            A function, pixels (N, c, H, W) in [0, 1] to log-odds (N,), with a graph.
        """
        layout = self.explained[layer]

        def hook(_: nn.Module, __: object, output: Tensor) -> Tensor:
            output = (output.relu() if layout.relu else output).clone()
            maps = layout.maps(output)  # a view
            maps.copy_(tap(maps.clone()))
            return output

        with self._lock, torch.enable_grad(), self._arithmetic(), ExitStack() as stack:
            part = self.module.get_submodule(layer)
            stack.callback(part.register_forward_hook(hook).remove)
            yield lambda pixels: self.convention.log_odds(self._forward(self._checked(pixels)))

    def normalised(self, mean: tuple[float, ...], std: tuple[float, ...]) -> "Detector":
        """The same network with another normalisation; the two share its weights."""
        return self.prepared(replace(self.preprocessing, mean=mean, std=std))

    def prepared(self, preprocessing: Preprocessing) -> "Detector":
        """The same network with its input prepared otherwise; the two share its weights.

        It has as many channels. With another size, layers and grids stay those of this one: only
        `log_odds` and `logits` mean anything, if the network runs at all.
        """
        other = copy(self)
        other.preprocessing = preprocessing
        other._lay_out_normalisation()
        return other

    def layer_grids(self) -> dict[str, tuple[int, int, int]]:
        """Every explainable layer with its (C, h, w), in the order their outputs arise."""
        return {name: (layer.channels, *layer.grid) for name, layer in self._all_layers.items()}

    def _watch_depths(self, stack: ExitStack, take: Callable[[str, Tensor], None]) -> None:
        """Hand the activations (N, C, h, w) of every depth to `take`, until the stack closes."""

        def gather(layer: Layer) -> Callable[..., None]:
            def hook(_: nn.Module, __: object, output: Tensor) -> None:
                maps = layer.maps(output.detach())
                take(layer.name, maps.relu() if layer.relu else maps)

            return hook

        for layer in self.depths:
            part = self.module.get_submodule(layer.name)
            stack.callback(part.register_forward_hook(gather(layer)).remove)

    @property
    def feature_layer(self) -> str:
        """Name of the last linear layer, whose input is the features; "" for none."""
        return self._features

    def _checked(self, pixels: Tensor) -> Tensor:
        wanted = (self.preprocessing.input_channels, *self.preprocessing.size)
        if pixels.ndim != 4 or tuple(pixels.shape[1:]) != wanted:
            raise SettingsError(
                f"The detector takes pixels of shape (N, {', '.join(map(str, wanted))}); "
                f"these are {tuple(pixels.shape)}."
            )
        return pixels.to(self.device, self._dtype, memory_format=self._format)

    def _forward(self, pixels: Tensor) -> Tensor:
        return self.last_step.logits(logits_of(self._output(pixels, masks=False)))

    def _output(self, pixels: Tensor, *, masks: bool = True) -> object:
        """What the network returns; without `masks`, a network that can decides without one."""
        if pixels.shape[1] < self.channels:
            pixels = pixels.expand(-1, self.channels, -1, -1)
        x = (pixels - self._mean) / self._std
        run = self.module if masks else getattr(self.module, "decide", self.module)
        with self.last_step.left_out():
            return run(x.contiguous(memory_format=self._format))

    def _arithmetic(self, precision: str = "fp32") -> AbstractContextManager[None]:
        if self.device.type == "cuda":
            self._arrange(PLAIN if precision == "fp32" else self._fastest)
        last = self.module.get_submodule(self._last) if self._last else None
        return arithmetic(precision, self.device, self.module, last, self._dtype)

    def _trace_in_best_format(self) -> tuple[Trace, torch.memory_format]:
        """A trace in channels-last, the faster memory format, or plain where that does not run."""
        try:
            return self._trace(torch.channels_last), torch.channels_last
        except ModelError:
            return self._trace(PLAIN), PLAIN

    def _arrange(self, memory_format: torch.memory_format) -> None:
        """Bring weights and normalisation to a memory format."""
        if self._format != memory_format:
            self._format = memory_format
            _arrange_weights(self.module, memory_format)
            self._mean, self._std = (
                values.contiguous(memory_format=memory_format) for values in (self._mean, self._std)
            )

    def _lay_out_normalisation(self) -> None:
        """Mean and std as large as an image: broadcasting three values is slow in channels-last."""
        self._mean, self._std = (
            torch.tensor(values, dtype=self._dtype, device=self.device)
            .view(1, -1, 1, 1)
            .expand(1, max(len(values), self.channels), *self.preprocessing.size)
            .contiguous(memory_format=self._format)
            for values in (self.preprocessing.mean, self.preprocessing.std)
        )

    def _trace(self, memory_format: torch.memory_format) -> Trace:
        """One run on noise: finds the layers and shows that the network runs at all."""
        self._format = memory_format
        _arrange_weights(self.module, memory_format)
        self._lay_out_normalisation()
        noise = self._noise()

        def log_odds(x: Tensor) -> Tensor:
            self.last_step = LastStep()
            with watched() as last_step:
                output = self._output(x)
            masks = mask_logits_of(output, self.convention)
            self.mask_grid = None if masks is None else (masks.shape[2], masks.shape[3])
            logits = logits_of(output)
            if logits.shape != (len(noise), self.convention.outputs):
                raise ModelError(
                    f"The convention is for {self.convention.outputs} outputs, but the network "
                    f"returned {tuple(logits.shape)} for two images."
                )
            self.last_step, logits = last_step(logits)
            return self.convention.log_odds(logits)

        try:
            with graph_bytes(self.module) as blocks:
                trace = trace_layers(self.module, log_odds, self._checked(noise))
        except (RuntimeError, AssertionError, ValueError, TypeError, IndexError) as error:
            shape = "x".join(map(str, noise.shape[1:]))
            raise ModelError(
                Message(
                    "The network does not run on input of {shape} (channels, height, width): "
                    "{cause} Check {size} and {channels}.",
                    shape=shape,
                    cause=first_line(error),
                )
            ) from error
        self.bytes_per_image = sum(blocks.values()) // len(noise)
        return trace

    def _noise(self) -> Tensor:
        shape = (2, self.preprocessing.input_channels, *self.preprocessing.size)
        return torch.rand(shape, generator=torch.Generator().manual_seed(0))

    def _verified(self, averaged: dict[str, str]) -> dict[str, str]:
        """Explanation layer -> the linear layer that reads its average, if every layer has one.

        Verified: on two images, gradients shared out from the average equal those of autograd.
        """
        if not averaged.keys() >= set(self.layers):
            return {}
        noise = self._noise()
        plain = self.forward_with_gradients(noise).gradients
        self.averages = {name: averaged[name] for name in self.layers}
        shared = self.forward_with_gradients(noise).gradients
        apart = [(shared[n] - plain[n]).abs().max() / plain[n].abs().max() for n in self.layers]
        return self.averages if max(apart) < CLOSE else {}


def _shared_out(gradient: Tensor, maps: Tensor) -> Tensor:
    """The gradient (N, C) of the average over the cells, for each cell of (N, C, h, w)."""
    return torch.empty_like(maps).copy_((gradient / maps[0, 0].numel())[:, :, None, None])


def _arrange_weights(module: nn.Module, memory_format: torch.memory_format) -> None:
    """Bring the weights with four dimensions to a memory format.

    `module.to(memory_format=...)` tries those with five too (an exported Swin has some), and fails.
    """
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=memory_format)
