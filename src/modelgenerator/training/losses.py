"""How far a prediction is from its target, and how much each sample and each place counts.

In: predictions, targets, noise levels, masks, all fp32.  Out: one loss for each sample.  Where
masks come from, and what a base model is, are not known here.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""prediction_BCHW, target_BCHW and threshold_B to an elementwise loss_BCHW."""


def squared(prediction_BCHW: Tensor, target_BCHW: Tensor, threshold_B: Tensor) -> Tensor:  # noqa: ARG001
    """The square of the difference, whatever the threshold."""
    return (prediction_BCHW - target_BCHW).square()


def smooth_l1(prediction_BCHW: Tensor, target_BCHW: Tensor, threshold_B: Tensor) -> Tensor:
    """2 (sqrt(d^2 + c^2) - c): d^2 / c for small differences d, 2 |d| for large ones."""
    return 2 * _beyond_threshold(prediction_BCHW - target_BCHW, threshold_B.view(-1, 1, 1, 1))


def huber(prediction_BCHW: Tensor, target_BCHW: Tensor, threshold_B: Tensor) -> Tensor:
    """2 c (sqrt(d^2 + c^2) - c): d^2 for small differences d, 2 c |d| for large ones."""
    threshold_B111 = threshold_B.view(-1, 1, 1, 1)
    difference_BCHW = prediction_BCHW - target_BCHW
    return 2 * threshold_B111 * _beyond_threshold(difference_BCHW, threshold_B111)


def _beyond_threshold(difference_BCHW: Tensor, threshold_B111: Tensor) -> Tensor:
    """sqrt(d^2 + c^2) - c, written so that small d are not lost beside c."""
    squared_BCHW = difference_BCHW.square()
    return squared_BCHW / ((squared_BCHW + threshold_B111.square()).sqrt() + threshold_B111)


LOSSES: Mapping[str, Loss] = {"L2": squared, "SmoothL1": smooth_l1, "Huber": huber}
"""By lossType.

Source: kohya-ss/sd-scripts, library/train_util.py, `conditional_loss`, whose formulas these are.
"""


def threshold(noise_ratio_B: Tensor, huber_c: float) -> Tensor:
    """c of each sample: 1 on clean pictures, `huber_c` on noise; 1 everywhere if that is 1.

    `noise_ratio_B` is sqrt((1 - abar) / abar) on noise schedules, sigma / (1 - sigma) on flows.
    Source: kohya-ss/sd-scripts, library/train_util.py, `get_huber_threshold_if_needed`, "snr".
    """
    return (1 - huber_c) / (1 + noise_ratio_B).square() + huber_c


def _epsilon_weight(noise_ratio_B: Tensor, gamma: float) -> Tensor:
    """min(SNR, gamma) / SNR, with SNR = 1 / noise_ratio^2."""
    return (gamma * noise_ratio_B.square()).clamp(max=1)


def _velocity_weight(noise_ratio_B: Tensor, gamma: float) -> Tensor:
    """min(SNR, gamma) / (SNR + 1)."""
    return _epsilon_weight(noise_ratio_B, gamma) / (1 + noise_ratio_B.square())


MIN_SNR_WEIGHTS: Mapping[str, Callable[[Tensor, float], Tensor]] = {
    "epsilon": _epsilon_weight,
    "v_prediction": _velocity_weight,
}
"""noise_ratio_B and gamma to weight_B, by what the denoiser predicts.

Source: Hang et al. 2023, https://arxiv.org/abs/2303.09556, section 3.4.
"""


def sample_losses(loss_BCHW: Tensor, mask_BHW: Tensor | None, *, normalized: bool) -> Tensor:
    """The mean of each sample, in which each place counts as its mask says.

    `normalized` divides by what the mask weighs, so that a small subject counts as much as a large
    one; otherwise by the number of places, as kohya does.
    """
    if mask_BHW is None:
        return loss_BCHW.mean(dim=(1, 2, 3))
    weighted_B = (loss_BCHW * mask_BHW[:, None]).sum(dim=(1, 2, 3))
    places_B = mask_BHW.sum(dim=(1, 2)) if normalized else mask_BHW[0].numel()
    return weighted_B / (loss_BCHW.shape[1] * places_B)
