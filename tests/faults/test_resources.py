"""Faults on a node's resources are judged by its state and by single figures that its runtime told."""

from __future__ import annotations

import pytest

from experiment.controls import NodeProbe
from faults.clock_skew import ClockSkew
from faults.cpu_limit import CpuLimit
from faults.disk_full import DiskFull
from faults.network_disconnect import NetworkDisconnect
from faults.node_measures import NodeFigures
from faults.out_of_memory import OutOfMemory

RUNNING = NodeProbe("running", True, 0.002, "10/1")
SILENT = NodeProbe("running", False, None, "10/1")
ABSENT = NodeProbe("absent", False, None, "0/1")
RESTARTED = NodeProbe("running", True, 0.002, "22/2")


def node(probe: NodeProbe = RUNNING, **gauges: float) -> NodeFigures:
    return NodeFigures(probe, gauges)


FREE = node(cpu_limit=0, work_s=0.1, work_held_back_s=0)


def test_a_cpu_limit_is_work_that_the_kernel_held_back() -> None:
    """Slow work without a limit is a busy machine; a limit that held nothing back limits nothing."""
    effect = CpuLimit(0.1).judge(FREE, node(cpu_limit=0.1, work_s=1.1, work_held_back_s=0.9))
    assert effect.seen
    assert effect.statement == "fixed work 0.10 s -> fixed work 1.10 s, held back 0.90 s of it"
    assert not CpuLimit(0.1).judge(FREE, node(cpu_limit=0, work_s=1.1, work_held_back_s=0)).seen
    assert not CpuLimit(0.1).judge(FREE, node(cpu_limit=0.1, work_s=1.1, work_held_back_s=0)).seen
    assert not CpuLimit(0.1).judge(FREE, FREE).seen


def test_a_cpu_limit_is_gone_when_nothing_is_held_back() -> None:
    """A limit that is still set is not gone, even while nobody feels it."""
    assert CpuLimit(0.1).gone(FREE, FREE).seen
    assert not CpuLimit(0.1).gone(FREE, node(cpu_limit=0.1, work_s=0.1, work_held_back_s=0)).seen
    assert not CpuLimit(0.1).gone(FREE, node(cpu_limit=0, work_s=0.5, work_held_back_s=0.3)).seen


@pytest.mark.parametrize("share", [0.0, 0.001, 0.6, 1.0])
def test_a_cpu_limit_that_limits_nothing_is_refused(share: float) -> None:
    """One process that computes never uses more than a core; half of one must be felt."""
    with pytest.raises(ValueError, match="expected 1% to 50%"):
        CpuLimit(share)


def test_out_of_memory_is_an_end_that_the_kernel_made() -> None:
    """A process that is merely gone crashed of something else."""
    effect = OutOfMemory().judge(node(oom_killed=0), node(ABSENT, oom_killed=1))
    assert effect.seen
    assert effect.statement == "running -> ended by the kernel for want of memory, no answer"
    assert not OutOfMemory().judge(node(oom_killed=0), node(ABSENT, oom_killed=0)).seen
    assert not OutOfMemory().judge(node(oom_killed=0), node(oom_killed=1)).seen


def test_out_of_memory_is_gone_when_another_process_answers() -> None:
    """The old process cannot come back."""
    assert OutOfMemory().gone(node(oom_killed=0), node(RESTARTED, oom_killed=0)).seen
    assert not OutOfMemory().gone(node(oom_killed=0), node(ABSENT, oom_killed=1)).seen


def test_a_disconnect_is_a_node_that_runs_out_of_reach() -> None:
    """A crash is no partition, and silence on the network is none either."""
    before = node(connected=1)
    effect = NetworkDisconnect().judge(before, node(SILENT, connected=0))
    assert effect.seen
    assert effect.statement == "answers -> runs, no answer, off the network"
    assert not NetworkDisconnect().judge(before, node(ABSENT, connected=0)).seen
    assert not NetworkDisconnect().judge(before, node(SILENT, connected=1)).seen
    assert not NetworkDisconnect().judge(before, node(RESTARTED, connected=0)).seen


def test_a_disconnect_is_gone_when_the_node_answers_on_the_network() -> None:
    """Being connected is not enough: it must be reached."""
    assert NetworkDisconnect().gone(node(connected=1), node(connected=1)).seen
    assert not NetworkDisconnect().gone(node(connected=1), node(SILENT, connected=1)).seen


def test_a_full_disk_is_a_write_that_fails() -> None:
    """Little space left is not a full disk while writes still work."""
    before = node(disk_free_bytes=4e8, disk_takes_writes=1)
    effect = DiskFull().judge(before, node(disk_free_bytes=0, disk_takes_writes=0))
    assert effect.seen
    assert effect.statement == "400.0 MB free, a write works -> 0.0 MB free, a write fails"
    assert not DiskFull().judge(before, node(disk_free_bytes=70_000, disk_takes_writes=1)).seen


def test_a_full_disk_is_gone_when_the_store_writes_and_answers() -> None:
    """A store that gave up when its disk was full must be back as well."""
    before = node(disk_free_bytes=4e8, disk_takes_writes=1)
    assert DiskFull().gone(before, before).seen
    assert not DiskFull().gone(before, node(ABSENT, disk_free_bytes=4e8, disk_takes_writes=1)).seen


def test_clock_skew_is_a_time_that_the_service_tells_wrong() -> None:
    """Only the offset asked for counts; a service that tells no time proves nothing."""
    before = node(clock_offset_s=0.001)
    effect = ClockSkew(300.0).judge(before, node(clock_offset_s=300.002))
    assert effect.seen
    assert effect.statement == "its clock is off by +0.001 s -> +300.002 s"
    assert ClockSkew(300.0, "behind").judge(before, node(clock_offset_s=-299.99)).seen
    assert not ClockSkew(300.0).judge(before, node(clock_offset_s=-300.0)).seen
    assert not ClockSkew(300.0).judge(before, node(clock_offset_s=float("nan"))).seen
    assert not ClockSkew(300.0).gone(before, node(clock_offset_s=300.0)).seen
    assert ClockSkew(300.0).gone(before, node(clock_offset_s=0.2)).seen


def test_an_offset_too_small_to_tell_is_refused() -> None:
    """What the measurement cannot tell from noise is no fault."""
    with pytest.raises(ValueError, match="expected at least 2s"):
        ClockSkew(1.0)
