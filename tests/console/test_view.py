"""Who looks at a page, and where forms may lead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from fastapi import Request
from hypothesis import example, given
from hypothesis import strategies as st
from tests.console.world import DISPATCH, REFUND, Company

from steward.access.local import LOCAL
from steward.access.permissions import Permission
from steward.api.entrance import Caller
from steward.console.console import Console
from steward.console.view import ACTING_COOKIE, View, here, own_path
from steward.errors import Denied


def request_of(headers: Mapping[str, str], path: str = "/", *, method: str = "GET", query: bytes = b"") -> Request:
    listed = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": method, "path": path, "query_string": query, "headers": listed})


async def view_of(company: Company, name: str = "", **headers: str) -> View:
    service = company.app.service
    caller: Caller | None = None
    if name:
        shown: Any = {b"authorization": f"Bearer {company.secrets[name]}".encode()} if company.secrets else {}
        identity = await service.entrance.guard.identify(shown)
        caller = Caller(identity, service.entrance.guard, company.runtime)
    return View(request_of(headers), Console(), service, caller)


async def test_locally_one_acts_under_the_name_that_was_given(company: Company) -> None:
    assert (await view_of(company, "anybody")).person == LOCAL.id
    named = await view_of(company, "anybody", cookie=f"{ACTING_COOKIE}=ana")
    assert (named.acting, named.person) == ("ana", "ana")
    assert (await view_of(company, "anybody", cookie=f"{ACTING_COOKIE}=system")).person == LOCAL.id


async def test_whoever_is_enrolled_acts_as_themselves(staffed: Company) -> None:
    view = await view_of(staffed, "ana", cookie=f"{ACTING_COOKIE}=ben")
    assert (view.acting, view.person) == ("ana", "ana")


async def test_a_service_answers_for_nobody(staffed: Company) -> None:
    view = await view_of(staffed, "bot")
    assert view.acting == "bot"
    with pytest.raises(Denied, match="is a service"):
        _ = view.person


async def test_nobody_is_no_person_and_may_nothing(staffed: Company) -> None:
    view = await view_of(staffed)
    assert view.readable == frozenset()
    assert (view.stoppable, view.stops) == ((), ())
    assert not view.may(Permission.READ, DISPATCH)
    assert not view.may_lift("*")
    assert await view.around() is None
    with pytest.raises(Denied):
        _ = view.person


async def test_what_somebody_may_stop_is_what_they_see(staffed: Company) -> None:
    assert (await view_of(staffed, "ada")).stoppable == ("*", DISPATCH, REFUND)
    assert (await view_of(staffed, "olga")).stoppable == ("*", DISPATCH)
    assert (await view_of(staffed, "audra")).stoppable == ()


@given(st.text(st.sampled_from("/\\.:@?#%ab \t\n\r\x00é"), max_size=12))
@example("/\\evil.example")
@example("/.//evil.example")
@example("/%5cevil.example")
def test_a_path_of_ours_stays_with_us_however_a_browser_reads_it(text: str) -> None:
    base = "https://steward.example/sign-in"
    path = own_path(text)
    # Browsers take a backslash for a slash, and drop tabs and line ends.
    read = path.replace("\\", "/").translate({ord(each): None for each in "\t\n\r"})
    assert urlsplit(urljoin(base, read)).netloc == "steward.example"
    assert path.startswith("/")
    assert own_path(path) == path


@pytest.mark.parametrize(
    ("method", "path", "query", "referer", "expected"),
    [
        ("GET", "/decisions", b"q=a%20b&sort=-at", "", "/decisions?q=a%20b&sort=-at"),
        ("GET", "/an id", b"", "", "/an%20id"),
        ("GET", "//evil.example", b"", "", "/"),
        ("POST", "/stop", b"", "http://localhost/decisions?q=a", "/decisions?q=a"),
        ("POST", "/stop", b"", "http://evil.example//evil.example/", "/"),
        ("POST", "/stop", b"", "", "/"),
    ],
)
def test_where_somebody_is(method: str, path: str, query: bytes, referer: str, expected: str) -> None:
    headers = {"host": "localhost", **({"referer": referer} if referer else {})}
    assert here(request_of(headers, path, method=method, query=query)) == expected
