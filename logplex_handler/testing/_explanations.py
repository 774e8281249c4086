"""The consequence and the remedy of breaking each rule of the wire format and of a line's text.

The explanations never quote the input, which may contain credentials.
"""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """The consequence of breaking a rule, and the remedy."""

    consequence: str
    cure: str


_LATER_FRAMES_GONE = (
    "Without the count header Logplex would answer 204 and silently drop this frame's rest and "
    "every later one; with it, 400 and nothing is routed."
)
_ONLY_METRICS = "l2met loses every metric of this line, and other readers the rest of it."
_SHOWN_TO_NOBODY = "Logplex routes it, but viewers and drains show nothing."
_SHIFTED = "The header shifts by a field, or a reader refuses the packet."
_SEND_LENGTH = "Send Content-Length with the bytes of the body."
_CUT_MESSAGES = "Cut messages between characters so that no packet has more than 10,000 bytes."
_NOT_DECODED = (
    "Logplex decodes nothing but `gzip`, and reads the body as it is: it answers 204 and drops a "
    "compressed one, or 400 if a byte of it is a newline."
)

# The rules by name, in the order of a request's parts. Logplex's behaviour is taken from its
# source; that of readers was observed by running 25 of them.
RULES: dict[str, Rule] = {
    # The request.
    "http.path": Rule(
        "Logplex answers 404.", "POST to the URL as it was given, with the path /logs."
    ),
    "http.method": Rule("Logplex answers 405.", "Send every batch as a POST."),
    "http.accept": Rule(
        "Logplex answers 406 and routes nothing: it has only text/plain to offer.",
        "Leave out the header Accept, or include */* or text/plain in it.",
    ),
    "http.host": Rule(
        "Logplex answers 400 and closes the connection; HTTP/1.1 requires it in every request.",
        "Send Host with the host of the URL.",
    ),
    "http.header-size": Rule(
        "Logplex answers 400 (414 for the request line) and closes the connection.",
        "Keep the request line and the value of each header to at most 4,096 bytes.",
    ),
    "http.tls": Rule(
        "The client takes the answer for a fault of TLS, such as `wrong version number`, and sends "
        "nothing.",
        "Begin the receiver's URL with http://, as it was printed; only Logplex itself has https://.",
    ),
    "http.version": Rule("Logplex answers 505 and closes the connection.", "Send HTTP/1.1."),
    "http.length": Rule(
        "Logplex answers 500 and closes the connection.",
        "Set Content-Length to the number of bytes in the body, in digits alone.",
    ),
    "http.credentials": Rule(
        "Logplex answers 401 and routes nothing.",
        "Send Authorization: Basic with the base64 of the URL's user and password, `token:TOKEN`.",
    ),
    "http.base64": Rule(
        "Logplex answers 500 and closes the connection.",
        "Encode `token:TOKEN` as base64, with padding and without line breaks.",
    ),
    "http.type": Rule(
        "Logplex answers 415: the match is exact, in lower case and without a charset.",
        "Send Content-Type: application/logplex-1 and nothing after it.",
    ),
    "http.count": Rule(
        "Logplex answers 400 and routes nothing.",
        "Set Logplex-Msg-Count to the number of frames in the body, in digits alone.",
    ),
    "http.count-missing": Rule(
        "Without it a wrong octet count is answered 204 and loses lines in silence; Vector "
        "answers 400.",
        "Set Logplex-Msg-Count to the number of frames in the body.",
    ),
    "http.frame-id-missing": Rule(
        "A receiver cannot tell a retry from new lines; Vector answers 400.",
        "Set Logplex-Frame-Id to a value unique to each batch, and repeat it on every retry.",
    ),
    "http.frame-id-reused": Rule(
        "A reader that removes duplicates by frame id drops this batch as one it has seen.",
        "Make a new id for each batch, and repeat it only when you retry the same bytes.",
    ),
    "http.user-agent-missing": Rule(
        "Heroku cannot tell whose add-on is sending.",
        "Set User-Agent to your add-on's name and a URL.",
    ),
    "http.length-missing": Rule(
        "Logplex accepts chunks, but its documentation asks for a length, and other receivers need "
        "it.",
        _SEND_LENGTH,
    ),
    "http.no-length": Rule(
        "Logplex answers 204 and ignores the body: every line of it is lost.", _SEND_LENGTH
    ),
    "http.gzip-unnamed": Rule(_NOT_DECODED, "Send Content-Encoding: gzip with a gzipped body."),
    "http.gzip": Rule(
        "Logplex answers 400 and routes nothing.",
        "Gzip the whole body, with nothing after it, or leave out Content-Encoding.",
    ),
    "http.encoding": Rule(_NOT_DECODED, "Use gzip, in lower case, or no encoding at all."),
    "http.too-large": Rule(
        "Logplex answers 500 or resets the connection, and routes nothing.",
        "Send bodies of at most 8,000,000 bytes, better about a million.",
    ),
    "http.unreadable": Rule(
        "Logplex routes nothing of it, and closes the connection.",
        "Send the whole request as HTTP/1.1, without a pause of more than a few seconds.",
    ),
    # The frames.
    "frame.count": Rule(
        _LATER_FRAMES_GONE,
        "Count bytes, not characters, after encoding to UTF-8, the packet's newline included.",
    ),
    "frame.length": Rule(
        f"{_LATER_FRAMES_GONE} With a newline after it, 400 in any case.",
        "Write LENGTH, one space and the packet, again and again, with nothing between them and "
        "nothing after the last; check the octet count of the frame before this place.",
    ),
    "frame.zero": Rule(
        "Logplex would answer 204 and silently drop everything from here on.",
        "Write lengths without leading zeros, and leave empty packets out.",
    ),
    "frame.too-long": Rule(
        "Logplex drops it and every later frame in silence, or answers 400 and routes nothing of "
        "the request.",
        _CUT_MESSAGES,
    ),
    "frame.malformed": Rule(
        "Logplex answers 400 and routes nothing of the whole request.",
        "Begin every frame with its octet count; see the framing violation beside this one.",
    ),
    "frame.more": Rule(
        "The explanations above apply to these too.", "Correct the first one, then look again."
    ),
    # The packet.
    "packet.priority": Rule(
        _SHOWN_TO_NOBODY, "Write facility * 8 + severity: local7 and info are <190>."
    ),
    "packet.version": Rule(
        _SHOWN_TO_NOBODY, "Write `1 ` right behind the priority, as in `<190>1 `."
    ),
    "packet.time": Rule(
        "heroku-log-parser drops `Z` and other offsets; three digits or nine, or +0000, break "
        "go-syslog, rsyslog and others.",
        "Write UTC with six digits and the literal +00:00.",
    ),
    "packet.calendar": Rule(
        "Readers drop the line, or give it another time.",
        "Format the time with a library, from seconds since the epoch.",
    ),
    "packet.hostname": Rule(_SHIFTED, "Write 1 to 255 of [a-z0-9.-]; anything else as a dash."),
    "packet.appname": Rule(_SHIFTED, "Write `app`, or 1 to 48 of [a-z0-9.-]."),
    "packet.procid": Rule(_SHIFTED, "Write the process, such as web.1: 1 to 128 of [a-z0-9.-]."),
    "packet.reserved": Rule(
        "l2met reads such lines as Heroku's own router's or Logplex's, with another meaning.",
        "Give the process another name, such as web.1.",
    ),
    "packet.letters": Rule(
        "heroku-log-parser drops lines with upper case or `_` there; others lose the batch.",
        "Write these fields in lower case, and anything but [a-z0-9.-] as a dash.",
    ),
    "packet.msgid": Rule(
        "heroku-log-parser and the fluentd plugins accept nothing else, and drop the line.",
        "Write `-`.",
    ),
    "packet.structured-data": Rule(
        "Logplex answers 204 and routes the line, but viewers and drains show nothing of it.",
        "Write `- ` between the msgid and the text, always.",
    ),
    "packet.end": Rule(
        "Logplex adds no newline for drains, so that readers merge this line with the next: "
        "`measure#x=1ms` was read as `1ms67`.",
        "End the packet with exactly one newline, and count it in the octet count.",
    ),
    "packet.newline": Rule(
        "Readers of lines split it there, Vector refuses the batch, and text from a user can "
        "forge a whole frame.",
        "Write it as \\n inside a quoted value, or send one packet for each line.",
    ),
    "packet.control": Rule(
        "Viewers show it raw: it can move a terminal's cursor or hide text.",
        "Write it as an escape (\\r, \\t, \\u001b) inside a quoted value.",
    ),
    "packet.utf-8": Rule(
        "Readers show other characters, or drop the line.",
        "Encode as UTF-8, replace what cannot be encoded, and cut between characters only.",
    ),
    "packet.bom": Rule(
        "It becomes part of the first key, so that a search for the key does not find it.",
        "Leave the byte order mark out.",
    ),
    "packet.token": Rule(
        "Logplex replaces its first occurrence with `app`; customers and drains see the secret in "
        "every later one.",
        "Do not log the token: everyone who reads it can write to the stream.",
    ),
    "packet.size": Rule(
        "Logplex accepts up to 10,240 bytes, and one more loses the batch; go-syslog accepts "
        "8,192.",
        _CUT_MESSAGES,
    ),
    # The text.
    "pair.key": Rule(
        "Readers of key=value read a key without a value there, or stop reading.",
        'Write pairs one space apart, keys without spaces, quotes, `=` or `"`; put free text in '
        "a quoted value, such as msg=.",
    ),
    "pair.bare": Rule(
        "Readers stop there, or read other pairs.",
        "Quote a value that is empty, begins with an apostrophe, or holds a control character, a "
        'space, `=`, `"` or `\\`.',
    ),
    "pair.unterminated": Rule(_ONLY_METRICS, 'End the value with `"`, and escape quotes inside.'),
    "pair.escape": Rule(
        _ONLY_METRICS,
        'Inside quotes escape only \\", \\\\, \\n, \\r, \\t, and other controls as \\u00XX.',
    ),
    "pair.control": Rule(
        "Readers stop there, or split the line.", "Write it as \\n, \\r, \\t or \\u00XX."
    ),
    "pair.after-quote": Rule(
        "Readers stop there, or read the rest as another pair.",
        "Put one space after the closing quote, or escape the quote if the value continues.",
    ),
    "text.source-twice": Rule(
        "Only the first counts, for every metric in the line.",
        "Give each line one source; log the others in lines of their own.",
    ),
    "text.source-space": Rule(
        "l2met reads only the part before the space.", "Write a source without spaces."
    ),
    "text.card-number": Rule(
        "l2met-shuttle takes it for a card number and replaces the line.",
        "Keep numbers shorter than 13 digits, or break them with a letter.",
    ),
    "text.quoted-metric": Rule(
        "l2met-shuttle finds metrics inside quoted text too, and counts this one.",
        "In text that is not a metric, do not write `count#`, `measure#` or `sample#` before a "
        "name.",
    ),
    # The metrics.
    "metric.kind": Rule(
        "l2met knows lower case only, and ignores this one.", "Write measure#, sample# or count#."
    ),
    "metric.name": Rule(
        "l2met has no name to store it under.",
        "Write a dotted name right after the #: measure#web.latency=4ms.",
    ),
    "metric.exponent": Rule(
        "l2met reads only the digits before the `e`: 1e3 is 1, and so is 1e-05.",
        "Write fixed point with at most six decimals.",
    ),
    "metric.sign": Rule(
        "l2met silently drops a number with a sign.",
        "Send numbers from 0 up; send a difference as two metrics.",
    ),
    "metric.separator": Rule(
        "l2met stops at the comma: 1,000 is 1.", "Write digits and one point only."
    ),
    "metric.large": Rule(
        "l2met silently drops a number that does not fit into a float.",
        "Write it in a larger unit: at most 1.8e308, in full.",
    ),
    "metric.hex": Rule("l2met reads 0x10 as 0.", "Write decimal digits."),
    "metric.number": Rule(
        "l2met silently drops it, or counts 1 where there is no value.",
        "Write digits followed directly by a unit: 4ms. Not NaN, inf or True.",
    ),
    "metric.decimals": Rule(
        "Long runs of digits look like card numbers, and more decimals carry no information.",
        "Round to six decimals, with a digit on both sides of the point.",
    ),
    "metric.unit": Rule(
        "l2met reads another unit, or stops in the middle, so the value lands in another bucket.",
        "Use letters a-z and A-Z only, directly after the number.",
    ),
    "metric.quoted": Rule(
        "l2met finds no number after the quote, and drops it.", "Write the number without quotes."
    ),
    "metric.two-units": Rule(
        "The unit is part of a metric's identity, so this goes into another bucket of the same "
        "name.",
        "Keep to one unit for one name.",
    ),
}
