"""The fields of the Run page: drawn, kept in the URL, and read as the options they stand for.

A section reads what a section further down holds, so a value may be asked for before its field is
drawn: then the URL says it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.wording import photo_words
from trust_core.audit import options
from trust_core.audit.options import OPTIONS, DataOptions, Option, find
from trust_core.audit.settings import AuditSettings
from trust_core.cli.main import build_parser
from trust_core.data import uploads
from trust_core.model.facts import ModelFacts, ModelOptions

MODEL, DATA, SWAPPED = "model", "data", "swap"  # in the URL, besides the keys of the options
FROM_FOLDERS = "the names of the folders"  # a choice of `--samples` that is no table


def key(name: str) -> str:
    """The key of the field of an option."""
    return find(name).key


def texts(key: str) -> tuple[str, ...]:
    """All that a field holds."""
    state = st.session_state
    value = state[key] if key in state else st.query_params.get_all(key)
    if value is None:
        return ()
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)


def text(key: str) -> str:
    """The text of a field; "" when it is empty."""
    return ",".join(texts(key)).strip()


def forget(*keys: str) -> None:
    """Empty some fields; the address of one that is drawn follows its value, nothing else may."""
    empty: dict[str, object] = {SWAPPED: False, key("good_index"): []}
    for name in keys:
        if name == key("samples"):  # a list that always has a choice: its first again
            st.session_state.pop(name, None)
        elif name in st.session_state:
            st.session_state[name] = empty.get(name)
        else:
            st.query_params.pop(name, None)


def forget_model() -> None:
    """What was said of one model means nothing for another."""
    forget(SWAPPED, key("expect"), *_keys("model", "input"))


def forget_data() -> None:
    """What was said of one data set means nothing for another."""
    forget(key("expect"), *_keys("data"))


def _keys(*groups: str) -> list[str]:
    return [option.key for group in groups for option in OPTIONS[group] if option.key]


def field(
    option: Option, usual: str = "", choices: Mapping[str, str] | None = None, label: str = ""
) -> None:
    """Draw the field of an option.

    Args:
        option: with a key.
        usual: what is taken when the field is empty; it stands there in grey.
        choices: what it may be, with the word for each; those of the option when None.
        label: of the field; that of the option when empty.
    """
    label = label or option.label
    shared: dict[str, Any] = {
        "key": option.key,
        "bind": "query-params",
        "help": photo_words(option.help) or None,
    }
    words = choices if choices is not None else option.choices or None
    if option.parse is bool:
        st.toggle(label, **shared)
    elif words is None:
        st.text_input(label, placeholder=usual, **shared)
    else:
        st.selectbox(
            label,
            list(words),
            index=None,
            format_func=lambda choice: words.get(choice, choice),
            placeholder=words.get(usual, usual) or None,
            **shared,
        )


def value(option: Option) -> Any:  # noqa: ANN401 - of the type of the option
    """What the field of an option says; None when it is empty.

    Raises:
        SettingsError: a text that means nothing, or a path outside of the folders that may be
            opened.
    """
    if option.several:
        return texts(option.key) or None
    written = text(option.key)
    if not written or written == FROM_FOLDERS:
        return None
    if option.parse is bool:
        return written.casefold() == "true"
    if option.parse is Path:
        return uploads.server_path(written, uploads.TABLE_SUFFIXES)
    return option.read(written)


def values(*groups: str) -> dict[str, Any]:
    """What the fields of some groups of options say, by the name of the option.

    Raises:
        SettingsError: as `value`.
    """
    return {
        option.name: value(option) for group in groups for option in OPTIONS[group] if option.key
    }


def query_of(words: Sequence[str]) -> dict[str, str | list[str]]:
    """The address of this form as it was filled in for a command.

    Args:
        words: what followed `python -m trust_core` to audit.
    """
    values = vars(build_parser().parse_args(list(words)))
    query: dict[str, str | list[str]] = {MODEL: str(values["model"]), DATA: str(values["data"])}
    if values["one_logit"] is not None or values["defect_index"] is not None:
        query[SWAPPED] = "true"  # of two readings the command names the one that is not usual
    for option in (option for group in OPTIONS.values() for option in group if option.key):
        found = values.get(option.name)
        if found in (None, (), [], False):
            continue
        many = option.several or option.name == "good_index"
        text = "true" if found is True else option.text(found)
        query[option.key] = list(map(str, found)) if many else text
    return query


def model_options(facts: ModelFacts) -> ModelOptions:
    """How the model is opened.

    Raises:
        SettingsError: a text that is no number or size.
    """
    found = values("model", "input")
    if found["layers"] == (facts.layer,):
        found["layers"] = None
    good = found["good_index"]
    found["good_index"] = tuple(sorted(good)) if good and facts.outputs > 2 else None
    if facts.convention is not None and facts.outputs < 3 and text(SWAPPED).casefold() == "true":
        other = facts.convention.inverted()
        if facts.outputs == 1:
            found["one_logit"] = "defect" if other.sign > 0 else "good"
        else:
            found["defect_index"] = other.defect[0]
    return options.model_options(found)


def data_options() -> DataOptions:
    """How the data are read.

    Raises:
        SettingsError: a table outside of the folders that may be opened, or that is gone.
    """
    found = values("data")
    if found["samples"] is None:
        found["group_column"] = None
    return options.data_options(found)


def audit_settings() -> AuditSettings:
    """How images are scored.

    Raises:
        SettingsError: a value that means nothing.
    """
    return options.audit_settings(values("score"))
