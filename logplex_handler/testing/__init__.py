"""A small Logplex in the same process, for tests of programs that log to one.

    with LogplexReceiver() as logplex:
        handler = LogplexHandler(logplex.url)
        ...
        assert logplex.wait_for(1)
        assert str(logplex.lines[0]).endswith('app[web.1]: level=info msg=hello')
        assert not logplex.violations

The packets of a line that was too long for one are one `Line`, and its `parts`. A callable for
`on_arrival` gets each packet by itself, and joins them with a `PartJoiner`.

With pytest, the fixture `logplex` starts a receiver and returns a `LogplexCapture`.

Comes in: HTTP requests over real sockets.
Goes out: Logplex's answers, the lines that it would route, and an explanation of each violation.
Must not know: terminals, web pages.

- `_receiver`, `_capture`: the receiver, and the receiver with a handler for a test.
- `listener`, `_http_connection`: connections, and the requests on them.
- `_verdict`, `_behaviour`: the answer to a request, and planned faults.
- `request_body`, `wire_parser`, `_text_parser`: strict parsers.
- `conventions`, `_explanations`: violations of the conventions, and their explanations.
- `_journal`, `_line`: the requests and lines that are kept.
- `_failure_messages`: the messages of failed tests.
"""

from logplex_handler.testing._behaviour import Misbehaviour
from logplex_handler.testing._capture import LogplexCapture
from logplex_handler.testing._journal import Request
from logplex_handler.testing._line import Line, PartJoiner
from logplex_handler.testing._receiver import LogplexReceiver
from logplex_handler.testing._text_parser import Metric
from logplex_handler.testing.conventions import Violation

__all__ = [
    "Line",
    "LogplexCapture",
    "LogplexReceiver",
    "Metric",
    "Misbehaviour",
    "PartJoiner",
    "Request",
    "Violation",
]
