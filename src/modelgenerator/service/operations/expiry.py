"""What time does to things: models expire, keys and sessions are forgotten, deletions are finished.

In: an opened service, every minute.  Out: weights that are gone; their records stay and say since
when.  What was cut short is found again the next time.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from modelgenerator.service.errors import StorageUnreachable
from modelgenerator.service.operations.deletions import finish_deletions
from modelgenerator.service.operations.form_uploads import forget_uploads
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.trained_models import is_drawn_with
from modelgenerator.service.records.job_specs import StoredLora
from modelgenerator.service.records.trainings import TrainedModel
from modelgenerator.service.store.keys import organization_key

UPLOADS_TAKE = timedelta(days=1)
"""At most: what is older was left by a process that was killed."""
KEYS_ARE_KEPT = timedelta(hours=24)
_SHOWN = (".png", ".jpg", ".jpeg", ".webp")
"""Samples, which stay when the weights go."""


def sweep(service: Service) -> None:
    """Everything that time does.

    Raises:
        StorageUnreachable: the first that the storage did not do; the rest was tried all the same.
    """
    service.forget_spooled(UPLOADS_TAKE)
    now = service.clock()
    with service.database.transaction() as transaction:
        transaction.forget_idempotency_keys(now - KEYS_ARE_KEPT)
        transaction.identities.forget_sessions(now)
    failures = [error for do in _IN_STORAGE if (error := _tried(do, service)) is not None]
    service.database.forget_deleted()
    if failures:
        raise failures[0]


def _tried(do: Callable[[Service], object], service: Service) -> StorageUnreachable | None:
    try:
        do(service)
    except StorageUnreachable as error:
        return error
    return None


def _forget_partial(service: Service) -> int:
    return service.files.forget_partial(UPLOADS_TAKE)


def expire_models(service: Service) -> int:
    """Delete the weights of models past their time; how many went.

    A generation that was accepted before draws with the file it was promised: until it has ended,
    the weights stay, though nothing new may use them.
    """
    with service.database.reading() as transaction:
        expired = transaction.expired_models(service.clock())
        gone = [
            model
            for model in expired
            if not is_drawn_with(transaction.of(model.organization_id), model.training_id)
        ]
    for model in gone:
        _delete_weights(service, model)
    return len(gone)


def _delete_weights(service: Service, model: TrainedModel) -> None:
    """The files first: a record that says it is gone may not lie."""
    keys = {model.storage_key}
    if model.other_layout is not None:
        keys.add(StoredLora.from_json(model.other_layout).storage_key)
    # checkpoints, and LoRAs of single epochs, are weights too
    prefix = organization_key(model.organization_id, "trainings", model.training_id.hex)
    keys |= {key for key in service.files.keys(prefix) if not key.endswith(_SHOWN)}
    for key in keys:
        service.files.delete(key)
    with service.database.transaction() as transaction:
        models = transaction.of(model.organization_id).trained_models
        now = models.get_locked(model.id)
        if now.deleted_at is None:
            models.replace(replace(now, deleted_at=service.clock()))


_IN_STORAGE = (expire_models, forget_uploads, finish_deletions, _forget_partial)
