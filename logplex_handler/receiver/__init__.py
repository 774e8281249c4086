"""Shows the requests and lines that a `LogplexReceiver` gets, to a person.

Comes in: requests from `testing`.
Goes out: lines and explained violations, to a terminal, a web page and a file.
Must not know: the command line, the handler.

- `feed`: prepares each request for all viewers.
- `terminal`, `brief`, `json_lines`: lines in a terminal, as customers see them, in a form that is
  quick to read, or for programs.
- `_explained`: violations, explained once a screen.
- `printer`: how text is written, so that no sender waits for whoever reads it.
- `style`: colours, and text without control characters.
- `recording`: requests in a file.
- `query`, `_regexp`: which lines a query matches, and its regular expressions.
- `store`, `page`: the latest lines, and the web page that shows them.
- `_api`, `_events`, `_items`: what the page's server answers, and its objects as JSON.
- `_bundle`: the page's modules as one script.
- `_dissection`, `_again`: one request by its bytes, and its repetition.
"""
