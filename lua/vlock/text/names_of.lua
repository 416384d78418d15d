-- The names in a table, sorted: in an order that is always the same.

return function(fields)
  local names = {}
  for name in pairs(fields) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end
