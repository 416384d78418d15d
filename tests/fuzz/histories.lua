-- What histories.c runs on each input: ARGV[1] is the history's file. Raises where `verify` did
-- what it must not do.

local json = require "vlock.text.json"
local printable = require "vlock.text.printable"
local verify = require "vlock.lab.check.verify"

local name = ARGV[1]

-- What it tells of these files: its exit code and what it wrote, or its message.
local function tell(names, options)
  local parts = {}
  local out = {}
  function out.write(_, ...)
    for _, part in ipairs { ... } do
      parts[#parts + 1] = part
    end
  end
  local ok, result = pcall(verify.run, names, options, out)
  if ok then
    return result, table.concat(parts)
  end
  assert(type(result) == "table" and result.exit, result)
  return result.exit, result.message
end

local function line_count()
  local count = 0
  for _ in io.lines(name) do
    count = count + 1
  end
  return count
end

local function require_message(message)
  local line = message:match("^" .. name .. ":(%d+): .")
  if line then
    assert(tonumber(line) >= 1 and tonumber(line) <= line_count(), message)
  else
    assert(message == name .. ": it is empty: no history", message)
  end
end

-- verified is nil where the states could not be told apart.
local function require_verdict(code, text, document)
  local told = json.decode(document)
  assert(code == (told.verified == false and 4 or 0), document)
  assert(printable.text(text) == text and printable.text(document) == document, "control bytes")
  local culprits = 0
  for _, run in ipairs(told.runs) do
    assert(run.verified ~= true or #run.culprits == 0, document)
    culprits = culprits + #run.culprits
  end
  assert(code == 4 or culprits == 0, document)
end

local code, text = tell({ name }, { no_color = true })
local code_again, text_again = tell({ name }, { no_color = true })
assert(code == code_again and text == text_again, "told another thing the second time")
local code_of_json, document = tell({ name }, { json = true })
assert(code == code_of_json, "told another thing as JSON")
-- The same run once more changes no verdict.
assert(tell({ name, name }, { json = true }) == code, "told another thing of two of it")
if code == 2 then
  require_message(text)
else
  require_verdict(code, text, document)
end
