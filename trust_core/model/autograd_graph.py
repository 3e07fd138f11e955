"""The autograd graph of one run: what a value depends on, and by which operations."""

from collections.abc import Iterator

from torch.autograd.graph import Node

ACTIVATIONS = ("Relu", "Hardtanh", "Silu", "Hardswish", "Gelu", "Elu", "LeakyRelu", "Prelu", "Mish")
RESAMPLING = ("AdaptiveAvgPool", "AdaptiveMaxPool", "MeanBackward", "AmaxBackward")
VIEWS = ("View", "UnsafeView", "Reshape", "AsStrided", "Squeeze", "Permute", "Transpose", "Clone")
AVERAGES = ("AdaptiveAvgPool", "AvgPool", "Mean", *VIEWS)

Edge = tuple[Node, int]


class Graph:
    """The autograd graph below the log-odds, by edges (node, index of the node's output)."""

    def __init__(self, sink: Edge) -> None:
        self.sink = sink
        self.consumers: dict[Edge, set[Node]] = {sink: set()}
        for edge in self._walk(None):
            for following in _following(edge):
                self.consumers.setdefault(following, set()).add(edge[0])
        self.edges = self.consumers.keys()

    def _walk(self, avoiding: Edge | None) -> Iterator[Edge]:
        seen = {self.sink}
        stack = [] if self.sink == avoiding else [self.sink]
        while stack:
            edge = stack.pop()
            yield edge
            for following in _following(edge):
                if following not in seen and following != avoiding:
                    seen.add(following)
                    stack.append(following)

    def reach(self, *, avoiding: Edge) -> set[Edge]:
        """All edges that the log-odds depend on other than through `avoiding`."""
        return set(self._walk(avoiding))

    def bottlenecks(self, source: Edge) -> set[Edge]:
        """The values that every way from a source to the log-odds passes through, in one sweep."""
        order, open_edges = [], [(self.sink, False)]
        seen: set[Edge] = set()
        useful = {source}
        while open_edges:  # depth first, without recursion; a value follows all it is made from
            edge, done = open_edges.pop()
            if done:
                if edge in useful or any(each in useful for each in _following(edge)):
                    useful.add(edge)
                    order.append(edge)
            elif edge not in seen:
                seen.add(edge)
                open_edges.append((edge, True))
                open_edges += [(each, False) for each in _following(edge)]
        place = {edge: index for index, edge in enumerate(order)}
        found, nearest = set(), len(order)
        for edge in reversed(order):
            if place[edge] <= nearest:  # no value further on reads what lies below this one
                found.add(edge)
            below = [place[each] for each in _following(edge) if each in place]
            nearest = min([nearest, *below])
        return found

    def averaged(self, edge: Edge) -> list[Edge]:
        """The values, in a row, that a value is made from by averages and views alone."""
        found: list[Edge] = []
        while edge[0].name().startswith(AVERAGES) and len(_following(edge)) == 1:
            (edge,) = _following(edge)
            found.append(edge)
        return found

    def resampled(self, edge: Edge) -> bool:
        """Whether a value is what pooling to a fixed size gave, or a view of it."""
        while edge[0].name().startswith(VIEWS) and len(_following(edge)) == 1:
            (edge,) = _following(edge)
        return edge[0].name().startswith(RESAMPLING)

    def only_feeds_relu(self, edge: Edge) -> bool:
        """Whether all that is done with a value is a ReLU."""
        consumers = self.consumers.get(edge, set())
        return bool(consumers) and all(node.name().startswith("ReluBackward") for node in consumers)

    def activated(self, edge: Edge) -> bool:
        """Whether a value comes from a non-linearity, seen through pooling, views and joins."""
        name = edge[0].name()
        if name.startswith(ACTIVATIONS):
            return True
        through = ("MaxPool", "AvgPool", "View", "Permute", "Transpose", "Cat", "Clone", "Reshape")
        sources = _following(edge)
        return name.startswith(through) and bool(sources) and all(map(self.activated, sources))


def _following(edge: Edge) -> list[Edge]:
    return [(node, number) for node, number in edge[0].next_functions if node is not None]
