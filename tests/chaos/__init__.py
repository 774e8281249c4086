"""Everything between a program and its receiver breaks, by the dice of a seed.

    python -m tests.chaos --seeds 500

A scenario (`scenario`) is drawn from its seed alone: what is logged, how the handler is set up, and
what breaks. Its lines go through a TCP proxy that misbehaves (`proxy`) to a receiver that answers
anything, and in some scenarios means ill (`receiver`), while names, clocks and disks fail
(`surroundings`), and something else stands where the spool is to be (`spools`); `run` plays it, and
`checks` says what must hold afterwards. `processes` plays whole programs that fork and end.
"""
