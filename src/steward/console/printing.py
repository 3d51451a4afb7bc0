"""Makes a PDF of a report, in a process of its own: laying out pages takes a second, and decisions are not to wait.

``python -m steward.console.printing`` reads HTML and writes a PDF.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import Final

from steward.errors import EngineError

PDF: Final = find_spec("weasyprint") is not None
"""Whether the extra ``pdf`` is installed."""
_MOST_S: Final = 60.0
_LOWER: Final = 10
_PROCESS: Final = "steward.console.printing"
_busy = asyncio.Semaphore(1)


async def printed(html: str) -> bytes:
    """Return a report as a PDF; one at a time.

    Raises:
        EngineError: The extra ``pdf`` is not installed, or what it needs of the system.
    """
    if not PDF:
        raise EngineError(
            "a PDF needs the extra pdf", fix="pip install 'steward-aios[pdf]', or print the page", code="extra-missing"
        )
    async with _busy:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", _PROCESS,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(_MOST_S):
                pdf, told = await process.communicate(html.encode())
        except TimeoutError as error:
            raise EngineError("the report took too long to print", fix="print the page", retryable=True) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode != 0 or not pdf.startswith(b"%PDF"):
        last = told.decode(errors="replace").strip().rpartition("\n")[2][:300]
        raise EngineError(
            "the report could not be printed",
            why=last or f"WeasyPrint ended with {process.returncode}",
            fix="install what it needs of the system (Debian: libpango-1.0-0 libpangoft2-1.0-0), or print the page",
            code="extra-missing",
        )
    return pdf


def pdf_of(html: str) -> bytes:
    """Lay out HTML as a PDF; whatever it names is not loaded, from wherever."""
    from weasyprint import HTML  # noqa: PLC0415 - the extra pdf, and only this process needs it
    from weasyprint.urls import URLFetcher  # noqa: PLC0415 - as above

    pdf: bytes = HTML(string=html, url_fetcher=URLFetcher(allowed_protocols=())).write_pdf()
    return pdf


def main() -> None:
    """Read HTML and write a PDF."""
    with suppress(OSError):
        os.nice(_LOWER)  # below decisions, though somebody waits for it
    sys.stdout.buffer.write(pdf_of(sys.stdin.buffer.read().decode()))


if __name__ == "__main__":
    main()
