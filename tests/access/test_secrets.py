"""No secret is ever told: not in the ledger, not in logs, not in errors, not in what anything prints of itself."""

from __future__ import annotations

import ast
import copy
import logging
import pickle
import traceback
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.access.issuer import ISS, claims, document, signed
from tests.access.world import NOON, bearer, numbered, person

from steward.access.bearer import Issuer
from steward.access.cookies import COOKIE
from steward.access.guard import Guard
from steward.access.permissions import Permission, Role
from steward.access.tokens import NOBODYS, Secret, new_text, new_token, random_bytes, split
from steward.clock import VirtualClock
from steward.errors import StewardError
from steward.ledger.memory import MemoryLedger

PACKAGE = Path(__file__).parents[2] / "src" / "steward" / "access"
PAGE = {b"sec-fetch-site": b"same-origin"}


def everything_of(thing: object, depth: int = 0) -> str:
    """Return what a thing and all it holds print of themselves."""
    text = f"{thing!r} {thing!s} {thing}"
    if depth < 6:
        held = list(vars(thing).values()) if hasattr(thing, "__dict__") else []
        held += list(thing.values()) if isinstance(thing, dict) else []
        held += list(thing) if isinstance(thing, list | tuple | set | frozenset) else []
        text += "".join(everything_of(part, depth + 1) for part in held)
    return text


async def test_nothing_tells_a_secret(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    errors: list[str] = []

    async def attempt(deed: Any) -> Any:
        try:
            return await deed
        except StewardError as error:
            errors.append("".join(traceback.format_exception(error)) + everything_of(vars(error)))

    async def fetch(url: str) -> bytes:
        return document()

    ledger, clock = MemoryLedger(), VirtualClock(NOON)
    issuer = Issuer(name="corp", issuer=ISS, audience="steward", jwks_url="https://id.example/jwks")
    guard = await Guard.open(ledger, clock, random=numbered(), issuers=[issuer], fetch=fetch)
    once = await guard.bootstrap()
    assert once is not None
    first = await guard.exchange(once.reveal(), id="ada", display="Ada")
    ada = await guard.identify(bearer(first.secret))
    await guard.administration.enrol(ada, person("bob", Role.OPERATOR))
    second = await guard.administration.issue_key(ada, "bob", label="x")
    third = await guard.administration.rotate_key(ada, second.prefix)
    opened = await guard.sign_in({**bearer(third.secret), **PAGE})
    good, bad = signed(claims(NOON.timestamp())), signed(claims(NOON.timestamp(), aud="payroll"))
    cookie = {b"cookie": opened.set_cookie().split(";")[0].encode()}
    tokens = [once, first.secret, second.secret, third.secret]
    for headers in (
        *[{b"authorization": b"Bearer " + s.reveal().encode() + b"x"} for s in tokens],
        *[{b"authorization": b"Basic " + s.reveal().encode()} for s in tokens],
        *[{b"authorization": s.reveal().encode()} for s in tokens],
        *[{b"cookie": f"{COOKIE}={s.reveal()}".encode()} for s in tokens],
        {b"authorization": b"Bearer " + good.encode()},
        {b"authorization": b"Bearer " + bad.encode()},
        {b"cookie": cookie[b"cookie"] + b"; " + cookie[b"cookie"]},
    ):
        await attempt(guard.identify(headers, method="POST", address="192.0.2.7"))
    await attempt(guard.identify(cookie, method="POST"))
    await attempt(guard.exchange(third.secret.reveal(), id="eve", display="Eve"))
    await attempt(guard.exchange(once.reveal(), id="eve", display="Eve"))
    bob = await guard.identify(cookie)
    await attempt(guard.administration.enrol(bob, person("eve")))
    clock.advance(timedelta(days=100))
    for secret in tokens:
        await attempt(guard.identify(bearer(secret)))
    await guard.sweep()
    assert len(errors) > 20
    written = b"".join(entry.body for entry in await ledger.read(0, 10_000)).decode()
    printed = everything_of([guard, guard.administration, guard.sessions, guard.directory, first, second, opened, bob])
    said = caplog.text + "".join(capsys.readouterr()) + "".join(map(str, errors))
    secrets = [s.reveal().split("_", 2)[2] for s in tokens] + [opened.secret.reveal(), good, bad]
    for text in [*secrets, good.rpartition(".")[2], bad.rpartition(".")[2]]:
        for place in (written, printed, said):
            assert text not in place
    assert first.prefix in written, "the search finds what is there"
    assert first.prefix in printed


def test_a_secret_is_not_copied_into_files() -> None:
    secret = Secret("hunter2")
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(StewardError):
            copied(secret)
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)
    assert "hunter2" not in f"{secret!r:>20} {secret!s:>20} {[secret]} {dir(secret)}"


def test_keys_are_fresh_and_long() -> None:
    made = [new_token() for _ in range(200)]
    assert len({token.secret.reveal() for token in made}) == 200
    assert len({token.sealed.salt for token in made}) == 200
    assert len(random_bytes()) == 32
    assert {len(new_text()) for _ in range(50)} == {43}
    for token in made:
        parts = split(token.secret.reveal())
        assert parts is not None
        assert parts[0] == token.prefix
        assert token.sealed.opens(parts[1])
        assert not token.sealed.opens(parts[1][:-1])
        assert not NOBODYS.opens(parts[1])


@given(st.text(max_size=80))
def test_only_tokens_are_split(text: str) -> None:
    parts = split(text)
    assert parts is None or f"stw_{parts[0]}_{parts[1]}" == text


@given(st.text(max_size=60), st.text(max_size=60), st.binary(min_size=16, max_size=16))
def test_a_seal_opens_for_its_secret_only(secret: str, other: str, salt: bytes) -> None:
    from steward.access.tokens import Sealed

    sealed = Sealed.of(secret, salt)
    assert sealed.opens(secret)
    assert sealed.opens(other) == (other == secret)


def test_secrets_are_compared_in_one_place_and_in_constant_time() -> None:
    """``==`` on digests or secrets would tell by its time how much of them is right."""
    users = [path.name for path in PACKAGE.glob("*.py") if "compare_digest(" in path.read_text()]
    assert users == ["tokens.py"]
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                compared = ast.unparse(node)
                assert "digest" not in compared, f"{path.name}: {compared}"
                assert not (set(compared.split()) & {"secret", "self.salt"}), f"{path.name}: {compared}"


def test_every_public_class_has_an_example() -> None:
    lacking = []
    for path in PACKAGE.glob("*.py"):
        if path.name == "entries.py":  # data, shown in the module's own example
            continue
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                protocol = any("Protocol" in ast.unparse(parent) for parent in node.bases)
                if not protocol and ">>>" not in (ast.get_docstring(node) or ""):
                    lacking.append(f"{path.name}: {node.name}")
    assert lacking == []


def test_the_permissions_are_those_that_faces_name() -> None:
    names = "invoke read approve publish promote stop verify export administer"
    assert " ".join(Permission) == names
