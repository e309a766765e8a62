"""The arithmetic; `benchmarks/memory.py` compares it with what trainings take."""

import dataclasses

import pytest
from tests.examples import CPU, GPU, SD15, base_files, plan_for

from modelgenerator.diffusion.aliases import BUILTIN
from modelgenerator.diffusion.hub import BaseModelFiles, look_at
from modelgenerator.diffusion.weights import numbers_by_part
from modelgenerator.errors import NotEnoughMemory
from modelgenerator.notices import Notice
from modelgenerator.training.memory import Needs, Workload, needs, settle

WORK = Workload(
    width=512,
    height=512,
    batch_size=1,
    network_dim=64,
    network_targets=("attention",),
    text_encoders=("text_encoder",),
    optimizer="Prodigy",
    compute_dtype="bf16",
    device="cuda",
    views=1,
)


def of(base: BaseModelFiles = SD15, *, checkpointing: bool = False, **changes: object) -> Needs:
    found = needs(base, dataclasses.replace(WORK, **changes), checkpointing=checkpointing)
    assert found is not None
    return found


def settled(free: float, gpus: int = 1, **changes: object) -> tuple[int, bool, list[Notice]]:
    notices: list[Notice] = []
    work = dataclasses.replace(WORK, **changes)
    return *settle(SD15, work, int(free), notices, gpus=gpus), notices


def test_files_say_how_many_numbers_a_part_has():
    assert numbers_by_part(SD15)["unet"] == pytest.approx(860e6, rel=0.01)
    half = numbers_by_part(look_at(BUILTIN))
    assert half["unet"] == pytest.approx(5.6e6, rel=0.02)  # 11 MB of fp16


def test_the_lora_counts_with_its_gradients_and_the_optimizers_states():
    adamw, prodigy = of(optimizer="AdamW"), of(optimizer="Prodigy")
    assert adamw.network / 4 == pytest.approx(prodigy.network / 5.5)
    assert of(network_dim=128).network == pytest.approx(2 * prodigy.network)


def test_activations_grow_with_batch_and_area():
    assert of(batch_size=4).activations == pytest.approx(4 * of().activations)
    unet = of(text_encoders=()).activations
    assert of(text_encoders=(), width=1024).activations == pytest.approx(2 * unet)


def test_checkpointing_saves_most_of_the_activations():
    assert of(checkpointing=True).activations < 0.6 * of().activations


def test_on_a_gpu_encoders_make_room_and_on_a_cpu_they_stay():
    assert of().learning_weights < of().weights
    assert of(text_encoders=()).learning_weights < of().learning_weights
    on_cpu = of(device="cpu", compute_dtype="fp32")
    assert on_cpu.learning_weights == on_cpu.weights


def test_enough_memory_is_used_for_speed():
    size, checkpointing, notices = settled(80e9)
    assert (size, checkpointing, notices) == (of().peak, False, [])


def test_checkpointing_is_chosen_and_told_when_it_makes_the_training_fit():
    free = (of().peak + of(checkpointing=True).peak) / 2
    size, checkpointing, (notice,) = settled(free)
    assert (size, checkpointing) == (of(checkpointing=True).peak, True)
    assert "gradient checkpointing" in notice.message


def test_what_fits_in_no_way_is_refused_with_settings_that_would():
    with pytest.raises(NotEnoughMemory) as caught:
        settled(8e9, width=2048, height=2048, batch_size=6)
    told = str(caught.value)
    assert "this machine has 8.0 GB free" in told
    assert "resolution " in told
    assert "would fit" in told


def test_settings_that_are_named_do_fit():
    with pytest.raises(NotEnoughMemory) as caught:
        settled(8e9, width=2048, height=2048, batch_size=6)
    side = int(str(caught.value).partition("resolution ")[2].split()[0])
    assert settled(8e9, width=side, height=side, batch_size=6)[0] <= 8e9


def test_a_machine_that_nothing_fits_into_is_told():
    with pytest.raises(NotEnoughMemory, match="no setting would fit"):
        settled(1e9)


def test_without_configurations_nothing_is_claimed():
    assert settle(base_files(), WORK, 1, []) == (0, False)


def test_the_plan_holds_the_estimate_and_the_choice():
    small = dataclasses.replace(GPU, free_bytes=int(of().peak * 0.9))
    plan = plan_for(base=SD15, device=small)
    assert plan.gradient_checkpointing
    assert 0 < plan.memory_bytes <= of().peak * 0.9


def test_a_training_may_go_on_with_more_or_less_memory():
    large, small = (dataclasses.replace(GPU, free_bytes=int(n)) for n in (80e9, of().peak * 0.9))
    assert plan_for(base=SD15, device=large).digest == plan_for(base=SD15, device=small).digest


def test_the_embedded_base_as_a_folder_at_the_general_default_size_is_refused_on_a_small_machine():
    folder = str(look_at(BUILTIN).folder)
    small = dataclasses.replace(CPU, free_bytes=2_000_000_000)
    with pytest.raises(NotEnoughMemory, match=r"resolution (256|512) would fit"):
        plan_for(base=look_at(folder), device=small, resolution=1024)
    roomy = dataclasses.replace(CPU, free_bytes=20_000_000_000)
    plan = plan_for(base=look_at(folder), device=roomy, resolution=1024)
    assert 0 < plan.memory_bytes <= 20_000_000_000


def test_a_checkpoint_on_its_way_to_the_disk_counts_twice_where_it_is_large():
    small, large = (of(network_dim=rank, device="cpu") for rank in (1, 64))
    assert small.saving == 0
    # values, and three and a half numbers of Prodigy's for each; the network has gradients besides
    assert large.saving == pytest.approx(2 * large.network * 4.5 / 5.5)
    assert of(network_dim=64, device="cuda").saving == 0


def test_a_process_has_the_activations_of_its_part_of_a_batch():
    alone, share = of(batch_size=2), of(batch_size=4, processes=2)
    assert share == alone
    assert of(batch_size=5, processes=2).activations == of(batch_size=3).activations


def test_gpus_that_together_need_no_checkpointing_are_named():
    free = (of(batch_size=4).peak + of(batch_size=4, checkpointing=True).peak) / 2
    _, checkpointing, (notice,) = settled(free, gpus=2, batch_size=4)
    assert checkpointing
    assert "In 2 processes it would not be needed: --processes 2." in notice.message
    assert settled(free, gpus=2, batch_size=4, processes=2)[1:] == (False, [])


def test_a_batch_that_fits_only_into_several_gpus_is_refused_with_their_number():
    free = of(batch_size=2, checkpointing=True, width=1024, height=1024).peak
    large = {"width": 1024, "height": 1024, "batch_size": 6}
    with pytest.raises(NotEnoughMemory, match=r"--processes 3 or .* would fit"):
        settled(free, gpus=4, **large)
    assert settled(free, gpus=4, **large, processes=3)[0] <= free
    with pytest.raises(NotEnoughMemory, match=r"Each process .* GB free for each: --processes 3"):
        settled(free, gpus=4, **large, processes=2)


def test_batches_that_are_named_are_those_of_all_processes():
    free = of(batch_size=1, checkpointing=True, width=1024, height=1024).peak
    with pytest.raises(NotEnoughMemory, match=r"batchSize 2 would fit"):
        settled(free, width=1024, height=1024, batch_size=6, processes=2)
