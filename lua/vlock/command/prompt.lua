-- A session at a terminal, line by line: what src/command/prompt.c calls. Globals stay from one
-- line to the next; locals do not.

local core = require "vlock.core"
local current = require "vlock.engine.current"
local main = require "vlock.command.command"
local policy = require "vlock.policy.policy"
local printable = require "vlock.text.printable"
local program = require "vlock.command.program"
local result = require "vlock.command.shown_result"
local say = require "vlock.command.say"

local prompt = {}

local RAN, INCOMPLETE = 0, 1 -- src/command/prompt.c knows them

local options = {}

--- pairs_of_words: the options of the command line.
function prompt.begin(pairs_of_words)
  options = main.read_options(pairs_of_words)
  options.line = "vlockrun"
  main.stdout = io.stdout
  program.set_environment { folder = ".", words = {}, zero = "vlockrun" }
  print(("vlockrun %s (%s)"):format(core.version, core.libraries))
  print("A line of Lua is run, and what it returns is shown; Tab completes, Ctrl-D ends.")
end

-- Whether a text is the beginning of a chunk: what is wrong with it is that it ends.
local function is_incomplete(text)
  if load("return " .. text) then
    return false
  end
  local chunk, reason = load(text)
  return not chunk and reason:find("near <eof>$") ~= nil
end

local function run(text)
  local one = { text = text, name = "=(line)", shown = "the line", folder = ".", words = {} }
  local results = table.pack(program.compile(one, true)())
  if policy.is_meant(results[1]) then
    one.name = "@line"
    return require("vlock.lab.lab").run(one, options, io.stdout)
  end
  result.show(options, results)
end

--- Runs a line, or several that are one chunk. Returns RAN, whatever came of it, or INCOMPLETE.
function prompt.run(text)
  if is_incomplete(text) then
    return INCOMPLETE
  end
  current.client():forget_plans()
  local ok, reason = xpcall(run, main.with_traceback, text)
  if not ok then
    reason = type(reason) == "table" and reason or main.with_traceback(reason)
    say("%s", reason.message)
  end
  return RAN
end

-- ---- completion

-- The names in a table, and in those behind it.
local function names_in(value, names)
  if type(value) == "table" then
    for name in next, value do
      names[#names + 1] = type(name) == "string" and name:find("^[%a_][%w_]*$") and name or nil
    end
  end
  local behind = getmetatable(value)
  if type(behind) == "table" and type(behind.__index) == "table" then
    return names_in(behind.__index, names)
  end
  return names
end

-- The table that "redis." or "a.b:" leads to, and the beginning of the name behind it.
local function place_of(word)
  local at, rest = _G, word
  for name, behind in word:gmatch("([%a_][%w_]*)[.:]()") do
    at = (type(at) == "table" or type(at) == "string") and at[name] or nil
    rest = word:sub(behind)
  end
  return at, rest
end

local function common_beginning(list)
  local common = list[1] or ""
  for _, text in ipairs(list) do
    while text:sub(1, #common) ~= common do
      common = common:sub(1, -2)
    end
  end
  return common
end

--- What is to be added to a word; where there are several ways, those are shown.
function prompt.complete(word)
  local place, beginning = place_of(word)
  local found, seen = {}, {}
  for _, name in ipairs(names_in(place, {})) do
    if name:sub(1, #beginning) == beginning and not seen[name] then
      seen[name] = true
      found[#found + 1] = name
    end
  end
  table.sort(found)
  local common = common_beginning(found)
  if #found > 1 and #common == #beginning then
    print("\n" .. printable.text(table.concat(found, "  ")))
  end
  return common:sub(#beginning + 1)
end

return prompt
