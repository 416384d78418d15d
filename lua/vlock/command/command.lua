-- What vlockrun does once its command line has been read: runs a script and shows what it returned,
-- or puts a policy under contention and reports.

local core = require "vlock.core"
local files = require "vlock.files"
local exit = require "vlock.command.exit"
local printable = require "vlock.text.printable"
local programs = require "vlock.command.program"
local say = require "vlock.command.say"

local command = {}

local usage = exit.usage

-- ---- the words of the command line

--- The options, by their names, from what src/command/options.h passes on: each its name and its
-- value. Those that may be given several times are lists.
function command.read_options(pairs_of_words)
  local options = { param = {}, require = {}, sweep = {} }
  for i = 1, #pairs_of_words, 2 do
    local name, value = pairs_of_words[i]:gsub("-", "_"), pairs_of_words[i + 1]
    if type(options[name]) == "table" then
      table.insert(options[name], value)
    else
      options[name] = value == "" or value -- true: it takes none
    end
  end
  return options
end

local function shell_quoted(word)
  return word:find("^[%w_./:=@,+%%-]+$") and word or "'" .. word:gsub("'", "'\\''") .. "'"
end

-- All of it as one line to type, without a password.
local function command_line(pairs_of_words, words)
  local typed = { "vlockrun" }
  for i = 1, #pairs_of_words, 2 do
    local value = pairs_of_words[i + 1]
    typed[#typed + 1] = "--" .. pairs_of_words[i]
    typed[#typed + 1] = value ~= "" and shell_quoted(core.hidden(value)) or nil
  end
  for _, word in ipairs(words) do
    typed[#typed + 1] = shell_quoted(core.hidden(word))
  end
  return table.concat(typed, " ")
end

-- ---- the script

-- Words that stand where a file would: see `verbs`.
local VERBS = { "compare", "help", "list", "new", "show", "verify" }

-- What may stand in the place of a file's name: verbs, and policies.
local function words_for_a_file()
  local search = require "vlock.policy.search"
  local words = table.move(VERBS, 1, #VERBS, 1, {})
  for _, kind in ipairs(require("vlock.policy.policy").KINDS) do
    local names = search.names(search.context("."), kind)
    table.move(names, 1, #names, #words + 1, words)
  end
  return words
end

local function load_program(options, rest)
  local search = require "vlock.policy.search"
  if options.eval then
    return { text = options.eval, name = "=(command line)", shown = "-e", folder = ".",
      words = rest, zero = "-e" }
  end
  local file = table.remove(rest, 1)
  if not file then
    usage("which file? vlockrun FILE.lua, vlockrun -e 'CHUNK', or vlockrun --help")
  elseif file == "-" then
    return { text = io.read("a"), name = "=stdin", shown = "stdin", folder = ".", words = rest,
      zero = "-" }
  end
  local text, reason = search.read_file(file)
  if not text and require("vlock.policy.policy").is_known(file, search.context(".")) then
    return { policy = file, words = rest }
  elseif not text then
    local near = core.nearest(file, words_for_a_file())
    usage("cannot read the script: %s%s", reason, near
      and (" (did you mean vlockrun %s?)"):format(near) or "")
  end
  return { text = text, name = "@" .. file, shown = file, folder = file:match("^(.*)/[^/]*$")
    or ".", words = rest, zero = file }
end

-- Under --json, standard output is for the document alone.
local function redirect_prints()
  print = function(...) -- luacheck: ignore
    local texts = table.pack(...)
    for i = 1, texts.n do
      texts[i] = tostring(texts[i])
    end
    io.stderr:write(table.concat(texts, "\t", 1, texts.n), "\n")
  end
  _G.print = print
  io.output(io.stderr)
end

-- ---- results

local function show_text(text)
  text = text:gsub("\n*$", "\n")
  -- A file gets what is shown byte by byte.
  command.stdout:write(files.is_terminal(1) and printable.text(text) or text)
  return exit.FINE
end

-- Words that stand where a file would; src/command/option_table.c has them: behind them, options
-- and words may stand in any order.
local verbs = {
  list = function()
    local context = require("vlock.policy.search").context(".")
    return show_text(printable.text(require("vlock.command.catalog").list(context)))
  end,
  show = function(rest)
    if not rest[2] then
      usage("show what? vlockrun list names what there is")
    end
    return show_text(exit.refuse(exit.USAGE, require("vlock.command.catalog").show,
      require("vlock.policy.search").context("."), rest[2]))
  end,
  new = function(rest)
    return show_text(exit.refuse(exit.USAGE, require("vlock.command.catalog").new, rest[2],
      rest[3]))
  end,
  verify = function(rest, options)
    return require("vlock.lab.check.verify").run(table.move(rest, 2, #rest, 1, {}), options,
      command.stdout)
  end,
  compare = function(rest, options)
    if options.json then
      redirect_prints()
    end
    return require("vlock.lab.lab").compare(table.move(rest, 2, #rest, 1, {}), options,
      command.stdout)
  end,
}

local function run(pairs_of_words, words)
  local options = command.read_options(pairs_of_words)
  require("vlock.script.inputs").listen(io)
  options.line = command_line(pairs_of_words, words)
  if not options.eval and verbs[words[1]] then
    return verbs[words[1]](words, options)
  end
  local program = load_program(options, words)
  if options.json then
    redirect_prints()
  end
  if program.policy then
    return require("vlock.lab.lab").run_named(program, options, command.stdout)
  end
  programs.set_environment(program)
  local results = table.pack(programs.compile(program, options.eval ~= nil)())
  if require("vlock.policy.policy").is_meant(results[1]) then
    return require("vlock.lab.lab").run(program, options, command.stdout)
  end
  require("vlock.command.shown_result").show(options, results)
  return exit.FINE
end

-- The script's part of a traceback, on lines of its own; "" where it has none.
local function script_traceback(traceback)
  local lines, is_the_scripts = {}, false
  for line in traceback:gmatch("[^\n]+") do
    if line:find("^\tvlock/command/[cp]") then
      break -- from here on it is ours
    elseif not line:find("^\tvlock/") then
      lines[#lines + 1] = "\n" .. line:gsub("vlock%.[%w_.]*redis[_core]*%.", "redis.")
      is_the_scripts = is_the_scripts or line:find("^\t[^%[]") and not line:find("^\t%(%.%.%.tail")
    end
  end
  return is_the_scripts and table.concat(lines) or ""
end

-- Whether it tells of a node of a cluster whose URL is that of a single server; says so in it.
local function is_of_a_node(reason)
  local text = type(reason) == "table" and rawget(reason, "err")
  if type(text) ~= "string" or not text:find("^MOVED ") and not text:find("^ASK ") then
    return false
  end
  require("vlock.cell.server_error").advised(reason)
  return true
end

--- An error of a script as { exit, message }: for xpcall.
function command.with_traceback(reason)
  if type(reason) == "table" and reason.exit then
    return reason
  end
  if require("vlock.cell.outcome").is(reason, "unreachable") or is_of_a_node(reason) then
    return { exit = exit.UNREACHABLE, message = tostring(reason) }
  end
  return {
    exit = exit.SCRIPT,
    message = require("vlock.text.error_text")(reason) .. script_traceback(debug.traceback(nil, 2)),
  }
end

--- Runs what the command line says, its options and its words; returns the exit code.
function command.main(pairs_of_words, words)
  command.stdout = io.stdout
  local ok, result = xpcall(run, command.with_traceback, pairs_of_words, words)
  if ok then
    return result
  end
  if type(result) ~= "table" then -- for want of memory Lua calls no handler
    result = command.with_traceback(result)
  end
  say("%s", result.message)
  return result.exit
end

return command
