"""Keep a LightGBM model as MLflow does: ``python mlflow_save.py MODEL FOLDER``."""

from __future__ import annotations

import sys

import lightgbm
import mlflow.lightgbm

mlflow.lightgbm.save_model(lightgbm.Booster(model_file=sys.argv[1]), sys.argv[2])
