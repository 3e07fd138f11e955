"""A whole guard as one ONNX graph: the network's input in; z, p, indicator, decision, maps out.

The heatmaps need the gradient of z for the activations of one layer. Where the decision reads
nothing of that layer but the average of its cells through one linear layer, the gradient has a
closed form: the weights of that linear layer, shared out over the cells. What needs another
gradient (ε > 0, other heads) holds the backward pass as well (`onnx_backward`).

Notation: N parts, K outputs, F features, C channels and h, w grid of the explanation layer.
"""

import copy
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from trust_core.audit.score import LARGEST_HALF
from trust_core.decision.indicators.feature_distance import NEIGHBOURS
from trust_core.decision.indicators.stored import alarm_window
from trust_core.deploy.inspection import Arrays
from trust_core.deploy.measure import ACTIVATIONS, FEATURES, FLIPS, INPUT_GRADIENT, MAPS, MASKS
from trust_core.deploy.onnx_backward import with_backward
from trust_core.deploy.policy import Policy
from trust_core.errors import ModelError
from trust_core.explanation.cams import AGNOSTIC, SPECIFIC
from trust_core.explanation.heatmaps import round_maps
from trust_core.explanation.map_forms import map_names
from trust_core.explanation.overlap import mask_cells, mask_of
from trust_core.explanation.perturbation import one_channel_for_grey, perturb
from trust_core.explanation.uncertainty import FLIPS as FLIP_AXES
from trust_core.model.depths import pooled
from trust_core.model.detector import Detector
from trust_core.model.outputs import logits_of, mask_logits_of

OPSET = 17
PIXELS = "pixels"
ANSWERS = ("log_odds", "p_defect", "defective", "indicator", "decision")
GOOD_CODE, DEFECTIVE_CODE, RE_INSPECT_CODE = 0, 1, 2
CLOSE = 1e-4  # of 1 + the size: the closed form gives the network's own outputs
LAYER, GRADIENT, CLEAN = "layer", "gradient of the layer", "without perturbation: "
AS_IT_CAME = "layer as the module gives it"
GRAPH_MAPS = (
    "gradcam",
    "hirescam",
    "layercam",
    "gradcam++",
    "xgradcam",
    "gradient",
    "activation",
    "norm",
)

Score = Callable[["GuardGraph", dict[str, Tensor]], Tensor]


def why_not(policy: Policy, detector: Detector) -> str:
    """Why a guard cannot be one ONNX graph, in a sentence; "" where it can."""
    if policy.indicator not in SCORES or (policy.variant and policy.variant not in SCORES):
        return (
            f"The indicator '{policy.indicator}' needs more layers than one, the evidence of "
            "pixels, or a random map; run it with PyTorch."
        )
    if MAPS not in policy.needs:
        return ""
    forms = {*policy.maps.specific[:1], *policy.maps.agnostic[:1]}
    if other := sorted(forms - set(GRAPH_MAPS)):
        return f"The map '{other[0]}' has no form that ONNX knows; run it with PyTorch."
    return ""


def _linear_head(detector: Detector) -> nn.Linear | None:
    """The linear layer whose outputs are the network's, for the closed form; None without."""
    name = detector.averages.get(detector.layers[0])
    head = detector.module.get_submodule(name) if name else None
    if not isinstance(head, nn.Linear) or head.out_features != detector.convention.outputs:
        return None
    seen: list[Tensor] = []
    hook = head.register_forward_hook(lambda _, __, output: seen.append(output.detach()))
    shape = (2, detector.preprocessing.input_channels, *detector.preprocessing.size)
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(1)).to(detector.device)
    try:
        logits = detector.logits(noise)
    finally:
        hook.remove()
    same = len(seen) == 1 and torch.allclose(seen[0], logits, rtol=CLOSE, atol=CLOSE)
    return head if same else None


def export_graph(path: Path, policy: Policy, detector: Detector, fitted: Arrays) -> None:
    """Write the graph.

    `path` ends in `.onnx`; the detector is on the CPU; `fitted` is what the indicator was fitted
    to.

    Raises:
        ModelError: this guard cannot be one ONNX graph; in one sentence.
    """
    if reason := why_not(policy, detector):
        raise ModelError(f"No ONNX graph was written. {reason}")
    shape = (2, detector.preprocessing.input_channels, *detector.preprocessing.size)
    example = torch.randint(0, 256, shape, dtype=torch.uint8)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of constants, which these shapes are
            graph = GuardGraph(policy, detector, fitted).eval()
            names = [*ANSWERS, *graph.map_outputs]
            torch.onnx.export(
                graph,
                (example,),
                str(path),
                dynamo=False,
                opset_version=OPSET,
                input_names=[PIXELS],
                output_names=names,
                dynamic_axes={name: {0: "parts"} for name in (PIXELS, *names)},
            )
    except Exception as error:
        cause = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ModelError(
            f"No ONNX graph was written: the network cannot be exported ({cause}); run it with "
            "PyTorch."
        ) from error


class GuardGraph(nn.Module):
    """The guard as one module of tensor operations.

    `fitted` is what the indicator was fitted to.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, policy: Policy, detector: Detector, fitted: Arrays) -> None:
        super().__init__()
        self.policy = policy
        self.convention = detector.convention
        self.last_step = detector.last_step
        self.channels = detector.channels
        self.layers = {name: detector.explained[name] for name in detector.layers[:1]}
        self.depths = detector.depths
        self.features = detector.feature_layer
        self.network = copy.deepcopy(detector.module).to(memory_format=torch.contiguous_format)
        head = _linear_head(detector) if MAPS in policy.needs else None
        self.slopes = None if head is None else nn.Parameter(head.weight.detach().clone(), False)
        for name in ("mean", "std"):
            values = torch.tensor(getattr(detector.preprocessing, name)).view(1, -1, 1, 1)
            self.register_buffer(name, values)
        self.fitted = {name: torch.from_numpy(np.array(v)) for name, v in fitted.items()}
        forms = policy.maps.specific[:1], policy.maps.agnostic[:1]
        self.map_names = map_names(*forms) if MAPS in policy.needs else ()
        self.map_outputs = [f"{part}{name}" for name in self.map_names for part in ("", "scale_")]
        self.kept: tuple[str, ...] = ()  # names of what `backward` gives beside the gradients
        self.backward: nn.Module | None = None
        slope = bool(policy.strengths) or INPUT_GRADIENT in policy.needs
        if slope or (self.map_names and head is None):
            shape = (2, detector.preprocessing.input_channels, *detector.preprocessing.size)
            self.backward = with_backward(self._for_backward, torch.rand(shape))

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """`ANSWERS` and `map_outputs` of pixels `(N, c, H, W)` uint8."""
        x = pixels.float() / 255
        clean = self._measured(x, slope=True)
        at = clean
        for moved in perturb(
            x,
            clean.get(INPUT_GRADIENT, x),
            self.policy.strengths,
            self.policy.direction,
            steps=self.policy.pgd_steps,
            gradient_at=lambda images: self._with_gradients(images)[INPUT_GRADIENT],
        ):
            at = self._measured(moved, slope=False)
        if FLIPS in self.policy.needs:
            views = [x, *(x.flip(axes) for axes in FLIP_AXES)]
            at[FLIPS] = torch.stack([self._log_odds(self._network(v)) for v in views])
        defective = self._defective(clean)
        before = {f"{CLEAN}{name}": values for name, values in clean.items()}
        value = SCORES[self.policy.variant or self.policy.indicator](self, before | at)
        value = torch.where(defective, torch.full_like(value, torch.nan), value)
        unscored = value != value  # NaN alone is not itself
        flagged = unscored | (value >= self.policy.threshold - self.policy.tolerance)
        decision = torch.where(flagged, RE_INSPECT_CODE, GOOD_CODE)
        decision = torch.where(defective, DEFECTIVE_CODE, decision)
        maps = [clean[name] for name in self.map_outputs]
        return (clean["log_odds"], clean["p_defect"], defective, value, decision, *maps)

    def _measured(self, x: Tensor, *, slope: bool) -> dict[str, Tensor]:
        """What the network says of pixels in [0, 1], and what the indicator makes of it.

        `x` is `(N, c, H, W)`; with `slope` there is the gradient for the pixels too, where one is
        needed.
        """
        backward = self.backward is not None and (slope or self.slopes is None)
        found = self._with_gradients(x) if backward else self._network(x)
        found["log_odds"] = self._log_odds(found)
        found["p_defect"] = found["log_odds"].sigmoid()
        if not self.map_names:
            return found
        if self.slopes is not None:
            found[GRADIENT] = self._closed_form(found["logits"], found[LAYER])
        made = self._maps(found[LAYER], found[GRADIENT])
        for name, values in zip(self.map_names, made, strict=True):
            found[name], found[f"scale_{name}"] = round_maps(values)
        return found | self._overlap(found)

    def _log_odds(self, found: dict[str, Tensor]) -> Tensor:
        return self.convention.log_odds(found["logits"]).double()

    def _for_backward(self, x: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor], Tensor]:
        """What `with_backward` differentiates; notes in `kept` what the others are."""
        found = self._network(x)
        logits = found.pop("logits")
        explained = [found.pop(AS_IT_CAME)] if MAPS in self.policy.needs else []
        self.kept = tuple(found)
        return logits, [*found.values()], explained, self._slope(logits)

    def _with_gradients(self, x: Tensor) -> dict[str, Tensor]:
        """As `_network`, with the gradients for the pixels and for the explanation layer."""
        assert self.backward is not None
        logits, *others = self.backward(x)
        *explained, slope = others[len(self.kept) :]
        found = dict(zip(self.kept, others, strict=False))
        found |= {"logits": logits, INPUT_GRADIENT: slope, "pixels": x}
        for layer, gradient in zip(self.layers.values(), explained, strict=False):
            found[GRADIENT] = layer.maps(gradient)
        return found

    def _network(self, x: Tensor) -> dict[str, Tensor]:
        """Logits, activations of the explanation layer, features, pooled depths, masks."""
        found: dict[str, Tensor] = {}
        pools: dict[str, Tensor] = {}

        def keep(output: Tensor) -> Tensor:
            (layer,) = self.layers.values()
            output = output.relu() if layer.relu else output
            found[AS_IT_CAME], found[LAYER] = output, layer.maps(output)
            return output.clone()  # the network may go on in place

        def gather(name: str) -> Callable[..., None]:
            layer = next(depth for depth in self.depths if depth.name == name)

            def hook(_: nn.Module, __: object, output: Tensor) -> None:
                maps = layer.maps(output)
                pools[name] = pooled((maps.relu() if layer.relu else maps).clone())

            return hook

        def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            found[FEATURES] = inputs[0]

        needs, part = self.policy.needs, self.network.get_submodule
        with ExitStack() as hooks:
            for depth in self.depths if ACTIVATIONS in needs else ():
                hooks.callback(part(depth.name).register_forward_hook(gather(depth.name)).remove)
            if MAPS in needs:
                (layer,) = self.layers
                hook = part(layer).register_forward_hook(lambda _, __, output: keep(output))
                hooks.callback(hook.remove)
            if FEATURES in needs:
                hooks.callback(part(self.features).register_forward_pre_hook(note).remove)
            if x.shape[1] < self.channels:
                x = x.expand(-1, self.channels, -1, -1)
            masks = MASKS in needs
            run = self.network if masks else getattr(self.network, "decide", self.network)
            hooks.enter_context(self.last_step.left_out())
            output = run((x - self.mean) / self.std)
        found["logits"] = self.last_step.logits(logits_of(output))
        if ACTIVATIONS in needs:
            found[ACTIVATIONS] = _halved(torch.cat([pools[d.name] for d in self.depths], 1))
        if FEATURES in needs:
            found[FEATURES] = _halved(found[FEATURES])
        if masks:
            marked = mask_logits_of(output, self.convention)
            assert marked is not None
            found[MASKS] = marked[:, 0].sigmoid().half()
        return found

    def _closed_form(self, logits: Tensor, activations: Tensor) -> Tensor:
        """∂z/∂A, `(N, C, h, w)`: the head's weights by ∂z/∂logit, shared out over the cells."""
        assert self.slopes is not None
        height, width = activations.shape[2:]
        gradient = (self._slope(logits) @ self.slopes) / (height * width)
        return gradient[:, :, None, None].expand_as(activations)

    def _slope(self, logits: Tensor) -> Tensor:
        """∂z/∂logit, `(N, K)`."""
        convention = self.convention
        if convention.outputs == 1:
            return torch.full_like(logits, float(convention.sign))
        slope = torch.zeros_like(logits)
        for indices, sign in ((convention.defect, 1.0), (convention.good, -1.0)):
            share = logits.index_select(1, torch.tensor(indices)).softmax(1)
            slope = slope + share @ (sign * torch.eye(convention.outputs)[list(indices)])
        return slope

    def _maps(self, activations: Tensor, gradient: Tensor) -> list[Tensor]:
        specific, agnostic = self.policy.maps.specific[0], self.policy.maps.agnostic[0]
        return [
            SPECIFIC[specific](activations, gradient),
            SPECIFIC[specific](activations, -gradient),
            AGNOSTIC[agnostic](activations, gradient),
        ]

    def _overlap(self, found: dict[str, Tensor]) -> dict[str, Tensor]:
        """The score columns, float64; NaN where there is no score."""
        defect, good, agnostic = (found[name] for name in self.map_names)
        log_odds = found["log_odds"]
        cells = mask_cells(defect, good, agnostic, self.policy.mask)
        ious = [_share(cells[:, 0], cells[:, 1]), _share(cells[:, 2], cells[:, 3])]
        difference = ious[0] - ious[1]
        sound = (cells[:, 4] > 0) & (cells[:, 5] == 0) & (difference == difference)
        sound = sound & ((log_odds - log_odds) == 0)
        columns = dict(zip(("iou_defect", "iou_good"), ious, strict=True))
        columns["iou_difference"] = difference
        missing = torch.full_like(difference, torch.nan)
        return {name: torch.where(sound, values, missing) for name, values in columns.items()}

    def _defective(self, found: dict[str, Tensor]) -> Tensor:
        threshold = self.policy.decision.threshold
        if threshold is not None:
            return found["p_defect"] >= threshold
        logits = found["logits"]
        if self.convention.outputs == 1:
            return self.convention.log_odds(logits) >= 0
        winner = logits.argmax(1)
        of_defect = torch.zeros(self.convention.outputs)
        of_defect[list(self.convention.defect)] = 1.0
        return of_defect.index_select(0, winner) > 0

    def linear(self, features: Tensor, name: str = "linear") -> Tensor:
        """A fitted sum of features `(N, F)`."""
        weights = self.fitted[f"{name}.weights"]
        return features.double() @ weights + self.fitted[f"{name}.intercept"]


def _halved(values: Tensor) -> Tensor:
    """Rounded as audits keep it."""
    return values.clamp(-LARGEST_HALF, LARGEST_HALF).half().float()


def _share(both: Tensor, either: Tensor) -> Tensor:
    """In both over in either; NaN where no cell is in either."""
    share = both.double() / either.clamp(min=1).double()
    return torch.where(either > 0, share, torch.full_like(share, torch.nan))


def _column(name: str) -> Score:
    return lambda _, found: found[name]


def _unit(values: Tensor) -> Tensor:
    length = torch.linalg.vector_norm(values, dim=1, keepdim=True)
    return values / torch.where(length > 0, length, torch.ones_like(length))


def _knn(graph: GuardGraph, found: dict[str, Tensor]) -> Tensor:
    references = _unit(graph.fitted["references"].float())
    squared = 2.0 - 2.0 * (_unit(found[FEATURES]) @ references.T).double()
    nearest = (-squared).topk(NEIGHBOURS, dim=1).values[:, -1]
    return (-nearest).clamp(min=0).sqrt()


def _distance(graph: GuardGraph, found: dict[str, Tensor]) -> Tensor:
    fitted = graph.fitted
    moved = found[FEATURES].double() - fitted["centre"]
    along = moved @ fitted["axes"].T
    total = (along**2 / fitted["inside"]).sum(1)
    if len(fitted["axes"]) < len(fitted["centre"]):
        beside = ((moved**2).sum(1) - (along**2).sum(1)).clamp(min=0)
        total = total + beside / fitted["floor"]
    return total.sqrt()


def _views(graph: GuardGraph, found: dict[str, Tensor], *names: str) -> Tensor:
    return torch.stack([found[name] for name in names], 1)


def _consensus(*names: str) -> Score:
    def score(graph: GuardGraph, found: dict[str, Tensor]) -> Tensor:
        columns = [*(found[name] for name in names), _distance(graph, found)]
        return graph.linear(torch.stack(columns, 1))

    return score


def _probe(graph: GuardGraph, found: dict[str, Tensor]) -> Tensor:
    return graph.linear(found[ACTIVATIONS].nan_to_num(), "probe")


def _probe_combination(graph: GuardGraph, found: dict[str, Tensor]) -> Tensor:
    return graph.linear(torch.stack([found["log_odds"], _probe(graph, found)], 1))


def _defect_area(graph: GuardGraph, found: dict[str, Tensor]) -> Tensor:
    return mask_of(found["defect"], graph.policy.mask, specific=True).double().mean((1, 2))


def _defect_entropy(_: GuardGraph, found: dict[str, Tensor]) -> Tensor:
    flat = found["defect"].float().flatten(1).double().clamp(min=0)
    share = flat / flat.sum(1, keepdim=True).clamp(min=1e-12)
    return -(share * share.clamp(min=1e-300).log()).sum(1)


def _mask_alarm(_: GuardGraph, found: dict[str, Tensor]) -> Tensor:
    masks = found[MASKS].float()
    window = alarm_window([int(side) for side in masks.shape[1:]])
    means = avg_pool2d(masks[:, None], window, stride=1)
    return means.flatten(1).amax(1).double()


def _shift(name: str) -> Score:
    return lambda _, found: found[name] - found[f"{CLEAN}{name}"]


def _gradient_norm(_: GuardGraph, found: dict[str, Tensor]) -> Tensor:
    gradient = one_channel_for_grey(found["pixels"], found[INPUT_GRADIENT])
    return gradient.flatten(1).double().square().sum(1).sqrt()


def _tta_spread(_: GuardGraph, found: dict[str, Tensor]) -> Tensor:
    return (found[FLIPS] - found[FLIPS].mean(0)).square().mean(0).sqrt()


# Every indicator that takes one layer and no chance. The same formulas as in
# `decision.indicators`, in tensor operations that a graph can hold; tests hold the two together.
SCORES: dict[str, Score] = {
    "iou_difference": _column("iou_difference"),
    "iou_difference_clean": _column("iou_difference"),
    "iou_defect": _column("iou_defect"),
    "good_disagreement": lambda _, found: 1.0 - found["iou_good"],
    "iou_difference_shift": _shift("iou_difference"),
    "p_defect": _column("p_defect"),
    "log_odds": _column("log_odds"),
    "log_odds_shift": _shift("log_odds"),
    "gradient_norm": _gradient_norm,
    "tta_spread": _tta_spread,
    "max_logit": lambda _, found: -found["logits"].double().amax(1),
    "energy": lambda _, found: -found["logits"].double().logsumexp(1),
    "knn": _knn,
    "mahalanobis": _distance,
    "defect_area": _defect_area,
    "defect_entropy": _defect_entropy,
    "mask_alarm": _mask_alarm,
    "combination": lambda graph, found: graph.linear(
        _views(graph, found, "log_odds", "iou_difference")
    ),
    "consensus": _consensus("log_odds", "iou_difference"),
    "consensus_blind": _consensus("log_odds"),
    "probe": _probe,
    "probe_combination": _probe_combination,
}
