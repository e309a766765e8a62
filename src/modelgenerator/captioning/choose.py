"""Who captions the photos.

In: what the person asked for, and what this machine has.  Out: a captioner or none, and the notice
that says which one and why.  Nothing is downloaded, loaded or asked here.
"""

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass

from modelgenerator.captioning.captioner import Captioner
from modelgenerator.captioning.endpoint import (
    ENDPOINT,
    NOT_SET_UP,
    URL,
    EndpointCaptioner,
    endpoint_from,
)
from modelgenerator.captioning.hub_models import HUB_MODELS, HubCaptioner
from modelgenerator.captioning.subject_words import words_for
from modelgenerator.captioning.template import TEMPLATE, TemplateCaptioner
from modelgenerator.datasets.subject import Subject
from modelgenerator.diffusion.remote import Hub
from modelgenerator.errors import CaptionerUnavailable
from modelgenerator.notices import Notice

AUTO, NONE = "auto", "none"
NAMES = (AUTO, NONE, TEMPLATE, *HUB_MODELS, ENDPOINT)


@dataclass(frozen=True)
class Choice:
    """A captioner, or none, and why."""

    captioner: Captioner | None
    notice: Notice


def choose_captioner(
    name: str = AUTO,
    subject: Subject | None = None,
    *,
    hub: Hub | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Choice:
    """The captioner called `name`, one of `NAMES`.

    `auto` takes the endpoint if there is one, else a captioner whose files are on this machine,
    else the template: it never begins a large download.

    Raises:
        CaptionerUnavailable: no such name, or the endpoint is not set up.
    """
    subject, hub = subject or Subject(), hub or Hub()
    if name not in NAMES:
        raise CaptionerUnavailable(_unknown(name))
    if name == AUTO:
        return _best(subject, hub, environment)
    if name == NONE:
        return Choice(None, Notice("info", None, "No captions are made, as you asked."))
    if name == TEMPLATE:
        return _template(subject, "as you asked")
    if name == ENDPOINT:
        return _required_endpoint(subject, environment)
    return _from_hub(name, hub, "as you asked")


def _best(subject: Subject, hub: Hub, environment: Mapping[str, str]) -> Choice:
    if endpoint := endpoint_from(environment):
        return _chosen(EndpointCaptioner(endpoint, subject), f"because {URL} is set")
    for name, model in HUB_MODELS.items():
        if HubCaptioner(model, hub).is_here():
            return _from_hub(name, hub, "because it is on this machine")
    return _template(subject, "because no other captioner is on this machine", advise=True)


def _required_endpoint(subject: Subject, environment: Mapping[str, str]) -> Choice:
    endpoint = endpoint_from(environment)
    if endpoint is None:
        raise CaptionerUnavailable(NOT_SET_UP)
    return _chosen(EndpointCaptioner(endpoint, subject), "as you asked")


def _from_hub(name: str, hub: Hub, why: str) -> Choice:
    captioner = HubCaptioner(HUB_MODELS[name], hub)
    if captioner.is_here():
        return _chosen(captioner, why)
    size = f"{HUB_MODELS[name].megabytes:,} MB"
    return _chosen(captioner, f"{why}; {size} are downloaded unless all captions are kept already")


def _chosen(captioner: Captioner, why: str) -> Choice:
    called = f"{captioner.name} ({captioner.revision})"
    return Choice(captioner, Notice("info", None, f"Missing captions are made by {called}, {why}."))


def _template(subject: Subject, why: str, *, advise: bool = False) -> Choice:
    words = words_for(subject)
    name, model = next(iter(HUB_MODELS.items()))
    advice = (
        f" What each photo shows is said by --captioner {name}, which downloads "
        f"{model.megabytes} MB once."
    )
    if words:
        said = f'Missing captions become "{words}", {why}.'
        level = "info"
    else:
        said = (
            f"No captions are made, {why}, and no class name says what the subject is: give one, "
            "as --class-name woman."
        )
        level = "warning"
    return Choice(TemplateCaptioner(subject), Notice(level, None, said + advice * advise))


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), NAMES, n=1, cutoff=0.5)
    meant = f" Do you mean {near[0]}?" if near else ""
    return f"There is no captioner {name!r}.{meant} There are {', '.join(NAMES)}."
