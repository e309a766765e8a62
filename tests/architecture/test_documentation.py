"""The documentation says what is there."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from modelgenerator.cli.main import app

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "modelgenerator"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
MODULES = sorted(PACKAGE.rglob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    relative = [target for target in targets if "://" not in target]
    assert [target for target in relative if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_and_make_target_that_is_named_exists(page):
    text = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", page.read_text(encoding="utf-8"), re.S))
    commands = re.findall(r"(?:^|`|/|\s)modelgenerator (?:--debug )?([a-z]+)", text, re.M)
    assert set(commands) <= set(get_command(app).commands)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    known = set(re.findall(r"^([a-z]+):", makefile, re.M))
    assert set(re.findall(r"(?:^|`|\s)make ([a-z]+)", text, re.M)) <= known


def test_every_test_that_a_page_names_exists():
    for page in PAGES:
        named = re.findall(r"([\w/]+\.py)::(\w+)", page.read_text(encoding="utf-8"))
        for file, test in named:
            path = ROOT / "tests" / file
            assert path.is_file(), f"{name(page)} names {file}"
            assert f"def {test}(" in path.read_text(encoding="utf-8"), f"{name(page)}: {test}"


def test_the_readme_names_everything_at_the_top_of_the_package():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    entries = {path.name for path in PACKAGE.iterdir()} - {"__init__.py", "__pycache__"}
    assert {entry for entry in entries if entry not in readme} == set()


def test_the_changelog_begins_with_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (?!Unreleased)(\S+)", changelog, re.M)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert newest is not None
    assert newest[1] == project["version"]


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_every_module_opens_by_saying_what_it_is(module):
    assert ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))


FACES = (PACKAGE / "client" / "__init__.py",)
"""What other programs import from: their names are gathered there, and nothing else is."""


def test_a_package_file_holds_nothing_but_its_sentence():
    for path in PACKAGE.rglob("__init__.py"):
        if path in FACES:
            body = ast.parse(path.read_text(encoding="utf-8")).body
            assert all(isinstance(each, ast.ImportFrom) for each in body[1:-1]), path
            continue
        assert len(ast.parse(path.read_text(encoding="utf-8")).body) == 1, path
