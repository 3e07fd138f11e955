"""Run, step 1: the model file, and what it was recognised as."""

from collections.abc import Iterable
from html import escape
from pathlib import Path

import streamlit as st

from dashboard import shell
from dashboard.run import form, subjects
from dashboard.run.file_fields import choose_file
from dashboard.wording import page_text
from trust_core.audit.options import find
from trust_core.data import uploads
from trust_core.errors import ModelError, TrustError
from trust_core.model.facts import ModelFacts
from trust_core.model.outputs import Convention


def choose_model() -> tuple[Path, ModelFacts] | None:
    """Draw the step.

    Returns:
        The model file and what it is; None while something is missing.
    """
    path = choose_file(
        form.MODEL,
        upload="Drop a model file",
        hint="Weights as .safetensors, .pt, .pth or .onnx, opened without running code. "
        "An .onnx file with weights in a second file: a zip of both.",
        server="or choose one on the server",
        known=uploads.models,
        keep=subjects.store_model,
        changed=form.forget_model,
    )
    if path is None:
        return None
    try:
        facts = subjects.facts(path, form.value(find("arch")))
    except TrustError as problem:
        shell.show_error(problem)
        choices = problem.choices if isinstance(problem, ModelError) else ()
        _choose_architecture("Its architecture, if you know it", choices)
        return None
    height, width = facts.preprocessing.size
    tiles(
        {
            "Recognised as": facts.architecture.rpartition("/")[2],
            "Outputs": str(facts.outputs),
            "Input by default": f"{height}×{width}, {facts.preprocessing.channels}",
            "Explained at": facts.layer,
        }
    )
    bullets(facts.assumed, "warnings")
    answered = _choose_meaning(facts)
    with st.expander("Details, or another architecture"):
        bullets(note for note in facts.notes if note not in facts.assumed)
        _choose_architecture(find("arch").label, facts.other_heads)
    return (path, facts) if answered else None


def tiles(facts: dict[str, str]) -> None:
    """A few facts side by side, each with its name above."""
    cells = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in facts.items()
    )
    st.html(f'<dl class="tiles">{cells}</dl>')


def bullets(sentences: Iterable[str], kind: str = "notes") -> None:
    """The core's sentences as a list, `notes` or `warnings`; a file name is never markup."""
    items = "".join(f"<li>{escape(page_text(sentence))}</li>" for sentence in sentences)
    if items:
        st.html(f'<ul class="{kind}">{items}</ul>')


def meaning(convention: Convention) -> str:
    """What the outputs mean, in words."""
    if convention.outputs == 1:
        return f"A positive output means {'defective' if convention.sign > 0 else 'good'}"
    named = {"defective": convention.defect, "good": convention.good}
    parts = [
        f"{'outputs' if len(indices) > 1 else 'output'} {', '.join(map(str, indices))} = {name}"
        for name, indices in named.items()
    ]
    return "; ".join(parts).capitalize()


def _choose_meaning(facts: ModelFacts) -> bool:
    """Ask what the outputs mean, where a rule cannot know; True when it is known."""
    if facts.convention is None or facts.outputs > 2:
        good = st.pills(
            f"The network has {facts.outputs} outputs. Which of them mean a good part?",
            [str(index) for index in range(facts.outputs)],
            selection_mode="multi",
            key=form.key("good_index"),
            bind="query-params",
        )
        if not good and facts.convention is None:
            st.caption("All others then mean a defect. The order is that of the training.")
            return False
        return True
    swapped = form.text(form.SWAPPED).casefold() == "true"
    present = facts.convention.inverted() if swapped else facts.convention
    st.html(f'<p class="quiet">Read as: <b>{escape(meaning(present))}</b>.</p>')
    st.toggle(
        "Read the outputs the other way round",
        key=form.SWAPPED,
        bind="query-params",
        help="Step 3 shows on real photos whether the outputs are read the right way round.",
    )
    return True


def _choose_architecture(label: str, first: tuple[str, ...] = ()) -> None:
    chosen = form.texts(form.key("arch"))
    st.selectbox(
        label,
        list(dict.fromkeys([*chosen, *first, *subjects.architectures()])),
        index=None,
        key=form.key("arch"),
        accept_new_options=True,
        placeholder="Type a name, as resnet18 or timm/tf_efficientnet_lite0",
        bind="query-params",
    )
