"""Who may come in, and what for."""

import time
from pathlib import Path

from service.access.budgets import Budget, Clock
from service.access.key_ring import KeyRing
from service.access.keys import Limits, Role
from service.errors import Forbidden, Unauthorized


class Guard:
    """Asks for keys, where there are any.

    Without a file of keys everybody may transcribe and read metrics, and nobody administrate:
    whoever can reach the port, a page in the operator's own browser for one, could.

    Args:
        keys_file: None asks nobody for a key.
        metrics_are_open: whether metrics need none.
        clock: current time in seconds.

    Raises:
        InvalidKeys: the file cannot be read.
    """

    def __init__(
        self,
        keys_file: Path | None,
        *,
        metrics_are_open: bool = False,
        clock: Clock = time.monotonic,
    ) -> None:
        self._ring = None if keys_file is None else KeyRing(keys_file)
        self._metrics_are_open = metrics_are_open
        self._clock = clock
        self._everybody = Budget(Limits(), clock)
        self._budgets: dict[str, Budget] = {}

    @property
    def asks_for_keys(self) -> bool:
        """Whether a key is needed."""
        return self._ring is not None

    def let_in(self, secret: str | None, role: Role) -> Budget:
        """Find out whether a key opens what is asked for.

        Args:
            secret: the key, as the client sent it; None if it sent none.
            role: what is asked for.

        Returns:
            What may be used.

        Raises:
            Unauthorized: a key is needed, and there is none or no valid one.
            Forbidden: the key is valid, and not for this.
        """
        if self._ring is None:
            if role is Role.ADMIN:
                raise Forbidden("nobody may do this here, since there are no keys")
            return self._everybody
        if role is Role.METRICS and self._metrics_are_open:
            return self._everybody
        if secret is None:
            raise Unauthorized("an API key is needed: Authorization: Bearer KEY")
        key = self._ring.find(secret)
        if key is None:
            raise Unauthorized("this API key is not valid")
        if role not in key.roles:
            raise Forbidden(
                f"this API key is not for {role}", found=list(key.roles), limit=str(role)
            )
        return self._budget(key.name, key.limits)

    def budget_of(self, name: str | None) -> Budget:
        """What the key of this name may use, as it was when it was last let in."""
        return self._everybody if name is None else self._budgets.get(name, self._everybody)

    def _budget(self, name: str, limits: Limits) -> Budget:
        budget = self._budgets.setdefault(name, Budget(limits, self._clock))
        budget.follow(limits)
        return budget
