"""`modelgenerator serve`: the whole service on this machine.

Comes in: options over the environment's config.  Goes out: an address, and on the first start what
lets somebody in.
"""

import sys
from pathlib import Path

from modelgenerator.cli.deployment import deployment
from modelgenerator.service.app.logs import log_to
from modelgenerator.service.app.serving import Listening, serve


def run(*, host: str | None, port: int | None, data_dir: Path | None) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    config = deployment({"host": host, "port": port, "data_dir": data_dir})
    log_to(sys.stderr)
    serve(config, _say)


def _say(listening: Listening) -> None:
    url, first = listening.url, listening.first
    lines = [f"ModelGenerator serves at {url} (open it in a browser; its API: {url}/docs)"]
    if first is not None:
        lines += [
            "",
            f"First start: the organization {first.organization.name} was made, and somebody who",
            "may do everything in it. Both secrets are shown this once. In the browser:",
            f"  e-mail    {first.email}",
            f"  password  {first.password}",
            "In a program:",
            f"  API key   {first.key}",
            f'  curl -H "Authorization: Bearer {first.key}" {url}/v1/organization',
        ]
    lines.append("Ctrl-C ends it: what is being trained goes on at the next start.")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
