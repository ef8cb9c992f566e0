"""How fast it is, beside others: ``python -m tests.benchmarks`` (``make bench``) writes what docs/benchmarks.md shows.

``__main__`` names the benchmarks; each is one file that says who races whom and gives rows. Who is measured, in
``contenders``, runs in a process of its own (``contender``), which ``race`` asks for one measurement after another,
ours and the peers' in turn: a machine that drifts hits all of them. ``row``, ``machine``, ``table`` and ``figures``
make of it JSON, Markdown and pictures.
"""
