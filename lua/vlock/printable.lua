-- Texts for a terminal, which takes control characters for orders.

--- The text with \\xNN in place of control characters, but for the ends of lines and tabs.
return function(text)
  return (text:gsub("[%c\127]", function(byte)
    return (byte == "\n" or byte == "\t") and byte or ("\\x%02x"):format(byte:byte())
  end):gsub("\194([\128-\159])", function(byte) -- those of Latin-1, in UTF-8
    return ("\\u%04x"):format(byte:byte())
  end))
end
