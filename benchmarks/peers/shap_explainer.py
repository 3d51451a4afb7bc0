"""Times shap's TreeExplainer on a LightGBM model: ``python shap_explainer.py MODEL.txt ROWS.npy``.

Runs in an environment of its own (requirements/peers/shap.txt).
"""

import json
import sys
import time

import lightgbm
import numpy as np
import shap

ROUNDS = 7


def least_us(call, times):
    """Return the least time of a call in microseconds."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(times):
            call()
        best = min(best, (time.perf_counter() - start) / times * 1e6)
    return best


def main():
    """Measure and print one object."""
    booster = lightgbm.Booster(model_file=sys.argv[1])
    explainer = shap.TreeExplainer(booster)
    rows = np.load(sys.argv[2])
    one = least_us(lambda: explainer.shap_values(rows[:1]), 20)
    own = least_us(lambda: booster.predict(rows[:1], pred_contrib=True, num_threads=1), 20)
    batch = least_us(lambda: explainer.shap_values(rows), 1) / len(rows)
    print(json.dumps({"version": shap.__version__, "one_us": one, "own_us": own, "batch_us": batch}))


main()
