"""What follows when a training's job has ended: a model, a charge, a rate, messages.

In: the job as it ended, within the transaction in which it ended, and what its body left.  Out:
records.  `outcomes` calls this; nothing here is called twice for one job.
"""

from datetime import datetime, timedelta

from modelgenerator.service.billing.prices import training_charge
from modelgenerator.service.operations.estimates import WorkShape, learnt, rate_of
from modelgenerator.service.operations.paying import settle
from modelgenerator.service.operations.removals import open_again
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.webhook_messages import tell_of_end
from modelgenerator.service.records.datasets import Origin
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.job_specs import TrainResult, TrainSpec
from modelgenerator.service.records.jobs import Job, JobStatus
from modelgenerator.service.records.money import EntryKind
from modelgenerator.service.records.trainings import JsonObject, TrainedModel, Training
from modelgenerator.service.store.transaction import Transaction


def when_training_ended(
    service: Service, transaction: Transaction, job: Job, result: JsonObject | None
) -> None:
    """Write down all that follows."""
    store = transaction.of(job.organization_id)
    training = store.trainings.get_locked(job.target_id)
    now = service.clock()
    if job.status is JobStatus.SUCCEEDED:
        assert result is not None, "what succeeded left something"
        trained = TrainResult.from_json(result)
        if training.deleted_at is None:
            store.trained_models.add(_model(service, training, trained, now))
        _learn(transaction, training, job, trained, now)
    if training.deleted_at is not None:
        open_again(store, training.id)
    cost = training_charge(job.prices, timedelta(milliseconds=job.used_ms))
    memo = f"{training.name}: {_in_words(job.used_ms)} of training"
    settle(service, store, job, EntryKind.TRAINING, cost, memo=memo, now=now)
    tell_of_end(store, job, now)


def lifetime(service: Service, origin: Origin) -> timedelta:
    """How long a trained model lives, by the way its training came in."""
    config = service.config
    return timedelta(days=config.flow_model_days if origin is Origin.FLOW else config.model_days)


def _model(
    service: Service, training: Training, trained: TrainResult, now: datetime
) -> TrainedModel:
    other = trained.other_layout
    return TrainedModel(
        id=new_id(now),
        organization_id=training.organization_id,
        training_id=training.id,
        base_model=trained.base_model,
        family=trained.family,
        layout=trained.layout,
        storage_key=trained.storage_key,
        sha256=trained.sha256,
        byte_count=trained.byte_count,
        other_layout=None if other is None else other.as_json(),
        created_at=now,
        expires_at=now + lifetime(service, training.origin),
    )


def _learn(
    transaction: Transaction, training: Training, job: Job, trained: TrainResult, now: datetime
) -> None:
    """A rate for the next estimates; time that a lost attempt took is in none of them."""
    if not trained.steps or not job.used_ms:
        return
    kept = training.estimate["shape"]
    assert isinstance(kept, dict), "an estimate says of which shape it is"
    shape = WorkShape.from_json({**kept, "machine": trained.machine})
    rates = transaction.rates.of(shape.base_model)
    rate = learnt(
        shape,
        rate_of(shape, rates),
        used_ms=job.used_ms,
        preparing_ms=trained.preparing_ms,
        steps=trained.steps,
        pictures=len(TrainSpec.from_json(job.spec).pictures),
        now=now,
    )
    transaction.rates.keep(rate)


def _in_words(milliseconds: int) -> str:
    minutes, seconds = divmod(milliseconds / 1000, 60)
    return f"{minutes:.0f} min {seconds:.3f} s"
