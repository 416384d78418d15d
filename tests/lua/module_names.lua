-- The names that vlock's own files see where the module vlock runs in a stock lua5.4, `require` of
-- its own files among them. Of no use but to tests: they are kept apart from the program's.

--- vlock: the module, opened.
return function(vlock)
  for i = 1, 250 do
    local name, value = debug.getupvalue(vlock.redis.script, i)
    if name == "_ENV" then
      return value._G
    end
  end
end
