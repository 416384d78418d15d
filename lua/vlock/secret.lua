-- What must not be shown.

local secret = {}

--- A text, with *** in place of the password where it is a URL that has one. The last @ before the path ends it, as in src/url.c.
function secret.hidden(text)
  return (text:gsub("^(%a[%w+.-]*://[^:/?]*):[^/?]*@", "%1:***@"))
end

return secret
