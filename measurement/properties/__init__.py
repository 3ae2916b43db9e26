"""Kinds of properties. Each is one file; `KINDS` is the registry that system files and docs are read from."""

from __future__ import annotations

from experiment.properties import Binding
from measurement.properties.at_most_once import AtMostOnce
from measurement.properties.bounded_staleness import BoundedStaleness
from measurement.properties.bounded_waiting import BoundedWaiting
from measurement.properties.conservation import Conservation
from measurement.properties.each_has import EachHas
from measurement.properties.exactly_once import ExactlyOnce
from measurement.properties.gapless_sequence import GaplessSequence
from measurement.properties.localised import Localised
from measurement.properties.never_allowed import NeverAllowed
from measurement.properties.no_ghost import NoGhost
from measurement.properties.no_lost_write import NoLostWrite
from measurement.properties.no_retry_amplification import NoRetryAmplification
from measurement.properties.python_property import PythonProperty
from measurement.properties.recovers import Recovers
from measurement.properties.register import Register
from measurement.properties.sometimes import Sometimes
from measurement.properties.terminates import Terminates
from measurement.properties.traces_complete import TracesComplete

KINDS: dict[str, type[Binding]] = {
    "at_most_once": AtMostOnce,
    "exactly_once": ExactlyOnce,
    "no_lost_write": NoLostWrite,
    "no_ghost": NoGhost,
    "each_has": EachHas,
    "register": Register,
    "conservation": Conservation,
    "terminates": Terminates,
    "gapless_sequence": GaplessSequence,
    "never_allowed": NeverAllowed,
    "sometimes": Sometimes,
    "python": PythonProperty,
    "bounded_staleness": BoundedStaleness,
    "bounded_waiting": BoundedWaiting,
    "no_retry_amplification": NoRetryAmplification,
    "traces_complete": TracesComplete,
    "localised": Localised,
    "recovers": Recovers,
}
