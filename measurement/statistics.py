"""Intervals over repeated runs. The unit is the run, never the request.

Scores live on 0..100: their t interval is taken on the logit scale, so that it stays inside. From ten runs on
the bias-corrected and accelerated bootstrap (Efron 1987) is used. Times to recover may be censored (Kaplan
and Meier 1958); rare events get exact binomial intervals (Clopper and Pearson 1934).

Runs that are all alike give a mean no interval: a sample without spread shows none, and an interval without
width would say that there is none.

scipy is imported where it is used: it takes half a second, which a command that reads files would wait for.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from experiment.libraries import np
from measurement.histogram import WIDTH, Histogram, merge, quantile

CONFIDENCE = 0.95
BOOTSTRAP_FROM = 10
RESAMPLES = 2000
INTERVAL_FROM = 5  # runs; fewer say too little about how runs differ
HISTOGRAM_RESAMPLES = 200
ROUNDING = 1e-9  # values that differ by less are the same: a figure of their spread would be rounding errors
EDGE = 0.005  # a share of 0 or 1 has no logit; half a percent is below what a score resolves
ALIKE = "all alike"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95% interval; `low` and `high` are None when the sample cannot support one."""

    mean: float  # the mean of the values
    low: float | None  # lower end of the 95% interval
    high: float | None  # upper end of the 95% interval
    n: int  # how many values there are
    method: str  # how the interval was made

    @property
    def alike(self) -> bool:
        """Two runs or more, and no spread among them."""
        return self.method == ALIKE

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The interval to decide by: runs that are all alike are taken at their word; None: not known."""
        if self.alike:
            return self.mean, self.mean
        return None if self.low is None or self.high is None else (self.low, self.high)


def score_estimate(scores: Sequence[float], seed: int = 0) -> Estimate:
    """Mean score (0..100) over runs: t on logit(S / 100), BCa bootstrap from ten runs."""
    n = len(scores)
    if n == 0:
        raise ValueError("no scores; expected at least one")
    mean = float(np.mean(scores))
    if n == 1:
        return Estimate(mean, None, None, 1, "one run")
    if _alike(np.asarray(scores, float)):
        return Estimate(mean, None, None, n, ALIKE)
    if n >= BOOTSTRAP_FROM:
        return _bca(scores, mean, seed)
    shares = np.clip(np.asarray(scores) / 100.0, EDGE, 1 - EDGE)
    logits = np.log(shares / (1 - shares))
    half = _half_width(logits)
    centre = float(np.mean(logits))
    low, high = (100.0 / (1 + math.exp(-(centre + sign * half))) for sign in (-1, 1))
    return Estimate(mean, min(low, mean), max(high, mean), n, "t on logit")


def mean_estimate(values: Sequence[float]) -> Estimate:
    """Mean over runs of a figure, with its t interval from two runs on; none below 0 of what is never
    negative. Raises ValueError without any."""
    n = len(values)
    if n == 0:
        raise ValueError("no values; expected at least one")
    mean = float(np.mean(values))
    if n == 1:
        return Estimate(mean, None, None, 1, "one run")
    sample = np.asarray(values, float)
    if _alike(sample):
        return Estimate(mean, None, None, n, ALIKE)
    half = _half_width(sample)
    low = mean - half
    return Estimate(mean, max(0.0, low) if min(values) >= 0 else low, mean + half, n, "t")


def _alike(values: np.ndarray) -> bool:
    return bool(np.ptp(values) <= ROUNDING * max(1.0, float(np.max(np.abs(values)))))


@dataclass(frozen=True, slots=True)
class Share:
    """How many runs of `n` have something, with the exact 95% interval of the share."""

    runs: int  # how many runs have it
    n: int  # of how many runs
    low: float  # lower end of the exact 95% interval of the share
    high: float  # upper end of the exact 95% interval of the share


def share_estimate(runs: int, n: int) -> Share:
    """Clopper-Pearson. Raises ValueError when `n` is 0 or less than `runs`."""
    return Share(runs, n, *proportion(runs, n))


def _half_width(values: np.ndarray) -> float:
    from scipy import stats

    n = len(values)
    spread = float(np.std(values, ddof=1))
    return float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1)) * spread / math.sqrt(n)


def _bca(values: Sequence[float], mean: float, seed: int) -> Estimate:
    from scipy import stats

    sample = np.asarray(values, dtype=float)
    result = stats.bootstrap(
        (sample,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="BCa",
        rng=np.random.default_rng(seed),
    )
    interval = result.confidence_interval
    return Estimate(mean, float(interval.low), float(interval.high), len(sample), "BCa bootstrap")


def proportion(events: int, n: int) -> tuple[float, float]:
    """Exact 95% interval of a share (Clopper-Pearson)."""
    from scipy import stats

    if not 0 <= events <= n or n == 0:
        raise ValueError(f"{events} events of {n}; expected between 0 and n of at least one")
    interval = stats.binomtest(events, n).proportion_ci(CONFIDENCE, method="exact")
    return float(interval.low), float(interval.high)


def quantile_interval(
    values: Sequence[float] | np.ndarray, q: float, level: float = 0.975
) -> tuple[float, float]:
    """Where the quantile of what the values were drawn from lies, whatever its distribution: order statistics
    by exact binomial ranks (Conover 1999, 3.2). Each end is wrong in at most 1 - `level` of samples; 0 and
    infinite where so few values have no such rank."""
    from scipy import stats

    ordered = np.sort(np.asarray(values, float))
    n = len(ordered)
    below = int(stats.binom.ppf(1 - level, n, q)) if n else 0
    above = int(stats.binom.ppf(level, n, q)) + 1
    low = float(ordered[below - 1]) if below >= 1 else 0.0
    return low, float(ordered[above - 1]) if 0 < above <= n else math.inf


def evidently_below(good: int, n: int, share: float) -> bool:
    """Whether so few good ones of n would be seen less than once in 20 times if the true share were `share`
    (exact one-sided binomial test): what a small count cannot tell from chance is not evidence."""
    from scipy import special

    return float(special.bdtr(min(good, n), n, share)) < 1 - CONFIDENCE


@dataclass(frozen=True, slots=True)
class MedianTime:
    """Median of times of which some were never reached; None when more than half were not. `low` and `high`
    are its 95% interval, None where the sample leaves it open."""

    median: float | None  # the median in seconds; none: more than half were never reached
    n: int  # how many times there are
    censored: int  # how many were never reached
    low: float | None = None  # lower end of the 95% interval, in seconds
    high: float | None = None  # upper end of the 95% interval, in seconds


def median_time(reached: Sequence[float], censored_at: Sequence[float]) -> MedianTime:
    """Kaplan-Meier median with the interval of Brookmeyer and Crowley (1982) on the log-log scale, from five
    times on. `censored_at` are the times after which nobody looked any more."""
    from scipy import stats

    n = len(reached) + len(censored_at)
    if n == 0:
        raise ValueError("no times; expected at least one")
    sample = stats.CensoredData(uncensored=np.asarray(reached, float), right=np.asarray(censored_at, float))
    survival = stats.ecdf(sample).sf
    times, survivors = survival.quantiles, survival.probabilities
    low = high = None
    if n >= INTERVAL_FROM and len(reached) > 1:
        with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # undefined at the ends: left open below
            interval = survival.confidence_interval(CONFIDENCE, method="log-log")
        low = _first_half(times, np.nan_to_num(interval.low.probabilities, nan=0.0))
        high = _first_half(times, np.nan_to_num(interval.high.probabilities, nan=1.0))
    return MedianTime(_first_half(times, survivors), n, len(censored_at), low, high)


def _first_half(times: np.ndarray, survivors: np.ndarray) -> float | None:
    """The first time by which half or less are left; None when that never comes."""
    below = np.flatnonzero(survivors <= 0.5 + 1e-12)
    return float(times[below[0]]) if len(below) else None


def quantile_estimate(runs: Sequence[Histogram], q: float, seed: int = 0) -> Estimate | None:
    """Seconds: the quantile of all runs merged. Its interval is t on the logarithm, with the standard error
    from a bootstrap over runs (from five runs on), and never narrower than a bucket; None when the merged
    sample does not support the quantile."""
    value = quantile(merge(runs), q)
    n = len(runs)
    if value is None or n < INTERVAL_FROM:
        return None if value is None else Estimate(value, None, None, n, "merged")
    drawn = [quantile(merge(runs[i] for i in chosen), q) for chosen in _resamples(n, seed)]
    half = max(_half_of_drawn(np.log([v for v in drawn if v is not None]), n), math.log(WIDTH) / 2)
    return Estimate(value, value * math.exp(-half), value * math.exp(half), n, "merged, bootstrap over runs")


def added_quantile(
    baseline: Sequence[Histogram], candidate: Sequence[Histogram], q: float, seed: int = 0
) -> Estimate | None:
    """Seconds: the quantile of all runs of the candidate merged, less that of the baseline's. Runs are pairs
    of one seed and are drawn as pairs; else as `quantile_estimate`. Raises ValueError when they are none."""
    n = len(baseline)
    if n != len(candidate):
        raise ValueError(f"{n} and {len(candidate)} runs; expected pairs")
    one, other = quantile(merge(baseline), q), quantile(merge(candidate), q)
    if one is None or other is None:
        return None
    if n < INTERVAL_FROM:
        return Estimate(other - one, None, None, n, "merged")
    drawn = [
        after - before
        for chosen in _resamples(n, seed)
        if (before := quantile(merge(baseline[i] for i in chosen), q)) is not None
        and (after := quantile(merge(candidate[i] for i in chosen), q)) is not None
    ]
    half = max(_half_of_drawn(np.asarray(drawn), n), (math.sqrt(WIDTH) - 1) * (one + other))
    return Estimate(other - one, other - one - half, other - one + half, n, "merged, bootstrap over pairs")


def _resamples(n: int, seed: int) -> Iterator[np.ndarray]:
    """Which of n runs a sample has, drawn with replacement."""
    rng = np.random.default_rng(seed)
    return (rng.integers(0, n, n) for _ in range(HISTOGRAM_RESAMPLES))


def _half_of_drawn(figures: np.ndarray, n: int) -> float:
    """Half the t interval of a figure of n runs, by its standard error over resamples."""
    from scipy import stats

    return float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1) * figures.std(ddof=1) * math.sqrt(n / (n - 1)))


def holm(p_values: Sequence[float], level: float = 1 - CONFIDENCE) -> tuple[bool, ...]:
    """Which hypotheses are rejected when all are tested together (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    rejected = [False] * len(p_values)
    for rank, index in enumerate(order):
        if p_values[index] > level / (len(p_values) - rank):
            break
        rejected[index] = True
    return tuple(rejected)


def more_often(before: int, now: int, n: int) -> float:
    """One-sided p that `now` of n is no more than chance beside `before` of n (Fisher's exact test)."""
    from scipy import stats

    table = [[now, n - now], [before, n - before]]
    return float(stats.fisher_exact(table, alternative="greater").pvalue)


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Candidate minus baseline over pairs of one seed: t interval, one-sided p that it is below zero, Cohen's
    d_z."""

    mean: float  # the mean difference, candidate minus baseline
    low: float | None  # lower end of the 95% interval
    high: float | None  # upper end of the 95% interval
    p_worse: float | None  # one-sided p value of a difference below zero
    effect_size: float | None  # Cohen's d of the pairs
    n: int  # how many pairs there are


def paired_difference(baseline: Sequence[float], candidate: Sequence[float]) -> PairedDifference:
    """Raises ValueError when the two are not pairs."""
    from scipy import stats

    differences = np.asarray(candidate, float) - np.asarray(baseline, float)
    n = len(differences)
    if len(baseline) != len(candidate) or n == 0:
        raise ValueError(f"{len(baseline)} and {len(candidate)} values; expected pairs")
    mean = float(np.mean(differences))
    if n == 1:
        return PairedDifference(mean, None, None, None, None, 1)
    spread = float(np.std(differences, ddof=1))
    if spread <= ROUNDING * max(1.0, abs(mean)):
        return PairedDifference(mean, mean, mean, float(mean >= 0), None, n)
    half = _half_width(differences)
    p_worse = float(stats.t.cdf(mean / (spread / math.sqrt(n)), n - 1))
    return PairedDifference(mean, mean - half, mean + half, p_worse, mean / spread, n)
