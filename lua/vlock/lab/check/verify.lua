-- vlockrun verify: whether the runs of recorded histories are whole, without any server. The
-- records are those of a run that is going.

local key_records = require "vlock.lab.check.key_record"
local core = require "vlock.core"
local exit = require "vlock.command.exit"
local figures = require "vlock.lab.measure.figures"
local verdict = require "vlock.lab.check.verdict"
local json = require "vlock.text.json"
local printable = require "vlock.text.printable"
local history_reader = require "vlock.lab.check.history_reader"
local color = require "vlock.text.color"

local verify = {}

local LOST = require("vlock.lab.check.history_writer").LOST
local MOST_CULPRITS = 8 -- of a run that are named

-- ---- reading

local function new_run(header, line)
  return {
    header = header,
    line = line,
    records = {}, -- by key
    keys = {}, -- in their order
    first = {},
    last = {},
    last_lines = {}, -- by key
    lines = {}, -- by key: the line of each commit and each write of unknown outcome
    read_lines = {}, -- by key: the line of each read, and of each conflict that says what it met
    reads = 0,
    outcomes = { committed = 0, conflict = 0, unknown = 0, error = 0 },
  }
end

local function state_of(entry)
  return { value = entry.value, stamp = entry.stamp }
end

local function take_attempt(run, entry, line)
  local key, outcome = entry.attempt, entry.outcome
  run.outcomes[outcome] = run.outcomes[outcome] + 1
  local record = run.records[key]
  if not record or outcome == "error" then
    return
  elseif outcome == "conflict" then
    if entry.found then
      record:read(entry.found_value, entry.found, entry.start, entry["end"])
      table.insert(run.read_lines[key], line)
    end
    return
  end
  if outcome == "unknown" and entry.value == LOST and record.floating then
    record:unknown_merge(entry.token, entry.start, line)
    return
  end
  local base = { value = entry.base_value, stamp = entry.base,
    version = math.tointeger(entry.base_version) }
  local made = { value = entry.value, stamp = entry.made, version = math.tointeger(entry.version) }
  base.is_lost, made.is_lost = base.value == LOST or nil, made.value == LOST or nil
  if outcome == "committed" then
    record:commit(base, made, entry.start, entry["end"])
  else
    record:unknown(base, made, entry.start)
  end
  table.insert(run.lines[key], line)
end

local function take_read(run, entry, line)
  local record = run.records[entry.read]
  run.reads = run.reads + 1
  if record then
    record:read(entry.value, entry.stamp, entry.start, entry["end"])
    table.insert(run.read_lines[entry.read], line)
  end
end

-- Reads all runs of a file; they are added to the list.
local function read_runs(file, name, runs)
  local run
  history_reader.read(file, name, {
    begin = function(header, line)
      run = new_run(header, line)
      run.name = name
      runs[#runs + 1] = run
    end,
    first = function(entry)
      local key = entry.first
      run.keys[#run.keys + 1] = key
      run.first[key] = state_of(entry)
      run.lines[key], run.read_lines[key] = {}, {}
      run.records[key] = run.header.identity and key_records.new(run.header.identity,
        run.header.counter, run.header.merges)
    end,
    attempt = function(entry, line)
      take_attempt(run, entry, line)
    end,
    read = function(entry, line)
      take_read(run, entry, line)
    end,
    last = function(entry, line)
      run.last[entry.last] = state_of(entry)
      run.last_lines[entry.last] = line
    end,
    finish = function(entry)
      run.ended = entry
    end,
  })
end

-- ---- judging

local function add_culprits(run, key, found)
  local lines, read_lines = run.lines[key], run.read_lines[key]
  for _, culprit in ipairs(found.culprits) do
    if #run.culprits < MOST_CULPRITS then
      run.culprits[#run.culprits + 1] = {
        fault = culprit.fault,
        key = key,
        identity = run.header.identity,
        line = lines[culprit.commit] or read_lines[culprit.read] or run.last_lines[key],
        other_line = lines[culprit.other] or read_lines[culprit.other_read],
        from = culprit.from,
        to = culprit.to,
      }
    end
  end
end

local function judge(run)
  local list = {}
  run.culprits = {}
  for _, key in ipairs(run.keys) do
    local record, last = run.records[key], run.last[key]
    if record and last then -- without a last state nobody touched it
      local lines, found = run.lines[key], record:check(run.first[key], last)
      table.move(record.placed or {}, 1, #(record.placed or {}), #lines + 1, lines)
      add_culprits(run, key, found)
      list[#list + 1] = found
    end
  end
  run.found = verdict.sum(list, not run.header.identity and run.header.not_verified or nil)
  run.found.commits = run.outcomes.committed
end

-- What the lines of culprits say, by their number: the file is read once more.
local function lines_of(file, runs)
  local wanted = {}
  for _, run in ipairs(runs) do
    for _, culprit in ipairs(run.culprits) do
      wanted[culprit.line or 0], wanted[culprit.other_line or 0] = true, true
    end
  end
  wanted[0] = nil
  local entries, number = {}, 0
  if next(wanted) and file:seek("set") then
    for text in file:lines() do
      number = number + 1
      entries[number] = wanted[number] and history_reader.fields(text) or nil
    end
  end
  return entries
end

-- What cannot be read twice, a pipe, is copied first.
local function open(name)
  local file, reason
  if name == "-" then
    file = io.stdin
  else
    file, reason = io.open(name, "rb")
    if not file then
      exit.usage("cannot read the history: %s", reason)
    end
  end
  if file:seek("set") then
    return file
  end
  local copy = assert(io.tmpfile())
  for block in file:lines(65536) do
    assert(copy:write(block))
  end
  copy:seek("set")
  return copy
end

-- The runs of a file, judged.
local function runs_of(name)
  local runs = {}
  local shown = name == "-" and "stdin" or name
  local file = exit.refuse(exit.USAGE, open, name)
  exit.refuse(exit.USAGE, read_runs, file, shown, runs)
  for _, run in ipairs(runs) do
    judge(run)
  end
  local entries = lines_of(file, runs)
  for _, run in ipairs(runs) do
    for _, culprit in ipairs(run.culprits) do
      culprit.entry, culprit.other = entries[culprit.line], entries[culprit.other_line]
    end
  end
  file:close()
  return runs
end

-- ---- showing

-- What it is: the commit of a worker, or a read, which has no token; or a conflict that says what
-- it met.
local function kind_of(entry)
  return entry.outcome == "conflict" and "conflict" or entry.token and "commit" or "read"
end

local function who(entry, line)
  return entry and ("line %d, worker %d (%s)"):format(line, math.tointeger(entry.worker),
    entry.token and "token " .. entry.token or "a read") or nil
end

-- How a state is called: by what tells it apart.
local function shown_state(one, stamp, value)
  if one.identity == "stamp" then
    return stamp
  end
  return value == nil and "an absent value" or "the value " .. value
end

-- Stamp and value of the state that it met.
local function found_by(entry)
  if entry.found then
    return entry.found, entry.found_value
  elseif entry.token then
    return entry.base, entry.base_value
  end
  return entry.stamp, entry.value
end

local SENTENCES = {
  lost = function(one)
    return ("was made on %s, and so was that of %s, which goes on"):format(shown_state(one,
      one.entry.base, one.entry.base_value),
      who(one.other, one.other_line))
  end,
  duplicated = function(one)
    if one.to then
      return ("moved the version from %d to %d"):format(one.from, one.to)
    end
    return ("made %s, which %s had made already"):format(shown_state(one, one.entry.made,
      one.entry.value), who(one.other, one.other_line))
  end,
  unreported = function(one)
    if not one.entry.worker then
      return "the last state is one that nobody reported having made"
    end
    return ("%s %s, which nobody reported having made"):format(
      kind_of(one.entry) == "commit" and "was made on" or "found", shown_state(one,
      found_by(one.entry)))
  end,
  altered = function(one)
    local maker = who(one.other, one.other_line) or "the first state"
    local _, value = found_by(one.entry)
    return one.entry.worker
      and ("found the value %s, and not that of %s"):format(value or "absent", maker)
      or ("the last state does not have the value of %s"):format(maker)
  end,
  missing = function()
    return "is not in the chain"
  end,
  out_of_order = function(one)
    return ("began at %.6f s, when %s had ended at %.6f s, which stands behind it in the " ..
      "chain"):format(one.entry.start, who(one.other, one.other_line), one.other["end"])
  end,
  stale = function(one)
    return ("found %s, and began at %.6f s, when %s, which %s, had ended at %.6f s"):format(
      shown_state(one, found_by(one.entry)), one.entry.start, who(one.other, one.other_line),
      kind_of(one.other) == "commit" and "made a later one" or "had found a later one",
      one.other["end"])
  end,
}

local function culprit_text(run, one)
  local subject = one.entry.worker
    and ("the %s of worker %d%s "):format(kind_of(one.entry), math.tointeger(one.entry.worker),
    one.entry.token and (" (token %s)"):format(one.entry.token) or "") or ""
  return ("  %s:%d: %s: key %s: %s%s"):format(run.name, one.line, one.fault, one.key, subject,
    SENTENCES[one.fault](one))
end

-- A run as a terminal may be sent it: a history may hold anything.
local function printable_run(run)
  return printable.all {
    header = run.header,
    outcomes = run.outcomes,
    reads = run.reads,
    name = run.name,
    line = run.line,
    ended = run.ended,
    found = run.found,
    culprits = run.culprits,
  }
end

local function text_of(run, paint)
  local header, outcomes, lines = run.header, run.outcomes, {}
  local function line(name, ...)
    lines[#lines + 1] = ("%-12s %s"):format(name, string.format(...))
  end
  line("history", "%s:%d, run %d: %s, store %s, seed %s%s", run.name, run.line,
    math.tointeger(header.run), header.label, header.store,
    ("%.0f"):format(header.seed), run.ended.interrupted and " (interrupted)" or "")
  line("scenario", "%s", figures.scenario(header.scenario))
  line("attempts", "%s: %s committed, %s conflicts, %s unknown, %s errors; %s reads",
    figures.grouped(run.ended.attempts), figures.grouped(outcomes.committed),
    figures.grouped(outcomes.conflict), figures.grouped(outcomes.unknown),
    figures.grouped(outcomes.error), figures.grouped(run.reads))
  line("chain", "%s", verdict.text(run.found, paint))
  for _, one in ipairs(run.culprits) do
    lines[#lines + 1] = culprit_text(run, one)
  end
  return table.concat(lines, "\n") .. "\n"
end

local function person(entry, line)
  return entry and { line = line, worker = math.tointeger(entry.worker), token = entry.token }
    or nil
end

local function document_of(run)
  local culprits = json.array {}
  for i, one in ipairs(run.culprits) do
    local is_read = one.entry.worker and kind_of(one.entry) ~= "commit"
    culprits[i] = { fault = one.fault, key = one.key,
      [is_read and "read" or "commit"] = person(one.entry, one.line),
      other = person(one.other, one.other_line) }
  end
  local document = {
    file = run.name,
    line = run.line,
    label = run.header.label,
    attempts = math.tointeger(run.ended.attempts),
    reads = run.reads,
    interrupted = run.ended.interrupted,
    outcomes = run.outcomes,
    culprits = culprits,
  }
  for name, value in pairs(run.found) do
    document[name] = value
  end
  return document
end

--- Checks these files ("-": standard input), shows what it found, and returns the exit code: 0
-- whole, or nothing to tell by; 4 broken. Raises with 2 what is no history.
function verify.run(names, options, out)
  if #names == 0 then
    exit.usage("verify what? vlockrun verify FILE: a history that --history FILE wrote; - is " ..
      "standard input")
  elseif options.eval then
    exit.usage("verify takes files, not --eval")
  end
  local runs = {}
  for _, name in ipairs(names) do
    local more = runs_of(name)
    table.move(more, 1, #more, #runs + 1, runs)
  end
  local verdicts = {}
  for i, run in ipairs(runs) do
    verdicts[i] = run.found.verified
  end
  local verified = verdict.of_all(verdicts)
  if options.json then
    local documents = {}
    for i, run in ipairs(runs) do
      documents[i] = document_of(run)
    end
    out:write(printable.document { vlockrun = core.version, verified = verified, runs = documents })
  else
    local paint = color(color.wanted(options))
    for i, run in ipairs(runs) do
      out:write(i > 1 and "\n" or "", text_of(printable_run(run), paint))
    end
  end
  return verified == false and exit.UNMET or exit.FINE
end

return verify
