"""Forms of heatmaps by name, our own and the package's: which there are, what they are kept as.

Nothing here loads PyTorch, so that settings are checked at once, wherever they are made.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from trust_core.errors import SettingsError
from trust_core.explanation.cams import AGNOSTIC, SPECIFIC
from trust_core.registry import Registry

EVIDENCE_FORM = "evidence"
PREFIX = "package-"
FULLGRAD = "fullgrad"

PACKAGE_MAPS: Registry[Callable[..., Any]] = Registry("map of the package grad-cam")
PACKAGE_MAPS.update(
    {  # from the package to the class: it takes seconds to load, so only when one is asked for
        "gradcam": attrgetter("GradCAM"),
        "hirescam": attrgetter("HiResCAM"),
        "gradcam++": attrgetter("GradCAMPlusPlus"),
        "xgradcam": attrgetter("XGradCAM"),
        "layercam": attrgetter("LayerCAM"),
        "eigencam": attrgetter("EigenCAM"),
        "eigengradcam": attrgetter("EigenGradCAM"),
        "gradcamelementwise": attrgetter("GradCAMElementWise"),
        "kpcacam": attrgetter("KPCA_CAM"),
        "scorecam": attrgetter("ScoreCAM"),
        "ablationcam": attrgetter("AblationCAM"),
        FULLGRAD: attrgetter("FullGrad"),
    }
)


def check_forms(specific: tuple[str, ...], agnostic: tuple[str, ...]) -> None:
    """Refuse an unknown form, or none at all, before anything runs.

    Raises:
        SettingsError: with the forms there are.
    """
    for forms, registry in ((specific, SPECIFIC), (agnostic, AGNOSTIC)):
        if not forms:
            raise SettingsError(f"Name at least one {registry.what}: {', '.join(registry)}.")
        for form in forms:
            if form.startswith(PREFIX):
                if form.removeprefix(PREFIX) not in PACKAGE_MAPS:
                    known = ", ".join(f"{PREFIX}{name}" for name in PACKAGE_MAPS)
                    raise SettingsError(f"There is no map '{form}'; choose from {known}.")
            elif form != EVIDENCE_FORM:
                registry.find(form)


def map_forms(specific: tuple[str, ...], agnostic: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Name and form of the maps that `heatmaps` makes, in its order.

    The first specific form gives `defect` and `good`, further ones `FORM_defect`, `FORM_good`.
    """
    prefixes = ["", *(f"{form}_" for form in specific[1:])]
    return (
        *(
            (f"{prefix}{side}", form)
            for prefix, form in zip(prefixes, specific, strict=True)
            for side in ("defect", "good")
        ),
        *zip(agnostic, agnostic, strict=True),
    )


def map_names(specific: tuple[str, ...], agnostic: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the maps that `heatmaps` makes, in its order."""
    return tuple(name for name, _ in map_forms(specific, agnostic))
