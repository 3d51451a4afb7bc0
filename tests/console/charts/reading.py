"""Reads drawings back: what a browser would make of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, fromstring

from markupsafe import Markup


def parse(drawing: Markup) -> Element:
    """Return a drawing as a tree; it must be well-formed."""
    return fromstring(f"<body>{drawing}</body>")


def classed(root: Element, *names: str) -> list[Element]:
    """Return the elements that have all these classes."""
    return [each for each in root.iter() if set(names) <= set(each.get("class", "").split())]


def shape(root: Element, *names: str) -> Element:
    """Return the one shape of these classes in a chart's planes."""
    (found,) = [each for plane in classed(root, "plane") for each in classed(plane, *names)]
    return found


def texts(root: Element) -> list[str]:
    """Return every text in it."""
    return [text.strip() for text in root.itertext() if text.strip()]


def commands(path: str) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Yield the commands of a path."""
    assert re.fullmatch(r"[MLHVhvz0-9 .-]*", path), path
    for command, numbers in re.findall(r"([MLHVhvz])([^MLHVhvz]*)", path):
        yield command, tuple(float(each) for each in numbers.split())


def points(path: str) -> list[tuple[float, float]]:
    """Return the corners of a path, in order."""
    x = y = 0.0
    found = []
    for command, numbers in commands(path):
        if command in "ML":
            x, y = numbers
        elif command == "H":
            (x,) = numbers
        elif command == "V":
            (y,) = numbers
        elif command == "h":
            x += numbers[0]
        elif command == "v":
            y += numbers[0]
        if command != "z":
            found.append((x, y))
    return found


def boxes(path: str) -> list[tuple[float, float, float, float]]:
    """Return the bounds of each closed part of a path: left, top, right, bottom."""
    found = []
    for part in path.split("z"):
        if part:
            corners = points(part)
            xs, ys = [x for x, _ in corners], [y for _, y in corners]
            found.append((min(xs), min(ys), max(xs), max(ys)))
    return found
