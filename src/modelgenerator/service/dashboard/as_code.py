"""What a page does, as somebody would write it: curl and Python.

In: a call of the API.  Out: two texts.  The key stands in the environment, never in the text.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pprint import pformat


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the API."""

    method: str
    path: str
    body: Mapping[str, object] | None = None
    files: str | None = None
    """Names of the files that a form sends, as curl writes them: `photo.jpg`."""
    python: str | None = None
    """Lines that do it with `client`, where the Python client has a word for it."""
    saves_as: str | None = None
    """The file that the answer is written to."""

    def as_curl(self, base_url: str) -> str:
        """A command for a shell."""
        lines = [f'curl -H "Authorization: Bearer $MODELGENERATOR_API_KEY" {base_url}{self.path}']
        if self.method != "GET":
            lines[0] = lines[0].replace("curl ", f"curl -X {self.method} ", 1)
        if self.body is not None:
            lines.append('-H "Content-Type: application/json"')
            lines.append(f"-d {shlex.quote(json.dumps(self.body, ensure_ascii=False, indent=2))}")
        if self.files is not None:
            lines.append(f"-F files=@{self.files}")
        if self.saves_as is not None:
            # a bucket sends its files itself
            lines.append(f"-L -o {shlex.quote(self.saves_as)}")
        return " \\\n  ".join(lines)

    def as_python(self, base_url: str) -> str:
        """A script for the client of this package."""
        return (
            "from modelgenerator.client import Client\n\n"
            f'with Client("{base_url}") as client:  # the key: MODELGENERATOR_API_KEY\n'
            + "\n".join(f"    {line}" for line in self._python().splitlines())
        )

    def _python(self) -> str:
        if self.python is not None:
            return self.python
        given = [repr(self.path)]
        if self.body is not None:
            given.append(pformat(dict(self.body), sort_dicts=False, width=80))
        return f"print(client.ask({self.method!r}, {', '.join(given)}))"
