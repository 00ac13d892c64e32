"""How the multiply-accumulates of a network are counted."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulates of one inference; biases, activations and norms are not counted.

    Attributes:
        plain: every step of every cell multiplies W by x and U by h.
        shared: W x is computed once for every pixel of the map and every summary of a patch, as
            the paper counts.
        across_patches: W x, and sweeps over the same pixels, are computed once for all patches;
            the first U h of a sweep, of a zero state, not at all. This is what the firmware does.
        sparse: plain, less the zeros of the cells' stated density.
    """

    plain: int = 0
    shared: int = 0
    across_patches: int = 0
    sparse: int = 0

    @classmethod
    def alike(cls, count: int) -> "Macs":
        """Of a layer that shares nothing."""
        return cls(count, count, count, count)

    def __add__(self, more: "Macs") -> "Macs":
        return Macs(
            self.plain + more.plain,
            self.shared + more.shared,
            self.across_patches + more.across_patches,
            self.sparse + more.sparse,
        )
