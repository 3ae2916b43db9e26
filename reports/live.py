"""The page that shows a run while it goes on; its figures come from the command that plays the run."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from reports.html import policy, render_page, script


@cache
def _polling() -> str:
    return (Path(__file__).parent / "templates" / "live.js").read_text(encoding="utf-8")


@cache
def live_policy() -> str:
    """As a header, too: no other page may frame this one, so that somebody presses its button unseen."""
    own = policy(script(), _polling())
    return f"{own}; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@cache
def render_live() -> str:
    """The page, which asks for its figures once a second."""
    rules = live_policy().removesuffix("; frame-ancestors 'none'")  # a header alone may say so
    return render_page("live.html", script=script(), polling=_polling(), rules=rules)
