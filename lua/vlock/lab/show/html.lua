-- Elements of an HTML page, as texts: whatever comes from outside is escaped here.

local names_of = require "vlock.text.names_of"
local numbers = require "vlock.text.number"

local html = {}

local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;",
  ["'"] = "&#39;" }

--- A text of anybody's, for the page's text and for attributes in quotes. What is not UTF-8 becomes
-- "?".
function html.escaped(text)
  text = tostring(text):gsub("[%z\1-\8\11\12\14-\31\127]", " ")
  text = utf8.len(text) and text or text:gsub("[\128-\255]", "?")
  return (text:gsub("[&<>\"']", ESCAPES))
end

--- <name …>inner</name>. inner: HTML, or a list of it; attributes: a table of texts, escaped here.
function html.element(name, inner, attributes)
  local names, pieces = names_of(attributes or {}), {}
  for i, attribute in ipairs(names) do
    pieces[i] = (' %s="%s"'):format(attribute, html.escaped(attributes[attribute]))
  end
  return ("<%s%s>%s</%s>"):format(name, table.concat(pieces), type(inner) == "table"
    and table.concat(inner, "\n") or inner, name)
end

--- A cell of a table with a figure: shown as `text`, and exactly in its attribute data-value, for
-- programs. field: its name in the JSON.
function html.figure(field, value, text, class)
  return html.element("td", text, {
    class = class or "number",
    ["data-field"] = field,
    ["data-value"] = type(value) == "number" and numbers.text(value) or tostring(value),
  })
end

--- A table in a box of its own, in which it scrolls where it is wider than the page. heads: texts,
-- those above figures ending in "#"; rows: HTML.
function html.table(caption, heads, rows)
  local cells = {}
  for i, head in ipairs(heads) do
    local text, is_number = head:gsub("#$", "")
    cells[i] = html.element("th", html.escaped(text),
      { scope = "col", class = is_number > 0 and "number" or nil })
  end
  return html.element("div", html.element("table", {
    html.element("thead", html.element("tr", cells)),
    html.element("tbody", rows),
  }), { class = "scrolls", role = "region", tabindex = "0", ["aria-label"] = caption })
end

return html
