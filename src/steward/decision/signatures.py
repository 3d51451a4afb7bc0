"""What is checked of the functions in a declaration: how they are called, and what they are declared to take."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import UnionType
from typing import Any, TypeGuard, Union, get_origin, get_type_hints

from steward.errors import DeclarationError


def check_plain(function: Callable[..., Any], argument: str) -> None:
    """Refuse a coroutine: what is decided with is a pure function."""
    if inspect.iscoroutinefunction(function):
        raise DeclarationError(
            f"{argument} {getattr(function, '__name__', function)!r} is a coroutine",
            why="what is decided with is a pure function, so that a replay gives the same answer",
            fix="use def",
            field=argument,
        )


def check_arity(function: Callable[..., Any], count: int, argument: str, takes: str) -> None:
    """Refuse what is no function, or cannot be called with ``count`` arguments."""
    if not callable(function):
        raise DeclarationError(f"{argument} is not a function", fix=f"pass a function of {takes}", field=argument)
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError as error:
        raise DeclarationError(
            f"{argument} {getattr(function, '__name__', function)!r} cannot be called with {takes}",
            why=str(error),
            field=argument,
        ) from error


def check_takes(function: Callable[..., Any], place: int, given: type, argument: str) -> None:
    """Refuse a parameter that is declared as a class which what it gets can never be."""
    try:
        hints = get_type_hints(function)
        parameters = list(inspect.signature(function).parameters)
    except (NameError, TypeError, ValueError):
        return  # annotations that cannot be resolved here are the type checker's business
    name = parameters[place] if place < len(parameters) else ""
    declared = get_origin(hints.get(name)) or hints.get(name)
    if is_class(declared) and not _may_be(given, declared):
        raise DeclarationError(
            f"{argument} {getattr(function, '__name__', function)!r} takes a {declared.__name__} as {name!r}, "
            f"but gets a {given.__name__}",
            fix=f"declare it as {name}: {given.__name__}",
            field=argument,
        )


def returned(function: Callable[..., Any]) -> object:
    """Return what a function declares to return; ``None`` if it does not say."""
    try:
        return get_type_hints(function).get("return")
    except (NameError, TypeError):
        return None  # annotations that cannot be resolved here are the type checker's business


def is_class(declared: object) -> TypeGuard[type]:
    """Whether something declared is a class that says something: neither ``Any`` nor ``object``."""
    return isinstance(declared, type) and declared not in (Any, object)


def _may_be(given: type, declared: type) -> bool:
    try:
        return declared in (Union, UnionType) or issubclass(given, declared)
    except TypeError:
        return True  # a protocol with fields, or a dictionary's shape: the type checker's business
