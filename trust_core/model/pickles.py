"""Scanning a pickle of weights: what `torch.load` would build is held to limits before it does.

The opcodes are followed as `torch.load(weights_only=True)` would follow them, but nothing is built
or called: a tensor is a number of bytes, a mapping the list of its keys. What the scan does not
know is refused, so whatever passes is made of tensors, mappings, lists, tuples, texts and numbers.
"""

import io
import math
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from trust_core.errors import ModelError

LARGEST_PICKLE = 16 * 2**20  # bytes, without the numbers of the tensors
MOST_OPCODES = 2_000_000
MOST_BUILT = 100_000  # tensors, those of an optimiser among them
MOST_DIMENSIONS = 8
DEEPEST_TUPLE = 16  # hashing a nest of shared tuples takes twice as long for each one more
LONGEST_INTEGER = 2**63  # longer ones can be made to collide as keys
MOST_SHARED = 128 * 2**20  # bytes by which tensors may exceed what is stored: tied weights
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # begins a file of torch.save before 1.6
LEGACY_PICKLES = 5  # magic, version, system, content, keys of the storages
ZIP = b"PK\x03\x04"

_SIZES = {
    8: ("Double", "Long", "ComplexFloat"),
    4: ("Float", "Int", "QInt32"),
    2: ("Half", "BFloat16", "Short"),
    1: ("Char", "Byte", "Bool", "QInt8", "QUInt8", "QUInt4x2", "QUInt2x4"),
    16: ("ComplexDouble",),
}
STORAGES = {
    f"{module}.{name}Storage": size
    for size, names in _SIZES.items()
    for name in names
    for module in ("torch", "torch.cuda")
} | {"torch.storage.UntypedStorage": 1}
DTYPES = {
    str(dtype): dtype.itemsize for dtype in vars(torch).values() if isinstance(dtype, torch.dtype)
}
_VALUES = frozenset(
    str(value) for value in vars(torch).values() if isinstance(value, torch.qscheme)
) | {"torch.Tensor", "torch.nn.parameter.Parameter"}


class PythonObject(ValueError):
    """The pickle names something else than tensors and plain values; its name is the message."""


@dataclass(frozen=True, slots=True)
class _Name:
    """Something that is imported."""

    name: str


@dataclass(frozen=True, slots=True)
class _Tuple:
    items: tuple[Any, ...]
    depth: int


@dataclass(frozen=True, slots=True)
class _Storage:
    element: int  # bytes
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class _Tensor:
    pass


@dataclass(slots=True)
class _List:
    items: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class _Dict:
    keys: list[Any] = field(default_factory=list)
    ordered: bool = False


def scan(path: Path) -> None:
    """Hold a file of `torch.save` to the limits of this module, building nothing.

    Args:
        path: a file that exists, as a zip archive or as written before PyTorch 1.6.

    Raises:
        PythonObject: it names something else than tensors and plain values.
        ModelError: it exceeds a limit; in one sentence.
        ValueError, LookupError, RuntimeError: it is damaged, or no such file.
    """
    with path.open("rb") as file:
        start = file.read(len(ZIP))
        if start != ZIP:
            _scan_legacy(path, start + file.read(LARGEST_PICKLE))
            return
    # The library's own reader: another one might see another archive in the same bytes.
    reader = torch._C.PyTorchFileReader(str(path))
    if reader.get_record_size("data.pkl") > LARGEST_PICKLE:
        raise ModelError(
            f"{path.name} holds more than {LARGEST_PICKLE >> 20} MiB beside its tensors; save the "
            "weights alone."
        )

    def stored(key: str) -> int:
        return reader.get_record_size(f"data/{key}")

    _Machine(path, stored).run(io.BytesIO(reader.get_record("data.pkl")))


def _scan_legacy(path: Path, start: bytes) -> None:
    size = path.stat().st_size
    machine, pickles = _Machine(path, lambda _: size), io.BytesIO(start)
    for _ in range(LEGACY_PICKLES):
        machine.run(pickles)


class _Machine:
    """Follows the opcodes of the pickles of one file.

    Attributes:
        stored: the bytes that are there for a key of a storage.
    """

    def __init__(self, path: Path, stored: Callable[[str], int]) -> None:
        self.path = path
        self.file_size = path.stat().st_size
        self.stored = stored
        self.storages: dict[str, _Storage] = {}
        self.opcodes = self.tensors = self.tensor_bytes = self.storage_bytes = 0

    def run(self, file: io.BytesIO) -> None:
        """One pickle, to its end.

        Raises:
            PythonObject, ModelError, ValueError, LookupError: as `scan`.
        """
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        for opcode, argument, _ in pickletools.genops(file):
            self.opcodes += 1
            if self.opcodes > MOST_OPCODES:
                raise self.beyond(f"is described in more than {MOST_OPCODES:,} steps")
            follow = _FOLLOW.get(opcode.name)
            if follow is None:
                raise ValueError(f"{opcode.name} is nothing that torch.save writes")
            follow(self, argument)

    def beyond(self, what: str) -> ModelError:
        """The sentence for a file that exceeds a limit."""
        return ModelError(f"{self.path.name} {what}; save the weights of the network alone.")

    def push(self, value: object) -> None:
        """A value on the stack; numbers no longer than any that is counted or measured with."""
        if isinstance(value, int) and abs(value) > LONGEST_INTEGER and value != LEGACY_MAGIC:
            raise ValueError("an integer of more than 8 bytes")
        self.stack.append(value)

    def mark(self, _: object) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def remember(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def name(self, words: str) -> None:
        name = ".".join(words.split(" "))
        if not any(name in known for known in (_CALLED, STORAGES, DTYPES, _VALUES)):
            raise PythonObject(name.removeprefix("__builtin__."))
        self.push(_Name(name))

    def pack(self, items: list[Any]) -> None:
        depth = 1 + max((item.depth for item in items if isinstance(item, _Tuple)), default=0)
        if depth > DEEPEST_TUPLE:
            raise self.beyond(f"nests tuples more than {DEEPEST_TUPLE} deep")
        self.push(_Tuple(tuple(items), depth))

    def pack_last(self, count: int) -> None:
        items = [self.stack.pop() for _ in range(count)]
        self.pack(items[::-1])

    def append(self, items: list[Any]) -> None:
        _expect(self.stack[-1], _List).items.extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = _expect(self.stack[-1], _Dict)
        for key in items[::2]:
            target.keys.append(self.key(key))
        if len(items) % 2:
            raise ValueError("a key without a value")

    def key(self, value: object) -> object:
        """A key of a mapping: what is hashed is short and flat."""
        if not isinstance(value, (str, bytes, int, float)):
            raise self.beyond("has keys that are neither texts nor numbers")
        return value

    def storage(self, _: object) -> None:
        kind, storage, key, _location, count, *view = _expect(self.stack.pop(), _Tuple).items
        if kind != "storage" or any(part is not None for part in view):
            raise ValueError("no storage")
        element = STORAGES[_expect(storage, _Name).name]
        found = _Storage(element, element * _count(count))
        if _expect(key, str) not in self.storages:
            self.storages[key] = found
            self.storage_bytes += found.size
            if found.size > self.stored(key) or self.storage_bytes > self.file_size:
                raise self.larger()
        if self.storages[key] != found:
            raise ValueError("a storage of two sizes")
        self.push(found)

    def larger(self) -> ModelError:
        return ModelError(
            f"{self.path.name} describes larger tensors than it stores; save it again with "
            "torch.save(model.state_dict(), ...)."
        )

    def build(self, _: object) -> None:
        """Attributes of a mapping: the versions of modules (`_metadata`), and no method's name."""
        state, target = _expect(self.stack.pop(), _Dict), _expect(self.stack[-1], _Dict)
        names = [_expect(key, str) for key in state.keys]
        if not target.ordered or any(n.startswith("__") or not n.startswith("_") for n in names):
            raise ValueError("attributes of a mapping")

    def call(self, _: object) -> None:
        arguments = _expect(self.stack.pop(), _Tuple).items
        self.push(self.called(_expect(self.stack.pop(), _Name).name, arguments))

    def called(self, name: str, arguments: tuple[Any, ...]) -> object:
        """What a call would return.

        Raises:
            as `scan`.
        """
        if name not in _CALLED:
            raise ValueError(f"{name} is called")
        return _CALLED[name](self, *arguments)

    def tensor(
        self, storage: object, offset: object, size: object, stride: object, *more: object
    ) -> _Tensor:
        """A tensor in a storage; its numbers, and all tensors together, have to be there."""
        found = _expect(storage, _Storage)
        sides, steps = (_expect(each, _Tuple).items for each in (size, stride))
        if len(sides) != len(steps) or len(sides) > MOST_DIMENSIONS:
            raise self.beyond(f"has tensors of more than {MOST_DIMENSIONS} dimensions")
        sides, steps = [_count(n) for n in sides], [_count(n) for n in steps]
        # A dtype of its own names the size of an element where the storage has none.
        kinds = [DTYPES[m.name] for m in more if isinstance(m, _Name) and m.name in DTYPES]
        element = kinds[0] if kinds else found.element
        numbers = math.prod(sides)
        last = sum((side - 1) * step for side, step in zip(sides, steps, strict=True))
        if numbers and (_count(offset) + last + 1) * element > found.size:
            raise self.larger()
        if numbers * element > found.size:
            raise self.larger()
        self.tensors += 1
        self.tensor_bytes += numbers * element
        if self.tensors > MOST_BUILT:
            raise self.beyond(f"holds more than {MOST_BUILT:,} tensors")
        if self.tensor_bytes > self.file_size + MOST_SHARED:
            raise self.larger()
        return _Tensor()

    def parameter(self, data: object, _grad: object, _hooks: object, *state: object) -> _Tensor:
        """A tensor, perhaps with attributes, none of which may stand for one that tensors have."""
        for each in state:
            if each is not None and any(
                hasattr(torch.Tensor, _expect(key, str)) for key in _expect(each, _Dict).keys
            ):
                raise ValueError("attributes of a tensor")
        return _expect(data, _Tensor)

    def typed(self, function: object, _kind: object, arguments: object, state: object) -> object:
        """A tensor with attributes, as `parameter`."""
        made = self.called(_expect(function, _Name).name, _expect(arguments, _Tuple).items)
        return self.parameter(made, None, None, state)

    def ordered(self, *pairs: object) -> _Dict:
        """An ordered mapping, empty or (from Python 2) of a list of pairs."""
        made = _Dict(ordered=True)
        for pair in _expect(pairs[0], _List).items if pairs else ():
            key, _ = _expect(pair, (_List, _Tuple)).items
            made.keys.append(self.key(key))
        return made

    def counter(self, counts: object) -> _Dict:
        return _Dict(list(_expect(counts, _Dict).keys))

    def without_data(self, *_: object) -> object:
        raise ModelError(
            f"{self.path.name} holds tensors that are sparse or without data; save the dense "
            "floating-point weights of the network."
        )


def _expect(value: object, kind: Any) -> Any:  # noqa: ANN401  one of this module's kinds
    if not isinstance(value, kind):
        raise ValueError(f"{type(value).__name__} where something else belongs")  # noqa: TRY004
    return value


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("a size that is none")
    return value


_CALLED: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(
        [
            f"torch._utils._rebuild_{name}"
            for name in ("tensor", "tensor_v2", "tensor_v3", "qtensor")
        ],
        _Machine.tensor,
    ),
    **dict.fromkeys(
        [f"torch._utils._rebuild_{name}" for name in ("parameter", "parameter_with_state")],
        _Machine.parameter,
    ),
    **dict.fromkeys(
        [
            f"torch._utils._rebuild_{name}"
            for name in ("sparse_tensor", "meta_tensor_no_storage", "nested_tensor")
        ],
        _Machine.without_data,
    ),
    "torch._tensor._rebuild_from_type_v2": _Machine.typed,
    "torch.serialization._get_layout": lambda machine, name: None,
    "torch.Size": lambda machine, sides: _expect(sides, _Tuple),
    "torch.device": lambda machine, *names: None,
    "collections.OrderedDict": _Machine.ordered,
    "collections.Counter": _Machine.counter,
}  # fmt: skip

_PUSHED = "BININT BININT1 BININT2 BINFLOAT BINUNICODE SHORT_BINSTRING LONG1 NONE".split()  # noqa: SIM905
_FOLLOW: dict[str, Callable[[_Machine, Any], object]] = {
    **dict.fromkeys(_PUSHED, _Machine.push),
    "PROTO": lambda machine, _: None,
    "STOP": lambda machine, _: None,
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "MARK": _Machine.mark,
    "EMPTY_TUPLE": lambda machine, _: machine.pack([]),
    "EMPTY_LIST": lambda machine, _: machine.push(_List()),
    "EMPTY_DICT": lambda machine, _: machine.push(_Dict()),
    "TUPLE": lambda machine, _: machine.pack(machine.since_mark()),
    "TUPLE1": lambda machine, _: machine.pack_last(1),
    "TUPLE2": lambda machine, _: machine.pack_last(2),
    "TUPLE3": lambda machine, _: machine.pack_last(3),
    "APPEND": lambda machine, _: machine.append([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.set_items([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    "BINPUT": _Machine.remember,
    "LONG_BINPUT": _Machine.remember,
    "BINGET": lambda machine, place: machine.push(machine.memo[place]),
    "LONG_BINGET": lambda machine, place: machine.push(machine.memo[place]),
    "BINPERSID": _Machine.storage,
    "BUILD": _Machine.build,
    "REDUCE": _Machine.call,
    "GLOBAL": _Machine.name,
}
