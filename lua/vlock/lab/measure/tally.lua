-- What the workers of a run have done, added up where that is enough.
--
-- attempts, conflicts   of all of them
-- rates                 a list: each one's commits a second, while it ran
-- parts                 a list, of those that began any: the part of their updates that they
--                       committed; nil where nobody counted what they began

local core = require "vlock.core"

local now = core.now

local tally = {}

--- Of workers that are tasks: a list, each as of vlock.lab.run.worker, with started and ended.
function tally.of(workers)
  local made = { attempts = 0, conflicts = 0, rates = {}, parts = {} }
  for i, worker in ipairs(workers) do
    local seconds = (worker.ended or now()) - worker.started
    made.attempts = made.attempts + worker.session.attempts
    made.conflicts = made.conflicts + worker.session.conflicts
    made.rates[i] = seconds > 0 and worker.commits / seconds or 0
    if worker.begun > 0 then
      made.parts[#made.parts + 1] = worker.commits / worker.begun
    end
  end
  return made
end

return tally
