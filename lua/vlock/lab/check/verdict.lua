-- What a verification found: of all keys together, and in words.

local figures = require "vlock.lab.measure.figures"
local json = require "vlock.text.json"
local measures = require "vlock.lab.measure.measures"

local verdict = {}

--- The names of the counts that a finding has.
verdict.NAMES = { "unknown_applied" }
for i, measure in ipairs(measures.having("fault")) do
  verdict.NAMES[i + 1] = measure.path
end

--- Of several keys: whole where all are; counts summed up. `not_verified`: nil, or why nothing can
-- be said; then `verified` and the counts are null, and true and false do not stand for "unknown".
function verdict.sum(list, not_verified)
  local sum = { verified = true, not_verified = not_verified }
  for _, name in ipairs(verdict.NAMES) do
    sum[name] = not_verified and json.null or 0
  end
  if not_verified then
    sum.verified = json.null
    return sum
  end
  for _, found in ipairs(list) do
    sum.verified = sum.verified and found.whole
    for _, name in ipairs(verdict.NAMES) do
      sum[name] = sum[name] + found[name]
    end
  end
  return sum
end

--- Of several verdicts: true where all are; false where one is; else null, which the JSON has for
-- "cannot be said".
function verdict.of_all(verdicts)
  local all = true
  for _, one in ipairs(verdicts) do
    if one == false then
      return false
    elseif one ~= true then
      all = json.null
    end
  end
  return all
end

--- What is broken, in words: "1 lost update, 2 updates applied twice".
function verdict.words(found)
  local words = {}
  for _, measure in ipairs(measures.having("fault")) do
    local count = found[measure.path]
    if count > 0 then
      words[#words + 1] = ("%s %s"):format(measure.show(count),
        measure.fault[count == 1 and 1 or 2])
    end
  end
  return table.concat(words, ", ")
end

-- What becomes of "none lost" where the merge throws changes away.
local function words_of_losses(found)
  if (found.dropped or 0) == 0 then
    return "none lost, none twice, in the order of time"
  end
  return ("none twice, in the order of time, but the merge kept %s of the updates and dropped " ..
    "%s"):format(figures.grouped(found.commits - found.dropped),
    figures.grouped(found.dropped))
end

--- The verdict, a line of a report. found: with `commits`; paint: of vlock.text.color.
function verdict.text(found, paint)
  local unknown = found.unknown_applied
  if found.verified == true and found.commits == 0 and unknown == 0 then
    return paint("whole", "green") .. ": nothing was committed"
  elseif found.verified == true and found.scenario and found.scenario.combine then
    return ("%s: the commits that hold the %s updates each stand on the one " ..
      "before"):format(paint("whole", "green"),
      figures.grouped(found.commits))
  elseif found.verified == true then
    local applied = unknown > 0
      and ("; %s of unknown outcome were applied"):format(figures.grouped(unknown)) or ""
    return paint("whole", "green")
      .. (": each of the %s commits stands on the one before it; " ..
      "%s%s"):format(figures.grouped(found.commits),
      words_of_losses(found), applied)
  elseif found.verified == false then
    return paint("BROKEN", "red") .. ": " .. verdict.words(found)
  end
  return paint("not verified", "yellow") .. ": " .. found.not_verified
end

return verdict
