-- The Pareto front of several points: those that no other one beats, being as good in both of two
-- figures of which less is better, and better in one.

local pareto = {}

local function beats(a, b)
  return a.x <= b.x and a.y <= b.y and (a.x < b.x or a.y < b.y)
end

--- The points (each has x and y) that none beats, by x and then y.
function pareto.of(points)
  local best = {}
  for _, point in ipairs(points) do
    local is_beaten = false
    for _, other in ipairs(points) do
      is_beaten = is_beaten or beats(other, point)
    end
    if not is_beaten then
      best[#best + 1] = point
    end
  end
  table.sort(best, function(a, b)
    return a.x < b.x or a.x == b.x and a.y < b.y
  end)
  return best
end

return pareto
