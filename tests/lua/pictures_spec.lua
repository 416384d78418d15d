-- What pictures and pages are made of: the Pareto front, places for names, texts that are safe,
-- percentiles.

local core = require "vlock.core"
local axis = require "vlock.lab.plot.axis"
local pareto = require "vlock.lab.plot.pareto"
local gnuplot = require "vlock.lab.plot.gnuplot"
local hgrm = require "vlock.lab.show.hgrm"
local html = require "vlock.lab.show.html"
local lab_core = require "vlock.lab_core"
local legend = require "vlock.lab.plot.legend"
local style = require "vlock.lab.plot.style"
local label_places = require "vlock.lab.plot.label_places"

describe("the Pareto front", function()
  it("is what no other point beats in both, whatever the order", function()
    local a, b, c, d, e = { x = 1, y = 9 }, { x = 3, y = 3 }, { x = 9, y = 1 }, { x = 3, y = 4 },
      { x = 10, y = 10 }
    assert.are.same({ a, b, c }, pareto.of { e, d, c, b, a })
    assert.are.same({ e }, pareto.of { e })
    assert.are.same({}, pareto.of {})
  end)

  it("keeps two that are the same", function()
    assert.are.equal(2, #pareto.of { { x = 1, y = 1 }, { x = 1, y = 1 }, { x = 1, y = 2 } })
  end)
end)

describe("names of points", function()
  local function overlap(a, b, width)
    return math.abs(a.y - b.y) < 13 and a.left < b.left + width and b.left < a.left + width
  end

  it("do not cover each other where twenty points stand close together", function()
    local points, canvas, width = {}, { width = 420, height = 220 }, 80
    for i = 1, 20 do
      points[i] = { x = 150 + 17 * (i % 5), y = 100 + 11 * (i // 5), width = width }
    end
    local places = label_places.place(points, canvas)
    for i, place in ipairs(places) do
      place.left = place.is_left and place.x - width or place.x
      assert.is_true(place.left >= 0 and place.left + width <= canvas.width and place.y >= 0
        and place.y <= canvas.height)
      for j = 1, i - 1 do
        assert.is_false(overlap(place, places[j], width), ("%d and %d"):format(i, j))
      end
    end
  end)

  it("stand close to a point that is alone, to its left where there is no room to its right",
    function()
    local place = label_places.place({ { x = 100, y = 100, width = 60 } },
      { width = 400, height = 200 })[1]
    assert.is_true(math.abs(place.x - 100) < 12 and math.abs(place.y - 100) < 15
      and not place.is_left and not place.is_far)
    assert.is_true(label_places.place({ { x = 390, y = 100, width = 60 } },
      { width = 400, height = 200 })[1].is_left)
  end)
end)

describe("a picture", function()
  it("tells twenty policies apart by colour, dash and sign", function()
    local seen = {}
    for i = 1, 20 do
      local one = style.of(i)
      local key = one.color .. one.dash
      assert.is_nil(seen[key])
      seen[key] = true
    end
  end)

  it("makes room for the names of twenty lines, and for none where there is one", function()
    local series = {}
    for i = 1, 20 do
      series[i] = { label = "policy number " .. i, style = style.of(i) }
    end
    assert.is_true(legend.height(series, 500) >= 20 / 3 * 17)
    assert.are.equal(0, legend.height({ series[1] }, 500))
  end)

  it("cuts long names at a letter, not in one", function()
    assert.are.equal(("é"):rep(33) .. "…", style.clipped(("é"):rep(50)))
    assert.are.equal("short", style.clipped("short"))
  end)

  it("has an axis whose ends lie beyond what it shows", function()
    local commands, place = axis.log("x", 0.001, 1, tostring)
    assert.matches("set logscale x", commands, 1, true)
    assert.is_true(place(0.001) > 0 and place(0.001) < 0.1 and place(1) < 1 and place(1) > 0.9)
    local _, linear = axis.linear("y", 50)
    assert.are.equal(0, linear(0))
    assert.is_true(linear(50) < 1)
    assert.is_true(axis.spans_a_decade(1, 11))
    assert.is_false(axis.spans_a_decade(1, 10))
    assert.is_false(axis.spans_a_decade(0, 100))
  end)
end)

describe("a text for gnuplot", function()
  it("is one string of it, in which nothing is expanded", function()
    assert.are.equal("'it''s `date` $HOME @x {a}_b'", gnuplot.quoted("it's `date` $HOME @x {a}_b"))
    assert.are.equal("'a b c'", gnuplot.quoted("a\nb\0c"))
    assert.are.equal("'a?b'", gnuplot.quoted("a\xffb"))
    assert.are.equal("'100%% of it'", gnuplot.quoted_tic("100% of it"))
  end)

  it("comes back as it was from gnuplot itself", function()
    local text = "a_b{1}&<x> 'q' \"d\" `echo no` $(echo no) \\n %d @x #!"
    local said = gnuplot.draw("set print '-'\nprint " .. gnuplot.quoted(text) .. "\n", "dumb")
    assert.are.equal(text .. "\n", said)
  end)

  it("is told apart from a program that gnuplot does not understand", function()
    local ok, reason = pcall(gnuplot.draw, "set terminal dumb\nplot nonsense(\n", "dumb")
    assert.is_false(ok)
    assert.matches("^gnuplot failed: .*%a", reason)
  end)
end)

describe("a text for a page", function()
  it("is escaped for text and for attributes", function()
    assert.are.equal("&lt;b&gt; &amp;amp; &quot;x&quot; &#39;y&#39;",
      html.escaped("<b> &amp; \"x\" 'y'"))
    assert.are.equal("a? b", html.escaped("a\xff\1b"))
    assert.are.equal('<td class="&quot;&gt;">1</td>', html.element("td", "1", { class = '">' }))
  end)
end)

describe("a password", function()
  it("is hidden as a whole, where a URL has one", function()
    assert.are.equal("redis://u:***@host:6379/1", core.hidden("redis://u:p:a@ss@host:6379/1"))
    assert.are.equal("redis://:***@host", core.hidden("redis://:pw@host"))
    assert.are.equal("unix://:***@/tmp/a@b:c", core.hidden("unix://:pw@/tmp/a@b:c"))
    for _, text in ipairs { "redis://host:6379", "unix:///tmp/a:b@c", "p99<20ms",
      "redis://h/0?x=:y@" } do
      assert.are.equal(text, core.hidden(text))
    end
  end)
end)

describe("percentiles", function()
  local function histogram_of(count)
    local histogram = lab_core.histogram()
    for i = 1, count do
      histogram:record(i / 1000)
    end
    return histogram
  end

  it("step through the same percentages whatever was recorded, five to each half of what is left",
    function()
    local parts = {}
    for part in hgrm.text(histogram_of(100), "x"):gmatch("\n *[%d.]+ +(%d%.%d+) ") do
      parts[#parts + 1] = tonumber(part)
    end
    assert.are.same({ 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.775 },
      table.move(parts, 1, 12, 1, {}))
    assert.are.equal(1, parts[#parts])
  end)

  it("tell exact values and counts of a histogram that is known", function()
    local text = hgrm.text(histogram_of(100), "one\ntwo")
    local value, count = text:match("\n *([%d.]+) +0%.500000000000 +(%d+) +2%.00\n")
    assert.is_true(math.abs(tonumber(value) - 50) < 0.25)
    assert.are.equal("50", count)
    assert.matches("\n +100%.000000 +1%.000000000000 +100 +inf\n", text)
    assert.matches("# Unit: milliseconds. one two, vlock", text, 1, true)
    assert.matches("StdDeviation   = +28%.[89]", text)
  end)

  it("end where there are no more values, and where there are none", function()
    assert.matches("^%s+Value%s+Percentile%s+TotalCount%s+1/%(1%-Percentile%)\n\n" ..
      "%s+0.000000%s+1.0+%s+0%s+inf\n",
      hgrm.text(lab_core.histogram(), "x"))
    assert.are.same({}, hgrm.curve(lab_core.histogram()))
    local curve = hgrm.curve(histogram_of(1000))
    assert.are.equal(1, curve[1].x)
    assert.is_true(curve[#curve].x <= 1000 and curve[#curve].x > 900 and curve[#curve].y > 0.99)
  end)
end)
