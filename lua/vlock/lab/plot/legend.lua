-- The names of the lines of a chart, below it, in columns.

local style = require "vlock.lab.plot.style"

local legend = {}

-- Pixels: a row; a piece of the line; between a name and what comes next.
local LINE, SAMPLE, GAP = 17, 30, 18

local function columns_of(series, width)
  local column = SAMPLE + style.widest(series) + GAP
  return math.max(1, math.min(#series, math.floor((width - 16) / column))), column
end

--- The pixels that it takes below a chart of that width; nothing where there is but one name.
function legend.height(series, width)
  if not series or #series < 2 then
    return 0
  end
  return math.ceil(#series / columns_of(series, width)) * LINE + 10
end

--- The commands that draw it at the bottom of a frame: a list. series: a list of label, style.
-- has_lines: whether a piece of the line is shown; has_signs: a point of it.
function legend.commands(series, frame, has_lines, has_signs)
  local commands = {}
  if #series < 2 then
    return commands
  end
  local columns, column = columns_of(series, frame.width)
  local top = frame.height - legend.height(series, frame.width) + 10
  for i, one in ipairs(series) do
    local x, y = 16 + (i - 1) % columns * column, top + (i - 1) // columns * LINE + LINE / 2
    commands[#commands + 1] = frame:label(style.clipped(one.label), x + SAMPLE, y,
      ("textcolor rgb '%s'"):format(style.INK))
    if has_lines then
      commands[#commands + 1] = frame:line(x, y, x + SAMPLE - 6, y, style.line(one.style))
    end
    if has_signs then
      commands[#commands + 1] = frame:sign(x + SAMPLE / 2 - 3, y, style.sign(one.style)
        .. " ps 0.8")
    end
  end
  return commands
end

return legend
