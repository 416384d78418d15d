-- What vlockrun does once its command line has been read: runs a script and shows what it returned, or puts a policy under contention
-- and reports.

local core = require "vlock.core"

local command = {}

local EXIT = { fine = 0, script = 1, usage = 2, unreachable = 3, unverified = 4, interrupted = 130 }

-- An error with an exit code of its own.
local function usage(...)
  error({ exit = EXIT.usage, message = string.format(...) }, 0)
end

local function say(...)
  io.stderr:write("vlockrun: ", string.format(...), "\n")
end

-- ---- the words of the command line

-- "name=value" … "--" FILE … as src/options.c passes them on.
local function read_words(words)
  local options, rest = { param = {} }, {}
  local at = 1
  while words[at] ~= "--" do
    local name, value = words[at]:match("^([%w-]+)=(.*)$")
    if name == "param" then
      table.insert(options.param, value)
    else
      options[name:gsub("-", "_")] = value
    end
    at = at + 1
  end
  for i = at + 1, #words do
    rest[#rest + 1] = words[i]
  end
  return options, rest
end

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

-- ---- the script

local function load_program(options, rest)
  local search = require "vlock.search"
  if options.eval then
    return { text = options.eval, name = "=(command line)", shown = "-e", folder = nil, words = rest, zero = "-e" }
  end
  local file = table.remove(rest, 1)
  if not file then
    usage("which file? vlockrun FILE.lua, vlockrun -e 'CHUNK', or vlockrun --help")
  elseif file == "-" then
    return { text = io.read("a"), name = "=stdin", shown = "stdin", folder = nil, words = rest, zero = "-" }
  end
  local text, reason = search.read_file(file)
  if not text then
    usage("cannot read the script: %s", reason)
  end
  return { text = text, name = "@" .. file, shown = file, folder = file:match("^(.*)/[^/]*$") or ".", words = rest, zero = file }
end

-- A line for -e may be an expression. What was compiled is kept: the lab runs it once more for every worker.
local function compile(program, options)
  local text = program.text:gsub("^#[^\n]*", "")
  if options.eval and load("return " .. text, program.name, "t") then
    text = "return " .. text
  end
  local chunk, reason = load(text, program.name, "t", require("vlock.policy").environment())
  if not chunk then
    error({ exit = EXIT.script, message = reason }, 0)
  end
  program.text = text
  return chunk
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
  io.output(io.stderr)
end

local function set_environment(program)
  if program.folder then
    package.path = ("%s/?.lua;%s/?/init.lua;"):format(program.folder, program.folder) .. package.path
    redis.add_script_folder(program.folder)
    vlock.set_script_folder(program.folder)
  end
  arg = { [0] = program.zero, table.unpack(program.words) } -- luacheck: ignore
  KEYS, ARGV = split_keys(program.words) -- luacheck: ignore
end

-- ---- policies

local function number_option(options, name, default)
  if not options[name] then
    return default
  end
  return (core.count(options[name]))
end

local function at_least_one(options, name, default)
  local number = number_option(options, name, default)
  if number and number < 1 then
    usage("--%s must be at least 1", (name:gsub("_", "-")))
  end
  return number
end

-- The script's own scenario, and over it what the command line says.
local function scenario_of(options, own)
  own = own or {}
  local function own_number(name, default)
    local value = own[name]
    if type(value) == "string" then
      value = core.count(value)
    end
    if value ~= nil and type(value) ~= "number" then
      usage("scenario.%s must be a number", name)
    end
    return value or default
  end
  local function seconds(name)
    local value = options[name] or own[name]
    if type(value) == "string" then
      return assert(core.duration(value))
    end
    return value
  end
  if options.per_worker and options.commits then
    usage("--commits (in all) and --per-worker exclude each other")
  end
  local workers = at_least_one(options, "workers", own_number("workers", 50))
  local counted = options.commits or options.per_worker
  return {
    workers = workers,
    keys = at_least_one(options, "keys", own_number("keys", 1)),
    dist = options.dist or own.dist or "uniform",
    commits = number_option(options, "commits", own_number("commits", 10000)),
    per_worker = number_option(options, "per_worker", not options.commits and own_number("per_worker") or nil),
    duration = not (counted and not options.duration) and seconds("duration") or nil,
    think = seconds("think") or 0,
    connections = at_least_one(options, "connections", own_number("connections")),
    update = own.update,
  }
end

-- The lab's server: that of --url, or a private one; never that of the environment, which may be one in production.
local function server_of(options)
  if options.url then
    return options.url, redis.connect -- without a URL it is --url's, with its password
  end
  local url, reason = redis.private_server()
  if not url then
    error({ exit = EXIT.unreachable, message = reason }, 0)
  end
  return url, function()
    return redis.connect(url)
  end
end

-- Calls f; what it raises is for people: the message alone says where and what, without a traceback.
local function refuse_with(exit, f, ...)
  local ok, result = pcall(f, ...)
  if not ok then
    error({ exit = exit, message = tostring(result) }, 0)
  end
  return result
end

local function run_policy(program, options, spec)
  local key_choice = require "vlock.lab.key_choice"
  local lab = require "vlock.lab.run"
  local policy = require "vlock.policy"
  local report = require "vlock.lab.report"
  local search = require "vlock.search"
  local store = require "vlock.store"

  local context = search.context(program.folder)
  local scenario = scenario_of(options, spec.scenario)
  refuse_with(EXIT.usage, key_choice.new, scenario.dist, scenario.keys)
  context.overrides = refuse_with(EXIT.usage, policy.parse_overrides, options.param)
  local path = program.name:sub(2)
  context.where = path
  local function new_policy(own)
    own = own or policy.from_text(program.text, path)
    own.name = own.name or policy.name_of(path, own)
    return policy.new(own, context)
  end
  local store_name = options.store or "plain"
  refuse_with(EXIT.script, new_policy, spec) -- what is broken is refused before anything runs
  refuse_with(EXIT.usage, store.new, store_name, context)

  local url, connect = server_of(options)
  local on_terminal = core.is_terminal(2) and not options.json
  local ok, result, first_error, give_up_reason = pcall(lab.run, {
    url = url,
    connect = connect,
    scenario = scenario,
    seed = core.seed,
    new_policy = function()
      return new_policy()
    end,
    new_store = function()
      return store.new(store_name, context)
    end,
    store_name = store_name,
    progress = on_terminal and report.progress or nil,
  })
  if not ok then
    local exit = type(result) == "table" and result.outcome == "unreachable" and EXIT.unreachable or EXIT.script
    error({ exit = exit, message = tostring(result) }, 0)
  end
  if options.json then
    command.stdout:write(require("vlock.json").encode(result), "\n")
  else
    command.stdout:write(report.text(result, {
      color = core.is_terminal(1) and not options.no_color and not os.getenv("NO_COLOR"),
      first_error = first_error,
      give_up_reason = give_up_reason,
    }))
  end
  if result.verified == false then
    return EXIT.unverified
  elseif result.interrupted then
    return EXIT.interrupted
  elseif result.errors > 0 then
    return EXIT.script
  end
  return EXIT.fine
end

-- ---- results

local function show_result(options, results)
  local reply_text = require "vlock.reply_text"
  if options.json then
    command.stdout:write(require("vlock.json").encode(reply_text.for_json(results[1])), "\n")
  elseif results.n > 0 then
    command.stdout:write(reply_text.format(results[1], core.is_terminal(1)), "\n")
  end
  return EXIT.fine
end

-- Words that stand where a file would.
local verbs = {
  list = function()
    return require("vlock.catalog").list(require("vlock.search").context("."))
  end,
  show = function(rest)
    if not rest[2] then
      usage("show what? vlockrun list names what there is")
    end
    return refuse_with(EXIT.usage, require("vlock.catalog").show, require("vlock.search").context("."), rest[2])
  end,
  new = function(rest)
    return refuse_with(EXIT.usage, require("vlock.catalog").new, rest[2], rest[3])
  end,
}

local function run(words)
  local options, rest = read_words(words)
  if not options.eval and verbs[rest[1]] then
    command.stdout:write((verbs[rest[1]](rest):gsub("\n*$", "\n")))
    return EXIT.fine
  end
  local program = load_program(options, rest)
  if options.json then
    redirect_prints()
  end
  set_environment(program)
  local results = table.pack(compile(program, options)())
  if require("vlock.policy").is_policy(results[1]) then
    return run_policy(program, options, results[1])
  end
  return show_result(options, results)
end

local function with_traceback(reason)
  if type(reason) == "table" and reason.exit then
    return reason
  end
  local outcome = type(reason) == "table" and reason.outcome
  if outcome == "unreachable" then
    return { exit = EXIT.unreachable, message = tostring(reason) }
  end
  return {
    exit = EXIT.script,
    message = debug.traceback(tostring(reason), 2):gsub("\n\tvlock/command%.lua:.*", ""), -- from here on it is ours
  }
end

--- Runs what these words say; returns the exit code.
function command.main(words)
  command.stdout = io.stdout
  local ok, result = xpcall(run, with_traceback, words)
  if ok then
    return result
  end
  say("%s", result.message)
  return result.exit
end

return command
