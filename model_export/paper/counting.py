"""Watching every operator of torch: which ran, and how many bytes of tensors are alive."""

import weakref
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ATTENTION = "_scaled_dot_product_"
UNFUSED_ATTENTION = "_safe_softmax"  # nothing else needs it


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of tensors alive while it is active, whoever holds them.

    What an operator allocates inside and frees before it returns is not seen. Only operators of the
    thread that entered it are, which on a CPU are all of them, those of the backward pass too.

    Args:
        alive: tensors that exist already and count as well.

    Attributes:
        peak_bytes: the most so far.
    """

    def __init__(self, alive: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live_bytes = 0
        self.peak_bytes = 0
        self._storages: set[int] = set()
        self._note(alive)

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401  as torch has it
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Run an operator and count what it gives."""
        output = func(*args, **(kwargs or {}))
        self._note(leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor))
        return output

    def _note(self, tensors: Iterable[Tensor]) -> None:
        for tensor in tensors:
            storage = tensor.untyped_storage()
            key, size_bytes = storage._cdata, storage.nbytes()
            if key in self._storages:
                continue
            self._storages.add(key)
            self.live_bytes += size_bytes
            self.peak_bytes = max(self.peak_bytes, self.live_bytes)
            weakref.finalize(storage, self._forget, key, size_bytes).atexit = False

    def _forget(self, key: int, size_bytes: int) -> None:
        self._storages.discard(key)
        self.live_bytes -= size_bytes


class AttentionKernels(TorchDispatchMode):
    """Notes which of torch's attention kernels run while it is active.

    Attributes:
        names: as torch calls them, such as `efficient_attention`; `math` is the unfused one, which
            makes a T x T tensor.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401  as torch has it
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Run an operator and note its name."""
        operator = str(func.name())
        _, found, kernel = operator.partition(ATTENTION)
        if UNFUSED_ATTENTION in operator and "backward" not in operator:
            self.names.add("math")
        if found and "backward" not in kernel:
            self.names.add(kernel.partition(".")[0])
        return func(*args, **(kwargs or {}))
