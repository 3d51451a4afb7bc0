"""Real servers in environments of their own, which do not fit into ours: how to find and to run them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from urllib.error import URLError
from urllib.request import urlopen


@contextmanager
def running(
    command: Sequence[str], ready: str, log: Path, *, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; it begins when ``ready`` is answered with 200."""
    env = {**os.environ, **(environ or {})}
    with (
        log.open("wb") as out,
        subprocess.Popen(command, stdout=out, stderr=out, env=env, cwd=cwd, start_new_session=True) as process,
    ):
        try:
            wait_until_ready(ready, process, log)
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = monotonic() + 60
    while True:
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, OSError) as error:
            if process.poll() is not None or monotonic() > until:
                raise AssertionError(f"the server is not ready: {error}\n{log.read_text()[-4000:]}") from error
            sleep(0.1)
