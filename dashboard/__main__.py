"""`python -m dashboard`: start the dashboard behind its gate, and open its link."""

import argparse
import ipaddress
import os
import sys
import webbrowser
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from streamlit import auth_util, config

from dashboard import access
from dashboard.first_paint import FirstPaint
from trust_core.data.uploads import FOLDERS_VARIABLE
from trust_core.storage.queue import QUEUE
from trust_core.storage.workspace import JOBS, workspace_folder

APP = Path(__file__).parents[1] / "app.py"
LOCAL = "127.0.0.1"


def main(arguments: Sequence[str] | None = None) -> None:
    """Start the server; it runs until it is stopped."""
    options = parser().parse_args(arguments)
    hosts = [LOCAL, "localhost", *options.host]
    if not is_local(options.address) and not options.host:
        sys.exit(
            f"{options.address} can be reached from other machines: say by which name, so that no "
            "other page leads here (--host audit.example.com)."
        )
    missing = [folder for folder in options.folders if not folder.is_dir()]
    if missing:
        sys.exit(f"{missing[0]} is no folder; name folders of models and images.")
    named = [os.environ.get(FOLDERS_VARIABLE, ""), *(str(f.resolve()) for f in options.folders)]
    os.environ[FOLDERS_VARIABLE] = os.pathsep.join(filter(None, named))
    settings: dict[str, Any] = {
        "server.address": options.address,
        "server.allowedHosts": hosts,
        "logger.hideWelcomeMessage": True,  # its link has no token
    }
    if options.port is not None:
        settings["server.port"] = options.port
    if options.headless:
        settings["server.headless"] = True
    config.get_config_options(options_from_flags=settings)  # or it would report them as changed
    sys.argv = [str(APP)]  # the configuration is looked for beside it
    dashboard(options, hosts).run(config=settings)


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


def dashboard(options: argparse.Namespace, hosts: Sequence[str]) -> st.App:
    """The dashboard behind its gate.

    Args:
        options: of `parser`.
        hosts: names that it goes by.
    """
    if auth_util.get_secrets_auth_section():
        if not auth_util.is_authlib_installed():
            sys.exit("Signing in needs one more package: pip install 'streamlit[auth]'.")
        link = f"http://{hosts[-1]}:{{port}}"
        gate = Middleware(
            access.Gate,
            admits=access.is_signed_in(access.users()),
            hosts=hosts,
            answer=access.ask_to_sign_in,
            open_paths=access.SIGN_IN,
        )
    else:
        try:
            token = access.new_token()
        except ValueError as short:
            sys.exit(str(short))
        link = f"http://{options.address}:{{port}}/?{access.TOKEN}={token}"
        gate = Middleware(
            access.Gate,
            admits=access.holds_cookie(token),
            hosts=hosts,
            answer=access.ask_for_token,
            token=token,
        )

    @asynccontextmanager
    async def started(_: st.App) -> AsyncIterator[None]:
        resume_interrupted()
        here = link.format(port=config.get_option("server.port"))
        print(f"\n  Second Look is ready. Open this link:\n\n  {here}\n", flush=True)
        if not config.get_option("server.headless"):
            webbrowser.open(here)
        yield

    return st.App(APP, middleware=[gate, Middleware(FirstPaint)], lifespan=started)


def resume_interrupted() -> None:
    """Begin anew what a restart of the machine has ended."""
    if (workspace_folder() / JOBS / QUEUE).exists():
        from trust_core.audit import (
            jobs,  # brings the engine, which a first start need not wait for
        )

        for job in jobs.resume_interrupted():
            print(f"  {job.folder.name} goes on where it was interrupted.", flush=True)


def is_local(address: str) -> bool:
    """Whether an address is reached from this machine only."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


if __name__ == "__main__":
    main()
