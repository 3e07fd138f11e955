"""The server behind its gate: what `python -m dashboard` and `streamlit run app.py` start."""

import ipaddress
import sys
import webbrowser
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import streamlit as st
from starlette.middleware import Middleware
from streamlit import auth_util, config

from dashboard import access
from dashboard.first_paint import FirstPaint
from trust_core.storage.queue import QUEUE
from trust_core.storage.workspace import JOBS, workspace_folder

LOCAL = "127.0.0.1"

Lifespan = Callable[[st.App], AbstractAsyncContextManager[None]]


def behind_gate() -> tuple[list[Middleware], Lifespan]:
    """What `st.App` is given so that a gate stands before the dashboard.

    Address and host names are those of Streamlit's configuration.

    Returns:
        The gate and what else every answer passes; what is done as the server starts.
    """
    address = config.get_option("server.address") or LOCAL
    hosts = list(config.get_option("server.allowedHosts") or ())
    if not is_local(address) and all(is_local(host) for host in hosts):
        sys.exit(
            f"{address} can be reached from other machines: say by which name, so that no "
            "other page leads here (python -m dashboard --host audit.example.com)."
        )
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
        link = f"http://{address}:{{port}}/?{access.TOKEN}={token}"
        gate = Middleware(
            access.Gate,
            admits=access.holds_cookie(token),
            hosts=hosts,
            answer=access.ask_for_token,
            token=token,
        )

    @asynccontextmanager
    async def started(_: st.App) -> AsyncIterator[None]:
        resume_jobs()
        here = link.format(port=config.get_option("server.port"))
        print(f"\n  Second Look is ready. Open this link:\n\n  {here}\n", flush=True)
        if not config.get_option("server.headless"):
            webbrowser.open(here)
        yield

    return [gate, Middleware(FirstPaint)], started


def resume_jobs() -> None:
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
