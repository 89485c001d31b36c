"""What `wsm-export blend` does: the mean of two checkpoints, weight by weight.

A model that went on to learn from other data hears that better and what it knew worse. Between
the two lies one that keeps much of both (Wortsman et al., CVPR 2022, arXiv 2109.01903, and their
model soups, ICML 2022, arXiv 2203.05482), if the second began where the first ended, or both did
where a third had. What only one of them learned is in the other as it is in the base.
"""

import argparse
from collections.abc import Set
from pathlib import Path

from torch import Tensor

from model_export.checkpoint import (
    ModelSpec,
    load_checkpoint,
    load_spec,
    read_tensors,
    write_checkpoint,
)
from model_export.errors import CheckpointInvalid

# Of a run, not of its weights.
OWN = {"base", "base_revision", "base_commit", "languages", "data", "also_train"}


def blend(options: argparse.Namespace) -> None:
    """Write the blend of two checkpoints."""
    blend_checkpoints(options.first, options.second, options.share, options.out)
    print(f"{options.out}: {options.second} by {options.share:g}, the rest {options.first}")


def blend_checkpoints(first: Path, second: Path, share: float, out: Path) -> None:
    """Mean of the trained tensors of two checkpoints of the same kind, whatever each learned.

    Args:
        first: folder of one checkpoint.
        second: of the other, which gives the blend its name for the base.
        share: of the second, in [0, 1].
        out: folder to write; it must not exist.

    Raises:
        BaseUnavailable: one learned more than the other, and the base cannot be found.
        CheckpointInvalid: one is no checkpoint or damaged, they are of different kinds, the share
            lies outside, or `out` exists.
    """
    if not 0 <= share <= 1:
        raise CheckpointInvalid(f"the share of {second} is {share:g}; it must lie in 0 to 1")
    if out.exists():
        raise CheckpointInvalid(f"{out} exists")
    spec = _common_spec(first, second)
    one, other = _alike(first, second)
    mixed = {name: one[name].lerp(other[name], share) for name in one}
    write_checkpoint(out, spec, mixed)


def _alike(first: Path, second: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Both with all that either learned."""
    one, other = read_tensors(first), read_tensors(second)
    if one.keys() == other.keys():
        return one, other
    names = one.keys() | other.keys()
    return _parameters(first, names), _parameters(second, names)


def _parameters(folder: Path, names: Set[str]) -> dict[str, Tensor]:
    """Of the whole model, which refuses a checkpoint that does not hold what it should."""
    _, model = load_checkpoint(folder)
    return {name: model.get_parameter(name).detach() for name in names}


def _common_spec(first: Path, second: Path) -> ModelSpec:
    one, other = load_spec(first), load_spec(second)
    found = other.model_dump()
    for name, value in one.model_dump(exclude=OWN).items():
        if value != found[name]:
            raise CheckpointInvalid(f"{first} has {name} {value}, {second} has {found[name]}")
    languages = tuple(dict.fromkeys((*one.languages, *other.languages)))
    data = tuple(dict.fromkeys((*one.data, *other.data)))
    also_train = tuple(dict.fromkeys((*one.also_train, *other.also_train)))
    return other.model_copy(update={"languages": languages, "data": data, "also_train": also_train})
