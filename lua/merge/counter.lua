-- merge "counter": theirs + (mine - base): both changes count. Whole numbers are exact up to 2^53; an absent value counts as 0. Runs on
-- Lua 5.1 and 5.4.

-- The largest whole number up to which all of them are told apart in a double.
local EXACT = 9007199254740992

local function number_of(value, which)
  if value == nil or value == "" then
    return 0
  end
  local number = tonumber(value)
  if not number or number ~= number or number == math.huge or number == -math.huge then
    error("merge 'counter': " .. which .. " is no number: " .. tostring(value), 0)
  end
  return number
end

-- The shortest text that reads back as the same number; whole numbers in digits.
local function text_of(number)
  if number == math.floor(number) and number >= -EXACT and number <= EXACT then
    return string.format("%.0f", number)
  end
  for digits = 15, 16 do
    local text = string.format("%." .. digits .. "g", number)
    if tonumber(text) == number then
      return text
    end
  end
  return string.format("%.17g", number)
end

return {
  doc = "Add what mine added to base to theirs.",
  merge = function(_, c)
    local base, theirs = number_of(c.base.value, "base"), number_of(c.theirs.value, "theirs")
    local sum = theirs + (number_of(c.mine, "mine") - base)
    if type(c.mine) == "number" then
      return sum
    end
    if sum == math.floor(sum) and (sum > EXACT or sum < -EXACT) then
      error("merge 'counter': the sum is beyond 2^53 and cannot be exact", 0)
    end
    return text_of(sum)
  end,
}
