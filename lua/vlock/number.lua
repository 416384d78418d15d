-- Numbers as Redis holds them: decimal texts. Read exactly, or refused; written so that they read back as the same number. Runs on Lua
-- 5.1 and 5.4, where whole numbers are exact up to 2^53.

local number = {}

number.EXACT = 9007199254740992 -- 2^53

--- The number that a value stands for; `who` begins the message of the error where it stands for none. nil and "" are `absent`.
function number.read(value, who, absent)
  if value == nil or value == "" then
    return absent
  end
  local read = tonumber(value)
  if not read or read ~= read or read == math.huge or read == -math.huge then
    error(who .. " is no number: " .. tostring(value), 0)
  end
  return read
end

--- The shortest text that reads back as the same number; whole numbers in digits.
function number.text(value)
  if value == math.floor(value) and value >= -number.EXACT and value <= number.EXACT then
    return string.format("%.0f", value)
  end
  for digits = 15, 16 do
    local text = string.format("%." .. digits .. "g", value)
    if tonumber(text) == value then
      return text
    end
  end
  return string.format("%.17g", value)
end

return number
