-- Runs gnuplot, which draws the pictures; it need not be installed until somebody asks for one. A
-- program goes to it in a file and the picture comes back through a pipe: no name of ours ever
-- stands in a shell's line or in gnuplot's.

local gnuplot = {}

local WHERE_FROM = "Debian and Ubuntu: apt install gnuplot-nox; Fedora: dnf install gnuplot; " ..
  "macOS: brew install gnuplot"

-- Nobody's own settings: not those of a file (-d), nor those of the environment.
local RUN = "unset GNUTERM GNUPLOT_LIB GNUPLOT_FONTPATH GDFONTPATH GNUPLOT_DEFAULT_GDFONT; " ..
  "exec gnuplot -d %s 2>%s"

-- Text that is not UTF-8, or holds control characters, would spoil the whole picture.
local function printable(text)
  text = text:gsub("%c", " ")
  return utf8.len(text) and text or (text:gsub("[\128-\255]", "?"))
end

--- A text as gnuplot reads it in a program: nothing in it is expanded or evaluated.
function gnuplot.quoted(text)
  return "'" .. printable(text):gsub("'", "''") .. "'"
end

--- The same for a label at an axis, where gnuplot would take % for a format.
function gnuplot.quoted_tic(text)
  return (gnuplot.quoted(text):gsub("%%", "%%%%"))
end

-- What a temporary file holds; the file is gone afterwards.
local function take(path)
  local file = io.open(path, "rb")
  local text = file and file:read("a") or ""
  if file then
    file:close()
  end
  os.remove(path)
  return text
end

local function write_temporary(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  local ok, reason = file:write(text)
  if not (ok and file:close()) then
    os.remove(path)
    error(("cannot write gnuplot's program to %s: %s"):format(path, reason
      or "the disk may be full"), 0)
  end
  return path
end

-- The last thing it said that is not where it stood: "unknown or ambiguous terminal type".
local function complaint(said)
  local last = "it says nothing"
  for line in said:gmatch("[^\n]+") do
    last = line:match('line %d+: (.*)') or line:find("%S") and not line:find("^%s*%^%s*$") and line
      or last
  end
  return last
end

-- What gnuplot writes for this program, and what it says. Raises what it complains of.
local function run(program)
  local source, errors = write_temporary(program), os.tmpname()
  local pipe = assert(io.popen(RUN:format(source, errors), "r"))
  local picture = pipe:read("a")
  local ok = pipe:close()
  os.remove(source)
  local said = take(errors)
  if not ok then
    error("gnuplot failed: " .. complaint(said), 0)
  end
  return picture, said
end

-- By the kind of picture.
local WHOLE = { svg = "</svg>%s*$", png = "^\137PNG.*IEND....$", dumb = "%S" }

--- The picture that it draws, as bytes. kind: "svg", "png" or "dumb", of the terminal that the
-- program sets. Raises what it complains of, and where it ends well without a whole picture.
function gnuplot.draw(program, kind)
  local picture, said = run(program)
  if not picture:find(WHOLE[kind]) then
    error("gnuplot failed: it drew no whole picture; " .. complaint(said), 0)
  end
  return picture
end

local function is_installed()
  local pipe = io.popen("command -v gnuplot", "r")
  local found = pipe and pipe:read("l")
  if pipe then
    pipe:close()
  end
  return found ~= nil
end

--- Whether gnuplot can be run; else false and what to install.
function gnuplot.find()
  if is_installed() then
    return true
  end
  return false, "pictures are drawn by gnuplot, which is not installed (" .. WHERE_FROM .. ")"
end

--- The first of these terminals, each as the text behind `set terminal`, that this gnuplot has.
-- Raises where it has none of them, or is not installed.
function gnuplot.choose(terminals)
  local is_there, reason = gnuplot.find()
  if not is_there then
    error(reason, 0)
  end
  for _, terminal in ipairs(terminals) do
    local ok
    ok, reason = pcall(run, "set terminal " .. terminal .. "\n")
    if ok then
      return terminal
    end
  end
  error(("this gnuplot cannot draw it: %s (%s)"):format(reason, WHERE_FROM), 0)
end

return gnuplot
