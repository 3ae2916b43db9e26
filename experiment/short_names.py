"""Files in short: the end of their path that tells each from all others, without suffix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePath


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """`/a/smoke/control.yaml` and `/a/slow.yaml` are `control` and `slow`; with another `night/control.yaml`
    they are `smoke/control` and `night/control`. What is a name already (`smoke/control`, without suffix)
    stays as it is."""
    every = list(dict.fromkeys(paths))
    names = {path: path for path in every if not _is_file(path)}
    files = [path for path in every if path not in names]
    parts = {path: PurePath(path).with_suffix("").parts for path in files}
    length = dict.fromkeys(files, 1)
    while True:
        found = {path: "/".join(parts[path][-length[path] :]) for path in files}
        often = Counter([*found.values(), *names.values()])
        grown = [path for path in files if often[found[path]] > 1 and length[path] < len(parts[path])]
        if not grown:
            break
        for path in grown:
            length[path] += 1
    # Two spellings of one file, or of two with other suffixes, keep their whole path.
    return names | {path: name if often[name] == 1 else path for path, name in found.items()}


def _is_file(path: str) -> bool:
    return PurePath(path).suffix in (".yaml", ".yml", ".json") or PurePath(path).is_absolute()
