-- Writes the man pages and the completions of bash, zsh and fish, from the pages' texts in
-- src/manual/ and from what vlockrun knows of its own command line.
-- usage: ./vlockrun scripts/build/manual.lua FOLDER PREFIX     (make manual does it)

local folder, prefix = ARGV[1] or KEYS[1], KEYS[2]

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

local function write(name, text)
  local file <close> = assert(io.open(folder .. "/" .. name, "wb"))
  assert(file:write(text))
end

local function output_of(command)
  local pipe <close> = assert(io.popen(command, "r"))
  return pipe:read("a")
end

local known = cjson.decode(output_of("./vlockrun help --json"))
local version = output_of("./vlockrun --version"):match("^vlockrun (%S+)")

-- ---- man pages

local function escaped(text)
  return (text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("\n%.", "\n\\&."):gsub("^%.", "\\&."))
end

local function name_of(option)
  local long = "\\fB\\-\\-" .. escaped(option.name) .. "\\fR"
  local short = option.letter ~= cjson.null and "\\fB\\-" .. option.letter .. "\\fR, " or ""
  local value = option.value ~= cjson.null and "\\fI" .. escaped(option.value) .. "\\fR"
  if option.form == "optional" then
    return ("%s%s[=%s]"):format(short, long, value)
  end
  return short .. long .. (value and " " .. value or "")
end

local function options_text()
  local lines, group = {}, nil
  for _, option in ipairs(known.options) do
    if option.group ~= group then
      group = option.group
      lines[#lines + 1] = ".SS " .. group
    end
    lines[#lines + 1] = ".TP\n" .. name_of(option) .. "\n" .. escaped(option.help)
  end
  return table.concat(lines, "\n")
end

local function verbs_text()
  local lines = {}
  for _, verb in ipairs(known.verbs) do
    lines[#lines + 1] = (".TP\n\\fB%s\\fR %s\n%s"):format(escaped(verb.name), escaped(verb.words),
      escaped(verb.text):gsub("\n$", ""))
  end
  return table.concat(lines, "\n")
end

-- The functions of the header, as it declares them.
local function prototypes_text()
  local lines = {}
  for declared in read("src/vlock.h"):gmatch("\nVLOCK_API ([^;]-;)") do
    local line = ""
    for piece in (declared:gsub("%s+", " ")):gmatch("[^,]+,?") do
      if #line + #piece > 72 then
        lines[#lines + 1], line = ".B \"" .. escaped(line) .. "\"", "   "
      end
      line = line .. piece
    end
    lines[#lines + 1] = ".B \"" .. escaped(line) .. "\""
  end
  return table.concat(lines, "\n")
end

local TEXTS = {
  VERSION = version,
  PREFIX = prefix,
  OPTIONS = options_text(),
  VERBS = verbs_text(),
  PROTOTYPES = prototypes_text(),
}

for _, name in ipairs { "vlockrun.1", "vlock.3", "vlock-policy.5" } do
  write(name, (read("src/manual/" .. name):gsub("@(%u+)@", TEXTS)))
end

-- ---- completion

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function names(list, describe)
  local words = {}
  for i, one in ipairs(list) do
    words[i] = describe(one)
  end
  return table.concat(words, " ")
end

-- Whether the word behind an option is its value.
local function takes_word(option)
  return option.form ~= "none" and option.form ~= "optional"
end

-- The options that take a value, and of these the ones that take a file: as patterns of a case.
local function patterns(holds)
  local words = {}
  for _, option in ipairs(known.options) do
    if takes_word(option) and holds(option) then
      words[#words + 1] = "--" .. option.name
      words[#words + 1] = option.letter ~= cjson.null and "-" .. option.letter or nil
    end
  end
  return table.concat(words, "|")
end

local function takes_file(option)
  return option.form == "file"
end

write("vlockrun.bash", ([[
# Completion of bash for vlockrun; made by scripts/build/manual.lua.
_vlockrun() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local policies
    COMPREPLY=()
    case $before in
    %s) COMPREPLY=($(compgen -f -- "$word")) && return ;;
    -s|--store)
        COMPREPLY=($(compgen -W 'plain watch ifeq envelope' -- "$word")
            $(compgen -f -X '!*.lua' -- "$word"))
        return ;;
    %s) return ;;
    esac
    case $word in
    -*) COMPREPLY=($(compgen -W %s -- "$word")) && return ;;
    esac
    policies=$(vlockrun list 2>/dev/null | sed -n 's/^ *\([a-z][a-z0-9_]*\)  .*/\1/p')
    COMPREPLY=($(compgen -W %s" $policies" -- "$word") $(compgen -f -- "$word"))
}
complete -o filenames -F _vlockrun vlockrun
]]):format(patterns(takes_file), patterns(function(option)
  return not takes_file(option) and option.name ~= "store"
end), quoted(names(known.options, function(option)
  return "--" .. option.name
end)), quoted(names(known.verbs, function(verb)
  return verb.name
end))))

local function zsh_option(option)
  local help = option.help:gsub("[%[%]:\\]", "\\%0")
  local action = not takes_word(option) and ""
    or (":%s:%s"):format(option.value:gsub(":", ""), takes_file(option) and "_files" or "")
  local long = quoted(("--%s[%s]%s"):format(option.name, help, action))
  return option.letter == cjson.null and long
    or quoted(("-%s[%s]%s"):format(option.letter, help, action)) .. " \\\n    " .. long
end

local lines = {}
for i, option in ipairs(known.options) do
  lines[i] = "    " .. zsh_option(option)
end
write("_vlockrun", ([[
#compdef vlockrun
# Completion of zsh for vlockrun; made by scripts/build/manual.lua.
_vlockrun_word() {
    local -a verbs policies
    verbs=(%s)
    policies=(${(f)"$(vlockrun list 2>/dev/null | sed -n 's/^ *\([a-z][a-z0-9_]*\)  .*/\1/p')"})
    _describe verb verbs
    compadd -- $policies
    _files
}
_arguments -s \
%s \
    '*: :_vlockrun_word'
]]):format(names(known.verbs, function(verb)
  return quoted(verb.name .. ":" .. verb.summary)
end), table.concat(lines, " \\\n")))

lines = { "# Completion of fish for vlockrun; made by scripts/build/manual.lua." }
for _, option in ipairs(known.options) do
  lines[#lines + 1] = ("complete -c vlockrun %s-l %s %s-d %s"):format(
    option.letter ~= cjson.null and "-s " .. option.letter .. " " or "", option.name,
    not takes_word(option) and "" or takes_file(option) and "-r -F " or "-x ", quoted(option.help))
end
for _, verb in ipairs(known.verbs) do
  lines[#lines + 1] = ("complete -c vlockrun -n __fish_use_subcommand -a %s -d %s"):format(
    verb.name, quoted(verb.summary))
end
lines[#lines + 1] = "complete -c vlockrun -a \"(vlockrun list 2>/dev/null | string replace -rf "
  .. "'^ *([a-z][a-z0-9_]*)  +(.*)' '\\$1\\t\\$2')\""
write("vlockrun.fish", table.concat(lines, "\n") .. "\n")
