"""A small Logplex in the same process, for tests of programs that log to one.

    with LogplexReceiver() as logplex:
        handler = LogplexHandler(logplex.url)
        ...
        assert logplex.wait_for(1)
        assert str(logplex.lines[0]).endswith('app[web.1]: level=info msg=hello')
        assert not logplex.violations

It answers over real sockets as Logplex does, keeps what arrived, and says what a sender did wrong.
With pytest, the fixture `logplex` does all of it; `LogplexCapture` is what it gives.
"""

from logplex_handler.testing._capture import LogplexCapture
from logplex_handler.testing._journal import Line, Request
from logplex_handler.testing._misbehaviour import Misbehaviour
from logplex_handler.testing._pairs import Metric
from logplex_handler.testing._receiver import LogplexReceiver
from logplex_handler.testing._violations import Violation

__all__ = [
    "Line",
    "LogplexCapture",
    "LogplexReceiver",
    "Metric",
    "Misbehaviour",
    "Request",
    "Violation",
]
