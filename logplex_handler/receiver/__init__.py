"""Shows the requests and lines that a `LogplexReceiver` gets, to a person.

Requests come in from `testing`; out go lines and explained violations, to a terminal, a web page
and a file. The package must not know the command line or the handler.
"""
