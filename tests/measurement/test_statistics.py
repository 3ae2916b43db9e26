"""Intervals over runs, against exact figures and by their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from measurement.histogram import WIDTH
from measurement.statistics import (
    Estimate,
    _half_of_drawn,
    added_quantile,
    holm,
    mean_estimate,
    median_time,
    more_often,
    paired_difference,
    proportion,
    quantile_estimate,
    quantile_interval,
    score_estimate,
    share_estimate,
)


def test_score_interval_stays_inside_the_scale() -> None:
    """Scores close to 100 get an interval that ends below 100."""
    estimate = score_estimate([99.5, 99.9, 100.0, 98.7, 99.8])
    assert estimate.low is not None and estimate.high is not None
    assert 0 < estimate.low < estimate.mean <= estimate.high <= 100


def test_one_run_has_no_interval() -> None:
    """A single run says nothing about the spread between runs."""
    estimate = score_estimate([90.0])
    assert (estimate.low, estimate.high, estimate.n) == (None, None, 1)


def test_no_runs_are_an_error() -> None:
    """An estimate from nothing is refused."""
    with pytest.raises(ValueError, match="expected at least one"):
        score_estimate([])


@pytest.mark.parametrize("n", [5, 12])
def test_score_interval_covers_the_true_mean(n: int) -> None:
    """Both methods cover the mean of a logit-normal score in nine cases of ten or more."""
    rng = np.random.default_rng(7)
    population = 100 / (1 + np.exp(-rng.normal(2.0, 0.4, 200_000)))
    truth = float(np.median(population)) if n < 10 else float(np.mean(population))
    covered = 0
    rounds = 200
    for index in range(rounds):
        estimate = score_estimate(list(rng.choice(population, n)), seed=index)
        assert estimate.low is not None and estimate.high is not None
        covered += estimate.low <= truth <= estimate.high
    assert covered / rounds >= 0.88


@pytest.mark.parametrize("n", [2, 5, 10])
def test_scores_that_are_alike_have_no_interval(n: int) -> None:
    """Neither method can tell how runs differ when none does: no interval, rather than one without width."""
    for estimate in (score_estimate([100.0] * n), mean_estimate([0.1 + 0.2, 0.3] * n)):
        assert estimate.alike and (estimate.low, estimate.high) == (None, None)
    assert not score_estimate([100.0]).alike
    assert not score_estimate([100.0] * (n - 1) + [99.0]).alike


def test_a_mean_has_students_interval() -> None:
    """The interval is that of scipy's t test of one sample; one value has none, and none is an error."""
    values = [2.0, 2.4, 1.9, 2.2]
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    found = mean_estimate(values)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.mean == pytest.approx(2.125) and found.n == 4
    assert mean_estimate([7.0]).low is None
    assert mean_estimate([0.0, 0.1, 1.5]).low == 0.0  # as no lag and no count is negative
    assert (mean_estimate([-0.1, 0.1, 1.5]).low or 0.0) < -0.1
    with pytest.raises(ValueError, match="expected at least one"):
        mean_estimate([])


def test_a_share_keeps_what_it_was_made_of() -> None:
    """Two of five runs, with the exact interval."""
    found = share_estimate(2, 5)
    assert (found.runs, found.n) == (2, 5) and (found.low, found.high) == proportion(2, 5)


def test_proportion_is_exact() -> None:
    """No event in 50 leaves up to 7.1% possible (Clopper-Pearson)."""
    low, high = proportion(0, 50)
    assert low == 0.0
    assert high == pytest.approx(1 - 0.025 ** (1 / 50))


def test_proportion_refuses_nonsense() -> None:
    """More events than trials are refused."""
    with pytest.raises(ValueError, match="expected between"):
        proportion(3, 2)


def test_median_counts_the_censored() -> None:
    """Two that never recovered shift the median of three that did."""
    assert median_time([1.0, 2.0, 3.0], [5.0, 5.0]).median == 3.0


def test_median_is_unknown_when_most_never_recovered() -> None:
    """With two censored of three there is no median."""
    result = median_time([1.0], [5.0, 5.0])
    assert result.median is None
    assert result.censored == 2


def test_holm_stops_at_the_first_that_holds() -> None:
    """0.01 is rejected at 0.05 / 3; 0.03 is not at 0.05 / 2, and then 0.04 is not either."""
    assert holm([0.01, 0.04, 0.03]) == (True, False, False)


def test_paired_difference_is_students() -> None:
    """The interval of a paired difference is that of scipy's paired t test."""
    baseline, candidate = [90.0, 91.0, 95.0, 88.0], [88.0, 90.5, 91.0, 87.0]
    expected = stats.ttest_rel(candidate, baseline).confidence_interval(0.95)
    result = paired_difference(baseline, candidate)
    assert (result.low, result.high) == pytest.approx((expected.low, expected.high))
    assert result.p_worse == pytest.approx(stats.ttest_rel(candidate, baseline, alternative="less").pvalue)


def test_equal_differences_have_no_size_of_effect() -> None:
    """Differences that are one but for rounding have no spread: a quotient by it would be noise."""
    result = paired_difference([0.1, 0.2, 0.3], [0.2, 0.3, 0.4])
    assert result.effect_size is None and result.low == result.high == result.mean


def test_unpaired_values_are_refused() -> None:
    """Lists of different length are no pairs."""
    with pytest.raises(ValueError, match="expected pairs"):
        paired_difference([1.0], [1.0, 2.0])


def test_a_merged_percentile_has_an_interval_over_runs() -> None:
    """Five runs at five levels: the interval is wider than that of five equal runs, and holds the figure."""
    apart = quantile_estimate([((400 + 10 * n, 100),) for n in range(5)], 0.95)
    alike = quantile_estimate([((400, 100),) for _ in range(5)], 0.95)
    assert apart is not None and alike is not None and apart.low is not None and apart.high is not None
    assert apart.low < apart.mean < apart.high
    assert alike.low is not None and alike.high is not None
    assert (alike.low, alike.high) == pytest.approx((alike.mean / WIDTH**0.5, alike.mean * WIDTH**0.5))


def test_what_a_candidate_adds_to_a_percentile_is_told_of_pairs() -> None:
    """Seeds that differ by much and a candidate that adds 2% to each: alone each figure is uncertain by far
    more than what is added, the pairs tell it."""
    before = [((400 + 20 * (n % 3), 100),) for n in range(9)]
    after = [((bucket + 1, count),) for ((bucket, count),) in before]
    one, added = quantile_estimate(before, 0.95), added_quantile(before, after, 0.95)
    assert one is not None and added is not None
    assert one.low is not None and one.high is not None and added.low is not None and added.high is not None
    assert added.mean == pytest.approx(one.mean * (WIDTH - 1))
    assert added.high - added.low < 0.2 * (one.high - one.low)


def test_what_is_added_is_never_known_better_than_the_buckets() -> None:
    """Histograms that are alike add nothing, give or take half a bucket of each."""
    runs = [((400, 100),)] * 6
    added, level = added_quantile(runs, runs, 0.95), quantile_estimate(runs, 0.95)
    assert added is not None and level is not None and added.low is not None and added.high is not None
    assert added.mean == 0.0 and added.high == -added.low == pytest.approx(0.02 * level.mean, rel=0.01)


def test_what_is_added_needs_pairs_and_enough_latencies() -> None:
    """Four pairs give no interval, too few latencies no figure, and runs of no pair are refused."""
    four = [((400, 100),)] * 4
    found = added_quantile(four, four, 0.95)
    assert found is not None and (found.low, found.n) == (None, 4)
    assert added_quantile([((400, 3),)], [((400, 3),)], 0.95) is None
    with pytest.raises(ValueError, match="expected pairs"):
        added_quantile(four, four[:3], 0.95)


def test_a_percentile_of_few_runs_has_no_interval() -> None:
    """Two runs say too little about how runs differ, and too few latencies give no percentile at all."""
    two = quantile_estimate([((400, 100),), ((410, 100),)], 0.95)
    assert two is not None and two.low is None
    assert quantile_estimate([((400, 3),)], 0.95) is None


def test_the_median_time_has_an_interval() -> None:
    """Twelve times, three of them censored: half are left after 6, and the interval holds that."""
    found = median_time([1, 2, 3, 4, 5, 6, 7, 8, 9], [3.5, 6.5, 10])
    assert (found.median, found.low, found.high) == (6.0, 2.0, 9.0)


def test_the_interval_may_stay_open() -> None:
    """Where most runs never recovered nothing bounds the median from above."""
    found = median_time([1.0, 2.0], [10.0] * 6)
    assert found.median is None and found.high is None


def test_fishers_test_tells_chance_from_change() -> None:
    """Seven failures of seven beside none cannot be chance, one beside none can."""
    assert more_often(0, 7, 7) == pytest.approx(1 / 3432)
    assert more_often(0, 1, 7) == pytest.approx(0.5)


def test_what_is_decided_by_is_the_interval_or_what_all_runs_say_alike() -> None:
    """Runs that are all alike are taken at their word; one run, or a mean without an interval, is not."""
    assert score_estimate([80.0, 80.0]).bounds == (80.0, 80.0)
    assert score_estimate([80.0, 80.0]).alike
    assert score_estimate([80.0]).bounds is None
    assert not score_estimate([80.0]).alike
    assert Estimate(3.0, 1.0, 5.0, 4, "t").bounds == (1.0, 5.0)
    assert Estimate(3.0, None, None, 4, "merged").bounds is None


def test_scores_at_the_end_of_the_scale_have_an_interval() -> None:
    """0 and 100 have no logit: they count as half a percent from the end, and the mean stays inside."""
    low, high = score_estimate([0.0, 0.0, 1.0]), score_estimate([100.0, 100.0, 99.0])
    for estimate in (low, high):
        assert estimate.low is not None and estimate.high is not None
        assert 0 <= estimate.low <= estimate.mean <= estimate.high <= 100
    assert low.mean == pytest.approx(100 - high.mean)
    shares = np.log(np.array([0.005, 0.005, 0.01]) / np.array([0.995, 0.995, 0.99]))
    half = stats.t.ppf(0.975, 2) * shares.std(ddof=1) / 3**0.5
    assert low.high == pytest.approx(100 / (1 + np.exp(-(shares.mean() + half))))


def test_a_mean_of_what_is_never_negative_has_no_negative_end() -> None:
    """Of what may be negative it has."""
    assert mean_estimate([0.0, 0.1, 9.0]).low == 0.0
    below = mean_estimate([-0.1, 0.1, 9.0]).low
    assert below is not None and below < -1
    with pytest.raises(ValueError, match="expected at least one"):
        mean_estimate([])
    assert mean_estimate([5.0]).low is None


def test_nearly_alike_is_alike() -> None:
    """A billionth of the level, or of one where the level is below it, is rounding."""
    assert mean_estimate([1e6, 1e6 + 1e-4]).alike
    assert not mean_estimate([1e6, 1e6 + 1e-2]).alike
    assert mean_estimate([1e-12, 2e-12]).alike


def test_a_spread_over_resamples_is_that_of_its_runs() -> None:
    """A resample of n runs varies by (n - 1) / n of what n runs do: the factor gives it back."""
    figures = np.array([1.0, 2.0, 3.0, 4.0])
    expected = stats.t.ppf(0.975, 4) * figures.std(ddof=1) * (5 / 4) ** 0.5
    assert _half_of_drawn(figures, 5) == pytest.approx(expected)


def test_the_smallest_of_several_p_values_has_the_strictest_bar() -> None:
    """The bar itself is passed: 0.05 alone, half of it first of two."""
    assert holm([0.05], level=0.05) == (True,)
    assert holm([0.051], level=0.05) == (False,)
    assert holm([0.05, 0.025], level=0.05) == (True, True)
    assert holm([0.05, 0.026], level=0.05) == (False, False)
    assert holm([]) == ()


@pytest.mark.parametrize(("by", "p_worse"), [(1.0, 1.0), (0.0, 1.0), (-1.0, 0.0)])
def test_a_difference_without_spread_is_taken_at_its_word(by: float, p_worse: float) -> None:
    """Worse by as much in every pair is worse; equal is not."""
    result = paired_difference([50.0, 60.0], [50.0 + by, 60.0 + by])
    assert (result.mean, result.low, result.high, result.p_worse, result.n) == (by, by, by, p_worse, 2)


def test_one_pair_has_a_mean_alone() -> None:
    """And no pairs are refused."""
    one = paired_difference([50.0], [40.0])
    assert (one.mean, one.low, one.p_worse, one.effect_size, one.n) == (-10.0, None, None, None, 1)
    with pytest.raises(ValueError, match="expected pairs"):
        paired_difference([], [])


def test_the_size_of_an_effect_is_in_spreads_of_the_pairs() -> None:
    """Cohen's d_z: the mean of the differences by their standard deviation."""
    result = paired_difference([10.0, 10.0, 10.0], [11.0, 12.0, 13.0])
    assert result.effect_size == pytest.approx(2.0)


def test_few_times_to_recover_have_no_interval() -> None:
    """From five times on, of which two were reached at least."""
    four, five = median_time([1.0, 2.0, 3.0, 4.0], []), median_time([1.0, 2.0, 3.0, 4.0, 5.0], [])
    assert (four.median, four.low, four.high, four.n) == (2.0, None, None, 4)
    assert (five.median, five.n, five.censored) == (3.0, 5, 0)
    assert five.low is not None
    single = median_time([1.0], [2.0] * 4)
    assert (single.median, single.low, single.censored) == (None, None, 4)
    with pytest.raises(ValueError, match="expected at least one"):
        median_time([], [])


@pytest.mark.parametrize(("events", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_a_share_of_nothing_or_of_more_than_all_is_refused(events: int, n: int) -> None:
    """None of five and five of five are shares."""
    with pytest.raises(ValueError, match="expected between 0 and n"):
        share_estimate(events, n)
    assert share_estimate(5, 5).high == 1.0
    assert share_estimate(0, 5).low == 0.0


@pytest.mark.parametrize(("q", "n"), [(0.5, 60), (0.95, 100), (0.95, 400), (0.99, 600)])
def test_an_interval_of_a_quantile_holds_it_as_often_as_it_says(q: float, n: int) -> None:
    """Each end is wrong in at most 2.5% of 2,000 samples (with three standard errors), of a skewed
    distribution."""
    rng = np.random.default_rng(7)
    true = float(np.exp(stats.norm.ppf(q)))
    ends = [quantile_interval(list(rng.lognormal(0.0, 1.0, n)), q) for _ in range(2000)]
    most = 0.025 + 3 * (0.025 * 0.975 / 2000) ** 0.5
    assert sum(low > true for low, _ in ends) / 2000 <= most
    assert sum(high < true for _, high in ends) / 2000 <= most


@pytest.mark.parametrize(("n", "high"), [(0, False), (20, False), (71, False), (73, True)])
def test_few_values_leave_an_interval_of_a_quantile_open(n: int, high: bool) -> None:
    """0.95 ** 72 is below 2.5%: from 73 values on the largest one is surely above the p95."""
    ends = quantile_interval([float(i) for i in range(n)], 0.95)
    assert (ends[1] < float("inf")) is high
    assert (ends[0] > 0) is (n > 1)


def test_differences_that_are_one_but_for_rounding_are_within_a_billionth() -> None:
    """Of one, where the mean is below it: a spread of 1.4 billionths is a spread."""
    assert paired_difference([0.0, 0.0], [0.0, 1e-9]).effect_size is None
    assert paired_difference([0.0, 0.0], [0.0, 2e-9]).effect_size is not None
    assert paired_difference([0.0, 0.0], [1e3, 1e3 + 1e-6]).effect_size is None
