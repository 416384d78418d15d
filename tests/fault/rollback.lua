-- What clients are told after their server has come back from an older state. Each case has a key
-- of its own: three commits that are kept, two that are lost, and then what others have made of the
-- older state before the client comes again. tests/fault/rollback.bats has the server go back.

local cas = redis.script("cas")

-- Has rollback.bats do something to the server, and waits until it is done.
local function ask(word)
  io.open("ask.new", "w"):write(word):close()
  os.rename("ask.new", "ask")
  while not os.remove("done") do
    vlock.sleep(0.005)
  end
end

local function append(letter)
  return function(value)
    return (value or "") .. letter
  end
end

-- Commits of others, n of them.
local function others(key, n)
  for _ = 1, n do
    local value, version = vlock.get(key)
    assert(cas({ key, ("{%s}:v"):format(key) }, { (value or "") .. "o",
      ("%d"):format(version + 1) }).ok)
  end
end

-- An update that meets a conflict first: from then on the client reads before it writes.
local function disturbed(key, letter)
  local is_first = true
  return vlock.update(key, function(value)
    if is_first then
      is_first = false
      others(key, 1)
    end
    return append(letter)(value)
  end, { backoff = "none" })
end

local function words(value, outcome)
  return value or outcome.outcome
end

-- name, how the two commits that are lost are made, and how many commits of others stand on the
-- older state when the client comes again.
local CASES = {
  { "alone", vlock.update, 0 },
  { "behind others", vlock.update, 1 },
  { "level with others", vlock.update, 2 },
  { "overtaken by others", vlock.update, 7 },
  { "disturbed, alone", disturbed, 0 },
  { "disturbed, overtaken", disturbed, 9 },
}

for _, case in ipairs(CASES) do
  for _ = 1, 3 do
    vlock.update(case[1], append("k"))
  end
end
others("read", 3)
for _ = 1, 3 do
  vlock.update("in flight", append("k"))
end
ask("keep")
for _, case in ipairs(CASES) do
  for _ = 1, 2 do
    local f = append("l")
    assert(case[2](case[1], case[2] == disturbed and "l" or f))
  end
end
others("read", 2)
local _, _, stamp = vlock.get("read")
assert(vlock.update("in flight", append("l")))

ask("stop")
local task = vlock.spawn(vlock.update, "in flight", append("f"))
vlock.sleep(0.05)
ask("go back")
local shown = { "in flight: " .. words(task:join()) }
shown[1] = shown[1] .. ", then " .. words(vlock.update("in flight", append("m")))

for _, case in ipairs(CASES) do
  others(case[1], case[3])
  shown[#shown + 1] = ("%s: %s, then %s"):format(case[1], words(vlock.update(case[1], append("m"))),
    words(vlock.update(case[1], append("m"))))
end
shown[#shown + 1] = "read: " .. words(vlock.compare_and_set("read", "mine", stamp))
return shown
