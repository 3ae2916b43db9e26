"""`python -m ci.audit`: known weaknesses of the pinned packages.

Where no database of them answers, it says so and does not fail.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

COMMAND = ("-m", "pip_audit", "--requirement", "requirements.txt", "--disable-pip", "--require-hashes")
TIMEOUT_S = 180


def told(document: dict[str, Any]) -> tuple[int, list[str]]:
    """(exit code, lines) of what pip-audit found; a package that its database does not know was not seen."""
    packages = document.get("dependencies", [])
    skipped = [one["name"] for one in packages if "skip_reason" in one]
    lines = []
    for one in packages:
        for weakness in one.get("vulns", []):
            mended = ", ".join(weakness["fix_versions"]) or "no version"
            lines.append(f"{one['name']} {one['version']}: {weakness['id']}, mended in {mended}")
    looked_at = len(packages) - len(skipped)
    if not looked_at:
        return 0, ["audit skipped: no database of known weaknesses could be reached"]
    summary = f"audit: {looked_at} packages looked at, {len(lines)} known weaknesses"
    left = [f"audit: not in the database: {', '.join(skipped)}"] if skipped else []
    return (1 if lines else 0), [*lines, *left, summary]


def main() -> int:
    try:
        done = subprocess.run(
            [sys.executable, *COMMAND, "--format", "json", "--progress-spinner", "off"],
            capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        document = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        document = {}
    code, lines = told(document)
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
