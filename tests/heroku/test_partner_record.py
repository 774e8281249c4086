"""What the partner is asked to store."""

from dataclasses import replace

import responses

from logplex_handler.streams import Destination
from tests.heroku.shared import ATTACHMENTS, Partner, attachment, platform
from tests.heroku.stand_in import (
    NEW,
    OLD,
)

# What the partner gets to store.


@responses.activate
def test_a_url_that_has_not_changed_is_told_to_nobody():
    """The handler is given it again."""
    responses.get(ATTACHMENTS, json=[attachment(OLD)])
    for recorded in (OLD, None):
        partner = Partner(log_input_url=recorded)
        found = platform(partner).refresh("one", OLD)
        assert found
        assert found.token == "t.old-secret"
        assert not partner.rotated


@responses.activate
def test_a_record_that_has_changed_meanwhile_is_believed():
    """Another process has stored the change."""
    partner = Partner(log_input_url=NEW)
    found = platform(partner).refresh("one", Destination.from_url(OLD, hostname="app-1"))
    assert found == Destination.from_url(NEW)
    assert not responses.calls
    assert not partner.rotated


@responses.activate
def test_a_record_that_could_not_be_updated_is_believed_no_more(capsys):
    """Its URL is outdated; the partner is asked again at the next look-up."""
    responses.get(ATTACHMENTS, json=[attachment()])
    partner = Partner()
    works = False

    def on_rotate(stream, url):
        if not works:
            raise OSError(url)
        partner.on_rotate(stream, url)

    api = platform(partner, on_rotate=on_rotate)
    found = api.refresh("one", OLD)
    assert found
    assert found.token == "t.new-secret"
    said = capsys.readouterr().err
    assert "stream 'one': on_rotate failed: OSError" in said
    assert "t.new" not in said
    found = api.url_for("one")
    assert found
    assert found.token == "t.new-secret"
    works = True
    # Now that is refused as well, as a whole host may be for a while.
    assert api.refresh("one", found) == found
    assert partner.rotated == [("one", NEW)]
    assert api.url_for("one") == Destination.from_url(NEW)
    assert len(responses.calls) == 3
    # And if it comes back to what it was, that is good again.
    partner.resource = replace(partner.resource, log_input_url=OLD)
    assert api.url_for("one") == Destination.from_url(OLD)
    assert len(responses.calls) == 3
