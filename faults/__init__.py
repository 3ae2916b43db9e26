"""Fault kinds. Each is one file; `KINDS` is the registry that scenarios, the command line and the docs are
read from."""

from __future__ import annotations

from experiment.controls import Fault
from faults.bandwidth import Bandwidth
from faults.blackhole import Blackhole
from faults.clock_skew import ClockSkew
from faults.corruption import Corruption
from faults.cpu_limit import CpuLimit
from faults.crash import Crash
from faults.cut_short import CutShort
from faults.disk_full import DiskFull
from faults.error_share import ErrorShare
from faults.latency import Latency
from faults.lost_response import LostResponse
from faults.network_disconnect import NetworkDisconnect
from faults.out_of_memory import OutOfMemory
from faults.packet_loss import PacketLoss
from faults.pause import Pause
from faults.planned_change import PlannedChange
from faults.redelivery import Redelivery
from faults.refusal import Refusal
from faults.reordering import Reordering
from faults.reset import Reset
from faults.slow_processing import SlowProcessing
from faults.slow_tail import SlowTail
from faults.splitting import Splitting

KINDS: dict[str, type[Fault]] = {
    "latency": Latency,
    "bandwidth": Bandwidth,
    "blackhole": Blackhole,
    "refusal": Refusal,
    "reset": Reset,
    "splitting": Splitting,
    "cut_short": CutShort,
    "lost_response": LostResponse,
    "slow_processing": SlowProcessing,
    "slow_tail": SlowTail,
    "error_share": ErrorShare,
    "redelivery": Redelivery,
    "crash": Crash,
    "pause": Pause,
    "packet_loss": PacketLoss,
    "corruption": Corruption,
    "reordering": Reordering,
    "cpu_limit": CpuLimit,
    "out_of_memory": OutOfMemory,
    "network_disconnect": NetworkDisconnect,
    "disk_full": DiskFull,
    "clock_skew": ClockSkew,
    "planned_change": PlannedChange,
}
