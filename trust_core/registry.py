"""A table of functions by name: a new map, mask or indicator is one function with one name."""

from collections.abc import Callable
from typing import Generic, TypeVar

from trust_core.errors import SettingsError

F = TypeVar("F", bound=Callable[..., object])


class Registry(dict[str, F], Generic[F]):
    """Functions by name, filled with a decorator.

    Args:
        what: what the functions are, for the sentence that lists them ("specific map").
    """

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def register(self, name: str) -> Callable[[F], F]:
        """Enter the decorated function under `name`."""

        def enter(function: F) -> F:
            self[name] = function
            return function

        return enter

    def find(self, name: str) -> F:
        """The function called `name`.

        Raises:
            SettingsError: there is none; the sentence lists the names there are.
        """
        if name not in self:
            raise SettingsError(f"There is no {self.what} '{name}'; choose from {', '.join(self)}.")
        return self[name]
