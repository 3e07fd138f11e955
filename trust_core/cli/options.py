"""Options of the command line: what can be written, and what it means to the rooms."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from trust_core.audit.cluster import Cluster
    from trust_core.audit.settings import AuditSettings
    from trust_core.data.samples import Dataset
    from trust_core.model.open import ModelOptions


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence, without the whole usage before it."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and exit with 2."""
        self.exit(2, f"{self.prog}: {message}; --help lists all options\n")


def dataset(options: argparse.Namespace) -> "Dataset":
    """The data set that was named: a folder or a zip, here or behind an address.

    What is behind an address is fetched once into the workspace, and a zip unpacked there; the
    tables beside the images may then be named by their place among them.
    """
    from trust_core.cli.printing import counting
    from trust_core.data.archives import unpacked
    from trust_core.data.layouts import read_dataset
    from trust_core.data.remote import fetch, is_remote
    from trust_core.model.weights import file_sha256
    from trust_core.storage.workspace import workspace_folder

    address = options.data if is_remote(options.data) else ""
    source = Path(options.data)
    if address:
        source = fetch(address, workspace_folder() / "fetched", counting())
    if source.suffix.lower() == ".zip" and source.is_file():
        source = unpacked(source, workspace_folder() / "unpacked" / file_sha256(source)[:16])

    def beside(table: Path | None) -> Path | None:
        inside = table and not table.exists() and (source / table).is_file()
        return source / table if table and inside else table

    found = read_dataset(
        source,
        good=options.good,
        samples=beside(options.samples),
        group_column=options.group_column,
        group_pattern=options.group_pattern,
        roles=beside(options.roles),
    )
    return replace(found, source=address)


def cluster(options: argparse.Namespace) -> "Cluster | None":
    """The cluster that was asked for; None = this process."""
    from trust_core.errors import SettingsError

    told = {"--ray-address": options.ray_address, "--workers": options.workers}
    told["--gpus"] = options.gpus
    if options.engine == "local":
        for name in (name for name, value in told.items() if value is not None):
            raise SettingsError(f"{name} is for the cluster: add --engine ray")
        return None
    from trust_core.audit.cluster import Cluster

    return Cluster(options.ray_address, options.workers, options.gpus or 0.0)


def model_options(options: argparse.Namespace) -> "ModelOptions":
    """What was said of the model."""
    from trust_core.model.open import ModelOptions

    return ModelOptions(
        arch=options.arch,
        layers=options.layer,
        defect_index=options.defect_index,
        good_index=options.good_index,
        one_logit=options.one_logit,
        size=options.size,
        resize=options.resize,
        interpolation=options.interpolation,
        channels=options.channels,
        mean=options.mean,
        std=options.std,
    )


def settings(options: argparse.Namespace) -> "AuditSettings":
    """What was said of the scores; the rest by default."""
    from trust_core.audit.settings import AuditSettings

    given = {
        name: value
        for name in AuditSettings.__dataclass_fields__
        if (value := getattr(options, name)) is not None
    }
    return AuditSettings(**given | ({"decision_threshold": None} if options.argmax else {}))


def numbers(text: str) -> tuple[float, ...]:
    """`0.5` or `0.5,0.4,0.3`."""
    return tuple(float(part) for part in text.split(","))


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _indices(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def size(text: str) -> tuple[int, int]:
    """`HxW`, or one number for a square."""
    height, _, width = text.lower().partition("x")
    return int(height), int(width or height)


def add_choice(part: argparse.ArgumentParser) -> None:
    """Options of the jobs that prove something of a chosen indicator."""
    part.add_argument("--confidence", type=float, default=0.95)
    part.add_argument("--indicator", help="default: that of the last operating point")
    part.add_argument("--strength", type=float, help="default: likewise, or the best on tune")


def add_model(part: argparse.ArgumentParser) -> None:
    """Options of the model and of its input."""
    model = part.add_argument_group("model")
    model.add_argument("--arch", metavar="NAME", help="when it is not recognised")
    model.add_argument("--layer", type=_names, default=(), metavar="NAME[,NAME]")
    model.add_argument("--defect-index", type=_indices, metavar="I[,J]")
    model.add_argument("--good-index", type=_indices, default=(), metavar="I[,J]")
    model.add_argument("--one-logit", choices=["defect", "good"], help="what positive means")
    image = part.add_argument_group("input")
    image.add_argument("--size", type=size, metavar="HxW")
    image.add_argument("--resize", metavar="{stretch,crop:S,letterbox}")
    image.add_argument("--interpolation", choices=["bilinear", "bicubic", "nearest"])
    image.add_argument("--channels", choices=["rgb", "bgr", "grey"])
    image.add_argument("--mean", type=numbers, metavar="a[,b,c]")
    image.add_argument("--std", type=numbers, metavar="a[,b,c]")


def add_engine(part: argparse.ArgumentParser) -> None:
    """Options of where batches run."""
    engine = part.add_argument_group("engine")
    engine.add_argument("--engine", choices=["local", "ray"], default="local")
    engine.add_argument("--ray-address", metavar="ADDRESS", help="default: this machine alone")
    engine.add_argument("--workers", type=_at_least_one, metavar="N", help="default: all there are")
    engine.add_argument("--gpus", type=float, metavar="G", help="for each worker; default: none")


def _at_least_one(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


def add_data(part: argparse.ArgumentParser) -> None:
    """Options of the data set."""
    data = part.add_argument_group("data")
    data.add_argument("--good", nargs="+", default=(), metavar="NAME", help="folders of good parts")
    data.add_argument("--samples", type=Path, metavar="CSV", help="path,label[,mask,group,split]")
    groups = data.add_mutually_exclusive_group()
    groups.add_argument("--group-column", metavar="NAME")
    groups.add_argument("--group-pattern", metavar="REGEX", help="searched in the path")
    data.add_argument("--roles", type=Path, metavar="FILE", help="CSV path,role")


def add_score(part: argparse.ArgumentParser) -> None:
    """Options of the scores."""
    score = part.add_argument_group("score")
    score.add_argument("--strengths", type=numbers, metavar="0,0.5,1")
    score.add_argument("--direction", metavar="{toward_defect,toward_good}")
    score.add_argument("--pgd", type=int, dest="pgd_steps", metavar="STEPS")
    score.add_argument("--specific", type=_names, metavar="FORM[,FORM]")
    score.add_argument("--agnostic", type=_names, metavar="FORM[,FORM]")
    score.add_argument("--mask", metavar="{half,top:q,otsu}")
    score.add_argument(
        "--tta", action="store_true", help="also flip passed images: three forwards more for each"
    )
    score.add_argument(
        "--precision", choices=["fp32", "bf16"], help="bf16: what it changes is measured and told"
    )
    rule = score.add_mutually_exclusive_group()
    rule.add_argument("--decision-threshold", type=float, metavar="P")
    rule.add_argument("--argmax", action="store_true", help="decide by the largest output")
