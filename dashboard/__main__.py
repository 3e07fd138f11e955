"""`python -m dashboard`: start the dashboard behind its gate, and open its link."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit import config

from dashboard.server import LOCAL, behind_gate
from trust_core.data.uploads import FOLDERS_VARIABLE

APP = Path(__file__).parents[1] / "app.py"


def main(arguments: Sequence[str] | None = None) -> None:
    """Start the server; it runs until it is stopped."""
    options = parser().parse_args(arguments)
    missing = [folder for folder in options.folders if not folder.is_dir()]
    if missing:
        sys.exit(f"{missing[0]} is no folder; name folders of models and images.")
    named = [os.environ.get(FOLDERS_VARIABLE, ""), *(str(f.resolve()) for f in options.folders)]
    os.environ[FOLDERS_VARIABLE] = os.pathsep.join(filter(None, named))
    settings: dict[str, Any] = {
        "server.address": options.address,
        "server.allowedHosts": [LOCAL, "localhost", *options.host],
    }
    if options.port is not None:
        settings["server.port"] = options.port
    if options.headless:
        settings["server.headless"] = True
    config.get_config_options(options_from_flags=settings)  # or it would report them as changed
    sys.argv = [str(APP)]  # the configuration is looked for beside it
    middleware, lifespan = behind_gate()
    st.App(APP, middleware=middleware, lifespan=lifespan).run(config=settings)


def parser() -> argparse.ArgumentParser:
    """What the start may be told."""
    words = argparse.ArgumentParser(prog="python -m dashboard", description=__doc__)
    words.add_argument(
        "folders",
        nargs="*",
        type=Path,
        metavar="FOLDER",
        help="models and images on this machine that pages may open, besides the workspace",
    )
    words.add_argument("--port", type=int, help="8501, or the next that is free")
    words.add_argument("--address", default=LOCAL, help=f"to listen on ({LOCAL})")
    words.add_argument(
        "--host", action="append", default=[], help="a name that the server is reached by"
    )
    words.add_argument("--headless", action="store_true", help="open no browser")
    return words


if __name__ == "__main__":
    main()
