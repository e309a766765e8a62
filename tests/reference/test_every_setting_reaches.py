"""Every setting is proved where it ends: in what is drawn, asked, learnt or written.

A row of `REACHES` is a setting, values of it, and where they must be seen.  The trainings are real;
`observed_training.py` listens to them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from tests.reference.observed_training import Trainer, Training
from torch import Tensor

from modelgenerator.cli.base_models import load_base
from modelgenerator.cli.progress import reporter
from modelgenerator.diffusion import hub
from modelgenerator.settings import TrainingSettings
from modelgenerator.training.plan import DeviceFacts
from modelgenerator.training.precision import loss_scaler
from modelgenerator.training.randomness import Purpose, Randomness

GPU = DeviceFacts(kind="cuda", has_bf16=True)
SMALL: Mapping[str, Any] = {
    "baseModel": "sd",
    "resolution": 64,
    "epochs": 1,
    "networkDim": 4,
    "seed": 1,
    "d0": 1e-2,
    "maxSteps": 1,
    "trainUnetOnly": True,
}
ADAMW = {"optimizer": "AdamW", "learningRate": 0.1, "d0": None}
FLUX = {"baseModel": "flux"}
HUBER = {"lossType": "Huber"}
SHADES = ("headMaskShade", "bodyMaskShade", "boundingMaskShade", "backgroundMaskShade")

Train = Callable[..., Training]


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Where a setting ends."""

    values: Sequence[Any]
    where: Callable[[Training], Any]
    """What must not be the same for two of the values."""
    beside: Mapping[str, Any] = field(default_factory=dict)
    is_: Callable[[Any, Train], Any] | None = None
    """What `where` must be, exactly, for a value; trainings beside it may be asked for."""


# --- where to look


def numbers(tensor: Tensor) -> list[float]:
    return tensor.flatten().tolist()


def learnt(training: Training) -> list[float]:
    """Everything in the file."""
    return [
        number for name in sorted(training.tensors) for number in numbers(training.tensors[name])
    ]


def largest_change(training: Training) -> float:
    """Of a matrix that starts at zero."""
    return max(t.abs().max().item() for n, t in training.tensors.items() if "lora_up" in n)


def shrinking(training: Training) -> float:
    """Of the matrices whose gradient is zero in the first step: they feel weight decay alone."""
    downs = [t for n, t in training.tensors.items() if "lora_down" in n]
    after = math.sqrt(sum(float(t.float().square().sum()) for t in downs))
    return after / float(training.first_values_N.norm())


def ranks(training: Training) -> set[int]:
    return {t.shape[0] for n, t in training.tensors.items() if n.endswith("lora_down.weight")}


def alphas(training: Training) -> set[float]:
    return {t.item() for n, t in training.tensors.items() if n.endswith("alpha")}


def parts(training: Training) -> set[str]:
    return {name.partition("_")[2].partition("_")[0] for name in training.tensors}


def mirrored(training: Training) -> tuple[bool, bool]:
    """Whether the mirrored picture was encoded, and whether its latents were shown."""
    pixels_M3HW = training.pixels_B3HW[0]
    is_encoded = len(pixels_M3HW) == 2 and torch.equal(pixels_M3HW[1], pixels_M3HW[0].flip(-1))
    shown = [
        view_of(latents_CHW, training) for one in training.shown for latents_CHW in one.latents_BCHW
    ]
    return is_encoded, set(shown) == {0, 1}


def view_of(latents_CHW: Tensor, training: Training) -> int:
    """0 for an original, 1 for a mirror image: from which the draw of some visit leads here."""
    randomness = Randomness(training.plan.seed)
    visits = len(training.plan.pictures) * training.plan.repeats
    for number in range(visits):
        drawn_CHW = randomness.normal(Purpose.POSTERIOR, number, tuple(latents_CHW.shape))
        for posterior in training.posteriors:
            for view, mean_CHW in enumerate(posterior.mean_BCHW):
                if torch.allclose(
                    mean_CHW + posterior.deviation_BCHW[view] * drawn_CHW, latents_CHW, atol=1e-6
                ):
                    return view
    raise AssertionError("these are the latents of no picture")


def difference(training: Training) -> Tensor:
    """Between the first answer and the noise that it should be."""
    return training.questions[0].answer_BCHW - training.noise


def signal_share(training: Training) -> float:
    """alphas_cumprod at the time of the first batch, of the schedule that the files name."""
    start, end = math.sqrt(0.00085), math.sqrt(0.012)
    betas_T = torch.linspace(start, end, 1000).square()
    return (1 - betas_T).cumprod(0)[training.questions[0].times_B[0]].item()


def first_mask() -> Tensor:
    """White on the left half of 8 x 8 latents."""
    mask_HW = torch.zeros(8, 8)
    mask_HW[:, :4] = 1
    return mask_HW


def is_without_caption(training: Training) -> bool:
    """Whether all that the base model was told of words is what an empty caption says."""
    return all(
        torch.equal(told[0], training.empty_caption[name][0])
        for question in training.questions
        for name, told in question.conditioning.items()
    )


# --- what must be seen there


def loss_by(kind: str, huber_c: float, training: Training) -> float:
    """Source: the formulas of kohya-ss/sd-scripts, `conditional_loss`, "snr" schedule."""
    d, abar = difference(training).double(), signal_share(training)
    sigma = math.sqrt((1 - abar) / abar)
    c = (1 - huber_c) / (1 + sigma) ** 2 + huber_c
    straight = 2 * ((d.square() + c * c).sqrt() - c)
    return {"L2": d.square(), "SmoothL1": straight, "Huber": c * straight}[kind].mean().item()


def min_snr(gamma: float, train: Train) -> float:
    plain = train()
    abar = signal_share(plain)
    snr = abar / (1 - abar)
    return plain.losses[0] * min(snr, gamma) / snr


def masked(is_masked: bool, train: Train, *, normalized: bool = True) -> float:
    plain = train()
    squares_BCHW = difference(plain).square()
    if not is_masked:
        return squares_BCHW.mean().item()
    counted = (squares_BCHW * first_mask()).mean().item()
    return counted * 2 if normalized else counted


def rates(scheduler: str, _: Train) -> list[float]:
    floor = {"Cosine": 0.0, "Constant": 1.0, "CosineAnnealing": 0.01}[scheduler]
    return [floor + (1 - floor) * (1 + math.cos(math.pi * step / 2)) / 2 for step in range(2)]


def level(sampling: str, train: Train) -> list[float]:
    """From the same random number, as kohya's `get_noisy_model_input_and_timesteps` has it."""
    u = train(**FLUX, timestepSampling="uniform").questions[0].times_B.double() / 1000
    s = torch.special.ndtri(u).sigmoid()
    table = (u * 1000).floor() + 1
    mu = math.exp(0.5 + 0.65 * (16 - 256) / 3840)  # 8 x 8 latents are 16 tokens
    places = {
        "uniform": u,
        "sigmoid": s,
        "shift": 3 * s / (1 + 2 * s),
        "flux_shift": mu * s / (1 + (mu - 1) * s),
        "sigma": 3 * (table / 1000) / (1 + 2 * table / 1000),
    }
    return (places[sampling] * 1000).tolist()


def offset_noise(strength: float, train: Train) -> list[float]:
    white, shifted = train().noise, train(noiseOffset=1.0).noise
    shift_BCHW = shifted - white
    assert shift_BCHW.std(dim=(2, 3)).max() < 1e-6  # whole channels
    return numbers(white + strength * shift_BCHW)


def second_loss_with_prior(strength: float, train: Train) -> float:
    """The first step is the same for all: a LoRA that is still zero moves nothing."""
    none, one = (train(**prior(weight), maxSteps=2) for weight in (0.0, 1.0))
    return none.losses[1] + strength * (one.losses[1] - none.losses[1])


def prior(strength: float) -> dict[str, Any]:
    return {"priorPreservation": strength} | ({"priorPrompts": ["a tree"]} if strength else {})


EPOCHS = {"maxSteps": None}
SAMPLES = {"samplePrompts": ["lvff"], "epochs": 2, "batchSize": 2, **EPOCHS}
REACHES: Mapping[str, Reach] = {
    "baseModel": Reach(
        values=["sd", "other sd"], where=lambda t: numbers(t.questions[0].answer_BCHW)
    ),
    "epochs": Reach(
        values=[1, 2],
        beside=EPOCHS,
        where=lambda t: len(t.rates),
        is_=lambda epochs, _: 2 * epochs,
    ),
    "repeats": Reach(
        values=[1, 2],
        beside=EPOCHS,
        where=lambda t: len(t.shown),
        is_=lambda repeats, _: 2 * repeats,
    ),
    "resolution": Reach(
        values=[64, 128],
        where=lambda t: (*t.pixels_B3HW[0].shape[2:], *t.noise.shape[2:]),
        is_=lambda side, _: (side, side, side // 8, side // 8),
    ),
    "batchSize": Reach(values=[1, 2], where=lambda t: len(t.noise), is_=lambda size, _: size),
    "seed": Reach(values=[1, 2], where=lambda t: (numbers(t.noise), numbers(t.first_values_N))),
    "maskedLoss": Reach(values=[False, True], where=lambda t: t.losses[0], is_=masked),
    "flipAug": Reach(
        values=[False, True],
        beside={**EPOCHS, "repeats": 4, "batchSize": 4},
        where=mirrored,
        is_=lambda flip, _: (flip, flip),
    ),
    "optimizer": Reach(
        values=["Prodigy", "AdaFactor", "AdamW", "AdamW8bit", "DAdaptation", "DAdaptAdam"],
        beside={"d0": None},
        where=lambda t: t.optimizer,
        is_=lambda name, _: "DAdaptAdamPreprint" if name == "DAdaptation" else name,
    ),
    "learningRate": Reach(
        values=[0.5, 0.25],
        beside=ADAMW,
        where=lambda t: (t.rates[0], largest_change(t)),
        is_=lambda rate, _: (rate, rate),  # Adam's first step is as long as the rate
    ),
    "biasCorrection": Reach(
        values=[False, True],
        beside={"maxSteps": 2},
        where=lambda t: (t.optimizer_arguments["use_bias_correction"], learnt(t)),
    ),
    "weightDecay": Reach(
        values=[0.0, 0.5],
        beside=ADAMW,
        where=shrinking,
        is_=lambda decay, _: 1 - 0.1 * decay,
    ),
    "d0": Reach(values=[1e-2, 1e-3], where=lambda t: t.first_factor, is_=lambda d0, _: d0),
    "decouple": Reach(
        values=[False, True],
        beside={"weightDecay": 0.5},
        where=lambda t: (t.optimizer_arguments["decouple"], learnt(t)),
    ),
    "dCoef": Reach(
        values=[1.0, 4.0],
        beside={"maxSteps": 2, "d0": 1e-4},
        where=lambda t: (t.optimizer_arguments["d_coef"], learnt(t)),
    ),
    "networkDim": Reach(values=[2, 4], where=ranks, is_=lambda dim, _: {dim}),
    "alphaDim": Reach(values=[1, 2.5], where=alphas, is_=lambda alpha, _: {alpha}),
    "trainUnetOnly": Reach(
        values=[False, True],
        where=parts,
        is_=lambda only, _: {"unet"} if only else {"unet", "te"},
    ),
    "captionPrefix": Reach(
        values=["lvff", "xkq"],
        where=lambda t: (set(t.captions) - {""}, t.metadata["modelspec.trigger_phrase"]),
        is_=lambda word, _: ({f"{word} scene 0", f"{word} scene 1"}, word),
    ),
    "scheduler": Reach(
        values=["Cosine", "Constant", "CosineAnnealing"],
        beside={"maxSteps": 2},
        where=lambda t: t.rates,
        is_=rates,
    ),
    "lossType": Reach(
        values=["L2", "SmoothL1", "Huber"],
        beside={"huberC": 0.1},
        where=lambda t: t.losses[0],
        is_=lambda kind, train: loss_by(kind, 0.1, train()),
    ),
    "huberC": Reach(
        values=[0.1, 0.5],
        beside=HUBER,
        where=lambda t: t.losses[0],
        is_=lambda c, train: loss_by("Huber", c, train()),
    ),
    "noiseOffset": Reach(values=[0.1, 0.2], where=lambda t: numbers(t.noise), is_=offset_noise),
    "multiresNoiseIterations": Reach(values=[0, 1, 3], where=lambda t: numbers(t.noise)),
    "multiresNoiseDiscount": Reach(
        values=[0.1, 0.9],
        beside={"multiresNoiseIterations": 3},
        where=lambda t: numbers(t.noise),
    ),
    "timestepSampling": Reach(
        values=["sigma", "uniform", "sigmoid", "shift", "flux_shift"],
        beside=FLUX,
        where=lambda t: numbers(t.questions[0].times_B),
        is_=level,
    ),
    "guidanceScale": Reach(
        values=[1.0, 3.5],
        beside={**FLUX, "timestepSampling": "uniform"},
        where=lambda t: [None if one is None else one.tolist() for one in t.told_guidance],
        is_=lambda scale, _: [[scale]],
    ),
    "maskNormalization": Reach(
        values=[False, True],
        beside={"maskedLoss": True},
        where=lambda t: t.losses[0],
        is_=lambda normalized, train: masked(True, train, normalized=normalized),
    ),
    "minSnrGamma": Reach(values=[0.01, 0.02], where=lambda t: t.losses[0], is_=min_snr),
    "captionDropout": Reach(
        values=[0.0, 1.0],
        beside={"maxSteps": 2},
        where=is_without_caption,
        is_=lambda share, _: share == 1,
    ),
    "sampleEvery": Reach(
        values=[1, 2],
        beside=SAMPLES,
        where=lambda t: [f for f in t.files if f.startswith("samples")],
        is_=lambda every, _: [f"samples/epoch-{n:04}-1.png" for n in range(every, 3, every)],
    ),
    "samplePrompts": Reach(
        values=[["lvff"], ["lvff at sea", "a tree"]],
        beside={**SAMPLES, "sampleEvery": 2},
        where=lambda t: [request.prompt for request in t.requests],
        is_=lambda prompts, _: prompts,
    ),
    "saveEvery": Reach(
        values=[1, 2],
        beside={"epochs": 3, "batchSize": 2, **EPOCHS},
        where=lambda t: [file for file in t.files if file.startswith("lora-epoch")],
        is_=lambda every, _: [f"lora-epoch-{n:04}.safetensors" for n in range(every, 3, every)],
    ),
    "gradientAccumulation": Reach(
        values=[1, 2],
        beside=EPOCHS,
        where=lambda t: (len(t.shown), len(t.rates)),
        is_=lambda batches, _: (2, 2 // batches),
    ),
    "maxSteps": Reach(values=[1, 2], where=lambda t: len(t.rates), is_=lambda steps, _: steps),
    "networkTargets": Reach(
        values=[["attention"], ["convolutions"]],
        where=lambda t: {
            "convolutions" if "resnets" in name else "attention"
            for name in t.tensors
            if "resnets" in name or "attentions" in name
        },
        is_=lambda targets, _: set(targets),
    ),
    "priorPreservation": Reach(
        values=[1.0, 2.0],
        beside={"priorPrompts": ["a tree"], "maxSteps": 2},
        where=lambda t: t.losses[1],
        is_=second_loss_with_prior,
    ),
    "priorPrompts": Reach(
        values=[["a tree"], ["a dog", "a cat"]],
        beside={"priorPreservation": 1.0},
        where=lambda t: [request.prompt for request in t.requests],
        is_=lambda prompts, _: prompts,
    ),
    "validationSplit": Reach(
        values=[0.0, 0.5],
        beside=EPOCHS,
        where=lambda t: (len(t.rates), t.validations),
        is_=lambda share, _: (1, 1) if share else (2, 0),
    ),
}
TESTED_ALONE = {"normalizeDataset", "precision"}


@pytest.fixture
def train(trainer: Trainer, base_models: Mapping[str, str]) -> Train:
    def train_it(**settings: Any) -> Training:
        return trainer(written(settings, base_models))

    return train_it


def written(settings: Mapping[str, Any], base_models: Mapping[str, str]) -> dict[str, Any]:
    """`settings` on top of `SMALL`; None takes one away."""
    chosen = {**SMALL, **settings}
    chosen["baseModel"] = base_models[chosen["baseModel"]]
    return {name: value for name, value in chosen.items() if value is not None}


def test_every_setting_has_a_test_that_it_reaches():
    tested = {*REACHES, *TESTED_ALONE, *SHADES}
    assert tested == {field.alias for field in TrainingSettings.model_fields.values()}


@pytest.mark.parametrize("setting", REACHES)
def test_a_setting_reaches_what_it_sets(setting: str, train: Train):
    reach = REACHES[setting]
    trainings = [train(**reach.beside | {setting: value}) for value in reach.values]
    seen = [reach.where(training) for training in trainings]
    assert all(one != other for n, one in enumerate(seen) for other in seen[:n])
    if reach.is_ is not None:
        for value, one in zip(reach.values, seen, strict=True):
            assert_same(one, reach.is_(value, train))


def assert_same(seen: Any, expected: Any) -> None:
    """Numbers to what fp16 keeps of them, everything else exactly."""
    if isinstance(expected, float):
        assert seen == pytest.approx(expected, rel=1e-3, abs=1e-6)
    elif isinstance(expected, list | tuple):
        assert len(seen) == len(expected)
        for one, other in zip(seen, expected, strict=True):
            assert_same(one, other)
    else:
        assert seen == expected


@pytest.mark.parametrize(
    ("base_model", "precision", "dtype", "is_scaled"),
    [
        ("sd", "fp16", torch.float16, True),
        ("sd", "bf16", torch.bfloat16, False),
        ("flux", "fp16", torch.bfloat16, False),
    ],
)
def test_precision_reaches_the_weights_of_the_base_model_and_the_gradients(
    trainer: Trainer,
    base_models: Mapping[str, str],
    base_model: str,
    precision: str,
    dtype: torch.dtype,
    is_scaled: bool,
):
    settings = written({"baseModel": base_model, "precision": precision}, base_models)
    plan = trainer.plan(settings, GPU)
    with reporter(as_json=True) as report:
        base = load_base(hub.look_at(plan.base_model), plan.compute_dtype, report)
    assert {p.dtype for p in base.lora_parts[plan.denoiser].parameters()} == {dtype}
    assert bool(loss_scaler(plan.compute_dtype).scaled(torch.ones(())) > 1) is is_scaled


def test_each_shade_counts_its_own_region_and_together_they_count_everything(
    trainer_that_looks: Trainer, base_models: Mapping[str, str]
):
    def loss(**settings: object) -> float:
        asked = {"captionPrefix": "lvff", "resolution": 128, **settings}
        return trainer_that_looks(written(asked, base_models)).losses[0]

    def loss_of(bright: str) -> float:
        shades = {shade: 255 if shade == bright else 0 for shade in SHADES}
        return loss(maskedLoss=True, maskNormalization=False, **shades)

    parts = [loss_of(shade) for shade in SHADES]
    assert min(parts) > 0
    assert len(set(parts)) == len(parts)
    assert sum(parts) == pytest.approx(loss(), rel=1e-4)


def test_normalizing_shows_the_base_model_the_square_around_the_subject(
    trainer_that_looks: Trainer, base_models: Mapping[str, str]
):
    seen = trainer_that_looks(
        written({"normalizeDataset": True, "captionPrefix": "lvff"}, base_models)
    )
    assert [picture.crop for picture in seen.plan.pictures] == [(0, 0, 58, 58)] * 2
    whole = trainer_that_looks(written({"captionPrefix": "lvff"}, base_models))
    assert not torch.equal(seen.pixels_B3HW[0], whole.pixels_B3HW[0])
