-- Pictures as files and for pages: the charts of what was measured, drawn by gnuplot on one canvas,
-- one by one, or with letters.

local chart = require "vlock.lab.plot.chart"
local exit = require "vlock.command.exit"
local frames = require "vlock.lab.plot.frame"
local gnuplot = require "vlock.lab.plot.gnuplot"
local style = require "vlock.lab.plot.style"
local chart_choice = require "vlock.lab.plot.chart_choice"
local svg = require "vlock.lab.plot.svg"

local picture = {}

local COLUMN, COLUMNS = 500, 2 -- pixels that a chart is wide; how many stand side by side
-- Pixels that a chart is wide on a page: little, so that its letters can be read where the page is
-- narrow.
local ON_A_PAGE = 430
-- Pixels: the picture's line at its top; a chart's two lines; what is left free below it.
local HEAD, TITLE, GAP = 34, 46, 16
local LETTERS = { width = 100, height = 24 }
local PNG_SCALE = 2 -- for screens whose pixels are small

-- Behind `set terminal`, by the ending of the file: what can draw it, the best first.
local TERMINALS = {
  svg = { "svg noenhanced font 'sans-serif,12' background rgb 'white'" },
  png = {
    "pngcairo noenhanced font 'sans-serif,12' fontscale 1.55 linewidth 2 pointscale 2 " ..
      "background rgb 'white'",
    "png noenhanced giant truecolor",
  },
  txt = { "dumb noenhanced" },
}

--- Raises what stands against a picture in this file: an ending that is not known, a gnuplot that
-- is not there or cannot draw it. Returns the terminal, for picture.of.
function picture.prepare(path)
  local terminals = TERMINALS[path:match("%.(%a+)$") or ""]
  if not terminals then
    exit.usage("--plot %s: its ending must say what it is to be: .svg, .png or .txt", path)
  end
  local ok, terminal = pcall(gnuplot.choose, terminals)
  if not ok then
    exit.usage("--plot %s: %s", path, terminal)
  end
  return terminal
end

-- ---- charts on a canvas

-- Where these charts stand on a canvas, in rows, and the canvas that holds them: frames for the
-- headings, and for what is below them.
local function laid_out(list)
  local canvas = { width = COLUMN * math.min(COLUMNS, #list) }
  local heads, bodies, top = {}, {}, HEAD
  for first = 1, #list, COLUMNS do
    local last, height = math.min(first + COLUMNS - 1, #list), 0
    for i = first, last do
      height = math.max(height, chart.height(list[i], COLUMN))
    end
    for i = first, last do
      heads[i] = frames.new((i - first) * COLUMN, top, COLUMN, TITLE, canvas)
      bodies[i] = frames.new((i - first) * COLUMN, top + TITLE, COLUMN, height, canvas)
    end
    top = top + TITLE + height + GAP
  end
  canvas.height = top
  return heads, bodies, canvas
end

local GREY = ("font 'sans-serif,11' textcolor rgb '%s'"):format(style.INK)

local function program(list, about, terminal)
  local heads, bodies, canvas = laid_out(list)
  local scale = terminal:find("^png") and PNG_SCALE or 1
  local pieces = {
    ("set encoding utf8\nset terminal %s size %d,%d\nset multiplot\n"):format(terminal,
      canvas.width * scale, canvas.height * scale),
  }
  for i, one in ipairs(list) do
    pieces[i + 1] = chart.commands(one, bodies[i], {
      heads[i]:label(one.title, 8, 14, "font 'sans-serif:Bold,14'"),
      heads[i]:label(one.hint, 8, 32, GREY),
      i == 1 and frames.new(0, 0, canvas.width, HEAD, canvas):label(about.heading, 8, 16, GREY)
        or nil,
    })
  end
  pieces[#pieces + 1] = "unset multiplot\n"
  return table.concat(pieces)
end

-- ---- charts in letters

local function letters_of(one)
  local rows = one.kind == "bars" and #one.rows + 5 or LETTERS.height
  local text = gnuplot.draw(("set encoding utf8\nset terminal dumb noenhanced size " ..
    "%d,%d\n%s"):format(LETTERS.width, rows,
    chart.letters(one)), "dumb")
  text = text:gsub("\f", ""):gsub("[ \t]+\n", "\n"):gsub("^\n+", ""):gsub("\n*$", "\n")
  return ("%s (%s)\n%s\n"):format(one.title, one.hint, text)
end

local function in_letters(list, about)
  local pieces = { about.heading .. "\n" }
  for i, one in ipairs(list) do
    pieces[i + 1] = letters_of(one)
  end
  return table.concat(pieces, "\n")
end

-- ---- what others ask for

--- The bytes of a picture of these entries. terminal: what picture.prepare said; about: heading, a
-- line that says what was measured. Raises what gnuplot complains of, and where there is nothing to
-- draw.
function picture.of(entries, about, terminal)
  local list = chart_choice.of(entries)
  if #list == 0 then
    error("nothing was committed: there is nothing to draw", 0)
  end
  if terminal:find("^dumb") then
    return in_letters(list, about)
  end
  local drawn = gnuplot.draw(program(list, about, terminal), terminal:match("^png") or "svg")
  return terminal:find("^svg") and svg.tidied(drawn) or drawn
end

--- The charts of these entries for an HTML page: a list of { title, hint, svg }. Raises as
-- picture.of does.
function picture.inline(entries)
  local shown = {}
  for i, one in ipairs(chart_choice.of(entries)) do
    local canvas = { width = ON_A_PAGE, height = chart.height(one, ON_A_PAGE) }
    local drawn = gnuplot.draw(("set encoding utf8\nset terminal svg noenhanced font " ..
      "'sans-serif,12' size %d,%d name 'chart%d'\n%s"):format(
      canvas.width, canvas.height, i, chart.commands(one,
        frames.new(0, 0, canvas.width, canvas.height, canvas))), "svg")
    shown[i] = { title = one.title, hint = one.hint,
      svg = svg.inlined(drawn, "chart" .. i, one.title) }
  end
  return shown
end

return picture
