-- backoff "none": at once, with the value that the conflict carried.
return {
  doc = "Try again at once.",
  backoff = function()
    return 0
  end,
}
