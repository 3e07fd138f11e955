"""The words of the pages, explained."""

from dashboard.glossary import GLOSSARY, HELP, ROLE_CHOICES
from trust_core.data.roles import ROLES
from trust_core.decision.curves import ALL_ROLES, roles_of
from trust_core.decision.indicators.registry import INDICATORS


def test_help_is_for_what_there_is():
    assert set(HELP) <= {"tau", "eps", *INDICATORS}


def test_every_role_that_can_be_looked_at_is_a_choice():
    assert set(ROLE_CHOICES) == {*ROLES, ALL_ROLES} - {"train"}
    assert all(roles_of(role) for role in ROLE_CHOICES)


def test_the_glossary_is_plain_text():
    assert all(meaning.endswith(".") and "<" not in meaning for meaning in GLOSSARY.values())
