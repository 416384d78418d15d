-- The definitions for editors say what is there, and nothing else: each list beside the one that
-- the code goes by.

local part = require "vlock.policy.part"
local scenarios = require "vlock.lab.ask.scenario"

local function read(name)
  local file <close> = assert(io.open("lua/vlock/library/" .. name .. ".lua"))
  return file:read("a")
end

local function sorted(list)
  table.sort(list)
  return list
end

-- The fields of a class, as they are defined.
local function fields_of(text, class)
  local names, is_inside = {}, false
  for line in text:gmatch("[^\n]+") do
    is_inside = line:find("^%-%-%-@class " .. class:gsub("%p", "%%%0") .. "$") ~= nil
      or is_inside and line:find("^%-%-%-@field ") ~= nil
    names[#names + 1] = is_inside and line:match("^%-%-%-@field ([%w_]+)%??") or nil
  end
  return sorted(names)
end

-- The functions of a library, and the fields of its class.
local function members_of(text, library, class)
  local names = fields_of(text, class)
  for name in text:gmatch("\nfunction " .. library .. "%.([%w_]+)") do
    names[#names + 1] = name
  end
  return sorted(names)
end

local function keys_of(library, more)
  local names = table.move(more or {}, 1, #(more or {}), 1, {})
  for name in pairs(library) do
    names[#names + 1] = name
  end
  return sorted(names)
end

describe("the definitions for editors", function()
  it("have the members of redis and vlock", function()
    local text = read "redis"
    assert.are.same(keys_of(redis, { "REDIS_VERSION", "REDIS_VERSION_NUM" }),
      members_of(text, "redis", "redislib"))
    assert.is_string(redis.REDIS_VERSION)
    local vlock = require "vlock"
    assert.are.same(keys_of(vlock), members_of(read "vlock", "vlock", "vlocklib"))
    local connection <close> = redis.connect()
    for name in text:gmatch("\nfunction connection:([%w_]+)") do
      assert.is_function(connection[name], name)
    end
  end)

  it("have the fields of a policy, of a scenario and of the options", function()
    local text = read "policy"
    assert.are.same(sorted(table.move(part.FIELDS, 1, #part.FIELDS, 1, {})),
      fields_of(text, "vlock.policy"))
    local names = {}
    for i, name in ipairs(scenarios.names()) do
      names[i] = name:gsub("-", "_")
    end
    names[#names + 1] = "update"
    assert.are.same(sorted(names), fields_of(text, "vlock.scenario"))
    assert.are.same(require("vlock.cell.call_options").names,
      fields_of(read "vlock", "vlock.options"))
  end)

  it("have what a policy is told", function()
    local told = {}
    local seen = { base = true, theirs = true, mine = true } -- nil in some conflicts
    local policy = {
      retry = { "attempts", max = 3 },
      backoff = function(_, c)
        for name in pairs(c) do
          seen[name] = true
        end
        return 0
      end,
    }
    vlock.update("told", function()
      if not told.once then
        told.once = true
        vlock.compare_and_set("told", "theirs", (select(2, vlock.get("told"))))
      end
      return "mine"
    end, { policy = policy })
    assert.are.same(keys_of(seen), fields_of(read "policy", "vlock.conflict"))
    for _, name in ipairs(keys_of(seen)) do
      local file <close> = assert(io.open("src/manual/vlock-policy.5"))
      assert.matches("%.[BRTP]+ [^\n]*%f[%w_]" .. name .. "%f[^%w_]", file:read("a"))
    end
  end)
end)
