-- The `bit` library of Redis' scripts (Lua BitOp's functions: https://bitop.luajit.org/api.html),
-- by Lua 5.4's operators: 32 bits, signed results.

local bit = {}

local function to_bits(value)
  local whole = math.tointeger(value)
  if not whole then
    local number = tonumber(value)
    if not number or number ~= number or number == math.huge or number == -math.huge then
      error("bit: a number is expected, not " .. tostring(value), 3)
    end
    whole = math.tointeger(math.floor(number % 2 ^ 32 + 0.5))
  end
  return whole & 0xffffffff
end

local function to_signed(bits)
  bits = bits & 0xffffffff
  return bits >= 0x80000000 and bits - 0x100000000 or bits
end

function bit.tobit(value)
  return to_signed(to_bits(value))
end

function bit.bnot(value)
  return to_signed(~to_bits(value))
end

local function folded(combine)
  return function(first, ...)
    local bits = to_bits(first)
    for i = 1, select("#", ...) do
      bits = combine(bits, to_bits((select(i, ...))))
    end
    return to_signed(bits)
  end
end

bit.band = folded(function(a, b)
  return a & b
end)
bit.bor = folded(function(a, b)
  return a | b
end)
bit.bxor = folded(function(a, b)
  return a ~ b
end)

function bit.lshift(value, count)
  return to_signed(to_bits(value) << (count & 31))
end

function bit.rshift(value, count)
  return to_signed(to_bits(value) >> (count & 31))
end

function bit.arshift(value, count)
  return to_signed(to_signed(to_bits(value)) >> (count & 31) |
    (to_signed(to_bits(value)) < 0 and ~(0xffffffff >> (count & 31)) or 0))
end

function bit.rol(value, count)
  local bits, by = to_bits(value), count & 31
  return to_signed(bits << by | bits >> (32 - by))
end

function bit.ror(value, count)
  return bit.rol(value, -count)
end

function bit.bswap(value)
  return to_signed((string.unpack(">I4", string.pack("<I4", to_bits(value)))))
end

function bit.tohex(value, digits)
  digits = digits or 8
  local text = ("%08x"):format(to_bits(value))
  if digits < 0 then
    text, digits = text:upper(), -digits
  end
  return text:sub(-math.min(digits, 8))
end

return bit
