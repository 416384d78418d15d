-- Numbers as Redis holds them: decimal texts. Read and compared exactly, or refused; written so
-- that they read back as the same number. Runs on Lua 5.1 and 5.4 with the same results: 5.1 has
-- only floats, so whole numbers beyond 2^53 are never calculated with.

local number = {}

number.EXACT = 9007199254740992 -- 2^53
local LARGEST_FRACTION = 562949953421312 -- 2^49: beside it a float holds one decimal and more
local EXACT_DIGITS = "9007199254740992"

-- The sign and the digits of a whole number, without leading zeros; nil for anything else.
local function whole(value)
  if value == nil then
    return nil
  elseif type(value) == "number" then
    if value ~= math.floor(value) or value - value ~= 0 then -- the latter: not finite
      return nil
    end
    value = math.type and math.type(value) == "integer" and string.format("%d", value)
      or string.format("%.0f", value)
  end
  local sign, digits = string.match(value, "^([+-]?)0*(%d+)$")
  if not digits then
    return nil
  end
  return (sign == "-" and digits ~= "0") and -1 or 1, digits
end

local function compare_digits(a, b)
  if #a ~= #b then
    return #a < #b and -1 or 1
  end
  return a == b and 0 or (a < b and -1 or 1)
end

--- The number that a value stands for; `who` begins the message of the error where it stands for
-- none. nil and "" are `absent`.
function number.read(value, who, absent)
  if value == nil or value == "" then
    return absent
  end
  local is_decimal = type(value) == "number" or type(value) == "string" and not string.find(value,
    "[^%d%.eE+-]")
  local read = is_decimal and tonumber(value)
  if not read or read - read ~= 0 then -- no number, not finite
    error(who .. " is no number: " .. tostring(value), 0)
  end
  return read
end

-- A decimal text as sign, digits and exponent: 0.DIGITS times ten to the exponent; no digits: zero.
-- nil: it is no decimal number.
local function decimal(value)
  local text = type(value) == "number" and number.text(value) or value
  local sign, before, after, power = string.match(text, "^([+-]?)(%d*)%.?(%d*)[eE]?([+-]?%d*)$")
  if not sign or before .. after == "" or string.find(text, "[eE]") and not tonumber(power) then
    return nil
  end
  local digits, exponent = before .. after, #before + (tonumber(power) or 0)
  local zeros = #string.match(digits, "^0*")
  digits = string.gsub(string.sub(digits, zeros + 1), "0+$", "")
  return sign == "-" and digits ~= "" and -1 or 1, digits, exponent - zeros
end

local function compare_sizes(digits_a, exponent_a, digits_b, exponent_b)
  if digits_a == "" or digits_b == "" then
    return digits_a == digits_b and 0 or (digits_a == "" and -1 or 1)
  elseif exponent_a ~= exponent_b then
    return exponent_a < exponent_b and -1 or 1
  end
  return digits_a == digits_b and 0 or (digits_a < digits_b and -1 or 1)
end

--- -1, 0 or 1: a is less than, equal to, greater than b: numbers, or decimal texts of any length
-- and size. Exact.
function number.compare(a, b)
  local sign_a, digits_a, exponent_a = decimal(a)
  local sign_b, digits_b, exponent_b = decimal(b)
  if not sign_a or not sign_b then -- what is not finite
    a, b = tonumber(a) + 0.0, tonumber(b) + 0.0
    return a == b and 0 or (a < b and -1 or 1)
  elseif sign_a ~= sign_b then
    return digits_a .. digits_b == "" and 0 or sign_a
  end
  return sign_a * compare_sizes(digits_a, exponent_a, digits_b, exponent_b)
end

-- The number, and whether it is a whole one; refused where a float could not hold it.
local function read_exact(value, who)
  if type(value) == "string" and #value <= 15 and string.find(value, "^%d+$") then
    return tonumber(value), true -- most of them
  end
  local read = number.read(value, who, 0)
  local _, digits, exponent = decimal(read == 0 and "0" or value)
  local is_whole = #digits <= exponent or digits == ""
  local _, whole_digits = whole(value)
  if whole_digits and compare_digits(whole_digits, EXACT_DIGITS) > 0
    or math.abs(read) > (is_whole and number.EXACT or LARGEST_FRACTION) then
    error(who
      .. " is too large to be added to exactly: the limit is 2^53, and with a fraction 2^49: "
      .. tostring(value), 0)
  end
  return read, is_whole
end

--- theirs + (mine - base): both changes count. Whole numbers are exact up to 2^53, and what would
-- go beyond is refused. An absent value is 0. `who` begins the messages of errors.
function number.add_change(base, theirs, mine, who)
  local is_base_whole, are_theirs_whole, is_mine_whole
  base, is_base_whole = read_exact(base, who .. "base")
  theirs, are_theirs_whole = read_exact(theirs, who .. "theirs")
  mine, is_mine_whole = read_exact(mine, who .. "mine")
  local change = mine - base
  local sum = theirs + change
  -- A float rounds 2^53 + 1 to 2^53: then the change is not what the sum differs by.
  local is_whole = is_base_whole and are_theirs_whole and is_mine_whole
  local is_rounded = is_whole and sum - theirs ~= change
    or not is_whole and math.max(math.abs(sum), math.abs(theirs), math.abs(mine)) > LARGEST_FRACTION
  if is_rounded or math.abs(change) > number.EXACT or math.abs(sum) > number.EXACT then
    error(who .. "the sum is too large to be exact: the limit is 2^53, and with fractions 2^49", 0)
  end
  return sum
end

--- The shortest text that reads back as the same number; whole numbers in digits.
function number.text(value)
  if value == 0 then
    return "0" -- not -0, which only one of the two Luas has for whole numbers
  elseif math.type and math.type(value) == "integer" then
    return string.format("%d", value)
  elseif value == math.floor(value) and value >= -number.EXACT and value <= number.EXACT then
    return string.format("%.0f", value)
  end
  for digits = 15, 17 do
    -- The locale's decimal point.
    local text = string.gsub(string.format("%." .. digits .. "g", value), "[^%w+-]", ".")
    if digits == 17 or tonumber(text) == value then
      return text
    end
  end
end

return number
