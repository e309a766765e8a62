"""The deployment that a command is about: the environment's, with the command's options over it."""

import os
from collections.abc import Mapping

from modelgenerator.service.config import ServiceConfig, read_config


def deployment(options: Mapping[str, object | None]) -> ServiceConfig:
    """What the environment says, and `options` that were given.

    Raises:
        InvalidSettings: a variable or an option is not allowed.
    """
    config = read_config(os.environ)
    given = {name: value for name, value in options.items() if value is not None}
    # only what was said: what lies in the data folder by default moves along with it
    said = {name: getattr(config, name) for name in config.model_fields_set}
    return ServiceConfig.model_validate({**said, **given})
