"""A LightGBM model as a BentoML service; ``MODEL`` names its file."""

from __future__ import annotations

import os

import bentoml
import lightgbm
import numpy as np
import numpy.typing as npt


@bentoml.service(workers=1, traffic={"timeout": 30, "concurrency": 1000}, logging={"access": {"enabled": False}})
class Fraud:
    """Answers with the probability of fraud."""

    def __init__(self) -> None:
        self._booster = lightgbm.Booster(model_file=os.environ["MODEL"])

    @bentoml.api
    def predict(self, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Answer a batch."""
        return self._booster.predict(rows, num_threads=1)
