-- Bytes as hexadecimal digits, two each.

local function digits(byte)
  return ("%02x"):format(byte:byte())
end

return function(bytes)
  return (bytes:gsub(".", digits))
end
