"""Plots of metrics: their numbers, what is drawn, and what pointer and keyboard find."""

from __future__ import annotations

import itertools
import re

import pytest
from playwright.sync_api import expect

from tests.receiver.page import body


def opened(tab, local, *, range=60):
    """The view of metrics; of the last minute there is a point for each second."""
    tab.goto(f"{local.page.url}#view=metrics&range={range}")
    tab.locator("#plots .card").first.wait_for()
    return tab


def points(tab, metric):
    """The numbers of a plot, the oldest first, as its table has them."""
    card = tab.locator(f'[data-metric="{metric}"]')
    if not card.locator("details[open]").count():
        card.locator("summary").click()
    card.locator("tbody tr").first.wait_for()
    head = card.locator("th").all_inner_texts()[1:]
    rows = [row.locator("td").all_inner_texts() for row in card.locator("tbody tr").all()]
    return head, [(row[0], *[float(cell) if cell else None for cell in row[1:]]) for row in rows][
        ::-1
    ]


def drawn(tab, metric, colour=""):
    """The pixels of this colour, or the first series': for each column, their number and the first.

    The colour is one of CSS, or the name of a property.
    """
    return tab.locator(f'[data-metric="{metric}"] canvas').evaluate(
        """(canvas, given) => {
            const swatch = canvas.closest(".card").querySelector(".legend i");
            const colour = given || getComputedStyle(swatch).backgroundColor;
            const { width, height } = canvas;
            const copy = new OffscreenCanvas(width, height + 1);
            const context = copy.getContext("2d", { willReadFrequently: true });
            context.drawImage(canvas, 0, 0);
            context.fillStyle = colour.startsWith("--")
                ? getComputedStyle(document.documentElement).getPropertyValue(colour) : colour;
            context.fillRect(0, height, 1, 1);
            const all = context.getImageData(0, 0, width, height + 1).data;
            const wanted = all.slice(width * height * 4);
            const columns = {};
            for (let y = 0; y < height; y += 1) for (let x = 0; x < width; x += 1) {
                const at = (y * width + x) * 4;
                const far = (part) => Math.abs(all[at + part] - wanted[part]) > 40;
                if ([0, 1, 2].some(far)) continue;
                (columns[x] ??= [0, y])[0] += 1;
            }
            return columns;
        }""",
        colour,
    )


def slider(tab, metric):
    return tab.locator(f'[data-metric="{metric}"] [role="slider"]')


def test_metrics_are_drawn_with_the_right_points(tab, local):
    """Percentiles of a measure by source, the sums of a count, the last value of a sample."""
    latencies = [f"source=us measure#web.latency={number}ms" for number in range(1, 101)]
    local.send(*latencies, second=0)
    local.send("source=us measure#web.latency=7ms", second=1)
    local.send("source=eu measure#web.latency=5ms", second=1)
    local.send("source=us count#orders=2", "source=us count#orders=3", second=0)
    local.send("source=eu count#orders=4", second=0)
    local.send("source=us sample#depth=9", "source=us sample#depth=4", second=0)
    local.send("source=us sample#depth=6", second=2)
    opened(tab, local)
    expect(tab.locator("#count-metrics")).to_have_text("3")
    assert points(tab, "measure#web.latency@us") == (
        ["p99", "p95", "p50"],
        [("12:00:00", 99, 95, 50), ("12:00:01", 7, 7, 7)],
    )
    assert points(tab, "measure#web.latency@eu")[1] == [("12:00:01", 5, 5, 5)]
    assert points(tab, "count#orders") == (["eu", "us"], [("12:00:00", 4, 5)])
    assert points(tab, "sample#depth") == (["us"], [("12:00:00", 4), ("12:00:02", 6)])
    # The parts of the bar are as high as their counts.
    colours = tab.locator('[data-metric="count#orders"] .legend i').evaluate_all(
        "all => all.map((one) => getComputedStyle(one).backgroundColor)"
    )
    heights = [
        max(count for count, _ in drawn(tab, "count#orders", one).values()) for one in colours
    ]
    assert heights[0] / heights[1] == pytest.approx(4 / 5, abs=0.04)
    tab.select_option("#source", "eu")
    expect(tab.locator('[data-metric="measure#web.latency@us"]')).to_have_count(0)
    expect(tab.locator('[data-metric="measure#web.latency@eu"]')).to_have_count(1)


def test_two_streams_are_two_series(tab, local):
    """Samples of two apps with one name and source do not make one zigzag."""
    for second in range(4):
        local.send("source=us sample#depth=1", "measure#x=1ms", second=second, hostname="acme")
        local.send("source=us sample#depth=90", "measure#x=9ms", second=second, hostname="globex")
    opened(tab, local)
    names, rows = points(tab, "sample#depth")
    assert names == ["acme · us", "globex · us"]
    assert {row[1:] for row in rows} == {(1, 90)}
    assert points(tab, "measure#x@acme")[1][0] == ("12:00:00", 1, 1, 1)
    assert points(tab, "measure#x@globex")[1][0] == ("12:00:00", 9, 9, 9)
    # A stream has one colour: in plots, in its lines and in the list of requests.
    tab.keyboard.press("3")
    tab.locator("#request-table td:text('globex')").first.wait_for()
    colours = [
        tab.locator(selector).first.evaluate("(one, name) => getComputedStyle(one)[name]", arg=name)
        for selector, name in (
            ('[data-metric="sample#depth"] .legend span:nth-child(2) i', "backgroundColor"),
            ('[data-metric="measure#x@globex"] .dot', "color"),
            (".row .stream:text('globex')", "color"),
            ("#request-table td:text('globex')", "color"),
        )
    ]
    assert len(set(colours)) == 1, colours


def test_a_line_of_rare_values_is_not_dashed(tab, local):
    """Values that come every five seconds are joined; where they stay away for long is a gap."""
    for second in (*range(0, 30, 5), *range(50, 60, 5)):
        local.send("sample#depth=4", second=second)
    opened(tab, local)
    slider(tab, "sample#depth").wait_for()
    columns = sorted(map(int, drawn(tab, "sample#depth")))
    jumps = [after - before for before, after in itertools.pairwise(columns)]
    assert len([jump for jump in jumps if jump > 1]) == 1
    # Each second has the same width.
    width = columns[-1] - columns[0]
    assert max(jumps) / width == pytest.approx(25 / 55, abs=0.03)


def test_a_value_that_is_the_only_one_is_drawn(tab, local):
    """Between many buckets of other metrics, too."""
    for second in range(0, 58, 2):
        local.send("sample#often=4", *(["sample#once=4"] if second == 20 else []), second=second)
    opened(tab, local)
    slider(tab, "sample#once").wait_for()
    assert 3 <= len(drawn(tab, "sample#once")) <= 10


def test_a_line_uses_the_height_of_its_plot(tab, local):
    """Its axis begins where the values are; that of bars, and of values near zero, at zero."""
    for second, value in enumerate((9_304, 9_310, 9_305)):
        local.send(f"sample#pool={value}", f"sample#low={value - 9_303}", second=second)
    opened(tab, local)
    slider(tab, "sample#pool").wait_for()
    tops = [top for _, top in drawn(tab, "sample#pool").values()]
    assert max(tops) - min(tops) > 80
    assert slider(tab, "sample#low").get_attribute("aria-valuemin") == "0"


def test_a_number_keeps_its_meaning_while_lines_come(tab, local):
    """The length of a bucket depends on the chosen span alone; the last one is marked."""
    local.send("count#orders=1", second=0)
    local.send("count#orders=2", second=3)
    opened(tab, local, range=300)
    kind = tab.locator('[data-metric="count#orders"] .kind')
    expect(kind).to_have_text("count: sum of every 5 s")
    plot = slider(tab, "count#orders")
    expect(plot).to_have_attribute("aria-valuetext", "12:00:00 to 12:00:05, not over yet, value  3")
    assert drawn(tab, "count#orders") == {}
    local.send("count#orders=4", second=240)
    expect(tab.locator('[data-metric="count#orders"] .now')).to_have_text("7 in all")
    expect(kind).to_have_text("count: sum of every 5 s")
    assert drawn(tab, "count#orders")
    assert points(tab, "count#orders")[1] == [("12:00:00", 3), ("12:04:00", 4)]
    expect(plot).to_have_attribute("aria-valuetext", re.compile("^12:04:00.*not over yet"))


def test_sources_beyond_the_colours_are_mentioned(tab, local):
    """Twelve are drawn, each in a colour of its own."""
    local.send(*[f"source=s{number} sample#depth={number}" for number in range(15)])
    opened(tab, local)
    legend = tab.locator('[data-metric="sample#depth"] .legend')
    expect(legend).to_contain_text("3 more are not drawn")
    colours = legend.locator("i").evaluate_all(
        "all => all.map((one) => getComputedStyle(one).backgroundColor)"
    )
    assert len(set(colours)) == 12
    tab.select_option("#source", "s14")
    expect(legend).not_to_contain_text("not drawn")


def test_values_are_read_with_the_keyboard(tab, local):
    """The arrows move from bucket to bucket; values are shown, and said to a screen reader."""
    for second in range(4):
        local.send(f"sample#depth={second + 1}ms", second=second)
    opened(tab, local)
    plot = slider(tab, "sample#depth")
    plot.focus()
    for key, text in (("End", "12:00:03"), ("ArrowLeft", "12:00:02")):
        tab.keyboard.press(key)
        expect(tab.locator("#tip")).to_contain_text(text)
    expect(tab.locator("#tip")).to_contain_text("3 ms")
    expect(plot).to_have_attribute("aria-valuetext", "12:00:02, value  3 ms")
    tab.keyboard.press("Escape")
    expect(tab.locator("#tip")).to_be_hidden()


def test_what_is_drawn_again_keeps_its_focus_and_its_selection(tab, local):
    """New lines change the numbers, not the elements."""
    local.send("sample#depth=4", second=0)
    opened(tab, local)
    assert points(tab, "sample#depth")[1] == [("12:00:00", 4)]
    first = tab.locator('[data-metric="sample#depth"] tbody tr').first
    first.evaluate("(row) => { row.mine = true; }")
    slider(tab, "sample#depth").focus()
    local.send("sample#depth=6", second=1)
    expect(tab.locator('[data-metric="sample#depth"] tbody tr')).to_have_count(2)
    assert tab.locator('[data-metric="sample#depth"] tbody tr').last.evaluate("(row) => row.mine")
    expect(slider(tab, "sample#depth")).to_be_focused()


def test_a_clock_that_is_far_off_does_not_empty_the_plots(tab, local):
    """One line of another century; the plots go on with those that come after it."""
    local.send("count#orders=1", second=0)
    local.send("count#orders=2", second=70 * 365 * 86_400)
    local.send("count#orders=3", second=1)
    opened(tab, local)
    expect(tab.locator("#count-metrics")).to_have_text("1")
    assert points(tab, "count#orders")[1] == [("12:00:00", 1), ("12:00:01", 3)]


def test_what_turns_the_reading_direction_is_visible_in_names(tab, local):
    """A source or a metric could look like another."""
    local.send("source=a\u202eb measure#x\u202ey=1ms", process="web")
    opened(tab, local)
    expect(tab.locator("#plots h2")).to_have_text("x\\u202ey · a\\u202eb")
    expect(tab.locator("#source option").nth(1)).to_have_text("a\\u202eb")


def test_names_without_end_do_not_stop_the_page(tab, local):
    """A program that makes up metrics, sources and processes is drawn in part."""
    local.post(
        b"".join(
            body(f"source=s{number} count#n{number}=1 measure#x=1ms", process=f"p{number}")
            for number in range(600)
        ),
        600,
    )
    opened(tab, local)
    assert tab.evaluate("document.querySelector('#source').options.length") == 501
    expect(tab.locator("#plots .card")).to_have_count(60)
    expect(tab.locator("#more-metrics")).to_contain_text("more metrics are not drawn")
    tab.fill("#metric-name", "n599")
    expect(tab.locator('[data-metric="count#n599"]')).to_be_visible()
    expect(tab.locator("#more-metrics")).to_be_hidden()


def test_plots_go_on_while_metrics_arrive(tab, local):
    """Without a click; the value under the pointer is shown."""
    tab.goto(f"{local.page.url}#view=metrics&range=60")
    expect(tab.get_by_text("No metrics yet")).to_be_visible()
    local.send("count#orders=1", second=0)
    expect(tab.locator('[data-metric="count#orders"]')).to_be_visible()
    local.send("count#orders=6", second=3)
    expect(tab.locator('[data-metric="count#orders"] .now')).to_have_text("7 in all")
    # The last second is drawn at the right edge.
    box = tab.locator('[data-metric="count#orders"] .u-over').bounding_box()
    tab.mouse.move(box["x"] + box["width"] - 4, box["y"] + 50)
    expect(tab.locator("#tip")).to_have_text(re.compile("12:00:03.*6", re.DOTALL))


def test_numbers_are_not_rounded(tab, local):
    """Above a plot, under the pointer and in the table they are what was sent."""
    local.send("sample#a=9304ms", "sample#b=0.99968", "sample#c=1230000000bytes")
    opened(tab, local)
    expect(tab.locator("#plots .now")).to_have_text(["9,304 ms", "0.99968", "1,230,000,000 bytes"])
    box = tab.locator('[data-metric="sample#a"] .u-over').bounding_box()
    tab.mouse.move(box["x"] + box["width"] - 4, box["y"] + 50)
    expect(tab.locator("#tip")).to_contain_text("9,304 ms")
    assert points(tab, "sample#c")[1] == [("12:00:00", 1_230_000_000)]


def test_a_click_on_a_peak_shows_the_line_that_made_it(tab, local):
    """Among the lines of its bucket; going back shows the plots, with the place of the line."""
    for second in range(10):
        fast = [f"source=us measure#web.latency={second + n}ms n={n}" for n in range(5)]
        slow = ["source=us measure#web.latency=900ms order_id=77"] if second == 4 else []
        local.send(*fast, *slow, second=second, hostname="acme")
        local.send("source=us measure#web.latency=950ms order_id=78", second=second, hostname="b")
    opened(tab, local)
    plot = tab.locator('[data-metric="measure#web.latency@acme · us"]')
    plot.locator(".u-over").wait_for()
    # Of the twenty seconds that are drawn, the last ten have values.
    box = plot.locator(".u-over").bounding_box()
    tab.mouse.move(box["x"] + box["width"] * (10 + 1 + 4 + 0.5) / 21, box["y"] + 15)
    expect(tab.locator("#tip")).to_contain_text("12:00:04")
    tab.mouse.down()
    tab.mouse.up()
    expect(tab.locator("#lines")).to_be_visible()
    expect(tab.locator("#detail")).to_contain_text("order_id")
    expect(tab.locator('.row[aria-selected="true"]')).to_contain_text("order_id=77")
    expect(tab.locator("#match-count")).to_have_text("6 of 61")
    assert "from=2026-11-21T12%3A00%3A04.000Z" in tab.url
    tab.go_back()
    expect(plot).to_be_visible()


def test_a_line_leads_to_its_place_in_the_plots(tab, local):
    """Also if its time is not drawn at present."""
    local.send("measure#web.latency=4ms count#orders=1", second=0)
    local.send("sample#depth=4", second=3_000)
    tab.goto(local.page.url)
    tab.locator(".row").first.click()
    tab.get_by_role("button", name="Show in plots").click()
    expect(tab.locator("#plots .card")).to_have_count(1)
    expect(tab.locator("#plots h2")).to_have_text("web.latency")
    tab.locator("#plots .u-over").wait_for()
    assert drawn(tab, "measure#web.latency", "--accent")


def test_dragging_in_a_plot_chooses_a_span_of_time(tab, local):
    """For all plots and for the lines."""
    for second in range(40):
        local.send(f"sample#depth={second}", second=second)
    opened(tab, local)
    over = tab.locator("#plots .u-over")
    over.wait_for()
    box = over.bounding_box()
    tab.mouse.move(box["x"] + box["width"] * 0.51, box["y"] + 40)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 40)
    tab.mouse.move(box["x"] + box["width"] * 0.76, box["y"] + 40)
    tab.mouse.up()
    expect(tab.locator("#tab-metrics")).to_have_attribute("aria-selected", "true")
    expect(tab.locator('[data-metric="sample#depth"] [role="slider"]')).to_have_attribute(
        "aria-valuemax", "10"
    )
    tab.keyboard.press("1")
    expect(tab.locator("#match-count")).to_have_text("11 of 40")
    tab.keyboard.press("2")
    tab.locator("#all-times").click()
    expect(tab.locator("#all-times")).to_be_hidden()
    assert "from=" not in tab.url


def test_streams_are_chosen_beside_the_plots_too(tab, local):
    """The choice is that of the lines."""
    for name in ("acme", "globex"):
        local.send("measure#x=1ms", hostname=name)
    opened(tab, local)
    expect(tab.locator("#plots .card")).to_have_count(2)
    tab.locator("#metrics").get_by_role("button", name="Streams").click()
    tab.locator("#streams-menu").get_by_role("button", name="Only lines of globex").click()
    expect(tab.locator("#plots h2")).to_have_text(["x · globex"])
    tab.keyboard.press("Escape")
    tab.keyboard.press("1")
    expect(tab.locator("#search")).to_have_value("stream=globex")


def test_measures_of_several_streams_are_compared_in_one_plot(tab, local):
    """By one percentile; a click leads to the line as before."""
    for name, slowest in (("acme", 90), ("globex", 70)):
        local.send(*[f"measure#x={n}ms" for n in (1, 5, slowest)], hostname=name)
    opened(tab, local)
    tab.select_option("#percentile", "p99")
    expect(tab.locator("#plots .card")).to_have_count(1)
    assert points(tab, "measure#x") == (["acme", "globex"], [("12:00:00", 90, 70)])
    expect(tab.locator("#plots .kind")).to_have_text("measure, ms: p99 of every second")
    slider(tab, "measure#x").focus()
    tab.keyboard.press("End")
    tab.keyboard.press("Enter")
    expect(tab.locator('.row[aria-selected="true"]')).to_contain_text(re.compile("x=(90|70)ms"))
    tab.go_back()
    expect(tab.locator("#percentile")).to_have_value("p99")
