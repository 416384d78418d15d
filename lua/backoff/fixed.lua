-- backoff "fixed": the same pause every time. Clients that collided once collide again: the
-- baseline that jitter is measured against.
return {
  doc = "Sleep the same time before every attempt.",
  params = { pause = "1ms" },
  backoff = function(p)
    return p.pause
  end,
}
