"""What whoever started the processes of a training makes of what they say."""

import pickle
from multiprocessing.connection import Pipe

import pytest

from modelgenerator.errors import TrainingProcessFailed
from modelgenerator.training.parallel import together
from modelgenerator.training.parallel.words import Done, Word


class Saying:
    """A process that has said `words`, and lives."""

    def __init__(self, *words: Word) -> None:
        self.pipe, self._far_end = Pipe()
        for word in words:
            self._far_end.send_bytes(pickle.dumps(word))

    def send(self, word: str) -> None:
        self.pipe.send_bytes(pickle.dumps(word))

    def heard(self) -> Word:
        return pickle.loads(self.pipe.recv_bytes())


def test_a_training_that_ends_without_a_lora_has_failed():
    with pytest.raises(TrainingProcessFailed, match="ended without a LoRA"):
        list(together._events([Saying(Done()), Saying()]))
