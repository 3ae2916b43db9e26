"""Kinds of properties. Each is one file; `KINDS` is the registry that system files and docs are read from."""

from __future__ import annotations

from experiment.properties import Binding
from measurement.properties.at_most_once import AtMostOnce
from measurement.properties.bounded_staleness import BoundedStaleness
from measurement.properties.bounded_waiting import BoundedWaiting
from measurement.properties.each_has import EachHas
from measurement.properties.exactly_once import ExactlyOnce
from measurement.properties.no_lost_write import NoLostWrite
from measurement.properties.no_retry_amplification import NoRetryAmplification
from measurement.properties.recovers import Recovers
from measurement.properties.register import Register
from measurement.properties.terminates import Terminates

KINDS: dict[str, type[Binding]] = {
    "exactly_once": ExactlyOnce,
    "at_most_once": AtMostOnce,
    "each_has": EachHas,
    "no_lost_write": NoLostWrite,
    "register": Register,
    "terminates": Terminates,
    "bounded_staleness": BoundedStaleness,
    "bounded_waiting": BoundedWaiting,
    "no_retry_amplification": NoRetryAmplification,
    "recovers": Recovers,
}
