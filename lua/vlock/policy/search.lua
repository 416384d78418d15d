-- Where files named by a policy, a store or a script are found. A kind (retry, backoff, merge,
-- store) is a folder: "mine" of kind backoff is backoff/mine.lua in the first of these that has it:
-- beside the script, ./lua, each folder of VLOCK_PATH, $XDG_DATA_HOME/vlock/lua, the installed
-- share folder; then the files built in.

local files = require "vlock.files"
local did_you_mean = require "vlock.text.did_you_mean"

local search = {}

local is_kind = { retry = true, backoff = true, merge = true, store = true }

local function read_file(path)
  local file, reason = io.open(path, "rb")
  if not file then
    return nil, reason
  end
  local text, failure = file:read("a")
  file:close()
  return text, failure and ("%s: %s"):format(path, failure)
end

search.read_file = read_file -- the whole text; nil and why not

--- Where to look, for a script in `script_folder` (nil: none): `folders`, a list.
function search.context(script_folder)
  local folders = {}
  local function add(folder)
    if folder and folder ~= "" then
      folders[#folders + 1] = (folder:gsub("(.)/+$", "%1"))
    end
  end
  add(script_folder)
  if script_folder and script_folder:match("[^/]*$"):find("^%a+$")
    and is_kind[script_folder:match("[^/]*$")] then
    -- A script that lies in a kind's folder: its neighbours are found by name.
    add(script_folder:match("^(.*)/[^/]*$") or ".")
  end
  add("lua")
  for folder in (os.getenv("VLOCK_PATH") or ""):gmatch("[^:]+") do
    add(folder)
  end
  local home, data = os.getenv("HOME"), os.getenv("XDG_DATA_HOME")
  add((data and data ~= "" and data or home and home .. "/.local/share" or nil) and
    (data and data ~= "" and data or home .. "/.local/share") .. "/vlock/lua")
  add(files.share_folder .. "/lua")
  return { folders = folders }
end

--- From here on what was found once from this context is not looked for again; returns the context.
function search.remember(context)
  context.remembers = true
  return context
end

-- look(context, name) -> text, path; a context that remembers has looked once.
local function remembered(look)
  local found = setmetatable({}, { __mode = "k" }) -- by context, by name
  return function(context, name)
    if not context.remembers then
      return look(context, name)
    end
    local known = found[context.folders] or {}
    found[context.folders] = known
    if not known[name] then
      known[name] = { look(context, name) }
    end
    return known[name][1], known[name][2]
  end
end

--- The text of a file ("cas.lua") in the first folder that has it, else of the one built in, and
-- the path it was found at; nil where there is none.
search.text = remembered(function(context, file)
  for _, folder in ipairs(context.folders) do
    local path = folder .. "/" .. file
    local text = read_file(path)
    if text then
      return text, path
    end
  end
  local text = files.built_in(file)
  if text then
    return text, "built-in " .. file
  end
end)

--- The same for KIND/NAME.lua.
function search.find(context, kind, name)
  return search.text(context, ("%s/%s.lua"):format(kind, name))
end

--- The text of the file at a path as it is named from here; nil and why not.
search.at = remembered(function(_, path)
  return read_file(path)
end)

--- The text of a file named by its path, and the path it was found at: as it is named from here,
-- else from one of the folders. nil and why not.
search.file = remembered(function(context, name)
  local text, reason = read_file(name)
  if text then
    return text, name
  end
  for _, folder in ipairs(context.folders) do
    text = read_file(folder .. "/" .. name)
    if text then
      return text, folder .. "/" .. name
    end
  end
  return nil, ("cannot read %s (looked for in: ., %s)"):format(reason,
    table.concat(context.folders, ", "))
end)

local beside = remembered(function(context, folder)
  local own = search.context(folder)
  own.remembers = context.remembers
  return own
end)

--- The context of a file at this path, found from another context: its neighbours come first. The
-- caller may add fields.
function search.beside(context, path)
  return setmetatable({}, { __index = beside(context, path:match("^(.*)/[^/]*$") or ".") })
end

--- The names of this kind, sorted, each with the path it would be found at.
function search.names(context, kind)
  local found, names = {}, {}
  local function add(name, path)
    if not found[name] and not name:find("_test$") and not name:find("_spec$") then
      found[name] = path
      names[#names + 1] = name
    end
  end
  for _, folder in ipairs(context.folders) do
    for _, file in ipairs(files.lua_files(folder .. "/" .. kind) or {}) do
      add(file:sub(1, -5), folder .. "/" .. kind .. "/" .. file)
    end
  end
  for _, file in ipairs(files.built_ins()) do
    local name = file:match("^" .. kind .. "/([^/]+)%.lua$")
    if name then
      add(name, "built-in " .. file)
    end
  end
  table.sort(names)
  return names, found
end

--- Raises: there is no such name of this kind; says where it was looked for and which name is near.
function search.fail(context, kind, name)
  if name:find("[/.]") then
    error(("no %s '%s': a part is named by the name of its file alone, without folder and " ..
      ".lua"):format(kind, name), 0)
  end
  local names = search.names(context, kind)
  error(("no %s '%s'%s; there are: %s (looked for %s/%s.lua in: %s)"):format(kind, name,
    did_you_mean(name, names), table.concat(names, ", "), kind, name,
    table.concat(context.folders, ", ")), 0)
end

return search
