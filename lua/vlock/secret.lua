-- What must not be shown.

local secret = {}

--- A text, with *** in place of the passwords of the URLs in it. The last @ before the path ends one, as in src/url.c.
function secret.hidden(text)
  local without = text:gsub("(%a[%w+.-]*://[^:/?%s'\"]*):[^/?%s'\"]*@", "%1:***@")
  return (without:gsub("(%a[%w+.-]*://)[^:/?%s'\"]*@", "%1***@")) -- what stands there alone is a user, or a password by mistake
end

return secret
