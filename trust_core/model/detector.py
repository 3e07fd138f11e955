"""The detector under audit: pixels in; log-odds, activations and gradients out.

Notation: N images, c channels of the network input, H, W its size, K outputs, C channels and
h, w grid of an explanation layer, F penultimate features.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trust_core.errors import ModelError, SettingsError
from trust_core.model.convention import Convention, logits_of
from trust_core.model.layers import Layer, Trace, choose_layer, trace_layers
from trust_core.model.preprocessing import Preprocessing


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
    """

    log_odds: Tensor
    logits: Tensor
    activations: dict[str, Tensor]
    gradients: dict[str, Tensor]
    input_gradient: Tensor | None
    features: Tensor | None


class Detector:
    """A network, how images are prepared for it, what its outputs mean, and where it is explained.

    The user's module is left as it was after every call, also one that fails: no hooks stay, and
    training modes and `requires_grad` flags are restored. Calls are serialised by a lock.

    A grey input of one channel is repeated for a network that reads three, so its gradient is that
    of the one channel.

    Attributes:
        channels: what the network reads, 1 or 3.
        alternatives: architectures with the same keys and shapes that compute something else.

    Args:
        module: any network of one image input; (N, c, H, W) to (N, K) logits.
        preprocessing: size, channels and normalisation of its input.
        convention: which outputs mean defective.
        layers: explanation layers, dotted names; empty = one chosen by rule.
        architecture: a name to show.
        sha256: of the model file.
        device: where it runs; the module is moved there.
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
        self.module = module.to(device)
        self.preprocessing = preprocessing
        self.convention = convention
        self.architecture = architecture
        self.sha256 = sha256
        self.alternatives: tuple[str, ...] = ()
        self.device = torch.device(device)
        self._lock = threading.RLock()
        self._dtype = _dtype(module)
        self.channels = _reads(module) or preprocessing.input_channels
        self._repeats = self.channels if preprocessing.input_channels == 1 else 1
        self._mean, self._std = (
            torch.tensor(values, dtype=self._dtype, device=self.device).view(1, -1, 1, 1)
            for values in (preprocessing.mean, preprocessing.std)
        )
        trace = self._trace()
        self._features = trace.features
        self._all_layers = trace.layers
        names = tuple(dict.fromkeys(layers)) or (trace.default,)
        if names == ("",):
            raise ModelError(
                "No layer of the network keeps a spatial grid on the way to its decision "
                "(its tokens form no grid of the input's shape), so there is nothing to explain."
            )
        self._layers = {name: choose_layer(trace, name) for name in names}
        self.layers = tuple(self._layers)
        self.grids = {name: layer.grid for name, layer in self._layers.items()}
        bare = not layers and not trace.activated
        self.notes = (*notes, *([_no_activation(trace.default)] if bare else []))

    def log_odds(self, pixels: Tensor) -> Tensor:
        """Evidence for *defective*, without a graph.

        Args:
            pixels: (N, c, H, W) in [0, 1].

        Returns:
            (N,) log-odds z.
        """
        return self.convention.log_odds(self.logits(pixels))

    def logits(self, pixels: Tensor) -> Tensor:
        """The bare outputs, without a graph.

        Args:
            pixels: (N, c, H, W) in [0, 1].

        Returns:
            (N, K).
        """
        with self._lock, torch.no_grad(), resting(self.module):
            return self._forward(self._checked(pixels))

    def respond(self, pixels: Tensor, *, input_gradient: bool = False) -> Response:
        """Log-odds with the activations of the explanation layers and their gradients.

        One forward and one backward, without parameter gradients. Without `input_gradient` the
        graph begins at the earliest explanation layer: nothing is kept or derived below it.

        Args:
            pixels: (N, c, H, W) in [0, 1].
            input_gradient: also dz/dx, from the same backward.
        """
        kept: dict[str, Tensor] = {}
        features: list[Tensor] = []

        def keep(layer: Layer) -> Callable[..., Tensor]:
            def hook(_: nn.Module, __: object, output: Tensor) -> Tensor:
                output = output.relu() if layer.relu else output
                if not output.requires_grad:
                    output = output.detach().requires_grad_()
                kept[layer.name] = output
                return output.clone()  # the network may go on in place

            return hook

        def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            features[:] = [inputs[0].detach()]

        x = self._checked(pixels).detach()
        with self._lock, ExitStack() as stack:
            stack.enter_context(resting(self.module))
            for layer in self._layers.values():
                part = self.module.get_submodule(layer.name)
                stack.callback(part.register_forward_hook(keep(layer)).remove)
            if self._features:
                part = self.module.get_submodule(self._features)
                stack.callback(part.register_forward_pre_hook(note).remove)
            with torch.enable_grad():
                x = x.requires_grad_() if input_gradient else x
                logits = self._forward(x)
                z = self.convention.log_odds(logits)
                wanted = [*kept.values(), *([x] if input_gradient else [])]
                gradients = torch.autograd.grad(
                    z.sum(), wanted, allow_unused=True, materialize_grads=True
                )
        by_layer = list(zip(self._layers_of(kept), kept.values(), gradients, strict=False))
        return Response(
            log_odds=z.detach(),
            logits=logits.detach(),
            activations={layer.name: layer.maps(out.detach()) for layer, out, _ in by_layer},
            gradients={layer.name: layer.maps(gradient) for layer, _, gradient in by_layer},
            input_gradient=gradients[-1] if input_gradient else None,
            features=features[0] if features else None,
        )

    @contextmanager
    def tapped(
        self, layer: str, tap: Callable[[Tensor], Tensor]
    ) -> Iterator[Callable[[Tensor], Tensor]]:
        """The network with one layer's activations led through a function, for others' methods.

        While it is open, the module is at rest and calls of other threads wait.

        Args:
            layer: one of `layers`.
            tap: activations (N, C, h, w), after the non-linearity, to what takes their place.

        Yields:
            A function, pixels (N, c, H, W) in [0, 1] to log-odds (N,), with a graph.
        """
        layout = self._layers[layer]

        def hook(_: nn.Module, __: object, output: Tensor) -> Tensor:
            output = (output.relu() if layout.relu else output).clone()
            maps = layout.maps(output)  # a view
            maps.copy_(tap(maps.clone()))
            return output

        with self._lock, resting(self.module), torch.enable_grad(), ExitStack() as stack:
            part = self.module.get_submodule(layer)
            stack.callback(part.register_forward_hook(hook).remove)
            yield lambda pixels: self.convention.log_odds(self._forward(self._checked(pixels)))

    def layer_grids(self) -> dict[str, tuple[int, int, int]]:
        """Every explainable layer with its (C, h, w), in the order their outputs arise."""
        return {name: (layer.channels, *layer.grid) for name, layer in self._all_layers.items()}

    def _layers_of(self, kept: dict[str, Tensor]) -> list[Layer]:
        return [self._layers[name] for name in kept]

    def _checked(self, pixels: Tensor) -> Tensor:
        wanted = (self.preprocessing.input_channels, *self.preprocessing.size)
        if pixels.ndim != 4 or tuple(pixels.shape[1:]) != wanted:
            raise SettingsError(
                f"The detector takes pixels of shape (N, {', '.join(map(str, wanted))}); "
                f"these are {tuple(pixels.shape)}."
            )
        return pixels.to(self.device, self._dtype)

    def _forward(self, pixels: Tensor) -> Tensor:
        if self._repeats != 1:
            pixels = pixels.expand(-1, self._repeats, -1, -1)
        return logits_of(self.module((pixels - self._mean) / self._std))

    def _trace(self) -> Trace:
        """One run on noise: finds the layers and shows that the network runs at all."""
        shape = (2, self.preprocessing.input_channels, *self.preprocessing.size)
        noise = torch.rand(shape, generator=torch.Generator().manual_seed(0))

        def log_odds(x: Tensor) -> Tensor:
            logits = self._forward(x)
            if logits.shape != (2, self.convention.outputs):
                raise ModelError(
                    f"The convention is for {self.convention.outputs} outputs, but the network "
                    f"returned {tuple(logits.shape)} for two images."
                )
            return self.convention.log_odds(logits)

        with self._lock, resting(self.module):
            try:
                return trace_layers(self.module, log_odds, self._checked(noise))
            except (RuntimeError, AssertionError, ValueError, TypeError, IndexError) as error:
                cause = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
                raise ModelError(
                    f"The network does not run on input of {'x'.join(map(str, shape[1:]))} "
                    f"(channels, height, width): {cause} Check --size and --channels."
                ) from error


@contextmanager
def resting(module: nn.Module) -> Iterator[None]:
    """The module in eval mode with frozen parameters; both as before afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    flags = [(weight, weight.requires_grad) for weight in module.parameters()]
    try:
        module.eval()
        for weight, _ in flags:
            weight.requires_grad_(False)
        yield
    finally:
        for part, training in modes:
            part.training = training
        for weight, wanted in flags:
            weight.requires_grad_(wanted)


def _dtype(module: nn.Module) -> torch.dtype:
    dtypes = {weight.dtype for weight in module.parameters() if weight.is_floating_point()}
    dtype = next(iter(dtypes), torch.float32)
    if len(dtypes) > 1 or dtype not in (torch.float32, torch.float64):
        raise ModelError(
            f"The network's weights are {' and '.join(sorted(map(str, dtypes)))}; "
            "audits run in float32: call module.float() first."
        )
    return dtype


def _reads(module: nn.Module) -> int | None:
    """Number of channels that the first convolution reads, if there is one."""
    return next((p.in_channels for p in module.modules() if isinstance(p, nn.Conv2d)), None)


def _no_activation(name: str) -> str:
    return (
        f"The explanation layer {name} is the last one with a grid; this architecture applies no "
        "non-linearity after it, so its activations may be negative."
    )
