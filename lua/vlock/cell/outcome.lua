-- What became of an update that did not commit: a table that prints as a sentence.
--
-- outcome   "conflict": surely not applied, and never will be; "gave_up": the policy ended it,
--           surely not applied; "unknown": it cannot be decided any more whether it was applied
-- reason    in words
-- attempts  how many commits were sent
-- theirs    {value, version} as last seen; nil where nothing was
-- token     of the attempt that is unknown

local Outcome = {}
Outcome.__index = Outcome

function Outcome:__tostring()
  local text = self.outcome
  if self.attempts then
    text = ("%s after %d attempt%s"):format(text, self.attempts, self.attempts == 1 and "" or "s")
  end
  if self.version then
    text = ("%s: version %d stands there"):format(text, self.version)
  end
  return self.reason and text .. ": " .. self.reason or text
end

return {
  --- Whether this value, returned or raised, is or carries an outcome of this kind.
  is = function(value, kind)
    return type(value) == "table" and rawget(value, "outcome") == kind
  end,

  new = function(kind, fields)
    fields.outcome = kind
    return setmetatable(fields, Outcome)
  end,
}
