"""Which code a system's services are: that of the checkout in which its `system.yaml` lies."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def module_root(system_file: str, module: str) -> Path:
    """The folder above the system's file from which `module` is found: another checkout of the system has
    services of its own. Ours, when there is none."""
    place = Path(*module.split("."))
    for folder in Path(system_file).resolve().parents if system_file else ():
        if (folder / place).is_dir() or (folder / place).with_suffix(".py").is_file():
            return folder
    return ROOT
