-- What is done to the SVG that gnuplot draws: tidied up for a file, made a part of an HTML page.

local style = require "vlock.lab.plot.style"

local svg = {}

--- The same picture without the groups that hold nothing, a third of it, and with bold letters
-- where the font is called bold.
function svg.tidied(text)
  local count
  repeat
    text, count = text:gsub("<g [^>]*>%s*</g>%s*", "")
  until count == 0
  return (text:gsub('"sans%-serif:Bold"', '"sans-serif" font-weight="bold"'))
end

-- How gnuplot writes a colour, with blanks or without, as a pattern.
local function rgb_pattern(color)
  local red, green, blue = color:match("#(%x%x)(%x%x)(%x%x)")
  return ("rgb%%( *%d, *%d, *%d%%)"):format(tonumber(red, 16), tonumber(green, 16),
    tonumber(blue, 16))
end

-- The colours that a page's styles decide on, by day and by night.
local OF_THE_PAGE = {
  [rgb_pattern(style.INK)] = "var(--ink)",
  [rgb_pattern(style.FAINT)] = "var(--faint)",
  [rgb_pattern(style.of(1).color)] = "var(--blue)",
  ["(['\"])black['\"]"] = "%1var(--ink)%1",
  ["#FFFFFF"] = "var(--card)",
}

--- The drawing as a part of a page: it fills what holds it, the names in it begin with `name`, its
-- greys are the page's. title: what it shows, a text of our own.
function svg.inlined(text, name, title)
  text = svg.tidied(text:match("<svg.*</svg>")):gsub("<title>.-</title>",
    ""):gsub("<desc>.-</desc>", ""):gsub("<filter.-</filter>", "")
  text = text:gsub("gp(%u%a+%d*)", name .. "_%1"):gsub("gnuplot_canvas", name
    .. "_canvas"):gsub("xlink:href", "href")
  for pattern, color in pairs(OF_THE_PAGE) do
    text = text:gsub(pattern, color)
  end
  local size = text:match('viewBox="[^"]*"')
  return (text:gsub("^<svg.->", ('<svg %s role="img" aria-label="%s">'):format(size, title), 1))
end

return svg
