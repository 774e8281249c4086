"""Shows the requests and lines that a `LogplexReceiver` gets, to a person.

Comes in: requests from `testing`.
Goes out: lines and explained violations, to a terminal, a web page and a file.
Must not know: the command line, the handler.

- `feed`: prepares each request for all viewers.
- `terminal`, `recording`: lines in a terminal, and requests in a file.
- `query`: which lines a query matches.
- `store`, `page`: the latest lines, and the web page that shows them.
- `_api`, `_events`, `_items`: what the page's server answers, and its objects as JSON.
- `_dissection`, `_again`: one request by its bytes, and its repetition.
"""
