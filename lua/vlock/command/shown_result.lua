-- What a script returned, shown.

local files = require "vlock.files"
local printable = require "vlock.text.printable"
local reply_text = require "vlock.text.reply_text"
local say = require "vlock.command.say"

local result = {}

--- Shows the first of the results, if there is any: as JSON, or as redis-cli does.
function result.show(options, results)
  for _, name in ipairs { "plot", "report", "hgrm" } do
    if options[name] then
      say("--%s is for policies under contention: this script is none, and nothing was written",
        name)
    end
  end
  if options.json then
    io.stdout:write(printable.document(reply_text.for_json(results[1])))
  elseif results.n > 0 then
    io.stdout:write(reply_text.format(results[1], files.is_terminal(1)), "\n")
  end
end

return result
