-- Where a chart stands on the canvas, in pixels from the top left, told to gnuplot, which counts in
-- parts of the canvas from the bottom.

local gnuplot = require "vlock.lab.plot.gnuplot"

local Frame = {}
Frame.__index = Frame

-- Pixels around what a chart shows: tics and their labels.
local MARGIN = { left = 58, right = 24, bottom = 26, top = 6 }

--- A frame on a canvas (width, height) for a chart.
local function new(left, top, width, height, canvas)
  return setmetatable({ left = left, top = top, width = width, height = height, canvas = canvas },
    Frame)
end

-- A place in this frame as gnuplot names it.
function Frame:at(x, y)
  return ("screen %.6f, screen %.6f"):format((self.left + x) / self.canvas.width,
    1 - (self.top + y) / self.canvas.height)
end

--- The command that leaves these margins, in pixels; what is left out is the usual. extra_bottom
-- comes on top of the usual one.
function Frame:margins(left, extra_bottom)
  self.inner = {
    left = left or MARGIN.left,
    top = MARGIN.top,
    width = self.width - MARGIN.right - (left or MARGIN.left),
    height = self.height - MARGIN.top - MARGIN.bottom - (extra_bottom or 0),
  }
  return ("set margins at screen %.6f, screen %.6f, screen %.6f, screen %.6f"):format(
    (self.left + self.inner.left) / self.canvas.width,
      (self.left + self.width - MARGIN.right) / self.canvas.width,
    1 - (self.top + self.inner.top + self.inner.height) / self.canvas.height,
      1 - (self.top + self.inner.top) / self.canvas.height)
end

--- The command that puts a text there, x its left end, y its middle. looks: what else gnuplot shall
-- know, like a font.
function Frame:label(text, x, y, looks)
  return ("set label %s at %s left front %s"):format(gnuplot.quoted(text), self:at(x, y), looks
    or "")
end

--- The command that draws a line there.
function Frame:line(x, y, to_x, to_y, looks)
  return ("set arrow from %s to %s nohead front %s"):format(self:at(x, y), self:at(to_x, to_y),
    looks)
end

--- The command that puts the sign of a point there.
function Frame:sign(x, y, looks)
  return ("set label '' at %s front point %s"):format(self:at(x, y), looks)
end

return { new = new }
