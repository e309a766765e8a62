"""`modelgenerator flow`: look at a flow's definition before a server does.

Comes in: a JSON5 file.  Goes out: every fault in it, with its line and column, or that there is
none.  No server is asked.
"""

import json
import sys
from pathlib import Path

import typer

from modelgenerator.cli.failures import USER_ERROR
from modelgenerator.errors import InvalidFlow
from modelgenerator.flows.check import Checked, check
from modelgenerator.flows.definition import (
    Document,
    duplicate_faults,
    in_order,
    placed,
    read_document,
)
from modelgenerator.flows.faults import Fault
from modelgenerator.flows.limits import MAX_DEFINITION


def check_file(file: Path, *, as_json: bool) -> None:
    """Say all that is wrong with the flow in `file`.

    Raises:
        InvalidFlow: there is a fault, or the file cannot be read as a flow.
    """
    document = _read(file)
    checked = check(document.values)
    twice = tuple(duplicate_faults(document))
    if as_json:
        _write_json(file, checked, twice, document)
        return
    for remark in in_order(checked.remarks, document):
        sys.stderr.write(f"note: {_line(remark, document)}\n")
    _refuse(file, (*checked.faults, *twice), document)
    assert checked.flow is not None
    steps = ", ".join(f"{step.id} ({step.type})" for step in checked.flow.steps)
    sys.stdout.write(f"{file} can run: {steps}\n")


def refuse_faults(file: Path) -> None:
    """Nothing, if the flow in `file` can run as far as this machine knows.

    Raises:
        InvalidFlow: with every fault, or why it cannot be read as a flow.
    """
    document = _read(file)
    faults = (*check(document.values).faults, *duplicate_faults(document))
    _refuse(file, faults, document)


def _refuse(file: Path, faults: tuple[Fault, ...], document: Document) -> None:
    if faults:
        count = "one fault" if len(faults) == 1 else f"{len(faults)} faults"
        lines = "".join(f"\n  {_line(fault, document)}" for fault in in_order(faults, document))
        raise InvalidFlow(f"{file} has {count}:{lines}")


def _read(file: Path) -> Document:
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_DEFINITION + 4).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, ValueError) else error.strerror
        raise InvalidFlow(f"Cannot read the flow {file}: {reason}.") from None
    return read_document(text)


def _line(fault: Fault, document: Document) -> str:
    place = document.places.nearest(fault.pointer)
    line = f"{place} {fault}" if place else str(fault)
    # strangers write flows, and some letters steer a terminal
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def _write_json(file: Path, checked: Checked, twice: tuple[Fault, ...], document: Document) -> None:
    """One object on stdout; the exit code says whether the flow can run."""
    faults = in_order((*checked.faults, *twice), document)
    remarks = in_order(checked.remarks, document)
    said = {
        "file": str(file),
        "faults": [placed(fault, document) for fault in faults],
        "remarks": [placed(remark, document) for remark in remarks],
    }
    sys.stdout.write(json.dumps(said) + "\n")
    if faults:
        raise typer.Exit(USER_ERROR)
