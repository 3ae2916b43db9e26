"""What faults on packets measure: how many the kernel hit, and whether an older connection felt it."""

from __future__ import annotations

from experiment.controls import Effect
from experiment.units import noun
from faults.link_measures import Existing, RoundTrips, answers, figures, shown

ROUNDS = 5
DEADLINE_S = 0.6
UNLIKELY = 0.001
RETRANSMISSION_S = 0.15  # TCP waits at least 0.2 s before it sends a lost packet again


def require_share(share: float) -> None:
    """Raises ValueError for a share of no packets, or of so many that no connection lives."""
    if not 0 < share <= 0.9:
        raise ValueError(f"a share of {share:.1%} of the packets; expected more than 0% and at most 90%")


def hit(trips: RoundTrips, counter: str) -> int:
    """Packets hit so far, as the last probe that knows says."""
    counts = [probe.measures[counter] for probe in trips.probes if probe.measures is not None]
    return round(counts[-1]) if counts else 0


def plausible(count: int, met: int, share: float) -> bool:
    """Whether `count` of `met` packets is what a binomial draw of that share gives: fewer than one draw in a
    thousand is as far off, to this side."""
    if not 0 <= count <= met:
        return False
    from scipy import special  # only here: it is slow to load

    at_most, at_least = special.bdtr(count, met, share), special.bdtrc(count - 1, met, share)
    return bool(min(at_most, at_least) >= UNLIKELY)


def packet_effect(
    before: RoundTrips, during: RoundTrips, counter: str, done: str, late_s: float = RETRANSMISSION_S
) -> Effect:
    """The kernel's own counter is not zero. An older connection was hit when a round trip over it took
    longer than `late_s`: by default, when it had to wait for packets to be sent again."""
    count = hit(during, counter)
    late = any(one.seconds is None or one.seconds > late_s for one in during.existing)
    touched: Existing = "affected" if count and late else "unknown"
    trip = f"round trip {shown(before.fresh, DEADLINE_S)} -> {shown(during.fresh, DEADLINE_S)}"
    statement = f"{noun(int(count), 'packet')} {done}; {trip}"
    return Effect(count > 0, statement, {**figures(before, during), counter: count}, touched)


def packets_unharmed(before: RoundTrips, after: RoundTrips) -> Effect:
    """No rule acts on the link's packets any more, and both kinds of connection are answered."""
    acting = any(probe.measures is not None for probe in after.probes)
    statement = f"round trip {shown(after.fresh, DEADLINE_S)}"
    return Effect(answers(after) and not acting, statement, figures(before, after))
