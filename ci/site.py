"""What the documentation site has besides docs/: pages made from the code and from the rest of the checkout.

MkDocs calls `on_files` and `on_page_markdown`. Pages about files that people write are made from the JSON
Schemas, which a test holds against the code. A link that leads out of docs/, such as to a scenario or to the
README of a system, leads on the site to a page that shows that file.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

from ci import command_pages, schema_pages
from harness import cli

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "project/"  # where pages of files outside of docs/ stand on the site
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")
ALWAYS = ("CHANGELOG.md", "CONTRIBUTING.md", "reference_system/README.md")
FORMS = {
    "scenario": "Scenario files",
    "design": "Design files",
    "suite": "Suite files",
    "system": "System files",
}


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that are made, and those of files that other pages lead to."""
    for kind, title in FORMS.items():
        schema = json.loads((ROOT / "docs" / "schemas" / f"{kind}.schema.json").read_text(encoding="utf-8"))
        _add(files, config, f"reference/{kind}_files.md", schema_pages.page_of(title, kind, schema))
    _add(files, config, "reference/commands.md", command_pages.page_of(cli, "codeblue"))
    written = {f"docs/{page.src_uri}": page.content_string for page in files.documentation_pages()}
    left = sorted({*ALWAYS, *(to for path, text in written.items() for to in _outside(path, text))})
    shown: set[str] = set()
    while left:
        path = left.pop()
        if path not in shown and (ROOT / path).is_file():
            shown.add(path)
            text = (ROOT / path).read_text(encoding="utf-8")
            if path.endswith(".md"):
                left.extend(_outside(path, text))
            elif not path.endswith(".html"):
                text = f"# {path}\n\n```{path.rpartition('.')[2]}\n{text}```\n"
            _add(files, config, _place(path), text)
    return files


def on_page_markdown(markdown: str, *, page: Page, files: Files, **_: object) -> str:
    """The page's text with links that lead to where the site shows what they meant."""
    source = page.file.src_uri
    path = _path_of(source)

    def led(link: re.Match[str]) -> str:
        to = _place(_target(path, link[1]))
        if files.get_file_from_path(to) is None:
            to = f"{to.removesuffix('.md')}/README.md"  # a folder is shown by what it says of itself
        return posixpath.relpath(to, posixpath.dirname(source) or ".") + (link[2] or "")

    return LINK.sub(led, markdown)


def _add(files: Files, config: MkDocsConfig, place: str, text: str) -> None:
    files.append(File.generated(config, place, content=text))


def _target(path: str, link: str) -> str:
    """The path, from the root of the checkout, that a link in the file `path` means."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def _outside(path: str, text: str) -> Iterator[str]:
    """The files outside of docs/ that a page leads to."""
    for link in LINK.finditer(text):
        to = _target(path, link[1])
        if not to.startswith("docs/"):
            yield to if (ROOT / to).is_file() else f"{to}/README.md"


def _place(path: str) -> str:
    """Where the site shows a file of the checkout; what is a page already stays as it is."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return PROJECT + (path if path.endswith((".md", ".html")) else f"{path}.md")


def _path_of(source: str) -> str:
    """The file of the checkout that a page of the site shows; the reverse of `_place` for Markdown."""
    return source.removeprefix(PROJECT) if source.startswith(PROJECT) else f"docs/{source}"
