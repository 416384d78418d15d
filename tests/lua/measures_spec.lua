-- The table of measures knows every figure of a result, and no other.

local json = require "vlock.text.json"
local measures = require "vlock.lab.measure.measures"

local function schema()
  local file <close> = assert(io.open("tests/schema/lab.schema.json"))
  return json.decode(file:read("a"))
end

local function is_figure(rule, definitions)
  rule = rule["$ref"] and definitions[rule["$ref"]:match("[^/]+$")] or rule
  local types = type(rule.type) == "table" and rule.type or { rule.type }
  for _, one in ipairs(types) do
    if one == "number" or one == "integer" or one == "boolean" then
      return true
    end
  end
  return false
end

--- Adds to paths what a result of this schema has of numbers and booleans.
local function collect(properties, definitions, prefix, paths)
  for name, rule in pairs(properties) do
    if is_figure(rule, definitions) then
      paths[prefix .. name] = true
    elseif rule.properties then
      collect(rule.properties, definitions, prefix .. name .. ".", paths)
    end
  end
  return paths
end

describe("the table of measures", function()
  it("has a row for every figure of the JSON, and only for those", function()
    local document = schema()
    local known = {}
    for _, row in ipairs(measures.all) do
      known[row.path] = true
    end
    assert.are.same(collect(document.definitions.result.properties, document.definitions, "", {}),
      known)
  end)

  local function is_once(rows, names_of)
    local seen = {}
    for _, row in ipairs(rows) do
      for _, name in ipairs(names_of(row)) do
        assert.is_nil(seen[name] and name)
        seen[name] = true
      end
    end
  end

  it("calls no two figures the same", function()
    for _, field in ipairs { "path", "stat", "tile", "title" } do
      is_once(measures.having(field), function(row) return { row[field] } end)
    end
    is_once(measures.having("of_run"), function(row) return { row.head } end)
    is_once(measures.having("short"), function(row) return row.short end)
  end)

  it("reads what stands at a path, and nothing where there is nothing", function()
    assert.are.equal(3, measures.read({ latency_ms = { p99 = 3 } }, "latency_ms.p99"))
    assert.is_nil(measures.read({ seconds = 1 }, "seconds.p99"))
    assert.is_nil(measures.read({}, "latency_ms.p99"))
    assert.is_false(measures.read({ verified = false }, "verified"))
  end)
end)
