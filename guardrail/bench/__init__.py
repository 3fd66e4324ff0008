"""What guarding costs: plain `generate()` against guarded answers, interleaved in one run.

`shapes` builds a model to a named shape, `variants` are the ways to answer that are compared,
`measure` times them, `memory` finds their peaks, `report` is what comes out. It knows the engine
from outside: the same calls that a user makes.
"""
