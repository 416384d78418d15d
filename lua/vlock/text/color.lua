-- Colours of a terminal (ECMA-48, SGR).

local files = require "vlock.files"

local CODES = { red = "31;1", green = "32", yellow = "33", bold = "1" }

local paint = {}

--- Whether colours are wanted on standard output. options: of the command line.
function paint.wanted(options)
  return files.is_terminal(1) and not options.no_color and not os.getenv("NO_COLOR")
end

--- paint(is_colored): a function from a text and the name of a colour to the text in it; where
-- is_colored is false, to the text as it is.
return setmetatable(paint, {
  __call = function(_, is_colored)
    return function(text, color)
      return is_colored and ("\27[%sm%s\27[0m"):format(CODES[color], text) or text
    end
  end,
})
