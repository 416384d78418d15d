-- The result of one run as people read it.

local core = require "vlock.core"
local figures = require "vlock.lab.measure.figures"
local nodes = require "vlock.lab.measure.nodes"
local verdict = require "vlock.lab.check.verdict"
local color = require "vlock.text.color"

local grouped = figures.grouped

local report = {}

local duration = figures.ms

--- The report, several lines. shown: color (whether to), first_error and give_up_reason (texts or
-- nil).
function report.text(result, shown)
  local paint = color(shown.color)
  local lines = {}
  local function line(name, ...)
    lines[#lines + 1] = ("%-12s %s"):format(name, string.format(...))
  end
  local texts = result.policy.texts
  line("policy", "%s + %s + %s", texts.retry, texts.backoff, texts.merge)
  line("scenario", "%s", figures.scenario(result.scenario))
  line("server", "%s, store %s, seed %d", figures.server(result), result.store, result.seed)
  if result.nodes then
    line("nodes", "%s of the commands", nodes.text(result.nodes))
  end
  line("commits", "%s in %s = %s commits/s%s%s", grouped(result.commits),
    core.format_duration(result.seconds),
    paint(grouped(result.commits_per_second), "bold"), result.interrupted and " (interrupted)"
      or "",
    result.unfinished > 0 and (", %s unfinished at the end"):format(grouped(result.unfinished))
      or "")
  if result.left_alone > 0 then
    line("left alone", "%s updates left the cell as it is", grouped(result.left_alone))
  end
  if result.attempts_per_commit then
    line("attempts", "%.2f per commit, %s conflicts; %.2f commands per commit",
      result.attempts_per_commit,
      grouped(result.conflicts), result.commands / result.commits)
  end
  local l = result.latency_ms
  if l then
    line("latency", "p50 %s  p90 %s  p99 %s  p99.9 %s  max %s", duration(l.p50), duration(l.p90),
      duration(l.p99),
      duration(l.p999), duration(l.max))
  end
  local o = result.open_loop
  if o then
    line("open loop",
      "%s/s of the %s/s asked for began; %s behind at the end; woken up to %s late " ..
      "(p99)%s", grouped(o.begun),
      grouped(o.wanted), grouped(o.behind), duration(o.late_ms), o.kept_up and ""
        or paint("  IT DID NOT KEEP UP", "red"))
  end
  local f = result.fairness
  line("fairness", "Jain %.3f; slowest worker %s, fastest %s commits/s%s", f.jain,
    grouped(math.floor(f.min + 0.5)),
    grouped(math.floor(f.max + 0.5)), result.starved and paint("  (some workers starve)", "yellow")
      or "")
  if result.gave_up + result.unknown + result.history_lost + result.errors > 0 then
    line("failures", "%s gave up%s, %s unknown, %s history lost, %s errors%s",
      grouped(result.gave_up),
      shown.give_up_reason and " (" .. shown.give_up_reason .. ")"
        or "", grouped(result.unknown), grouped(result.history_lost), grouped(result.errors),
      shown.first_error and " (" .. shown.first_error .. ")" or "")
  end
  local sim = result.sim
  if type(sim) == "table" and sim.events then
    line("simulated", "%s events in %s of processor time = %s events/s", grouped(sim.events),
      core.format_duration(sim.cpu_seconds), grouped(sim.events / math.max(sim.cpu_seconds, 1e-6)))
  end
  line("chain", "%s", verdict.text(result, paint))
  return table.concat(lines, "\n") .. "\n"
end

--- What holds for all runs of a table: scenario, server and seed, in two lines.
function report.heading(entries)
  local first = entries[1].result
  return ("%-12s %s\n%-12s %s, seed %d\n"):format("scenario",
    figures.scenario(figures.common_scenario(entries)), "server",
    figures.server(first), first.seed)
end

--- How many of the runs of a table were found whole, a line.
function report.chains(entries)
  local runs, whole, commits = 0, 0, 0
  for _, entry in ipairs(entries) do
    for _, result in ipairs(entry.results) do
      runs, commits = runs + 1, commits + result.commits
      whole = whole + (result.verified == true and 1 or 0)
    end
  end
  if whole < runs then
    return ("chains: %d of %d runs whole\n"):format(whole, runs)
  end
  return ("chains: all %d runs whole, %s commits\n"):format(runs, grouped(commits))
end

--- The first error and the first reason to give up of each of these entries, a line each.
function report.failures(entries)
  local lines = {}
  for _, entry in ipairs(entries) do
    for _, reason in ipairs { entry.first_error or false, entry.give_up_reason or false } do
      if reason then
        lines[#lines + 1] = ("%s: %s\n"):format(entry.label, reason)
      end
    end
  end
  return table.concat(lines)
end

return report
