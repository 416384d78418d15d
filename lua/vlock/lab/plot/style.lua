-- How policies look in pictures, the same in all charts of one: colours, dashes, signs; and how
-- much room a name takes.

local style = {}

-- Colours that people tell apart who see red and green alike (after M. Okabe and K. Ito), of
-- similar weight on white and on black.
local COLORS = { "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a63d2",
  "#7d8590" }
local DASHES = { "solid", "(6,4)", "(2,3)" } -- when the colours are used up
local SIGNS = { 7, 9, 5, 13, 11 } -- filled; each one's number less 1 is the same, hollow

--- Of texts, and of what should hardly be seen.
style.INK, style.FAINT = "#57606a", "#c8ced6"

local LETTER = 6.5 -- pixels that a letter takes, roughly
local LETTERS = 34 -- of a name, before it is cut

--- How the nth of several policies looks.
function style.of(n)
  return {
    number = n,
    color = COLORS[(n - 1) % #COLORS + 1],
    dash = DASHES[(n - 1) // #COLORS % #DASHES + 1],
    sign = SIGNS[(n - 1) % #SIGNS + 1],
  }
end

--- What gnuplot must know to draw its line, and its sign: a filled one, or a hollow one.
function style.line(one)
  return ("lt %d lc rgb '%s' dt %s lw 2"):format(one.number, one.color, one.dash)
end

function style.sign(one, is_hollow)
  return ("pt %d lc rgb '%s'"):format(is_hollow and one.sign - 1 or one.sign, one.color)
end

--- A name, cut where it is too long.
function style.clipped(label)
  local length = utf8.len(label)
  if not length or length <= LETTERS then
    return label
  end
  return label:sub(1, utf8.offset(label, LETTERS) - 1) .. "…"
end

--- The pixels that a name takes.
function style.width(label)
  label = style.clipped(label)
  return (utf8.len(label) or #label) * LETTER
end

--- The pixels that the longest of these takes: a list of { label }.
function style.widest(list)
  local width = 0
  for _, one in ipairs(list) do
    width = math.max(width, style.width(one.label))
  end
  return width
end

return style
