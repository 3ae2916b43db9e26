"""The toxics, one a file, and the registry of their kinds."""

from __future__ import annotations

from runtimes.toxiproxy.toxics.bandwidth import Bandwidth
from runtimes.toxiproxy.toxics.error_share import ErrorShare
from runtimes.toxiproxy.toxics.latency import Latency
from runtimes.toxiproxy.toxics.limit_data import LimitData
from runtimes.toxiproxy.toxics.lost_response import LostResponse
from runtimes.toxiproxy.toxics.noop import Noop
from runtimes.toxiproxy.toxics.pipe import Toxic
from runtimes.toxiproxy.toxics.reset_peer import ResetPeer
from runtimes.toxiproxy.toxics.slicer import Slicer
from runtimes.toxiproxy.toxics.slow_close import SlowClose
from runtimes.toxiproxy.toxics.slow_processing import SlowProcessing
from runtimes.toxiproxy.toxics.timeout import Timeout

KINDS: dict[str, type[Toxic]] = {
    "bandwidth": Bandwidth,
    "latency": Latency,
    "limit_data": LimitData,
    "noop": Noop,
    "reset_peer": ResetPeer,
    "slicer": Slicer,
    "slow_close": SlowClose,
    "timeout": Timeout,
}
OWN_KINDS: dict[str, type[Toxic]] = {
    "error_share": ErrorShare,
    "lost_response": LostResponse,
    "slow_processing": SlowProcessing,
}
"""Those that the original does not have: they know HTTP requests."""
ALL_KINDS = KINDS | OWN_KINDS
