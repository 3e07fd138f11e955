"""The words of the pages, explained."""

import re

from dashboard.glossary import ROLE_CHOICES, TERMS
from dashboard.terms import WORDS
from trust_core.data.roles import ROLES
from trust_core.decision.curves import ALL_ROLES, roles_of
from trust_core.decision.indicators.registry import INDICATOR_NAMES


def test_every_role_that_can_be_looked_at_is_a_choice():
    assert set(ROLE_CHOICES) == {*ROLES, ALL_ROLES} - {"train"}
    assert all(roles_of(role) for role in ROLE_CHOICES)


def test_the_glossary_is_plain_text_in_short_sentences():
    for term in TERMS.values():
        assert term.meaning.endswith(".")
        assert "<" not in term.meaning
        assert all(len(said.split()) <= 30 for said in re.split(r"[.:;]\s", term.meaning))


def test_a_term_named_like_an_indicator_is_what_that_indicator_is_called():
    for key in TERMS.keys() & INDICATOR_NAMES.keys():
        found = WORDS.match(INDICATOR_NAMES[key])
        assert found, key
        assert found.lastgroup == key
