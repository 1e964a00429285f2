"""Logistic regression with a ridge penalty, by Newton's method."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

STEPS = 50


def sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + e^-z), element by element."""
    found: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(z, -60, 60)))
    return found


def fit_logistic(
    x: NDArray[np.floating[Any]],
    y: NDArray[np.floating[Any]],
    weights: NDArray[np.floating[Any]],
    ridge: float,
) -> tuple[NDArray[np.float64], float]:
    """Return (weights, bias) that minimise the weighted log-loss and ridge / 2 times their square.

    `x` has shape (rows, features), `y` holds shares from 0 to 1, `weights` one weight a row; the
    bias is free. With more features than rows the work is done in the space of the rows, which
    changes nothing: the penalty does not see a rotation.
    """
    x = np.asarray(x, np.float64)
    if x.shape[1] > len(x):
        basis, _ = np.linalg.qr(x.T)
        inner, bias = fit_logistic(x @ basis, y, weights, ridge)
        return basis @ inner, bias
    wide = np.hstack([x, np.ones((len(x), 1))])
    penalty = np.full(wide.shape[1], ridge)
    penalty[-1] = 1e-6
    w = np.zeros(wide.shape[1])
    for _ in range(STEPS):
        p = sigmoid(wide @ w)
        slope = wide.T @ (weights * (p - y)) + penalty * w
        curve = (wide * (weights * p * (1 - p))[:, None]).T @ wide + np.diag(penalty)
        step = np.linalg.solve(curve, slope)
        w -= step
        if np.abs(step).max() < 1e-8:
            break
    return w[:-1], float(w[-1])
