"""What may import what, and what must stay light."""

import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.application.use_cases import SUCCESS, lint_imports
from importlinter.configuration import configure

ROOT = Path(__file__).parents[2]

TORCH_FREE = [
    "modelgenerator.errors",
    "modelgenerator.settings",
    "modelgenerator.settings_files",
    "modelgenerator.datasets.images",
    "modelgenerator.datasets.sources",
    "modelgenerator.datasets.workers",
    "modelgenerator.diffusion.hub",
    "modelgenerator.diffusion.downloads",
    "modelgenerator.training.plan",
    "modelgenerator.training.planning.resolve",
    "modelgenerator.captioning.captions",
    "modelgenerator.captioning.choose",
    "modelgenerator.cli.caption",
    "modelgenerator.flows.resolve",
    "modelgenerator.service.billing.ledger",
    "modelgenerator.service.store.opening",
    "modelgenerator.service.operations.looked_at",
    "modelgenerator.service.app.web",
    "modelgenerator.cli.main",
]
HEAVY = {"torch", "diffusers", "transformers"}


def test_the_import_contracts_hold(monkeypatch):
    monkeypatch.chdir(ROOT)
    configure()
    assert lint_imports(cache_dir=None) == SUCCESS


@pytest.mark.parametrize("module", TORCH_FREE)
def test_it_can_be_imported_without_torch(module):
    assert _loaded_by(f"import {module}") & HEAVY == set()


def test_help_loads_nothing_that_a_command_needs():
    heavier = HEAVY | {"numpy", "pydantic", "huggingface_hub", "cv2", "PIL", "matplotlib"}
    assert _loaded_by("import modelgenerator.cli.main") & heavier == set()


def _loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())
