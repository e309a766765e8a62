"""Make the embedded base model from nothing: one command, seeded, resumable.

    python -m modelgenerator.diffusion.builtin.recipe --folder work --output creatures

In: numbers of steps.  Out: a diffusers folder (fp16) and `recipe.json`, which says how it was made
and how good its autoencoder is.  Each stage writes a checkpoint and is skipped once it is done; on
a GPU the same command uses larger batches.
"""

import argparse
import functools
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from modelgenerator.diffusion.builtin import autoencoder, pretrain, vocabulary
from modelgenerator.diffusion.builtin.learner import LOG_FORMAT, in_replicas

log = logging.getLogger(__name__)

INTERRUPTED = 130  # what a shell calls the end by Ctrl-C


def main(argv: Sequence[str] | None = None) -> None:
    """The command; `argv` is what a person wrote after its name."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    try:
        make(arguments)
    except KeyboardInterrupt:
        log.info(
            "Stopped.  What was saved last is in %s; the same command goes on from there.",
            arguments.folder,
        )
        raise SystemExit(INTERRUPTED) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="for checkpoints and caches")
    parser.add_argument("--output", type=Path, required=True, help="the finished diffusers folder")
    parser.add_argument("--autoencoder-steps", type=int, default=4_500)
    parser.add_argument(
        "--autoencoder-pictures",
        type=int,
        default=autoencoder.PICTURES,
        help="drawn for each replica",
    )
    parser.add_argument("--captions", type=int, default=20_000, help="for the tokenizer")
    parser.add_argument("--text-steps", type=int, default=500, help="the text encoder's head start")
    parser.add_argument("--text-pictures", type=int, default=pretrain.HEAD_START_PICTURES)
    parser.add_argument("--steps", type=int, default=11_000, help="of the U-Net")
    parser.add_argument("--pictures", type=int, default=60_000, help="drawn for each replica")
    parser.add_argument(
        "--checkpoint-every", type=int, default=pretrain.CHECKPOINT_EVERY, help="steps of the U-Net"
    )
    parser.add_argument("--replicas", type=int, default=2, help="processes on a CPU")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def make(arguments: argparse.Namespace) -> None:
    """Every stage that is not done yet."""
    folder: Path = arguments.folder
    seed: int = arguments.seed
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "vae.json").exists():
        work = functools.partial(
            autoencoder.train_autoencoder,
            steps=arguments.autoencoder_steps,
            seed=seed,
            pictures=arguments.autoencoder_pictures,
        )
        in_replicas(work, folder, count=arguments.replicas)
    if not (folder / "tokenizer" / vocabulary.WRITTEN_LAST).exists():
        vocabulary.write_tokenizer(folder / "tokenizer", captions=arguments.captions)
    if not (folder / "text_encoder").exists():
        work = functools.partial(
            pretrain.start_text_encoder,
            steps=arguments.text_steps,
            seed=seed,
            pictures=arguments.text_pictures,
        )
        in_replicas(work, folder, count=1)
    work = functools.partial(
        pretrain.pretrain,
        steps=arguments.steps,
        pictures=arguments.pictures,
        seed=seed,
        checkpoint_every=arguments.checkpoint_every,
    )
    in_replicas(work, folder, count=arguments.replicas)
    shutil.copytree(folder / "pipeline", arguments.output, dirs_exist_ok=True)
    made_with = {
        name: value for name, value in vars(arguments).items() if not isinstance(value, Path)
    }
    pretrain.write_measurements(folder, arguments.output, made_with)


if __name__ == "__main__":
    main()
