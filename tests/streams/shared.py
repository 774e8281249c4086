"""A table of streams to look up, and receivers with several tokens."""

from collections import defaultdict
from contextlib import contextmanager

from logplex_handler.testing import LogplexReceiver


class Record:
    """A partner's record: the URL of each stream, and the look-ups made."""

    def __init__(self, urls):
        self.urls = dict(urls)
        self.asked = []
        self.rejected = []

    def url_for(self, stream):
        self.asked.append(stream)
        return self.urls.get(stream)

    def refresh(self, stream, rejected):
        self.rejected.append((stream, rejected))
        return self.urls.get(stream)


@contextmanager
def receiving(*tokens, **options):
    with LogplexReceiver(tokens=tokens, **options) as logplex:
        yield logplex
        assert not logplex.violations


def by_token(logplex):
    found = defaultdict(list)
    for line in logplex.lines:
        found[line.token].append(line.text)
    return dict(found)


def token(number):
    """One that stands in no other text: Logplex puts `app` in its place."""
    return f"t.0123-{number}-cdef"


def to(stream):
    return {"logplex_stream": stream}
