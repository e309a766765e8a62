"""Every environment variable of the service in a table, for `docs/reference/configuration.md`.

Comes in: `ServiceConfig`.  Goes out: text.  `python -m modelgenerator.cli.configuration_table`
writes the page to stdout.
"""

import sys

from modelgenerator.service.config import ServiceConfig, default_of, variables_of

_PAGE_TOP = """\
# Configuration of the service

Made by `make docs` from `src/modelgenerator/service/config.py`; a test fails when it is stale.

All of it is environment variables, and all of it has a default. A name with our prefix that does
not exist, or a value that is not allowed, stops the start with a sentence that says so. An empty
variable is one that is not there.

How a training is done is not here: that is in [settings](settings.md).

| variable | default | what it says |
|---|---|---|
"""


def page() -> str:
    """`docs/reference/configuration.md`."""
    rows = [
        f"| {_named(variables_of(name))} | {default_of(field)} | {field.description} |\n"
        for name, field in ServiceConfig.model_fields.items()
    ]
    return _PAGE_TOP + "".join(rows)


def _named(variables: tuple[str, ...]) -> str:
    return " or ".join(f"`{variable}`" for variable in variables)


if __name__ == "__main__":
    sys.stdout.write(page())
