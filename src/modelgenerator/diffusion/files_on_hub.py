"""Single files in a repository on a hub: which one is the base model, told by headers alone.

In: a repository.  Out: the header of a file, by asking for its first bytes, or the name of the one
file that is a base model.  No weights are downloaded.
"""

from functools import partial

from modelgenerator.diffusion.detection import LORA_FILE, why_no_index
from modelgenerator.diffusion.remote import Repository
from modelgenerator.diffusion.single_files import family_of, is_lora
from modelgenerator.diffusion.tensor_files import Tensors, tensors_of
from modelgenerator.errors import BaseModelUnsupported

MOST_HEADERS = 8
"""That are looked at to find the base model among files; with more, the person chooses."""


def safetensors_in(source: Repository) -> list[str]:
    """The files that are not inside of folders."""
    names = sorted(source.sizes)
    return [name for name in names if name.endswith(".safetensors") and "/" not in name]


def header_of(source: Repository, file: str) -> Tensors:
    """Raises BaseModelUnsupported: broken."""
    read = partial(source.read_range, file)
    return tensors_of(source.sizes[file], read, f"{source.name}/{file}")


def only_base_model(source: Repository, called: str) -> str:
    """The file that is the base model.

    Raises:
        BaseModelUnsupported: there is none, or several, which are named.
    """
    names = [name for name in safetensors_in(source) if not LORA_FILE.search(name)]
    if not names:
        raise BaseModelUnsupported(why_no_index(source.sizes, called))
    if 1 < len(names) <= MOST_HEADERS:
        names = [name for name in names if _is_base_model(header_of(source, name))] or names
    if len(names) > 1:
        listed = ", ".join(f"{name} ({source.sizes[name] / 1e6:,.0f} MB)" for name in names)
        raise BaseModelUnsupported(
            f"{called} has no model_index.json, and several single files: {listed}. Choose one by "
            f"its name: {source.name}/{names[0]}"
        )
    return names[0]


def _is_base_model(tensors: Tensors) -> bool:
    return family_of(tensors) is not None and not is_lora(tensors)
