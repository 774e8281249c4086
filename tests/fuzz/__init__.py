"""Hostile input, guided by what it reaches: `tox run -e fuzz -- TARGET -max_total_time=60`.

The targets are in `targets`; `test_targets.py` gives them what hypothesis thinks of, too.
"""
