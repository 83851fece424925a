"""Division of floats with a rest, rounded as NumPy rounds it."""

from __future__ import annotations

from limpid.compiler.emission.formulas import Number


def floor_divide(fmod: Number, a: Number, b: Number) -> Number:
    """The quotient, rounded down; a / b where b is 0.

    fmod  what is left, with the sign of a
    """
    rest, below = fmod, _is_below(fmod, b)
    quotient = (a - rest) / b
    quotient = below.choose(quotient - 1.0, quotient)
    floor = quotient.floor()
    floor = (quotient - floor).above(0.5).choose(floor + 1.0, floor)
    signed = quotient.constant(0.0).with_sign_of(a / b)
    made = quotient.equals(0.0).choose(signed, floor)
    return b.equals(0.0).choose(a / b, made)


def remainder(fmod: Number, a: Number, b: Number) -> Number:
    """What is left, with the sign of the divisor."""
    made = _is_below(fmod, b).choose(fmod + b, fmod)
    signed = made.equals(0.0) & b.differs(0.0)
    return signed.choose(made.constant(0.0).with_sign_of(b), made)


def _is_below(rest: Number, b: Number) -> Number:
    """Whether the rest has another sign than the divisor."""
    return rest.differs(0.0) & (rest.below(0.0) ^ b.below(0.0))
