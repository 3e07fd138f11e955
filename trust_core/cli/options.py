"""The parser of the command line: the declared options, and the data set and cluster they name."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from trust_core.audit.options import OPTIONS, Option, data_options, find, values_of
from trust_core.errors import SettingsError

if TYPE_CHECKING:
    from trust_core.audit.cluster import Cluster
    from trust_core.data.samples import Dataset


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence, without the whole usage before it."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and exit with 2."""
        self.exit(2, f"{self.prog}: {message}; --help lists all options\n")


def add_options(part: argparse.ArgumentParser, *names: str) -> None:
    """Give a parser the options of some groups of `OPTIONS`."""
    for name in names:
        group = part.add_argument_group(name)
        one_of = {
            option.instead_of: group.add_mutually_exclusive_group()
            for option in OPTIONS[name]
            if option.instead_of
        }
        for option in OPTIONS[name]:
            _add(one_of.get(option.instead_of or option.name, group), option)


def _add(group: argparse._ActionsContainer, option: Option) -> None:
    if option.parse is bool:
        group.add_argument(option.spelling, action="store_true", dest=option.name, help=option.help)
        return
    group.add_argument(
        option.spelling,
        dest=option.name,
        type=_reader(option),
        nargs="+" if option.several else None,
        required=option.required,
        metavar=option.metavar or (option.choices and f"{{{','.join(option.choices)}}}") or None,
        help=option.help,
    )


def _reader(option: Option) -> Callable[[str], Any]:
    """Reads the text of an option, with the reason in the words of `argparse`."""

    def read(text: str) -> Any:  # noqa: ANN401 - of the type of the option
        try:
            return option.value(text)
        except ValueError as reason:
            raise argparse.ArgumentTypeError(str(reason)) from None

    return read


def dataset(options: argparse.Namespace) -> "Dataset":
    """The data set that was named: a folder or a zip, here or behind an address.

    What is behind an address is fetched once into the workspace, and a zip unpacked there; the
    tables beside the images may then be named by their place among them.
    """
    from trust_core.cli.printing import counting
    from trust_core.data.archives import unpacked
    from trust_core.data.files import file_sha256
    from trust_core.data.layouts import read_dataset
    from trust_core.data.remote import fetch, is_remote
    from trust_core.storage.workspace import workspace_folder

    address = options.data if is_remote(options.data) else ""
    source = Path(options.data)
    if address:
        source = fetch(address, workspace_folder() / "fetched", counting())
    if source.suffix.lower() == ".zip" and source.is_file():
        source = unpacked(source, workspace_folder() / "unpacked" / file_sha256(source)[:16])

    def table(path: Path | None) -> Path | None:
        inside = path and not path.exists() and (source / path).is_file()
        return source / path if path and inside else path

    reading = data_options(vars(options))
    reading = replace(reading, samples=table(reading.samples), roles=table(reading.roles))
    return replace(read_dataset(source, **vars(reading)), source=address)


def absolute(words: Sequence[str], paths: Iterable[str | Path | None]) -> list[str]:
    """The words of a command line with these paths named from the root; `--json` left out."""
    known = {str(path): str(Path(path).resolve()) for path in paths if path}
    found = []
    for word in words:
        option, sign, value = word.rpartition("=") if word.startswith("--") else ("", "", word)
        found.append(f"{option}{sign}{known.get(value, value)}")
    return [word for word in found if word != "--json"]


def cluster(options: argparse.Namespace) -> "Cluster | None":
    """The cluster that was asked for; None = this process."""
    if options.engine != "ray":
        for name in values_of(vars(options), "cluster"):
            raise SettingsError(f"{find(name).spelling} is for the cluster: add --engine ray.")
        return None
    from trust_core.audit.cluster import Cluster

    return Cluster(options.ray_address, options.workers, options.gpus or 0.0)
