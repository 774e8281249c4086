"""A fleet on a real engine, in which everything fails, by the dice of a seed.

    python -m tests.relay.simulation --seed 1 --producers 500 --streams 100000
    python -m tests.relay.simulation.takeovers

A plan (`plan`) is drawn from its seed alone: which lines are pushed, and what fails when. Simulated
producers (`producers`) push through the engine room to a redis-server of the simulation's own; what
is pushed is delivered by shippers in processes of their own (`shippers`, `streams`), to a receiver
(`receiver`) where customers are refused, hang, or have a new URL. `run` plays a plan, and `checks`
says what must hold afterwards. `takeovers` is a fixed scene with producers that are real processes.
"""
