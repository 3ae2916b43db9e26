"""A system as it was at a revision of its Git repository: a checkout of its own, beside the results."""

from __future__ import annotations

from pathlib import Path

from experiment.children import ChildTimeout, run_child
from experiment.errors import UsageError

WITHIN_S = 120.0


def system_at(system_file: Path, revision: str, out: Path) -> Path:
    """The system's file in a checkout of this revision, below `out`. The repository of the user is only read;
    the checkout shares its objects and is used again. Raises UsageError with what Git said."""
    folder = system_file.resolve().parent
    commit = _git(folder, revision, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    top = _git(folder, revision, "rev-parse", "--show-toplevel")
    checkout = out.resolve() / "revisions" / f"{Path(top).name}-{commit[:12]}"
    if not (checkout / ".git").is_dir():
        checkout.parent.mkdir(parents=True, exist_ok=True)
        _git(folder, revision, "clone", "--quiet", "--shared", "--no-checkout", "--", top, str(checkout))
    _git(checkout, revision, "checkout", "--quiet", "--force", "--detach", commit)
    if _git(checkout, revision, "rev-parse", "HEAD") != commit or _git(checkout, revision, "status", "-s"):
        raise UsageError(f"found other files than those of the revision {revision} in {checkout}; remove it")
    found = checkout / system_file.resolve().relative_to(Path(top).resolve())
    if not found.is_file():
        raise UsageError(f"found no {found.relative_to(checkout)} at the revision {revision}, expected one")
    return found


def _git(folder: Path, revision: str, *words: str) -> str:
    try:
        ended = run_child(["git", *words], cwd=folder, within_s=WITHIN_S)
    except (OSError, ChildTimeout) as error:
        raise UsageError(f"the revision {revision} of {folder} cannot be read: {error}") from None
    if ended.code:
        said = ended.err.strip().splitlines()
        why = said[-1] if said else f"exit status {ended.code}"
        raise UsageError(f'found the revision "{revision}" of {folder}, expected one that Git knows: {why}')
    return ended.out.strip()
