-- retry "forever": never gives up. For workloads in which every update must be made, whatever it
-- takes.
return {
  doc = "Never give up.",
  retry = function()
    return true
  end,
}
