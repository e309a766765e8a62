import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

from modelgenerator.diffusion.noising import FlowNoising, Noising, scheduled_noising


def pair(prediction_type: str, **settings: object) -> tuple[Noising, DDPMScheduler]:
    theirs = DDPMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type=prediction_type,
        **settings,
    )
    ours = scheduled_noising(prediction_type, theirs.alphas_cumprod, device=torch.device("cpu"))
    return ours, theirs


def latents_and_noise() -> tuple[torch.Tensor, torch.Tensor]:
    chance = torch.Generator().manual_seed(0)
    latents, noise = torch.randn(2, 6, 4, 8, 12, generator=chance)
    return latents, noise


TIMES_B = torch.tensor([0, 1, 250, 500, 998, 999])


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("zero_snr", [False, True])
def test_noised_latents_are_those_of_diffusers(prediction_type: str, zero_snr: bool):
    ours, theirs = pair(prediction_type, rescale_betas_zero_snr=zero_snr)
    latents_BCHW, noise_BCHW = latents_and_noise()
    torch.testing.assert_close(
        ours.add_noise(latents_BCHW, noise_BCHW, TIMES_B),
        theirs.add_noise(latents_BCHW, noise_BCHW, TIMES_B),
        rtol=0,
        atol=1e-6,
    )


def test_the_target_of_an_epsilon_model_is_the_noise():
    ours, _ = pair("epsilon")
    latents_BCHW, noise_BCHW = latents_and_noise()
    assert torch.equal(ours.target(latents_BCHW, noise_BCHW, TIMES_B), noise_BCHW)


def test_the_target_of_a_velocity_model_is_that_of_diffusers():
    ours, theirs = pair("v_prediction")
    latents_BCHW, noise_BCHW = latents_and_noise()
    torch.testing.assert_close(
        ours.target(latents_BCHW, noise_BCHW, TIMES_B),
        theirs.get_velocity(latents_BCHW, noise_BCHW, TIMES_B),
        rtol=0,
        atol=1e-6,
    )


def test_timesteps_are_whole_numbers_from_clean_to_noise():
    ours, _ = pair("epsilon")
    times_B = ours.times(torch.tensor([0.0, 0.0009999, 0.5, 0.9991, 1 - 2**-24]))
    assert times_B.dtype == torch.int64
    assert times_B.tolist() == [0, 0, 500, 999, 999]


def test_every_timestep_is_as_likely_as_any_other():
    ours, _ = pair("epsilon")
    times_B = ours.times((torch.arange(100_000) + 0.5) / 100_000)
    counts_T = torch.bincount(times_B, minlength=1000)
    assert len(counts_T) == 1000
    assert counts_T.min() >= 98
    assert counts_T.max() <= 102


def test_the_shift_of_a_flow_is_its_schedulers():
    assert FlowNoising().scheduler_shift == 3.0
    assert FlowNoising(1.0).scheduler_shift == 1.0
    assert pair("epsilon")[0].scheduler_shift == 1.0
