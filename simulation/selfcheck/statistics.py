"""Estimates with honest errors from correlated output: batch means, sharpened by control variates.

The waiting times of a queue follow from its service times and interarrival times, whose moments are known.
What a run's inputs happened to deviate from those moments explains much of what its output deviates, and is
regressed away (control variates, Lavenberg and Welch 1981). The controls are the means and the squared sums
over windows of several lengths, whose expectations are exact.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

WINDOWS = (1, 4, 16, 64, 256, 1024)
BATCHES = 10  # a run


def batch_means(values: Array, batches: int = BATCHES) -> Array:
    """Means of consecutive batches, nan of too few values; a remainder at the start is left out."""
    size = len(values) // batches
    if size == 0:
        return np.full(batches, np.nan)
    return np.asarray(values[len(values) - size * batches :].reshape(batches, size).mean(axis=1))


def queue_controls(
    services: Array, gaps: Array, slots: int, variance_service: float, means: tuple[float, float]
) -> Array:
    """Batch means of inputs with expectation 0, shape (BATCHES, controls).

    `means` are the exact means of service and interarrival time; interarrival times are exponential.
    """
    mean_service, mean_gap = means
    step = services / slots - gaps - (mean_service / slots - mean_gap)
    variance = variance_service / slots**2 + mean_gap**2
    total = np.concatenate([[0.0], np.cumsum(step)])
    columns = [batch_means(step), batch_means((services - mean_service) ** 2 - variance_service)]
    for window in WINDOWS:
        squared = np.zeros(len(step))
        squared[window - 1 :] = (total[window:] - total[:-window]) ** 2 - window * variance
        columns.append(batch_means(squared))
    return np.asarray(columns).T


def estimate(means: Array, controls: Array | None = None) -> tuple[float, float]:
    """Mean and standard error of independent batch means, adjusted by `controls` of expectation 0."""
    count = len(means)
    if controls is None or count < 3 * controls.shape[1]:
        return float(means.mean()), float(means.std(ddof=1) / np.sqrt(count))
    scale = controls.std(axis=0)
    design = np.column_stack([np.ones(count), controls[:, scale > 0] / scale[scale > 0]])
    inverse = np.linalg.pinv(design.T @ design)
    coefficients = inverse @ design.T @ means
    residual = means - design @ coefficients
    freedom = count - np.linalg.matrix_rank(design)
    return float(coefficients[0]), float(np.sqrt(residual @ residual / freedom * inverse[0, 0]))


def quantile(runs: list[Array], level: float, controls: Array | None = None) -> tuple[float, float]:
    """A quantile over all runs and its standard error, from the batch means of "exceeds it".

    The error in the share turns into one of the quantile through the local slope of the quantile function.
    """
    pooled = np.concatenate(runs)
    point = float(np.quantile(pooled, level))
    width = min(0.5 * (1 - level), 0.5 * level, 0.01)
    low, high = np.quantile(pooled, [level - width, level + width])
    slope = float(high - low) / (2 * width)
    means = np.concatenate([batch_means((run > point).astype(float)) for run in runs])
    share, error = estimate(means, controls)
    return point + (share - (1 - level)) * slope, error * slope
