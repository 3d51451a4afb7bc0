"""The console: how fast pages are made over a long ledger, how heavy they are, and how soon a person sees them.

    python -m benchmarks.console [--json] [--quick]

A ledger with a million entries (decisions of thirty days, each acted on; a thousand wait for people) is made by the
loop itself and served by the real server. Pages are asked for over a socket, one after another, and looked at in
Chromium (``/usr/bin/chromium``, or the variable ``CHROMIUM``).
"""

from __future__ import annotations

import asyncio
import gzip
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import Request, urlopen

from benchmarks import console_streams
from benchmarks.report import Figure, report

from steward import (
    Action,
    Call,
    Choice,
    Decision,
    Economics,
    Event,
    Feature,
    Features,
    Gate,
    Model,
    Prediction,
    Receipt,
    Risk,
    hours,
    impact_above,
)
from steward.api.server import Server
from steward.clock import VirtualClock
from steward.console.console import Console
from steward.models.engines.linear import LinearFile, Term
from steward.models.registry import FolderRegistry
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

T = TypeVar("T")
QUICK = "--quick" in sys.argv
ENTRIES, WAITING, ASKED = (20_000, 100, 30) if QUICK else (1_000_000, 1_000, 200)
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
START, DAYS = datetime(2026, 6, 1, tzinfo=UTC), 30


class Due(Event):
    """The next interval is to be planned."""

    region: str
    price_eur: float
    load_mw: float


class Metered(Event):
    """What the interval brought."""

    region: str
    saved_eur: float


def follow(features: Features, prediction: Prediction[float]) -> Choice[str]:
    """Discharge when it is dear."""
    return Choice("discharge" if prediction.value > 0 else "hold", reasons=(f"it brings {prediction.value:.0f} EUR",))


def impact_eur(features: Features, prediction: Prediction[float], choice: str) -> float:
    """What the model expects is at stake."""
    return prediction.value


def write_setpoint(choice: str, call: Call) -> Receipt:
    """Tell the battery."""
    return Receipt(reference=call.key)


dispatch = Decision(
    name="grid.dispatch",
    owner="grid-operations",
    purpose="Charge or discharge the battery for the next interval",
    risk=Risk.HIGH,
    event=Due,
    features=(Feature("price_eur"), Feature("load_mw")),
    predict=Model("saving", inputs=("price_eur", "load_mw")),
    policy=follow,
    gate=Gate(needed=impact_above(2_500), impact=impact_eur, approvers="grid-desk", within=hours(4), otherwise="hold"),
    action=Action(do=write_setpoint),
    economics=Economics(
        outcome=Metered,
        key=("region",),
        within=hours(24),
        value=lambda features, choice, outcome: outcome.saved_eur,
        baseline=lambda features, outcome: 0.0,
        unit="EUR",
        per_month=500_000,
    ),
)


async def filled(root: Path) -> Runtime:
    """Decide until the ledger has its entries; return the runtime, at the end of the thirty days."""
    clock = VirtualClock(START, seed=1)
    terms = (
        Term("price_eur", coefficient=40.0, mean=60.0, missing=60.0),
        Term("load_mw", coefficient=0.1, mean=500.0, missing=500.0),
    )
    registry = FolderRegistry(root / "models")
    registry.register(
        "saving",
        kind="linear",
        files={"model.json": LinearFile(intercept=-2_450.0, terms=terms).to_bytes()},
        inputs=("price_eur", "load_mw"),
        task="regression",
        clock=clock,
    )
    settings = Settings(root=root, ledger=f"sqlite:///{root}/steward.db", zone="Europe/Madrid")
    runtime = await Runtime.open([dispatch], settings=settings, clock=clock, registry=registry)
    decisions = ENTRIES // 2
    for start in range(0, decisions, 1_000):
        clock.set(START + timedelta(days=DAYS) * start / decisions)
        await runtime.decide_batch("grid.dispatch", [due(start + place) for place in range(1_000)])
        await runtime.advance()
    await runtime.decide_batch("grid.dispatch", [due(number, price_eur=150.0) for number in range(WAITING)])
    await runtime.advance()
    return runtime


def due(number: int, price_eur: float | None = None) -> Due:
    """Return an event whose price is nobody's business, unless it is given."""
    cheap = 40.0 + number % 70
    return Due(region=f"r{number % 50}", price_eur=price_eur or cheap, load_mw=450.0 + number % 97)


class Served:
    """The runtime behind a real server, in a thread of its own."""

    def __init__(self, root: Path) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.runtime = self.run(filled(root))
        self._server = self.run(Server.start(self.runtime, "127.0.0.1", 0, rooms=[Console(about="made up")]))
        self.url = f"http://localhost:{self._server.port}"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the server's thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """Stop it."""
        self.run(self._server.stop())
        self.run(self.runtime.close())
        self._loop.call_soon_threadsafe(self._loop.stop)

    def get(self, path: str) -> bytes:
        """Ask for a page, as a browser does."""
        with urlopen(Request(f"{self.url}{path}", headers={"accept": "text/html"})) as answer:
            body: bytes = answer.read()
        return body


def p95_ms(served: Served, path: str) -> float:
    """Return the 95th percentile of the times to get a page, one after another."""
    served.get(path)
    took = []
    for _ in range(ASKED):
        began = time.perf_counter()
        served.get(path)
        took.append((time.perf_counter() - began) * 1000)
    return statistics.quantiles(took, n=20)[-1]


def pages(served: Served) -> list[Figure]:
    """Measure how long pages take to be made, and how much they weigh."""
    [row] = served.runtime.views.runs(limit=1)
    [asked] = served.runtime.views.waiting(limit=1)
    figures = [
        Figure(f"pages: overview over {ENTRIES:,} entries, p95", p95_ms(served, "/"), "ms", 30, below=True),
        Figure("pages: a decision, p95", p95_ms(served, f"/decisions/{row.decision_id}"), "ms", 30, below=True),
        Figure("pages: decisions, p95", p95_ms(served, "/decisions"), "ms"),
        Figure(f"pages: {WAITING:,} approvals, p95", p95_ms(served, f"/approvals/{asked.decision_id}"), "ms"),
        Figure("pages: value, p95", p95_ms(served, "/value"), "ms"),
        Figure("pages: audit, p95", p95_ms(served, "/audit"), "ms"),
    ]
    for name, path in (("overview", "/"), ("decision", f"/decisions/{row.decision_id}")):
        figures.append(Figure(f"html of the {name}, squeezed", len(gzip.compress(served.get(path))) / 1000, "kB"))
    return figures


def looked_at(served: Served) -> list[Figure]:
    """Measure what a person at a browser waits for."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        heavy, painted = weights(browser, served, "/"), paints(browser, served)
        light = weights(browser, served, "/settings")
        answered = answer_by_keyboard(browser, served)
        browser.close()
    return [
        Figure("weight: a page without a chart, first visit", light / 1000, "kB", 150, below=True),
        Figure("weight: the overview, with charts, first visit", heavy / 1000, "kB", 900, below=True),
        Figure("first paint of the overview, first visit, median", statistics.median(painted), "ms", 500, below=True),
        Figure("approval by keyboard until it is seen, median", statistics.median(answered), "ms", 300, below=True),
    ]


def weights(browser: Any, served: Served, path: str) -> int:
    """Return the bytes that come over the wire for a page in a browser that has nothing yet."""
    context = browser.new_context()
    page, total = context.new_page(), 0
    session = context.new_cdp_session(page)
    session.send("Network.enable")

    def count(event: dict[str, Any]) -> None:
        nonlocal total
        total += int(event["encodedDataLength"])

    session.on("Network.loadingFinished", count)
    page.goto(f"{served.url}{path}", wait_until="load")
    page.wait_for_timeout(500)
    context.close()
    return total


def paints(browser: Any, served: Served) -> Sequence[float]:
    """Return when the overview showed its first content, in a browser that has nothing yet."""
    found = []
    for _ in range(3 if QUICK else 7):
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{served.url}/", wait_until="load")
        page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
        found.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        context.close()
    return found


def answer_by_keyboard(browser: Any, served: Served) -> Sequence[float]:
    """Approve by the keyboard alone; return how long it took until the page said so."""
    context = browser.new_context()
    page, took = context.new_page(), []
    page.goto(f"{served.url}/approvals", wait_until="load")
    for _ in range(3 if QUICK else 7):
        page.goto(f"{served.url}/approvals/{served.runtime.views.waiting(limit=1)[0].decision_id}", wait_until="load")
        page.keyboard.press("a")
        page.keyboard.type("as planned")
        began = time.perf_counter()
        page.keyboard.press("Enter")
        page.get_by_text("Approved").first.wait_for()
        took.append((time.perf_counter() - began) * 1000)
    context.close()
    return took


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        served = Served(Path(folder))
        try:
            figures = pages(served)
            if CHROMIUM.exists():
                figures += looked_at(served)
            else:
                print(f"not measured in a browser: there is no {CHROMIUM}", file=sys.stderr)
        finally:
            served.close()
    report("console", [*figures, *console_streams.figures()])


if __name__ == "__main__":
    main()
