"""Asks a ModelGenerator server over HTTP: train a folder, draw, run flows.

`Client` is where to begin; it knows nothing but the server's address and a key.
"""

from modelgenerator.client.client import Client
from modelgenerator.client.errors import (
    InConflict,
    InsufficientFunds,
    ModelGone,
    NotLetIn,
    NotThere,
    RequestRefused,
    ServerFailed,
    ServerUnreachable,
    TooManyRequests,
    WorkFailed,
)
from modelgenerator.client.events import ServerEvent
from modelgenerator.client.flow_runs import FlowHandle, RunHandle
from modelgenerator.client.pictures import PicturesHandle
from modelgenerator.client.trainings import TrainingHandle

__all__ = [
    "Client",
    "FlowHandle",
    "InConflict",
    "InsufficientFunds",
    "ModelGone",
    "NotLetIn",
    "NotThere",
    "PicturesHandle",
    "RequestRefused",
    "RunHandle",
    "ServerEvent",
    "ServerFailed",
    "ServerUnreachable",
    "TooManyRequests",
    "TrainingHandle",
    "WorkFailed",
]
