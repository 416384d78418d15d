-- The servers of a cluster that a run's commands went to.

local nodes = {}

--- Connects to those that hold these cells, up to MOST of them: the time it takes to connect is not
-- the policy's.
local MOST = 64

function nodes.connect(connection, cells, call)
  for i = 1, math.min(MOST, #cells) do
    call(connection.call, connection, "EXISTS", cells[i].key)
  end
end

--- How many commands these connections have sent to each, { url, commands }, in the order of their
-- URLs; nil where there is one server.
function nodes.commands(connections)
  local sums, list = {}, {}
  for _, connection in ipairs(connections) do
    for _, one in ipairs(connection:nodes()) do
      sums[one.url] = (sums[one.url] or 0) + one.commands
    end
  end
  for url, commands in pairs(sums) do
    list[#list + 1] = { url = url, commands = commands }
  end
  table.sort(list, function(a, b) return a.url < b.url end)
  return #list > 0 and list or nil
end

--- What became of them between two such lists.
function nodes.between(before, after)
  local earlier, list = {}, {}
  for _, node in ipairs(before or {}) do
    earlier[node.url] = node.commands
  end
  for _, node in ipairs(after or {}) do
    list[#list + 1] = { url = node.url, commands = node.commands - (earlier[node.url] or 0) }
  end
  return #list > 0 and list or nil
end

--- In a line: the share of each.
function nodes.text(list)
  local sum, texts = 0, {}
  for _, node in ipairs(list) do
    sum = sum + node.commands
  end
  for i, node in ipairs(list) do
    texts[i] = ("%s %.0f%%"):format(node.url:gsub("^%a+://", ""):gsub("^[^@]*@", ""),
      sum > 0 and 100 * node.commands / sum or 0)
  end
  return table.concat(texts, ", ")
end

return nodes
