-- What the server says of itself.

--- Its name, "redis" or "valkey", its version, and the version of Redis that it is as good as. Of
-- this task's connection.
return function()
  local info = redis.call("INFO", "server")
  if type(info) == "table" then -- under RESP3
    info = info.verbatim_string.string
  end
  local as_redis = info:match("redis_version:([^\r\n]+)")
  local valkey = info:match("valkey_version:([^\r\n]+)")
  return valkey and "valkey" or "redis", valkey or as_redis, as_redis
end
