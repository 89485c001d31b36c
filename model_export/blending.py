"""What `wsm-export blend` does: the mean of two checkpoints, weight by weight.

A model that went on to learn from other data hears that better and what it knew worse. Between
the two lies one that keeps much of both (Wortsman et al., CVPR 2022, arXiv 2109.01903, and their
model soups, ICML 2022, arXiv 2203.05482), if the second began where the first ended.
"""

import argparse
from pathlib import Path

from model_export.checkpoint import ModelSpec, load_spec, read_tensors, write_checkpoint
from model_export.errors import CheckpointInvalid

OWN = {"base", "base_revision", "base_commit", "languages", "data"}  # of a run, not of its weights


def blend(options: argparse.Namespace) -> None:
    """Write the blend of two checkpoints."""
    blend_checkpoints(options.first, options.second, options.share, options.out)
    print(f"{options.out}: {options.second} by {options.share:g}, the rest {options.first}")


def blend_checkpoints(first: Path, second: Path, share: float, out: Path) -> None:
    """Mean of the trained tensors of two checkpoints of the same kind.

    Args:
        first: folder of one checkpoint.
        second: of the other, which gives the blend its name for the base.
        share: of the second, in [0, 1].
        out: folder to write; it must not exist.

    Raises:
        CheckpointInvalid: one is no checkpoint, they are of different kinds, the share lies
            outside, or `out` exists.
    """
    if not 0 <= share <= 1:
        raise CheckpointInvalid(f"the share of {second} is {share:g}; it must lie in 0 to 1")
    if out.exists():
        raise CheckpointInvalid(f"{out} exists")
    spec = _common_spec(first, second)
    one, other = read_tensors(first), read_tensors(second)
    if one.keys() != other.keys():
        odd = sorted(one.keys() ^ other.keys())
        raise CheckpointInvalid(f"{odd[0]} is in only one of {first} and {second}")
    mixed = {name: one[name].lerp(other[name], share) for name in one}
    write_checkpoint(out, spec, mixed)


def _common_spec(first: Path, second: Path) -> ModelSpec:
    one, other = load_spec(first), load_spec(second)
    found = other.model_dump()
    for name, value in one.model_dump(exclude=OWN).items():
        if value != found[name]:
            raise CheckpointInvalid(f"{first} has {name} {value}, {second} has {found[name]}")
    languages = tuple(dict.fromkeys((*one.languages, *other.languages)))
    data = tuple(dict.fromkeys((*one.data, *other.data)))
    return other.model_copy(update={"languages": languages, "data": data})
