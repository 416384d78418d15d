-- The lab's result as people read it, and the line that moves while it runs.

local core = require "vlock.core"

local report = {}

local function grouped(number)
  local text = ("%d"):format(number)
  local left, digits = text:match("^(-?)(%d+)$")
  return left .. digits:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
end

local function duration(ms)
  return core.format_duration(ms / 1000)
end

local function shown_params(policy)
  local pieces = {}
  for _, kind in ipairs { "retry", "backoff", "merge" } do
    local given = policy.params[kind]
    local names = {}
    for name in pairs(given or {}) do
      names[#names + 1] = name
    end
    table.sort(names)
    for i, name in ipairs(names) do
      names[i] = name .. "=" .. tostring(given[name])
    end
    pieces[#pieces + 1] = policy.parts[kind] .. (#names > 0 and " (" .. table.concat(names, ", ") .. ")" or "")
  end
  return table.concat(pieces, " + ")
end

local function shown_scenario(result)
  local s = result.scenario
  local amount = s.duration and core.format_duration(s.duration) or s.per_worker and grouped(s.per_worker) .. " updates each"
    or grouped(s.commits) .. " updates"
  return ("%d worker%s on %d key%s, %d connection%s, %s"):format(s.workers, s.workers == 1 and "" or "s", s.keys,
    s.keys == 1 and "" or "s (" .. s.dist .. ")", s.connections, s.connections == 1 and "" or "s", amount)
end

local function verdict(result, paint)
  if result.verified then
    return paint("32", "whole") .. (": each of the %s commits stands on the one before it; none lost, none twice"):format(
      grouped(result.commits))
  end
  return paint("31;1", "BROKEN") .. (": %s lost update(s), %s duplicated, %s missing"):format(grouped(result.lost_updates),
    grouped(result.duplicated), grouped(result.missing))
end

--- The report, several lines. shown: color (whether to), first_error and give_up_reason (texts or nil).
function report.text(result, shown)
  local function paint(code, text)
    return shown.color and ("\27[%sm%s\27[0m"):format(code, text) or text
  end
  local lines = {}
  local function line(name, ...)
    lines[#lines + 1] = ("%-12s %s"):format(name, string.format(...))
  end
  line("policy", "%s", shown_params(result.policy))
  line("scenario", "%s", shown_scenario(result))
  line("server", "%s, store %s, seed %d", result.server.version, result.store, result.seed)
  line("commits", "%s in %s = %s commits/s%s", grouped(result.commits), core.format_duration(result.seconds),
    paint("1", grouped(math.floor(result.commits_per_second + 0.5))), result.interrupted and " (interrupted)" or "")
  if result.attempts_per_commit then
    line("attempts", "%.2f per commit, %s conflicts; %.2f commands per commit", result.attempts_per_commit,
      grouped(result.conflicts), result.commands / result.commits)
  end
  local l = result.latency_ms
  if l then
    line("latency", "p50 %s  p90 %s  p99 %s  p99.9 %s  max %s", duration(l.p50), duration(l.p90), duration(l.p99),
      duration(l.p999), duration(l.max))
  end
  local f = result.fairness
  line("fairness", "Jain %.3f; slowest worker %s, fastest %s commits/s%s", f.jain, grouped(math.floor(f.min + 0.5)),
    grouped(math.floor(f.max + 0.5)), f.jain < 0.5 and paint("33", "  (some workers starve)") or "")
  if result.gave_up > 0 or result.unknown > 0 or result.errors > 0 then
    line("failures", "%s gave up%s, %s unknown, %s errors%s", grouped(result.gave_up),
      shown.give_up_reason and " (" .. shown.give_up_reason .. ")" or "", grouped(result.unknown), grouped(result.errors),
      shown.first_error and " (" .. shown.first_error .. ")" or "")
  end
  line("chain", "%s", verdict(result, paint))
  return table.concat(lines, "\n") .. "\n"
end

local BAR = 30

local function progress_line(run)
  local scenario = run.scenario
  local seconds = core.now() - run.started
  local wanted = scenario.per_worker and scenario.per_worker * scenario.workers or scenario.commits
  local part = scenario.duration and seconds / scenario.duration or run.commits / wanted
  local full = math.floor(math.min(part, 1) * BAR)
  local rate = seconds > 0 and run.commits / seconds or 0
  local conflicts = run.ledger.calls > 0 and math.max(run.ledger.calls - run.commits, 0) / run.ledger.calls * 100 or 0
  return ("\r[%s%s] %3d%%  %s commits/s  %.0f%% conflicts\27[K"):format(("#"):rep(full), ("-"):rep(BAR - full),
    math.floor(math.min(part, 1) * 100), grouped(math.floor(rate)), conflicts)
end

--- Shows a line that moves on standard error until the returned function is called.
function report.progress(run)
  local is_over = false
  core.spawn(function()
    while not is_over do
      core.sleep(0.1)
      if run.started and not is_over then
        io.stderr:write(progress_line(run))
      end
    end
  end)
  return function()
    is_over = true
    io.stderr:write("\r\27[K")
  end
end

return report
