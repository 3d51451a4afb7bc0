"""Bearer tokens: real ones, of real keys served over HTTP, and every way we know to forge one."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, RSAKey
from tests.access.issuer import EC, ED, ISS, RSA, JwksServer, claims, document, forged, serving, signed
from tests.access.world import NOON, World, bearer, make_world, person

from steward.access.bearer import ALGORITHMS, BearerTokens, Issuer
from steward.access.guard import Guard
from steward.access.https import HttpsFetcher
from steward.access.identity import Assignment, Kind
from steward.access.permissions import Permission, Role
from steward.access.tokens import Secret
from steward.clock import VirtualClock
from steward.errors import DeclarationError, Denied, EngineError

NOW_S = int(NOON.timestamp())


@pytest.fixture
def server() -> Iterator[JwksServer]:
    with serving() as state:
        yield state


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOON)


def issuer(url: str, **changed: Any) -> Issuer:
    settings = {"algorithms": ("RS256", "PS256", "ES256", "Ed25519"), **changed}
    return Issuer(name="corp", issuer=ISS, audience="steward", jwks_url=url, **settings)


def verifier(server: JwksServer, clock: VirtualClock, **changed: Any) -> BearerTokens:
    return BearerTokens([issuer(server.url, **changed)], HttpsFetcher(), clock)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "Ed25519"])
async def test_good_tokens_are_good(server: JwksServer, clock: VirtualClock, algorithm: str) -> None:
    tokens = verifier(server, clock)
    for audience in ("steward", ["other", "steward"]):
        vouched = await tokens.verify(signed(claims(NOW_S, aud=audience), algorithm))
        assert (vouched.subject, vouched.identity.credential) == ("token:corp:7", "token:corp")
        assert vouched.ends == NOON + timedelta(minutes=10)
    assert server.asked == 1


def hs(header: dict[str, Any], secret: bytes) -> str:
    unsigned = forged({"typ": "JWT", **header}, claims(NOW_S)).rpartition(".")[0]
    signature = hmac.new(secret, unsigned.encode(), hashlib.sha256).digest()
    return f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


OTHER_RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
GOOD = claims(NOW_S)
FORGED = {
    "none": (forged({"alg": "none", "kid": "rsa"}, GOOD), "algorithm"),
    "None": (forged({"alg": "None", "kid": "rsa"}, GOOD), "algorithm"),
    "empty algorithm": (forged({"alg": "", "kid": "rsa"}, GOOD), "algorithm"),
    "no algorithm": (forged({"kid": "rsa"}, GOOD), "algorithm"),
    "public key as shared secret (PEM)": (hs({"alg": "HS256", "kid": "rsa"}, RSA.as_pem(private=False)), "algorithm"),
    "public key as shared secret (JWK)": (hs({"alg": "HS256", "kid": "rsa"}, document(RSA)), "algorithm"),
    "shared secret signed as RS256": (hs({"alg": "RS256", "kid": "rsa"}, RSA.as_pem(private=False)), "signature"),
    "algorithm of another kind of key": (signed(GOOD, "ES256", kid="rsa"), "kid"),
    "other key, same kid": (signed(GOOD, "RS256", OTHER_RSA), "signature"),
    "unknown kid": (signed(GOOD, kid="nobody"), "kid"),
    "no kid": (signed(GOOD, kid=None), "kid"),
    "kid is a path": (signed(GOOD, kid="../../dev/null"), "kid"),
    "own key in the header": (signed(GOOD, "RS256", OTHER_RSA, jwk=OTHER_RSA.as_dict(private=False)), "signature"),
    "own keys by URL": (signed(GOOD, "RS256", OTHER_RSA, jku="https://evil.example/jwks"), "signature"),
    "critical extension": (forged({"alg": "RS256", "kid": "rsa", "crit": ["b64"], "b64": False}, GOOD), "type"),
    "another type": (signed(GOOD, typ="secevent+jwt"), "type"),
    "algorithm not chosen": (signed(GOOD, "RS512", RSA), "algorithm"),
    "wrong issuer": (signed(claims(NOW_S, iss="https://evil.example")), "issuer"),
    "no issuer": (signed(claims(NOW_S, iss=None)), "issuer"),
    "issuer in a list": (signed(claims(NOW_S, iss=[ISS])), "issuer"),
    "issuer with a slash": (signed(claims(NOW_S, iss=ISS + "/")), "issuer"),
    "wrong audience": (signed(claims(NOW_S, aud="payroll")), "audience"),
    "audience with more": (signed(claims(NOW_S, aud="steward2")), "audience"),
    "no audience": (signed(claims(NOW_S, aud=None)), "audience"),
    "audience in an object": (signed(claims(NOW_S, aud={"steward": 1})), "audience"),
    "no subject": (signed(claims(NOW_S, sub=None)), "subject"),
    "subject is a number": (signed(claims(NOW_S, sub=7)), "subject"),
    "subject with a line break": (signed(claims(NOW_S, sub="7\nada")), "subject"),
    "expired": (signed(claims(NOW_S, exp=NOW_S - 31)), "expired"),
    "no expiry": (signed(claims(NOW_S, exp=None)), "expired"),
    "expiry is text": (signed(claims(NOW_S, exp=str(NOW_S + 600))), "malformed"),
    "expiry is true": (signed(claims(NOW_S, exp=True)), "malformed"),
    "expiry is endless": (
        signed(json.dumps(claims(NOW_S, exp=1)).replace('"exp": 1', '"exp": 1e999').encode()),
        "malformed",
    ),
    "expiry is NaN": (signed(json.dumps(claims(NOW_S, exp=float("nan"))).encode()), "malformed"),
    "lives too long": (signed(claims(NOW_S, exp=NOW_S + 90_000)), "expired"),
    "not yet": (signed(claims(NOW_S, nbf=NOW_S + 31)), "expired"),
    "made in the future": (signed(claims(NOW_S, iat=NOW_S + 31)), "expired"),
    "a claim twice": (signed(json.dumps(GOOD).replace('"sub"', '"sub": "8", "sub"').encode()), "malformed"),
    "not an object": (signed(b'["steward"]'), "malformed"),
    "two parts": (signed(GOOD).rpartition(".")[0], "malformed"),
    "four parts": (signed(GOOD) + ".x", "malformed"),
    "oversized": (signed(claims(NOW_S, more="x" * 9_000)), "malformed"),
    "not base64": ("a$b.c.d", "malformed"),
    "empty": ("..", "malformed"),
    "encrypted": ("a.b.c.d.e", "malformed"),
    "not ascii": (signed(GOOD)[:-1] + "ä", "malformed"),
}


@pytest.mark.parametrize("name", FORGED)
async def test_forged_tokens_are_refused(server: JwksServer, clock: VirtualClock, name: str) -> None:
    token, reason = FORGED[name]
    tokens = verifier(server, clock)
    assert (await tokens.verify(signed(claims(NOW_S)))).subject == "token:corp:7", "the verifier works"
    for _ in range(2):
        with pytest.raises(Denied) as caught:
            await tokens.verify(token)
        assert caught.value.code == "unauthenticated"
        assert caught.value.field == f"token.{reason}", str(caught.value)
        assert len(token) < 5 or token not in str(caught.value)


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
CACHED = signed(GOOD, "Ed25519")


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(CACHED) - 2), st.sampled_from(LETTERS))
def test_no_letter_can_be_changed(at: int, letter: str) -> None:
    """Also not beside a good token that is remembered. (Of the last letter, four bits mean nothing.)"""

    async def fetch(url: str) -> bytes:
        return document()

    async def main() -> None:
        tokens = BearerTokens([issuer("https://id.example/jwks")], fetch, VirtualClock(NOON))
        await tokens.verify(CACHED)
        with pytest.raises(Denied):
            await tokens.verify(CACHED[:at] + letter + CACHED[at + 1 :])

    assume(CACHED[at] != letter)
    asyncio.run(main())


async def test_leeway_is_what_was_declared(server: JwksServer, clock: VirtualClock) -> None:
    tokens = verifier(server, clock)
    for changed in ({"exp": NOW_S - 29}, {"nbf": NOW_S + 29}, {"iat": NOW_S + 29}):
        assert (await tokens.verify(signed(claims(NOW_S, **changed)))).subject == "token:corp:7"


async def test_a_remembered_token_still_expires(server: JwksServer, clock: VirtualClock) -> None:
    tokens, token = verifier(server, clock), signed(GOOD)
    await tokens.verify(token)
    clock.advance(timedelta(seconds=629))
    await tokens.verify(token)
    clock.advance(timedelta(seconds=1))
    with pytest.raises(Denied):
        await tokens.verify(token)


async def test_a_key_taken_back_ends_remembered_tokens(server: JwksServer, clock: VirtualClock) -> None:
    tokens, token = verifier(server, clock), signed(claims(NOW_S, exp=NOW_S + 7_200))
    await tokens.verify(token)
    server.answer = document(EC)
    clock.advance(timedelta(minutes=11))
    await tokens.verify(signed(claims(NOW_S, exp=NOW_S + 7_200), "ES256"))
    with pytest.raises(Denied) as caught:
        await tokens.verify(token)
    assert caught.value.field == "token.kid"


async def test_a_remembered_token_looks_for_new_keys_too(server: JwksServer, clock: VirtualClock) -> None:
    """Otherwise a stolen token would stay good while nobody else signs in."""
    tokens, token = verifier(server, clock), signed(claims(NOW_S, exp=NOW_S + 7_200))
    await tokens.verify(token)
    server.answer = document(EC)
    clock.advance(timedelta(minutes=11))
    with pytest.raises(Denied):
        await tokens.verify(token)


async def test_an_issuer_without_an_answer_closes_the_door(server: JwksServer, clock: VirtualClock) -> None:
    server.status = 500
    tokens = verifier(server, clock)
    for _ in range(3):
        with pytest.raises(EngineError) as caught:
            await tokens.verify(signed(GOOD))
        assert caught.value.retryable
    assert server.asked == 1
    server.status = 200
    clock.advance(timedelta(seconds=30))
    assert (await tokens.verify(signed(GOOD))).subject == "token:corp:7"


async def test_an_unknown_issuer_is_not_asked_for_anything(server: JwksServer, clock: VirtualClock) -> None:
    tokens = verifier(server, clock)
    with pytest.raises(Denied):
        await tokens.verify(signed(claims(NOW_S, iss="https://evil.example")))
    assert server.asked == 0


@pytest.mark.parametrize("algorithm", ["HS256", "none", "", "A256KW", "RS1"])
def test_shared_secrets_cannot_even_be_chosen(algorithm: str) -> None:
    assert algorithm not in ALGORITHMS
    with pytest.raises(DeclarationError) as caught:
        issuer("https://id.example/jwks", algorithms=(algorithm,))
    assert caught.value.field == "algorithms"
    with pytest.raises(DeclarationError):
        issuer("https://id.example/jwks", algorithms=())


@pytest.mark.parametrize("url", ["http://id.example/jwks", "ftp://id.example", "https://u:p@id.example", "file:///etc"])
def test_keys_come_over_https_only(url: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        issuer(url)
    assert "u:p" not in str(caught.value)


async def guard_of(world: World, server: JwksServer, **changed: Any) -> Guard:
    return await Guard.open(world.ledger, world.clock, issuers=[issuer(server.url, **changed)])


def shown(token: str) -> dict[bytes, bytes]:
    return bearer(Secret(token))


async def test_a_subject_has_to_be_enrolled(world: World, server: JwksServer) -> None:
    guard = await guard_of(world, server)
    with pytest.raises(Denied) as caught:
        await guard.identify(shown(signed(GOOD)))
    assert caught.value.code == "unauthenticated"
    await guard.administration.enrol(world.ada, person("bob", Role.OPERATOR), subjects=["token:corp:7"])
    bob = await guard.identify(shown(signed(GOOD)))
    assert (bob.id, bob.credential) == ("bob", "token:corp")
    guard.require(bob, Permission.INVOKE)
    assert guard.is_current(bob)
    await guard.administration.revoke_identity(world.ada, "bob", reason="left")
    assert not guard.is_current(bob)
    with pytest.raises(Denied):
        await guard.identify(shown(signed(GOOD)))


async def test_claims_can_stand_for_roles_until_somebody_is_revoked(world: World, server: JwksServer) -> None:
    roles = {"desk": (Assignment(Role.APPROVER, ("grid.*",)),)}
    guard = await guard_of(world, server, roles_claim="groups", roles=roles, teams_claim="teams")
    token = signed(claims(NOW_S, groups=["desk", "other", 7], teams=["grid"], name="Anna"))
    anna = await guard.identify(shown(token))
    assert (anna.id, anna.display, anna.kind, anna.teams) == ("corp:7", "Anna", Kind.PERSON, frozenset({"grid"}))
    guard.require(anna, Permission.APPROVE, guard.resource("grid.dispatch"))
    with pytest.raises(Denied):
        guard.require(anna, Permission.INVOKE, guard.resource("grid.dispatch"))
    opened = await guard.sign_in({**shown(token), b"sec-fetch-site": b"same-origin"})
    cookie = {b"cookie": opened.set_cookie().split(";")[0].encode()}
    assert (await guard.identify(cookie)).id == "corp:7"
    assert (await (await guard_of(world, server)).identify(cookie)).roles == anna.roles, "also after a restart"
    await guard.administration.revoke_identity(world.ada, "corp:7", reason="left")
    for headers in (shown(token), cookie):
        with pytest.raises(Denied):
            await guard.identify(headers)
    assert not guard.is_current(anna)
    again = await guard_of(world, server, roles_claim="groups", roles=roles)
    with pytest.raises(Denied):
        await again.identify(shown(token))


async def test_somebody_revoked_does_not_come_back_by_claims(world: World, server: JwksServer) -> None:
    guard = await guard_of(world, server, roles_claim="groups", roles={"desk": (Assignment(Role.OPERATOR),)})
    await guard.administration.enrol(world.ada, person("bob", Role.AUDITOR), subjects=["token:corp:7"])
    token = signed(claims(NOW_S, groups=["desk"]))
    assert (await guard.identify(shown(token))).roles == (Assignment(Role.AUDITOR),), "enrolment goes first"
    await guard.administration.revoke_identity(world.ada, "bob", reason="left")
    with pytest.raises(Denied):
        await guard.identify(shown(token))


async def test_without_issuers_no_token_is_taken() -> None:
    world = await make_world()
    with pytest.raises(Denied) as caught:
        await world.guard.identify(shown(signed(GOOD)))
    assert caught.value.code == "unauthenticated"


async def test_weak_and_secret_keys_of_an_issuer_are_left_out(server: JwksServer, clock: VirtualClock) -> None:
    weak = ECKey.generate_key("P-256", {"kid": "enc"})
    secret = OctKey.generate_key(256, {"kid": "oct"})
    listed = [
        {**weak.as_dict(private=False), "use": "enc"},
        secret.as_dict(),
        ED.as_dict(private=False),
        {"kty": "new", "kid": "x"},
        7,
    ]
    server.answer = json.dumps({"keys": listed}).encode()
    tokens = verifier(server, clock)
    assert (await tokens.verify(signed(GOOD, "Ed25519"))).subject == "token:corp:7"
    with pytest.raises(Denied):
        await tokens.verify(signed(GOOD, "ES256", weak))
