"""What a person should know of where a base model comes from.

In: a base model that was looked at.  Out: notices on its licence, and on parts that are taken from
elsewhere.
"""

from collections.abc import Iterator

from modelgenerator.diffusion.companions import in_words
from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.licences import licence_notices
from modelgenerator.notices import Notice


def provenance_notices(base: BaseModelFiles) -> Iterator[Notice]:
    """On the base model's licence, and as `companion_notices`."""
    yield from licence_notices(base.licence)
    yield from companion_notices(base)


def companion_notices(base: BaseModelFiles) -> Iterator[Notice]:
    """Where the parts of a single file come from that it lacks."""
    companion = base.companion
    if companion is not None:
        place = "on this machine" if companion.folder else "to be downloaded"
        message = (
            f"{base.reference} holds {in_words(base.lacks)}: those of {companion.repository} are "
            f"used (licence {companion.licence or 'unknown'}, {companion.size_bytes / 1e6:,.0f} MB "
            f"{place})."
        )
        yield Notice("info", "baseModel", message)
        if companion.licence != base.licence:
            yield from licence_notices(companion.licence)
    elif base.is_single_file and base.family is FamilyName.STABLE_DIFFUSION_3:
        message = (
            f"{base.reference} holds no T5: prompts are read by CLIP alone, which sees their "
            "first 77 tokens. A file with T5, or a repository, understands more."
        )
        yield Notice("info", "baseModel", message)
