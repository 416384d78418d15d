-- The core script: writes a value if its version has not moved. It runs inside Redis (7.0 or later)
-- or Valkey (7.2 or later).
--
--   redis-cli EVAL "$(cat ./lua/cas.lua)" 3 mykey version1 expire 1 1 100
--
-- KEYS[1]  the value's key, a plain string, which anyone may GET
-- KEYS[2]  the version's key
-- KEYS[3]  accepted and never touched
-- ARGV[1]  the new value, any bytes
-- ARGV[2]  the version that this write would create: one more than the version read, 1 where there
--          is none
-- ARGV[3]  lifetime of the version record in whole seconds, up to a hundred years; absent, empty or
--          0: it does not expire
-- ARGV[4]  token of this write: 1 to 64 of A-Z a-z 0-9 _ - . ; absent or empty: the short call,
--          without a token. SESSION.SEQUENCE, where SEQUENCE is a decimal number that rises with
--          every write of this session, is what receipts need
-- ARGV[5]  the stamp of the state that was read, compared as a whole; absent or empty: only the
--          number is compared
-- ARGV[6…] DEL: delete the value (ARGV[1] is ignored; the record stays and moves on)
--          PX ms: the value expires; without it, it keeps the lifetime it has
--          XX: what was read had a value; where there is none any more, because its lifetime is
--          over, that is a conflict
--          RECEIPT ms, before all others: for so long after it was first sent a write can be sent
--          again; the same for all writes of a session
--          AGAIN: this is the same call once more, because its reply was lost
--          AFTER stamp: this client committed that stamp less than RECEIPT ago; it is not written
--          where the record does not hold that commit
--
-- Replies to the short call: status OK = committed; the array {-1, version, value or null, stamp} =
-- conflict, and nothing was changed. To a call with a token: status "OK STAMP", where the stamp
-- ends with the token; a conflict's array has the token as fifth element. Anything else is an error
-- reply, and nothing was written. The script's own errors begin with "VLOCK " and end with " (token
-- T)".
--
-- The stamp of a cell is the text of its record: "0" where there is none, the decimal number that
-- the article's script keeps as a string (converted at the next commit), else VERSION:ID:TOKEN,
-- with - for the token of a short call. The record is a hash at KEYS[2]: field s is the stamp. ID
-- is fixed when the record is made: a letter, e where it was made with a lifetime and p where
-- without, and the token that made it, or the time, where it was made by a call without a token or
-- one that says AGAIN. A p record is never given a lifetime, so its
-- commits need no further command; a commit never shortens a lifetime.
--
-- Receipts. Whoever commits over the stamp of another session keeps that one's last write in the
-- record: field r and its SESSION hold VERSION:SEQUENCE:TIME (when it was kept, ms since 1970).
-- Field t is the longest RECEIPT that any write asked for; without it nothing is kept. Commits look
-- for receipts that are over, with at least t between two looks; a receipt goes with the third look
-- that finds it. So the server's clock may make one step in that time, however large, or run twice
-- as fast as the client's: each is kept for t and longer. Field p: when to look next, and the times
-- of the last two looks; field f: the highest version among the receipts that went. A session's own
-- commits over its own stamp keep nothing and pay next to
-- nothing.
--
-- A call that says AGAIN is answered "OK STAMP" where this very write was applied, with the stamp
-- that it made, also when others have written since. Where it was not, it is decided like any
-- call; its caller must not believe "conflict" later than RECEIPT ms after the first call was sent.
-- Two more arrays answer it, and nothing was changed: {-2, version, nil, stamp, token}, the record
-- went back behind the state that the write stands on, or was made anew; {-3, …}, nobody can tell:
-- the session has written since, or no receipts are kept. A session may have one such write
-- undecided on a cell, not two.
--
-- A server that comes back from an older state has lost commits, and others may have built on that
-- state before those whose commits are gone come again: then no version is missing. Whoever says
-- AFTER is told all the same: {-4, version, nil, stamp, token}, this is the record that held that
-- commit, neither the stamp nor a receipt tells of it, and nothing was changed.
--
-- What it costs, measured by tests/bench/cas_cost (Redis 7.0.15, values of 16 bytes to 1 KB; a
-- tenth more or less from run to run): a commit with token and stamp takes the server 2.2 to 2.9
-- times as long as a script that only compares and INCRs a string; some 1.05 times as long as
-- that where it asks for receipts, 1.4 times where it also keeps one of another's, 1.6 times where
-- it says AFTER too. A lifetime that is renewed costs some 5 %, asking acl_check_cmd nothing that
-- shows. The type of the value's key is asked by STRLEN: SET … GET would be a command less, but it
-- hands the old value over: 16 % slower with 1 KB, half as slow again with 10 KB.

local LARGEST = 9007199254740991 -- 2^53 - 1: Redis' numbers are doubles
local LONGEST = 3153600000 -- a hundred years of seconds
local LOOK = 64 -- versions: so often a session that writes alone looks for old receipts

local value_key, version_key = KEYS[1], KEYS[2]
local value, wanted, lifetime, token, expected = ARGV[1], ARGV[2], ARGV[3] or "", ARGV[4]
  or "", ARGV[5] or ""
local find, sub, match, format = string.find, string.sub, string.match, string.format
local deletes, expires_ms, must_exist = false, nil, false
local receipt_ms, is_again, after = 0, false, nil

-- A commit that carries its merge does more on the way: lua/cas_merge.lua stands here then, and
-- sets what is called below.
local carried = nil

local function refuse(reason)
  return redis.error_reply("VLOCK " .. reason .. (token ~= "" and " (token " .. token .. ")" or ""))
end

-- The arguments.
if token ~= "" and (#token > 64 or find(token, "[^%w_.-]")) then
  token = "" -- what may hold anything is not echoed
  return refuse("the token (ARGV[4]) must be 1 to 64 letters, digits, _ - or .")
end
if #KEYS < 2 or #KEYS > 3 then
  return refuse("takes 2 keys, the value's and the version's, and a third that is not used; got "
    .. #KEYS)
end
if value_key == version_key then
  return refuse("the value's key and the version's key must differ")
end
if not wanted then
  return refuse("takes a value and the version that it would have: ARGV[1] and ARGV[2] are missing")
end
if not find(wanted, "^[1-9]%d*$") or #wanted > 16 or tonumber(wanted) > LARGEST then
  return refuse("the version (ARGV[2]) must be a whole number from 1 to 9007199254740991, one " ..
    "more than the version read")
end
if lifetime == "" then
  lifetime = "0"
elseif lifetime ~= "0"
  and (not find(lifetime, "^[1-9]%d*$") or #lifetime > 10 or tonumber(lifetime) > LONGEST) then
  return refuse("the lifetime (ARGV[3]) must be a whole number of seconds from 0 to 3153600000")
end

if ARGV[6] then
  local i = 6
  if ARGV[6] == "RECEIPT" then -- most calls have it, and nothing else
    receipt_ms = tonumber(ARGV[7]) or 0
    if not (receipt_ms >= 1 and receipt_ms <= LONGEST * 1000 and receipt_ms % 1 == 0) then
      return refuse("RECEIPT (ARGV[6]) takes a whole number of milliseconds")
    end
    i = 8
  end
  while ARGV[i] do
    local flag, ms = ARGV[i], ARGV[i + 1]
    if flag == "DEL" then
      deletes = true
    elseif flag == "XX" then
      must_exist = true
    elseif flag == "AGAIN" and token ~= "" then
      is_again = true
    elseif flag == "AFTER" and token ~= "" and ms then
      after = ms
      i = i + 1
    elseif flag == "PX" and ms and #ms <= 13 and find(ms, "^[1-9]%d*$")
      and tonumber(ms) <= LONGEST * 1000 then
      expires_ms = ms
      i = i + 1
    else
      return refuse("unknown flag, PX without milliseconds, AGAIN without a token, AFTER " ..
        "without one or without a stamp, or RECEIPT behind another flag, in ARGV[" .. i ..
        "]: there are RECEIPT ms, DEL, PX ms, XX, AGAIN and AFTER stamp")
    end
    i = i + 1
  end
  if deletes and expires_ms then
    return refuse("the flags DEL and PX exclude each other")
  end
end

-- The record: its text, its number, its identity, and whether it is ours (a hash) or the article's
-- (a string).
local stamp, about -- the latter: fields t, p and r with one's own session, where they were read too
if carried then
  stamp, about = carried.read()
else
  stamp = redis.pcall("HGET", version_key, "s")
end
local version, id
local last = "" -- the token of the last write
local is_article = false
if type(stamp) == "string" then
  version, id, last = match(stamp, "^([1-9]%d*):([ep][^:]*):(.*)$")
elseif stamp == false then
  if redis.call("EXISTS", version_key) == 0 then
    stamp, version = "0", "0"
  end
elseif find(stamp.err, "^WRONGTYPE") then
  is_article = redis.call("TYPE", version_key).ok == "string"
  stamp = is_article and redis.call("GET", version_key)
  version = stamp and (match(stamp, "^[1-9]%d*$") or match(stamp, "^0$"))
else
  return stamp
end
if not version then
  local kind = redis.call("TYPE", version_key).ok
  if kind == "hash" then
    return refuse("the version's key holds a hash that is no version record: name another " ..
      "key, or delete this one")
  end
  return refuse("the version's key holds something that is no version, a " .. kind
    .. (is_article and " other than a decimal number" or "")
    .. ": name another key, or delete this one")
end
local current = tonumber(version)
if #version > 16 or current >= LARGEST then
  return refuse("the version " .. version
    .. " is too large to be counted on exactly: its limit is 9007199254740991")
end

-- Was it applied already? See "Receipts" above.
if is_again then
  local base_id = match(expected, "^%d+:([^:]+):")
  local base = tonumber(wanted) - 1
  local found
  if current < base or base_id and base_id ~= id
    or current == base and expected ~= "" and expected ~= stamp then
    found = -2
  elseif current > base then
    local session, sequence = match(token, "^(.+)%.(%d+)$")
    local last_session, last_sequence = match(last, "^(.+)%.(%d+)$")
    local kept = session and redis.call("HGET", version_key, "r" .. session)
    local kept_version, kept_sequence = match(kept or "", "^(%d+):(%d+):")
    local made = last == token and stamp
      or kept and kept_sequence == sequence and kept_version .. ":" .. id .. ":" .. token
    if made then
      return carried and carried.recall(made) or redis.status_reply("OK " .. made)
    elseif not session or receipt_ms == 0
      or last_session == session and tonumber(last_sequence) > tonumber(sequence)
      or kept and tonumber(kept_sequence) > tonumber(sequence) then
      found = -3
    end
  end
  if found then
    local reply = { found, current, false, stamp, token }
    return carried and found == -2 and carried.void(reply, id) or reply
  end
end

-- Compare; a conflict changes nothing at all.
local length = redis.pcall("STRLEN", value_key) -- WRONGTYPE where it is no string
if current + 1 ~= tonumber(wanted) or (expected ~= "" and expected ~= stamp)
  or must_exist and length == 0 and redis.call("EXISTS", value_key) == 0 then
  local present = redis.pcall("GET", value_key)
  if type(present) == "table" then
    return present
  end
  local reply = { -1, current, present, stamp, token ~= "" and token or nil }
  local merged = carried and carried.merge(reply, id, last)
  if type(merged) ~= "string" then
    return merged or reply
  end
  -- It is the same write, now over theirs.
  value, wanted, length = merged, format("%.0f", current + 1), 0
end

local made_id = id
if not id then
  -- A copy that is sent again may make a record for the second time, where the first one has gone:
  -- that is another record.
  local maker = token
  if maker == "" or is_again then
    local now = redis.call("TIME")
    maker = "t" .. now[1] .. "." .. now[2]
  end
  made_id = (lifetime == "0" and "p" or "e") .. maker
end
local made = wanted .. ":" .. made_id .. ":" .. (token ~= "" and token or "-")

-- The command that sets the record's lifetime, where one is needed.
local renewal
if sub(made_id, 1, 1) == "e" then
  if not id then
    -- Ms; -1: it has no limit, and gets none.
    local remaining = is_article and redis.call("PTTL", version_key) or 0
    renewal = remaining >= 0 and { "EXPIRE", version_key,
      math.max(math.ceil(remaining / 1000), tonumber(lifetime)) }
  elseif lifetime == "0" then
    renewal = { "PERSIST", version_key }
  else
    renewal = { "EXPIRE", version_key, lifetime, "GT" }
  end
end

-- The receipt of whoever wrote last, where that was another session: its field, its text, and the
-- time. One's own stamp needs none; now and then one looks whether old receipts are to go.
local dot = token ~= "" and find(token, "%.%d+$") or 0
local is_own = dot > 0 and sub(last, 1, dot) == sub(token, 1, dot)
local kept_ms, receipt, receipt_text, now = 0, nil, nil, nil
local look_at, last_look, earlier_look -- ms; nil: there are no receipts

-- Found in the same look: whether the record holds the commit that the caller says it made.
local after_version, after_id, after_session, after_sequence
if after and after ~= stamp then
  after_version, after_id, after_session, after_sequence = match(after,
    "^(%d+):([^:]+):(.+)%.(%d+)$")
end
local is_after = after_id ~= nil and after_id == id

if id and (not is_own or is_after or current % LOOK == 0) then
  if not about or is_after and after_session ~= carried.session then
    about = is_after and redis.call("HMGET", version_key, "t", "p", "r" .. after_session)
      or redis.call("HMGET", version_key, "t", "p")
  end
  local last_session, last_sequence = match(last, "^(.+)%.(%d+)$")
  if is_after then
    local held_version, held_sequence = version, last_sequence
    if last_session ~= after_session then
      held_version, held_sequence = match(about[3] or "", "^(%d+):(%d+):")
    end
    if not held_version or tonumber(held_version) < tonumber(after_version)
      or tonumber(held_sequence) < tonumber(after_sequence)
      or held_version == after_version and held_sequence ~= after_sequence then
      return { -4, current, false, stamp, token }
    end
  end
  kept_ms = tonumber(about[1]) or 0
  if about[2] then
    look_at, last_look, earlier_look = match(about[2], "^(%d+):?(%d*):?(%d*)$")
    look_at, earlier_look = tonumber(look_at) or 0, tonumber(earlier_look) or 0
  end
  if kept_ms > 0 and not is_own then
    receipt = last_session and "r" .. last_session
    receipt_text = receipt and version .. ":" .. last_sequence .. ":"
  end
end
local keeps_own = carried and carried.is_over and receipt_ms > 0 -- a receipt of what was merged
if receipt or look_at or keeps_own then
  local time = redis.pcall("TIME")
  if time.err then
    return time
  end
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Whether this user may run it. One that the server does not have, as its administrator took it
-- away, raises.
local function may(command, ...)
  local ok, is_allowed = pcall(redis.acl_check_cmd, command, ...)
  return ok and is_allowed
end

-- What could refuse a later write is asked before the first one. The first write itself, if it is
-- refused, has written nothing.
local denied = not redis.acl_check_cmd("HSET", version_key, "s", made) and "HSET"
  or is_article and not may("DEL", version_key) and "DEL"
  or renewal and not may(unpack(renewal)) and renewal[1]
if denied then
  return refuse("this user may not " .. denied .. " the version's key: nothing was written")
end
local written = length
if type(written) == "number" then
  if deletes then
    written = redis.pcall("DEL", value_key)
  elseif expires_ms then
    written = redis.pcall("SET", value_key, value, "PX", expires_ms)
  else
    written = redis.pcall("SET", value_key, value, "KEEPTTL")
  end
end
if type(written) == "table" and written.err then
  return written
end

-- Nothing below can be refused.
if is_article then
  redis.call("DEL", version_key)
end
if receipt then
  receipt_text = receipt_text .. format("%.0f", now)
end
if keeps_own then
  redis.call("HSET", version_key, "s", made, carried.fields(now, receipt, receipt_text))
elseif receipt then
  redis.call("HSET", version_key, "s", made, receipt, receipt_text)
else
  redis.call("HSET", version_key, "s", made)
end
if receipt and not look_at then
  redis.call("HSET", version_key, "p", format("%.0f", now + kept_ms))
end
if receipt_ms > kept_ms and not is_own then
  redis.call("HSET", version_key, "t", receipt_ms)
end
if renewal then
  redis.call(unpack(renewal))
end

-- Receipts that are over.
if look_at and now >= look_at and may("HGETALL", version_key)
  and may("HDEL", version_key, "r") then
  local over, left, floor = {}, 0, 0
  local all = redis.call("HGETALL", version_key)
  for i = 1, #all, 2 do
    if sub(all[i], 1, 1) == "r" then
      local kept_at = tonumber(match(all[i + 1], "(%d+)$")) or 0
      if kept_at <= earlier_look then
        over[#over + 1] = all[i]
        floor = math.max(floor, tonumber(match(all[i + 1], "^%d+")) or 0)
      else
        left = left + 1
      end
    elseif all[i] == "f" then
      floor = math.max(floor, tonumber(all[i + 1]) or 0)
    end
  end
  if #over > 0 then
    redis.call("HSET", version_key, "f", format("%.0f", floor))
  end
  for first = 1, #over, 1000 do
    redis.call("HDEL", version_key, unpack(over, first, math.min(first + 999, #over)))
  end
  if left > 0 then
    redis.call("HSET", version_key, "p", format("%.0f:%.0f:%s", now + kept_ms, now,
      last_look or ""))
  else
    redis.call("HDEL", version_key, "p")
  end
end

if token == "" then
  return redis.status_reply("OK")
elseif carried and carried.is_over then
  return carried.reply(made)
end
return redis.status_reply("OK " .. made)
