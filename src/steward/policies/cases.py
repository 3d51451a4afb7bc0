"""Unit tests of a policy in a file, TOML or JSON: what is given, what must be chosen, by which rule."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from steward.decision.feature import Features
from steward.errors import ContractError, StewardError
from steward.policies.bound import Bound, nested
from steward.records import Prediction


class Case(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One test.

    Attributes:
        name: What it shows.
        given: The inputs by path; what is left out is missing.
        expect: The choice.
        rule: The rule that must choose it.
        error: The code of the error that must come instead.

    Example:
        >>> Case(name="small", given={"amount_eur": 20}, expect="pay", rule="small").rule
        'small'
    """

    name: str
    given: dict[str, Any]
    expect: Any = UNSET
    rule: str | UnsetType = UNSET
    error: str | UnsetType = UNSET


class _File(Struct, forbid_unknown_fields=True):
    case: tuple[Case, ...]


@dataclass(frozen=True)
class Tested:
    """How a test went: ``wrong`` says what came instead, ``""`` where all is well.

    Example:
        >>> Tested("small", "", "small").passed
        True
    """

    name: str
    wrong: str
    rule: str

    @property
    def passed(self) -> bool:
        """Whether it went as expected."""
        return not self.wrong


def read_cases(content: bytes, *, is_toml: bool) -> tuple[Case, ...]:
    """Read a file of tests: ``[[case]]`` tables, or ``{"case": [...]}`` in JSON.

    Raises:
        ContractError: It is not such a file.

    Example:
        >>> read_cases(b'{"case": [{"name": "small", "given": {}}]}', is_toml=False)[0].name
        'small'
    """
    try:
        raw = tomllib.loads(content.decode()) if is_toml else msgspec.json.decode(content)
        return msgspec.convert(raw, _File).case
    except (tomllib.TOMLDecodeError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ContractError(
            "the tests cannot be read", why=str(error), fix="write [[case]] with name, given, expect, rule"
        ) from error


def run_case(bound: Bound, case: Case) -> Tested:
    """Run one test.

    Example:
        >>> from steward.policies.demo import REFUNDS
        >>> from steward.policies.policy import Policy
        >>> given = {"amount_eur": 20, "segment": "new", "prediction": 0.1}
        >>> run_case(Bound(Policy.read(REFUNDS)), Case(name="small", given=given, expect="hold")).wrong
        'chose "pay", not "hold"'
    """
    try:
        choice = bound(Features(nested(case.given)), Prediction(value=None))
    except StewardError as error:
        expected = case.error is not UNSET and case.error == error.code
        return Tested(case.name, "" if expected else f"refused: {error}", "")
    chosen, rule = msgspec.to_builtins(choice.value), choice.rule or ""
    if case.error is not UNSET:
        return Tested(case.name, f"chose {_text(chosen)}, not the error {case.error!r}", rule)
    if case.expect is not UNSET and chosen != case.expect:
        return Tested(case.name, f"chose {_text(chosen)}, not {_text(case.expect)}", rule)
    if case.rule is not UNSET and case.rule != rule:
        return Tested(case.name, f"the rule was {rule!r}, not {case.rule!r}", rule)
    return Tested(case.name, "", rule)


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
