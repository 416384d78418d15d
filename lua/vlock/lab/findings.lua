-- What a verification found: of all keys together, and in words.

local figures = require "vlock.lab.figures"
local json = require "vlock.json"

local findings = {}

-- What may be wrong, and how one and several of it are called.
local FAULTS = {
  { "lost_updates", "lost update", "lost updates" },
  { "duplicated", "update applied twice", "updates applied twice" },
  { "unreported", "write that nobody reported", "writes that nobody reported" },
  { "altered", "state found with another value than it was made with", "states found with another value than they were made with" },
  { "missing", "commit that the chain does not hold", "commits that the chain does not hold" },
}

--- The names of the counts that a finding has.
findings.NAMES = { "lost_updates", "duplicated", "unreported", "altered", "missing", "unknown_applied" }

--- Of several keys: whole where all are; counts summed up. `not_verified`: nil, or why nothing can be said; then `verified` and the counts
-- are null, and true and false do not stand for "unknown".
function findings.sum(list, not_verified)
  local sum = { verified = true, not_verified = not_verified }
  for _, name in ipairs(findings.NAMES) do
    sum[name] = not_verified and json.null or 0
  end
  if not_verified then
    sum.verified = json.null
    return sum
  end
  for _, found in ipairs(list) do
    sum.verified = sum.verified and found.whole
    for _, name in ipairs(findings.NAMES) do
      sum[name] = sum[name] + found[name]
    end
  end
  return sum
end

--- Of several verdicts: true where all are; false where one is; else null, which the JSON has for "cannot be said". verified(one): its own.
function findings.of_all(list, verified)
  local all = true
  for _, one in ipairs(list) do
    if verified(one) == false then
      return false
    elseif verified(one) ~= true then
      all = json.null
    end
  end
  return all
end

--- What is broken, in words: "1 lost update, 2 updates applied twice".
function findings.words(found)
  local words = {}
  for _, fault in ipairs(FAULTS) do
    local count = found[fault[1]]
    if count > 0 then
      words[#words + 1] = ("%s %s"):format(figures.grouped(count), count == 1 and fault[2] or fault[3])
    end
  end
  return table.concat(words, ", ")
end

-- What becomes of "none lost" where the merge throws changes away.
local function words_of_losses(found)
  if (found.dropped or 0) == 0 then
    return "none lost, none twice"
  end
  return ("none twice, but the merge kept %s of the updates and dropped %s"):format(figures.grouped(found.commits - found.dropped),
    figures.grouped(found.dropped))
end

--- The verdict, a line of a report. found: with `commits`; paint(code, text) colours a text.
function findings.verdict(found, paint)
  local unknown = found.unknown_applied
  if found.verified == true and found.commits == 0 and unknown == 0 then
    return paint("32", "whole") .. ": nothing was committed"
  elseif found.verified == true and found.scenario and found.scenario.combine then
    return ("%s: the commits that hold the %s updates each stand on the one before"):format(paint("32", "whole"),
      figures.grouped(found.commits))
  elseif found.verified == true then
    local applied = unknown > 0 and ("; %s of unknown outcome were applied"):format(figures.grouped(unknown)) or ""
    return paint("32", "whole") .. (": each of the %s commits stands on the one before it; %s%s"):format(figures.grouped(found.commits),
      words_of_losses(found), applied)
  elseif found.verified == false then
    return paint("31;1", "BROKEN") .. ": " .. findings.words(found)
  end
  return paint("33", "not verified") .. ": " .. found.not_verified
end

return findings
