"""What a process of a training is surrounded by, and what errors look like on the other side."""

import pickle
import sys

import pytest

from modelgenerator.errors import TrainingDiverged
from modelgenerator.training.parallel.processes import surroundings


@pytest.mark.parametrize(
    ("threads", "count", "each"), [("8", 2, "4"), ("8", 3, "2"), ("1", 2, "1"), ("2,1", 64, "1")]
)
def test_processes_share_the_threads(threads: str, count: int, each: str):
    assert (
        surroundings({"OMP_NUM_THREADS": threads}, rank=0, count=count)["OMP_NUM_THREADS"] == each
    )


@pytest.mark.parametrize(
    ("visible", "seen"),
    [({}, ["0", "1"]), ({"CUDA_VISIBLE_DEVICES": "3, 5,7"}, ["3", "5"])],
    ids=["all", "some"],
)
def test_each_process_sees_one_gpu_of_those_that_we_see(visible: dict[str, str], seen: list[str]):
    found = [surroundings(visible, rank=rank, count=2) for rank in range(2)]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in found] == seen


def test_gpus_that_are_hidden_stay_hidden():
    hidden = {"CUDA_VISIBLE_DEVICES": ""}
    assert surroundings(hidden, rank=1, count=2)["CUDA_VISIBLE_DEVICES"] == ""


def test_other_variables_stay():
    assert surroundings({"HF_HOME": "here"}, rank=0, count=2)["HF_HOME"] == "here"


@pytest.mark.skipif(sys.platform == "darwin", reason="its loopback has another name")
def test_processes_listen_where_nobody_else_can_reach_them():
    given = surroundings({}, rank=0, count=2)
    assert (given["GLOO_SOCKET_IFNAME"], given["NCCL_SOCKET_IFNAME"]) == ("lo", "lo")


def test_an_interface_that_a_person_chose_for_nccl_stays():
    chosen = {"NCCL_SOCKET_IFNAME": "eth1"}
    assert surroundings(chosen, rank=0, count=2)["NCCL_SOCKET_IFNAME"] == "eth1"


def test_an_error_is_the_same_after_it_crossed_a_pipe():
    error = TrainingDiverged(step=3, pictures=["a.png", "b.png"])
    crossed = pickle.loads(pickle.dumps(error))
    assert type(crossed) is TrainingDiverged
    assert (str(crossed), crossed.step) == (str(error), 3)
    assert crossed.pictures == ("a.png", "b.png")
