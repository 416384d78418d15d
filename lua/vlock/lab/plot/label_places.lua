-- Where the names of points stand on a chart, so that none covers another or a point.

local label_places = {}

local LINE = 13 -- pixels that a name is high
local AROUND = 6 -- pixels that a point takes on each side of its middle
local NEAR = 12 -- pixels from a point to the middle of its name's line, at the best place
local FAR = 9 -- lines that a name may be away from its point

local function overlap(a, b)
  return a.left < b.right and b.left < a.right and a.top < b.bottom and b.top < a.bottom
end

local function is_free(box, taken)
  for _, other in ipairs(taken) do
    if overlap(box, other) then
      return false
    end
  end
  return true
end

-- A box for a name whose line is `away` pixels beside the point and `off` below it (above, where
-- negative).
local function box_at(point, away, off, is_left)
  local x = is_left and point.x - away - point.width or point.x + away
  return { left = x, right = x + point.width, top = point.y + off - LINE / 2,
    bottom = point.y + off + LINE / 2, is_left = is_left }
end

-- Places to try, the best first: close by, above rather than below, to the right rather than to the
-- left.
local function candidates(point)
  local list = {}
  for lines = 0, FAR do
    for step = 0, 9 do
      for side = 0, 1 do
        for below = 0, 1 do
          local off = NEAR - 2 + lines * LINE
          local box = box_at(point, AROUND + step * 25, below == 1 and off or -off, side == 1)
          box.cost = lines * LINE + step * 15 + side * 5 + below * 3
          list[#list + 1] = box
        end
      end
    end
  end
  table.sort(list, function(a, b)
    return a.cost < b.cost
  end)
  return list
end

local function is_inside(box, canvas)
  return box.left >= 0 and box.right <= canvas.width and box.top >= 0
    and box.bottom <= canvas.height
end

local function choose(point, taken, canvas)
  local list = candidates(point)
  for _, box in ipairs(list) do
    if is_inside(box, canvas) and is_free(box, taken) then
      return box
    end
  end
  return list[1]
end

--- Gives each point a place for its name. points: x, y (pixels from the top left) and width (of the
-- name, pixels); canvas: width, height. Returns a list in the same order: x, y (the end of the name
-- that is nearer to its point, at half its height), is_left (it stands to the left, ending there),
-- is_far (so far off that a line should lead to it).
function label_places.place(points, canvas)
  local taken, places, order = {}, {}, {}
  for i, point in ipairs(points) do
    order[i] = i
    taken[i] = { left = point.x - AROUND, right = point.x + AROUND, top = point.y - AROUND,
      bottom = point.y + AROUND }
  end
  table.sort(order, function(a, b)
    return points[a].y < points[b].y or points[a].y == points[b].y and a < b
  end)
  for _, i in ipairs(order) do
    local box = choose(points[i], taken, canvas)
    taken[#taken + 1] = box
    places[i] = {
      x = box.is_left and box.right or box.left,
      y = (box.top + box.bottom) / 2,
      is_left = box.is_left,
      is_far = box.cost > 8,
    }
  end
  return places
end

return label_places
