"""Containers, networks and volumes of one engine, as this project uses them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Interface
from typing import Any, cast

from experiment.compose_file import ComposeService
from runtimes.containers.specs import MOST_PROCESSES, ContainerSpec, ContainerState, Lodging, Ran, StartedWith
from runtimes.docker_engine import Door, EngineConflict, EngineError, EngineMissing

CPU_PERIOD_US = 100_000
LEAST_QUOTA_US = 1_000


class Engine(Door):
    """One engine. Every call raises EngineError, or EngineGone when nothing answers any more."""

    # -- networks and volumes ------------------------------

    def create_network(self, name: str, labels: Mapping[str, str], subnet: str | None = None) -> str:
        """A bridge network without a way out; returns its subnet. Without `subnet` the engine chooses."""
        ipam = {"Driver": "default", "Config": [{"Subnet": subnet}]} if subnet else None
        with self.calling(f"create the network {name}"):
            made = self.api.create_network(
                name,
                driver="bridge",
                ipam=ipam,
                options={"com.docker.network.bridge.enable_ip_masquerade": "false"},
                labels=dict(labels),
                check_duplicate=True,
            )
            shown = self.api.inspect_network(made["Id"])
        return str(shown["IPAM"]["Config"][0]["Subnet"])

    def remove_network(self, name: str) -> None:
        with contextlib.suppress(EngineMissing), self.calling(f"remove the network {name}"):
            self.api.remove_network(name)

    def connect(self, network: str, container: str, address: str, aliases: Sequence[str] = ()) -> None:
        """`aliases` are more names under which others of the network find it."""
        with self.calling(f"connect {container} to {network}"):
            self.api.connect_container_to_network(
                container, network, ipv4_address=address, aliases=list(aliases) or None
            )

    def disconnect(self, network: str, container: str) -> None:
        with self.calling(f"disconnect {container} from {network}"):
            self.api.disconnect_container_from_network(container, network, force=True)

    def create_volume(
        self, name: str, labels: Mapping[str, str], options: Mapping[str, str] | None = None
    ) -> None:
        """A volume on the engine's disk; with `options`, those of the kernel's tmpfs, one in memory of a
        fixed size."""
        mount = ",".join(f"{key}={value}" for key, value in (options or {}).items())
        driver = {"type": "tmpfs", "device": "tmpfs", "o": mount} if options else None
        with self.calling(f"create the volume {name}"):
            self.api.create_volume(name, driver="local", driver_opts=driver, labels=dict(labels))

    def remove_volume(self, name: str) -> None:
        with contextlib.suppress(EngineMissing), self.calling(f"remove the volume {name}"):
            self.api.remove_volume(name, force=True)

    # -- containers ------------------------------

    def create(self, spec: ContainerSpec) -> None:
        """Make a container without starting it. Confined, it has no rights but those that the spec names."""
        joined = spec.network.startswith("container:")
        with self.calling(f"create {spec.name}"):
            self.api.create_container(
                spec.image,
                command=list(spec.command) or None,
                entrypoint=list(spec.entrypoint) if spec.entrypoint is not None else None,
                working_dir=spec.working_dir or None,
                name=spec.name,
                hostname=None if joined else spec.hostname,
                user=spec.user or None,
                ports=list(spec.published),
                environment=dict(spec.environment),
                labels=dict(spec.labels),
                host_config=self._host_config(spec),
                networking_config=None if joined else _place(spec),
                healthcheck={"test": ["NONE"]},  # the harness asks by itself, at no cost to the services
                use_config_proxy=False,
            )
        for network, address in spec.joins:
            self.connect(network, spec.name, address)

    def _host_config(self, spec: ContainerSpec) -> Any:
        return self.api.create_host_config(
            binds=list(spec.binds),
            network_mode=spec.network,
            port_bindings={port: ("127.0.0.1", outside) for port, outside in spec.published.items()},
            read_only=spec.confined,
            tmpfs=dict(spec.tmpfs),
            cap_drop=["ALL"] if spec.confined else None,
            cap_add=list(spec.capabilities),
            security_opt=["no-new-privileges"],
            mem_limit=spec.memory_bytes,
            memswap_limit=spec.memory_bytes,
            pids_limit=MOST_PROCESSES,
            # Larger than any disk, whatever the engine's default is: a log that turns over loses lines.
            log_config={"Type": "json-file", "Config": {"max-size": "1000000g"}},
        )

    def start(self, name: str) -> None:
        with self.calling(f"start {name}"):
            self.api.start(name)

    def kill(self, name: str) -> None:
        """SIGKILL; a container that does not run is left alone."""
        with contextlib.suppress(EngineConflict), self.calling(f"kill {name}"):
            self.api.kill(name)

    def resume(self, name: str) -> None:
        """SIGCONT for its first process; a container that does not run is left alone."""
        with contextlib.suppress(EngineConflict), self.calling(f"resume {name}"):
            self.api.kill(name, "SIGCONT")

    def stop(self, name: str, grace_s: int) -> None:
        """SIGTERM, SIGKILL after the grace."""
        with contextlib.suppress(EngineMissing), self.calling(f"stop {name}"):
            self.api.stop(name, timeout=grace_s)

    def pause(self, name: str) -> None:
        with self.calling(f"pause {name}"):
            self.api.pause(name)

    def unpause(self, name: str) -> None:
        with self.calling(f"continue {name}"):
            self.api.unpause(name)

    def limit_cpu(self, name: str, cores: float | None) -> None:
        """At most so many cores from now on; None lifts the limit."""
        quota = -1 if cores is None else max(LEAST_QUOTA_US, round(cores * CPU_PERIOD_US))
        with self.calling(f"limit the CPU of {name}"):
            self.api.update_container(name, cpu_period=CPU_PERIOD_US, cpu_quota=quota)

    def limit_memory(self, name: str, limit_bytes: int) -> None:
        """Memory and swap together. Fails when more is in use (cgroup v1)."""
        with self.calling(f"limit the memory of {name}"):
            self.api.update_container(name, mem_limit=limit_bytes, memswap_limit=limit_bytes)

    def remove(self, name: str) -> None:
        """By force, with its anonymous volumes. One that somebody else is removing is left to them."""
        with contextlib.suppress(EngineMissing, EngineConflict), self.calling(f"remove {name}"):
            self.api.remove_container(name, force=True, v=True)

    def state(self, name: str) -> ContainerState:
        """What the engine knows of a container; `absent` when there is none of that name."""
        try:
            with self.calling(f"inspect {name}"):
                shown = self.api.inspect_container(name)
        except EngineMissing:
            return ContainerState("absent")
        state, host = shown["State"], shown["HostConfig"]
        return ContainerState(
            state["Status"],
            pid=int(state.get("Pid") or 0),
            started_at=state.get("StartedAt", ""),
            exit_code=int(state.get("ExitCode") or 0),
            oom_killed=bool(state.get("OOMKilled")),
            networks=tuple(shown["NetworkSettings"]["Networks"] or ()),
            memory_bytes=int(host.get("Memory") or 0),
            cpu_quota_us=int(host.get("CpuQuota") or 0),
        )

    def lodging(self, name: str) -> Lodging:
        """Where a container lives. Raises EngineMissing, EngineError."""
        with self.calling(f"inspect {name}"):
            shown = self.api.inspect_container(name)
        networks = shown["NetworkSettings"]["Networks"] or {}
        places = {
            network: IPv4Interface(f"{one['IPAddress']}/{one['IPPrefixLen']}")
            for network, one in networks.items()
            if one.get("IPAddress")
        }
        return Lodging(shown["Name"].lstrip("/"), int(shown["State"].get("Pid") or 0), places)

    def started_with(self, name: str) -> StartedWith:
        """Variables, command and image of a container, as the engine shows them. Raises EngineError."""
        with self.calling(f"inspect {name}"):
            shown = self.api.inspect_container(name)
        config = shown["Config"]
        pairs = (entry.partition("=") for entry in config.get("Env") or ())
        variables = {variable: value for variable, _, value in pairs}
        return StartedWith(variables, tuple(config.get("Cmd") or ()), shown["Image"])

    def described(self, name: str) -> ComposeService:
        """What a container that somebody else started would be in a compose file. Raises EngineError."""
        with self.calling(f"inspect {name}"):
            config = self.api.inspect_container(name)["Config"]
        pairs = (entry.partition("=") for entry in config.get("Env") or ())
        return ComposeService(
            image=config.get("Image", ""),
            command=tuple(config.get("Cmd") or ()),
            entrypoint=tuple(config.get("Entrypoint") or ()),
            environment={variable: value for variable, _, value in pairs},
            ports=tuple(int(port.partition("/")[0]) for port in config.get("ExposedPorts") or ()),
            test=tuple((config.get("Healthcheck") or {}).get("Test") or ())[1:],
        )

    def logs(self, name: str, tail: int | None = None, since: float | None = None) -> bytes:
        """What it wrote to its standard output and error: all, the last lines, or since a unix time."""
        with self.calling(f"read the log of {name}"):
            return cast(bytes, self.api.logs(name, tail="all" if tail is None else tail, since=since))

    def run(self, name: str, command: Sequence[str], user: str = "") -> Ran:
        """Run a command inside a running container and wait for it."""
        with self.calling(f"run {command[0]} in {name}"):
            made = self.api.exec_create(name, list(command), user=user)
            output = self.api.exec_start(made["Id"])
            code = self.api.exec_inspect(made["Id"])["ExitCode"]
        return Ran(int(code if code is not None else -1), output.decode("utf-8", "replace"))

    def held_back_s(self, name: str) -> float:
        """For how long in all a CPU limit has kept a running container from the CPU."""
        with self.calling(f"measure {name}"):
            shown = self.api.stats(name, stream=False, one_shot=True)
        return float(shown["cpu_stats"]["throttling_data"]["throttled_time"]) / 1e9

    def memory_in_use(self, name: str) -> int:
        """Bytes that the kernel accounts to a running container."""
        with self.calling(f"measure {name}"):
            shown = self.api.stats(name, stream=False, one_shot=True)
        return int(shown["memory_stats"].get("usage", 0))

    # -- what carries a label ------------------------------

    def containers(self, label: str) -> dict[str, Mapping[str, str]]:
        """Name to labels of all containers with a label, running or not."""
        with self.calling("list containers"):
            found = self.api.containers(all=True, filters={"label": label})
        return {one["Names"][0].lstrip("/"): one["Labels"] for one in found if one["Names"]}

    def networks(self, label: str) -> dict[str, Mapping[str, str]]:
        """Name to labels of all networks with a label."""
        with self.calling("list networks"):
            found = self.api.networks(filters={"label": label})
        return {one["Name"]: one["Labels"] for one in found}

    def volumes(self, label: str) -> dict[str, Mapping[str, str]]:
        """Name to labels of all volumes with a label."""
        with self.calling("list volumes"):
            found = self.api.volumes(filters={"label": label})
        return {one["Name"]: one["Labels"] or {} for one in found.get("Volumes") or ()}

    def events(self, label: str) -> Iterator[Mapping[str, Any]]:
        """What happens to labelled things, as it happens; ends when the engine goes away."""
        with contextlib.suppress(EngineError):
            api = self.open(None)
            try:
                with self.calling("tell what happens"):
                    yield from api.events(decode=True, filters={"label": label})
            finally:
                api.close()


def _place(spec: ContainerSpec) -> dict[str, Any]:
    fixed = {"IPAMConfig": {"IPv4Address": spec.address}} if spec.address else {}
    return {"EndpointsConfig": {spec.network: fixed}}
