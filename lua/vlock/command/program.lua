-- A program that vlockrun runs: text, name (of its chunk), shown (in messages), folder, words
-- (behind it), zero (arg[0]).

local current = require "vlock.engine.current"
local exit = require "vlock.command.exit"
local policy = require "vlock.policy.policy"

local program = {}

-- redis-cli's convention: KEY … , ARG …
local function split_keys(words)
  local keys, args = {}, {}
  local target = keys
  for _, word in ipairs(words) do
    if word == "," and target == keys then
      target = args
    else
      target[#target + 1] = word
    end
  end
  return keys, args
end

--- The chunk of a program. is_line: it may be an expression, as for -e. What was compiled is kept
-- in its `text`: the lab runs it once more for every worker.
function program.compile(one, is_line)
  local text = is_line and one.text or one.text:gsub("^#[^\n]*", "")
  if is_line and load("return " .. text, one.name, "t") then
    text = "return " .. text
  end
  local chunk, reason = load(text, one.name, "t", policy.environment())
  if not chunk then
    exit.with(exit.SCRIPT, "%s", reason)
  end
  one.text = text
  return chunk
end

--- What it finds beside its own names: modules and parts in its folder, its words.
function program.set_environment(one)
  package.path = ("%s/?.lua;%s/?/init.lua;"):format(one.folder, one.folder) .. package.path
  current.set_script_folder(one.folder)
  _G.arg = { [0] = one.zero, table.unpack(one.words) } -- luacheck: ignore
  _G.KEYS, _G.ARGV = split_keys(one.words) -- luacheck: ignore
end

return program
