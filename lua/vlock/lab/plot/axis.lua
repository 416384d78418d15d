-- The axes of charts, as commands for gnuplot: with logarithms, and from zero on.

local gnuplot = require "vlock.lab.plot.gnuplot"

local axis = {}

-- Digits that are shown at an axis with logarithms, by how much of it there is.
local WIDE, USUAL, NARROW = { 1 }, { 1, 2, 5 }, { 1, 1.5, 2, 3, 4, 5, 7 }

local function nice_numbers(low, high)
  local ratio, list = high / low, {}
  for power = math.floor(math.log(low, 10)), math.ceil(math.log(high, 10)) do
    for _, digit in ipairs(ratio > 200 and WIDE or ratio > 5 and USUAL or NARROW) do
      local number = tonumber(("%.1fe%d"):format(digit, power))
      if number >= low * 0.999 and number <= high * 1.001 then
        list[#list + 1] = number
      end
    end
  end
  return list
end

--- The command for tics at these numbers. text_of(number, i).
function axis.tics(name, numbers, text_of)
  local list = {}
  for i, number in ipairs(numbers) do
    list[i] = ("%s %.12g"):format(gnuplot.quoted_tic(text_of(number, i)), number)
  end
  return ("set %stics (%s)"):format(name, table.concat(list, ", "))
end

--- An axis with logarithms for values from low to high and a bit beyond, shown by text_of(number).
-- Returns the commands, and a function that says where on the axis a value stands, 0 to 1.
function axis.log(name, low, high, text_of)
  local from, to = low / 1.25, high * 1.25
  return ("set logscale %s\nset %srange [%.9g:%.9g]\n%s"):format(name, name, from, to,
    axis.tics(name, nice_numbers(from, to), text_of)),
    function(value)
      return math.log(value / from) / math.log(to / from)
    end
end

--- The same for an axis from 0 to a bit beyond `high`.
function axis.linear(name, high)
  local to = high > 0 and high * 1.08 or 1
  return ("set %srange [0:%.9g]\nset format %s '%s'"):format(name, to, name, high >= 5000
    and "%.0s%c" or "%g"), function(value)
    return value / to
  end
end

--- Whether values from low to high want logarithms.
function axis.spans_a_decade(low, high)
  return low > 0 and high / low > 10
end

return axis
