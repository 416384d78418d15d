-- The lab's part of vlockrun: which runs the command line asks for, and what is shown and written
-- of them.

local core = require "vlock.core"
local crowds = require "vlock.lab.run.crowd"
local comparison = require "vlock.lab.show.comparison"
local entrants = require "vlock.lab.ask.entrant"
local exit = require "vlock.command.exit"
local files = require "vlock.files"
local output_files = require "vlock.lab.show.output_files"
local footprint = require "vlock.lab.run.footprint"
local traces = require "vlock.lab.run.trace"
local history_writer = require "vlock.lab.check.history_writer"
local current = require "vlock.engine.current"
local printable = require "vlock.text.printable"
local progress = require "vlock.lab.run.progress"
local race = require "vlock.lab.run.race"
local report = require "vlock.lab.show.report"
local say = require "vlock.command.say"
local scenarios = require "vlock.lab.ask.scenario"
local simulated = require "vlock.lab.ask.simulated"
local sweep = require "vlock.lab.ask.sweep"
local threshold = require "vlock.lab.ask.threshold"
local error_text = require "vlock.text.error_text"
local color = require "vlock.text.color"
local outcomes = require "vlock.cell.outcome"

local command = {}

local COMPARED = { runs = 3, duration = 0.5 } -- where several entrants run and nothing else is said

-- The lab's server: that of --url, or a private one; never that of the environment, which may be
-- one in production.
local function server_of(options)
  if options.url then
    return options.url, redis.connect -- without a URL it is --url's, with its password
  end
  local url, reason = redis.private_server()
  if not url then
    exit.with(exit.UNREACHABLE, "%s", reason)
  end
  return url, function()
    return redis.connect(url)
  end
end

local function positive_option(options, name, default)
  local number = options[name] and core.count(options[name]) or default
  if number < 1 then
    exit.usage("--%s must be at least 1", name)
  end
  return number
end

-- What shows how the runs go.
local function watch_of(options, model)
  if options.interval then
    local seconds = core.duration(options.interval)
    if seconds < 0.01 then
      exit.usage("--interval must be at least 10ms")
    end
    return progress.lines(seconds)
  end
  return files.is_terminal(2) and not options.json and not model and progress.bar or nil
end

-- ---- which runs

-- Of several entrants one may bring a scenario in its file; it is that of all, so that they are
-- compared on the same.
local function own_scenario(list)
  local chosen
  for _, one in ipairs(list) do
    if one.scenario and chosen then
      exit.usage("both %s and %s bring a scenario of their own: the same one must hold for all",
        chosen.label, one.label)
    end
    chosen = one.scenario and one or chosen
  end
  return chosen
end

local function lanes_of(list, options, defaults)
  local brings = own_scenario(list)
  local scenario = scenarios.new(options, brings and brings.scenario, defaults)
  scenario.new_update = brings and brings.new_update
  local lanes = {}
  for i, one in ipairs(list) do
    lanes[i] = { entrant = one, scenario = scenario }
  end
  return sweep.expand(lanes, sweep.parse(options.sweep))
end

-- ---- what is shown

-- An entry as a terminal may be sent it: names, reasons and what the server says of itself are
-- anybody's texts.
local function printable_entry(entry)
  return printable.all {
    label = entry.label,
    swept = entry.swept,
    result = entry.result,
    results = entry.results,
    first_error = entry.first_error,
    give_up_reason = entry.give_up_reason,
  }
end

local function check_thresholds(entries, thresholds)
  for _, entry in ipairs(entries) do
    if #thresholds > 0 then
      entry.result.require = threshold.check(thresholds, entry.result)
    end
  end
end

local function threshold_lines(entries, thresholds, paint)
  local lines = {}
  for _, entry in ipairs(entries) do
    for _, one in ipairs(threshold.texts(thresholds, entry.result.require or {})) do
      local mark = one.met and "met" or "NOT MET"
      lines[#lines + 1] = ("%-12s %s%s, %s"):format("require", #entries > 1 and entry.label .. ": "
        or "", one.text,
        paint(mark, one.met and "green" or "red"))
    end
  end
  return #lines > 0 and table.concat(lines, "\n") .. "\n" or ""
end

local function single_text(entry, options)
  local text = report.text(entry.result, {
    color = color.wanted(options),
    first_error = entry.first_error,
    give_up_reason = entry.give_up_reason,
  })
  if entry.result.runs then
    text = text .. "\n" .. comparison.text({ entry }, { color = color.wanted(options) })
  end
  return text
end

local function several_text(entries, options)
  return table.concat {
    report.heading(entries), "\n", comparison.text(entries,
      { color = color.wanted(options) }), report.chains(entries), report.failures(entries),
  }
end

local function several_json(entries)
  local runs = {}
  for i, entry in ipairs(entries) do
    local run = { label = entry.label }
    for name, value in pairs(entry.result) do
      run[name] = value
    end
    if entry.swept then
      run.swept = {}
      for _, point in ipairs(entry.swept) do
        run.swept[point.name] = point.value or point.text
      end
    end
    runs[i] = run
  end
  return { vlockrun = core.version, runs = runs }
end

-- ---- how it ends

local function any(entries, holds)
  for _, entry in ipairs(entries) do
    if holds(entry.result) then
      return true
    end
  end
  return false
end

local function exit_code(entries)
  if any(entries, function(result)
    if result.verified == false or result.open_loop and not result.open_loop.kept_up
      and not result.interrupted then
      return true
    end
    for _, finding in ipairs(result.require or {}) do
      if not finding.met then
        return true
      end
    end
    return false
  end) then
    return exit.UNMET
  elseif any(entries, function(result)
    return result.interrupted
  end) then
    return exit.INTERRUPTED
  elseif any(entries, function(result)
    return result.errors > 0
  end) then
    return exit.SCRIPT
  end
  return exit.FINE
end

-- Says before a large run how large it is. is_watched: as of crowds.suits.
local function announce(lanes, model, is_watched)
  local needs = {}
  for i, lane in ipairs(lanes) do
    needs[i] = footprint.of(lane.scenario, model
      and crowds.expected(lane.scenario, model, lane.entrant, is_watched) or "tasks")
  end
  local warning = footprint.warning(needs)
  if warning then
    say("%s", warning)
  end
end

-- ---- what went wrong

-- Errors by which a server says that it will not have us.
local REFUSALS = { "^NOAUTH", "^WRONGPASS", "^NOPERM", "^ERR max number of clients", "^MOVED ",
  "^ASK " }

local function code_of_failure(reason)
  if outcomes.is(reason, "unreachable") then
    return exit.UNREACHABLE
  end
  for _, refusal in ipairs(REFUSALS) do
    if error_text(reason):find(refusal) then
      return exit.UNREACHABLE
    end
  end
  return exit.SCRIPT
end

-- Says what ended runs early, below what was measured nevertheless; the exit code, or nil where
-- nothing failed.
local function failure_code(failed, is_table)
  local code
  for _, entry in ipairs(failed) do
    say("%s%s", is_table and entry.label .. " was ended: " or "", error_text(entry.failure))
    code = math.max(code or 0, code_of_failure(entry.failure))
  end
  return code
end

-- Writes the last of a history or a trace (nil: none); false, said, where it cannot be written:
-- what was measured is shown all the same.
local function is_kept(writer)
  local ok, reason = true, nil
  if writer then
    ok, reason = pcall(writer.close, writer)
  end
  if not ok then
    say("%s", error_text(reason))
  end
  return ok
end

-- ---- runs

local function show(entries, thresholds, is_table, options, out)
  check_thresholds(entries, thresholds)
  if options.json then
    out:write(printable.document(is_table and several_json(entries) or entries[1].result))
    return
  end
  local shown = {}
  for i, entry in ipairs(entries) do
    shown[i] = printable_entry(entry)
  end
  out:write(is_table and several_text(shown, options) or single_text(shown[1], options),
    threshold_lines(shown, thresholds, color(color.wanted(options))))
end

-- The options by which another vlockrun is let in as this one is, as words.
local function login_of(options)
  local words = { options.insecure and "--insecure" }
  for _, name in ipairs { "password-file", "cacert", "cert", "cert-key", "sni" } do
    local value = options[name:gsub("-", "_")]
    if value then
      words[#words + 1] = ("--%s=%s"):format(name, value)
    end
  end
  return words
end

-- Runs the lanes, shows and writes what they measured; the exit code.
local function run_lanes(lanes, is_table, options, out, model)
  current.look_once()
  local thresholds = {}
  for i, text in ipairs(options.require) do
    thresholds[i] = threshold.parse(text)
  end
  local asked = output_files.prepare(options, lanes)
  announce(lanes, model, options.history or options.trace or options.interval)
  local watch = watch_of(options, model)
  local runs = positive_option(options, "runs", is_table and COMPARED.runs or 1)
  local history = options.history and exit.refuse(exit.USAGE, history_writer.create,
    options.history)
  local trace = options.trace and exit.refuse(exit.USAGE, traces.create, options.trace)
  local url, connect
  if not model then
    url, connect = server_of(options)
  end
  local interrupt = {}
  local entries, failed = race.run(lanes, {
    url = url,
    login = login_of(options),
    guards = options.url ~= nil, -- a private server goes, and its keys with it
    connect = connect,
    model = model,
    seed = core.seed,
    runs = runs,
    interrupt = interrupt,
    history = history,
    trace = trace,
    interval = options.interval ~= nil,
    watch = watch,
  })
  local is_all_written = is_kept(history)
  is_all_written = is_kept(trace) and is_all_written
  if #entries > 0 then
    show(entries, thresholds, is_table, options, out)
    is_all_written = output_files.write(asked, entries) and is_all_written
  elseif #failed == 0 then
    exit.with(exit.INTERRUPTED, (interrupt.reason or "interrupted") ..
      " before anything was measured")
  end
  local code = failure_code(failed, is_table) or exit_code(entries)
  if code == exit.FINE and not is_all_written then
    return exit.SCRIPT
  end
  return code == exit.FINE and interrupt.reason and #entries < #lanes and exit.INTERRUPTED or code
end

local function run_alone(one, options, out)
  local model = simulated.model(options)
  simulated.adapt({ one }, model)
  exit.refuse(exit.SCRIPT, one.check, one)
  local list = entrants.with_parameters({ one }, options.param)
  local is_swept = #options.sweep > 0
  return run_lanes(lanes_of(list, options, is_swept and COMPARED or nil), is_swept, options, out,
    model)
end

--- Puts the policy of a script under contention. program: as vlock.command.command has it.
function command.run(program, options, out)
  for _, word in ipairs(program.words) do
    if word:find("^%-.") then
      exit.usage("%s stands behind the file, where words are the script's own: put options " ..
        "before it", word)
    end
  end
  return run_alone(entrants.from_program(program.text, program.name:sub(2), program.folder,
    options.store), options, out)
end

--- The same for a policy by its name, program.policy, as compare takes it.
function command.run_named(program, options, out)
  if program.words[1] then
    exit.usage("%s stands behind the policy, which takes no words: put options before it",
      program.words[1])
  end
  return run_alone(entrants.from_word(program.policy, options.store), options, out)
end

--- Runs several policies side by side: named, each POLICY or POLICY@STORE.
function command.compare(named, options, out)
  if #named == 0 then
    exit.usage("compare what? vlockrun compare full_jitter decorrelated mine.lua; vlockrun " ..
      "list names what there is")
  elseif options.eval then
    exit.usage("compare takes policies by name or file, not --eval")
  end
  local list, model = {}, simulated.model(options)
  for i, word in ipairs(named) do
    list[i] = entrants.from_word(word, options.store)
    simulated.adapt({ list[i] }, model)
    exit.refuse(exit.SCRIPT, list[i].check, list[i])
  end
  entrants.name_apart(list)
  local left_out
  list, left_out = entrants.with_parameters(list, options.param)
  for _, text in ipairs(left_out) do
    say("left as it is: %s", text)
  end
  return run_lanes(lanes_of(list, options, COMPARED), true, options, out, model)
end

return command
