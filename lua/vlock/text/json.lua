-- JSON, exact both ways: whole numbers are integers on Lua 5.4, every number reads back as the same
-- number, an empty array stays an array, keys are written sorted. (The packaged lua-cjson 2.1.0
-- writes 14 digits, reads floats only, and turns [] into {}.) Runs on Lua 5.1 and 5.4. RFC 8259.

local cjson = require "cjson"
local numbers = require "vlock.text.number"

local json = { null = cjson.null }

local array_type = {}

--- Marks a table as a list, so that it is written as [] when it is empty.
function json.array(list)
  return setmetatable(list, array_type)
end

-- A number that a Lua number cannot hold exactly: {text = its digits}. Equal to another one of the
-- same digits; ordered as numbers are. What is calculated with one is a float, as everywhere in
-- Lua; a whole number would lose digits without a word, and is refused.
local digits_type = {
  __eq = function(a, b)
    return a.text == b.text
  end,
  __tostring = function(self)
    return self.text
  end,
}

local function text_of(value)
  return type(value) == "table" and value.text or value
end

function digits_type.__lt(a, b)
  return numbers.compare(text_of(a), text_of(b)) < 0
end

function digits_type.__le(a, b)
  return numbers.compare(text_of(a), text_of(b)) <= 0
end

local function as_float(value)
  local text = text_of(value)
  if type(value) == "table" and string.find(text, "^-?%d+$") then
    error("the whole number " .. text
      .. " is too large to calculate with exactly: tonumber(tostring(x)) makes a float of it", 3)
  end
  return tonumber(text)
end

digits_type.__add = function(a, b) return as_float(a) + as_float(b) end
digits_type.__sub = function(a, b) return as_float(a) - as_float(b) end
digits_type.__mul = function(a, b) return as_float(a) * as_float(b) end
digits_type.__div = function(a, b) return as_float(a) / as_float(b) end
digits_type.__mod = function(a, b) return as_float(a) % as_float(b) end
digits_type.__pow = function(a, b) return as_float(a) ^ as_float(b) end
digits_type.__unm = function(a) return -as_float(a) end

-- How numbers were spelled that would be written otherwise, 1.0 and 1e5: by the table they stand
-- in, by key: {number, text}.
local spellings = setmetatable({}, { __mode = "k" })

--- The digits of a number that decode_exact kept as they were; nil for anything else.
function json.digits(value)
  return type(value) == "table" and getmetatable(value) == digits_type and value.text or nil
end

local EXACT = numbers.EXACT
local DEPTH = 500

-- ---- reading

local function fail(text, at, reason)
  error(string.format("bad JSON at byte %d: %s: %s", at, reason, string.sub(text, at, at + 19)), 0)
end

local function skip_space(text, at)
  return string.find(text, "[^ \t\r\n]", at) or #text + 1
end

local unescaped = {
  ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t",
}

local function utf8_bytes(code)
  if code < 0x80 then
    return string.char(code)
  elseif code < 0x800 then
    return string.char(0xc0 + math.floor(code / 64), 0x80 + code % 64)
  elseif code < 0x10000 then
    return string.char(0xe0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64,
      0x80 + code % 64)
  end
  return string.char(0xf0 + math.floor(code / 262144), 0x80 + math.floor(code / 4096) % 64,
    0x80 + math.floor(code / 64) % 64,
    0x80 + code % 64)
end

-- \uXXXX at `at`, perhaps a surrogate pair: the bytes and where it ends.
local function read_unicode(text, at, keeps_halves)
  local high = tonumber(string.match(text, "^\\u(%x%x%x%x)", at), 16)
  if high < 0xd800 or high > 0xdfff then
    return utf8_bytes(high), at + 6
  end
  local low = tonumber(string.match(text, "^\\u(%x%x%x%x)", at + 6) or "0", 16)
  if high > 0xdbff or low < 0xdc00 or low > 0xdfff then
    if not keeps_halves then
      fail(text, at, "half of a surrogate pair")
    end
    -- Half of a pair: three bytes that are written back as the escape that it was.
    return utf8_bytes(high), at + 6
  end
  return utf8_bytes(0x10000 + (high - 0xd800) * 1024 + low - 0xdc00), at + 12
end

local function read_string(text, start, keeps_halves)
  local pieces, at = {}, start + 1
  while true do
    local stop = string.find(text, '[%c"\\]', at)
    if not stop then
      fail(text, start, "a string without its end")
    end
    pieces[#pieces + 1] = string.sub(text, at, stop - 1)
    local byte = string.sub(text, stop, stop)
    if byte == '"' then
      return table.concat(pieces), stop + 1
    elseif byte == "\127" then
      pieces[#pieces + 1], at = byte, stop + 1
    elseif byte ~= "\\" then
      fail(text, stop, "a control character in a string")
    elseif string.find(text, "^u%x%x%x%x", stop + 1) then
      pieces[#pieces + 1], at = read_unicode(text, stop, keeps_halves)
    else
      local plain = unescaped[string.sub(text, stop + 1, stop + 1)]
      if not plain then
        fail(text, stop, "an unknown escape")
      end
      pieces[#pieces + 1], at = plain, stop + 2
    end
  end
end

-- For scripts, as Redis has it.
local function plain_number(text)
  local number = tonumber(text)
  if math.type and math.type(number) == "float" and number >= -EXACT and number <= EXACT then
    number = math.tointeger(number) or number
  end
  return number
end

local function keep_digits(text)
  return setmetatable({ text = text }, digits_type)
end

-- For what is only passed on: a number where it would be written in the same way, on either Lua.
local function exact_number(text)
  local number = tonumber(text)
  local is_small = number >= -EXACT and number <= EXACT
  if numbers.text(number) == text and (is_small or string.find(text, "[.eE]")) then
    return plain_number(text)
  end
  return keep_digits(text)
end

-- Whether a float holds what the text says: up to 15 significant digits it does, and more where it
-- would be written in the same way.
local function is_held(text, number)
  if number - number ~= 0 then
    return false
  end
  local mantissa = string.gsub(string.match(text, "^-?([%d.]+)"), "%.", "")
  local digits = string.gsub(string.gsub(mantissa, "^0+", ""), "0+$", "")
  if number == 0 then
    return digits == ""
  elseif string.find(text, "^-?%d+$") then
    return number >= -EXACT and number <= EXACT
  end
  return #digits <= 15 or numbers.text(number) == text
end

-- For what is calculated with, on Lua 5.4: whole numbers to 2^63, and all that a float holds. The
-- second result: how it was spelled.
local function document_number(text)
  local number = tonumber(text)
  if math.type(number) == "integer" and number ~= 0 then
    return number
  elseif not is_held(text, number) then
    return keep_digits(text)
  elseif number == 0 and string.find(text, "^-") then
    return -0.0, text
  end
  return plain_number(text), text
end

local function read_number(text, at, to_number)
  local _, stop = string.find(text, "^-?%d+", at)
  if not stop or string.find(text, "^-?0%d", at) then
    fail(text, at, "no value")
  end
  local _, fraction = string.find(text, "^%.%d+", stop + 1)
  local _, exponent = string.find(text, "^[eE][+-]?%d+", (fraction or stop) + 1)
  local digits = string.sub(text, at, exponent or fraction or stop)
  local number, spelled = to_number(digits)
  return number, at + #digits, spelled
end

local number_text

-- Notes the spelling of the number that was put at this key.
local function note_spelling(container, key, spelled)
  if spelled and number_text(container[key]) ~= spelled then
    spellings[container] = spellings[container] or {}
    spellings[container][key] = { number = container[key], text = spelled }
  end
end

local read_value

local function read_array(text, at, depth, to_number)
  local list, count = json.array({}), 0
  at = skip_space(text, at + 1)
  if string.sub(text, at, at) == "]" then
    return list, at + 1
  end
  while true do
    count = count + 1
    local spelled
    list[count], at, spelled = read_value(text, at, depth, to_number)
    note_spelling(list, count, spelled)
    at = skip_space(text, at)
    local byte = string.sub(text, at, at)
    if byte == "]" then
      return list, at + 1
    elseif byte ~= "," then
      fail(text, at, "an array goes on with , or ends with ]")
    end
    at = at + 1
  end
end

local function read_object(text, at, depth, to_number)
  local object = {}
  at = skip_space(text, at + 1)
  if string.sub(text, at, at) == "}" then
    return object, at + 1
  end
  while true do
    at = skip_space(text, at)
    if string.sub(text, at, at) ~= '"' then
      fail(text, at, "a key must be a string")
    end
    local key
    key, at = read_string(text, at, to_number ~= plain_number)
    at = skip_space(text, at)
    if string.sub(text, at, at) ~= ":" then
      fail(text, at, "behind a key comes :")
    end
    local spelled
    object[key], at, spelled = read_value(text, at + 1, depth, to_number)
    note_spelling(object, key, spelled)
    at = skip_space(text, at)
    local byte = string.sub(text, at, at)
    if byte == "}" then
      return object, at + 1
    elseif byte ~= "," then
      fail(text, at, "an object goes on with , or ends with }")
    end
    at = at + 1
  end
end

local words = { ["true"] = true, ["false"] = false, ["null"] = json.null }

function read_value(text, at, depth, to_number)
  if depth > DEPTH then
    fail(text, at, "nested deeper than " .. DEPTH)
  end
  at = skip_space(text, at)
  local byte = string.sub(text, at, at)
  if byte == "{" then
    return read_object(text, at, depth + 1, to_number)
  elseif byte == "[" then
    return read_array(text, at, depth + 1, to_number)
  elseif byte == '"' then
    -- A document keeps what it was not asked to change.
    return read_string(text, at, to_number ~= plain_number)
  end
  local word = string.match(text, "^%l+", at)
  if word and words[word] ~= nil then
    return words[word], at + #word
  end
  return read_number(text, at, to_number)
end

local function read_document(text, to_number)
  local value, at = read_value(text, 1, 0, to_number)
  at = skip_space(text, at)
  if at <= #text then
    fail(text, at, "more than one value")
  end
  return value
end

--- The value of a JSON text. Objects and arrays are tables (arrays marked as such), null is
-- json.null. Raises on bad text.
function json.decode(text)
  return read_document(text, plain_number)
end

--- The same for a document that will be written back: a number that a Lua number cannot hold
-- exactly, on either Lua, stays the digits that it was (see json.digits) and is written as them.
function json.decode_exact(text)
  return read_document(text, exact_number)
end

--- The same for an update function, which calculates with what it is given: whole numbers to 2^63
-- and fractions of 15 digits are numbers (written as they were spelled, where they still stand in
-- their place), all others json.digits. For Lua 5.4.
function json.decode_document(text)
  return read_document(text, document_number)
end

--- The value of a JSON text as lua-cjson has it: many times as fast, for what is one line of many.
-- All numbers are floats. Raises on bad text.
json.decode_fast = cjson.decode

-- ---- writing

local escapes = {
  ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
    ["\t"] = "\\t",
}

local function escape_byte(byte)
  return escapes[byte] or string.format("\\u%04x", string.byte(byte))
end

-- The length of the UTF-8 sequence that begins at `at`, 0 where there is none (RFC 3629).
local function sequence_length(text, at)
  local a, b, c, d = string.byte(text, at, at + 3)
  local function follows(byte, low, high)
    return byte and byte >= (low or 0x80) and byte <= (high or 0xbf)
  end
  if a >= 0xc2 and a <= 0xdf and follows(b) then
    return 2
  elseif a >= 0xe0 and a <= 0xef and follows(b, a == 0xe0 and 0xa0, a == 0xed and 0x9f)
    and follows(c) then
    return 3
  elseif a >= 0xf0 and a <= 0xf4 and follows(b, a == 0xf0 and 0x90, a == 0xf4 and 0x8f)
    and follows(c) and follows(d) then
    return 4
  end
  return 0
end

-- Bytes that are not UTF-8 become \u00XX: the document stays valid, and the byte readable.
local function escape_invalid(text)
  local pieces, at = {}, 1
  while at <= #text do
    local from, to = string.find(text, "^[%z\1-\127]+", at)
    if from then
      pieces[#pieces + 1] = string.sub(text, from, to)
      at = to + 1
    else
      local length = sequence_length(text, at)
      pieces[#pieces + 1] = length > 0 and string.sub(text, at, at + length - 1)
        or string.format("\\u00%02x", string.byte(text, at))
      at = at + math.max(length, 1)
    end
  end
  return table.concat(pieces)
end

-- Half of a surrogate pair, as utf8_bytes makes it.
local function escape_half(bytes)
  local _, b, c = string.byte(bytes, 1, 3)
  return string.format("\\u%04x", 0xd000 + (b - 0x80) * 64 + c - 0x80)
end

local function escape_controls(text)
  return (string.gsub(text, '[%c"\\\127]', escape_byte))
end

-- What was read is written: half of a pair as well.
local function escape_little(text)
  return (string.gsub(escape_controls(text), "\237[\160-\191][\128-\191]", escape_half))
end

-- What every reader takes: few take half of a pair.
local function escape_all(text)
  local escaped = escape_controls(text)
  return string.find(escaped, "[\128-\255]") and escape_invalid(escaped) or escaped
end

local trail = {} -- the keys on the way to what is being written: nothing waits while it is

-- Raises: this cannot be written, and where it stands.
local function refuse(what, depth)
  local path = { "$" }
  for i = 1, depth do
    path[i + 1] = type(trail[i]) == "number" and "[" .. trail[i] .. "]" or "." .. tostring(trail[i])
  end
  error(what .. " cannot be written as JSON, at " .. table.concat(path), 0)
end

function number_text(number)
  if number == 0 and 1 / number < 0 and math.type then
    return "-0"
  end
  return numbers.text(number)
end

local function encode_number(number, depth)
  if number - number ~= 0 then
    refuse("a number that is not finite", depth)
  end
  return number_text(number)
end

-- How many keys of a list a table has, the largest of them, and a key that is none of a list.
local function count_keys(value)
  local count, largest, other = 0, 0, nil
  for key in pairs(value) do
    if type(key) ~= "number" or key < 1 or key ~= math.floor(key) then
      other = key
    else
      count, largest = count + 1, math.max(largest, key)
    end
  end
  return count, largest, other
end

-- How long the array is that a table would be written as; nil: it is an object, as what was read as
-- [] becomes where it is given keys. A list may have holes, which are written as null, as long as
-- it is short or at least half full: lua-cjson's rule. The second result: why it cannot be written,
-- though it was read as a list.
local function array_length(value)
  local count, largest, other = count_keys(value)
  local is_marked = getmetatable(value) == array_type
  if is_marked and count == 0 and other == nil then
    return 0
  elseif other ~= nil then
    return nil, is_marked and count > 0 and "a list that has a key '" .. tostring(other)
      .. "' as well"
  elseif count > 0 and (largest <= 10 or largest <= 2 * count) then
    return largest
  end
  return nil, is_marked and string.format("a list of %d with an element %d", count, largest)
end

--- Whether a table would be written as an array: it is marked as one, or is a list that is not
-- empty.
function json.is_array(value)
  return array_length(value) ~= nil
end

local encode

-- What stands in a table at a key: as it was spelled, where it is the number that was read there.
local function encode_at(container, key, inner, depth, escape)
  local spelled = type(inner) == "number" and spellings[container] and spellings[container][key]
  if spelled and spelled.number == inner and math.type(spelled.number) == math.type(inner) then
    return spelled.text
  end
  trail[depth] = key
  return encode(inner, depth, escape)
end

local function encode_array(value, length, depth, escape)
  local pieces = {}
  for i = 1, length do
    pieces[i] = encode_at(value, i, value[i], depth, escape)
  end
  return "[" .. table.concat(pieces, ",") .. "]"
end

local function encode_object(value, depth, escape)
  local names, by_name = {}, {}
  for key, inner in pairs(value) do
    local name = type(key) == "number" and encode_number(key, depth - 1) or key
    if type(name) ~= "string" then
      refuse("a table with a " .. type(key) .. " as key", depth - 1)
    elseif by_name[name] ~= nil then
      refuse("a table with the number " .. name .. " and the text \"" .. name .. "\" as keys",
        depth - 1)
    end
    names[#names + 1] = name
    by_name[name] = inner
  end
  table.sort(names)
  for i, name in ipairs(names) do
    names[i] = '"' .. escape(name) .. '":' .. encode_at(value, name, by_name[name], depth, escape)
  end
  return "{" .. table.concat(names, ",") .. "}"
end

function encode(value, depth, escape)
  local kind = type(value)
  if kind == "string" then
    return '"' .. escape(value) .. '"'
  elseif kind == "number" then
    return encode_number(value, depth)
  elseif kind == "boolean" then
    return tostring(value)
  elseif value == nil or value == json.null then
    return "null"
  elseif kind ~= "table" then
    refuse("a " .. kind, depth)
  elseif depth > DEPTH then
    refuse("a table nested deeper than " .. DEPTH, 0)
  end
  if json.digits(value) then
    return value.text
  end
  local length, wrong = array_length(value)
  if wrong then
    refuse(wrong, depth)
  elseif length then
    return encode_array(value, length, depth + 1, escape)
  end
  return encode_object(value, depth + 1, escape)
end

--- The JSON text of a value, in one line. An empty table is {}, unless json.array marked it. Bytes
-- that are not UTF-8 are escaped as \u00XX. Raises on what JSON does not have.
function json.encode(value)
  return encode(value, 0, escape_all)
end

--- The same, but bytes that are not UTF-8 stay as they are, as Redis' own cjson has it: what was
-- read is what is written.
function json.encode_bytes(value)
  return encode(value, 0, escape_little)
end

return json
