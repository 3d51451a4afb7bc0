"""What all tests share: how properties are searched, and that no process keeps compiled code of what a test wrote."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# Machines are shared: how long an example takes says nothing about the code.
settings.register_profile("steward", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("steward")


@pytest.fixture(scope="session", autouse=True)
def _processes_keep_no_compiled_code() -> None:
    """Keep processes of tests from taking a file that was written twice within a second for its first version."""
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
