"""Designs that differ from a preset in one switch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from experiment.design import Design


def with_service(design: Design, service: str, **changes: Any) -> Design:
    """The design with keys of one service changed."""
    return replace(design, services={**design.services, service: design.services[service] | changes})


def with_link(design: Design, link: str, **changes: Any) -> Design:
    """The design with patterns of one link changed."""
    changed = replace(design.links[link], **changes)
    return replace(design, links={**design.links, link: changed})
