-- Model "loopback": client and server on one machine, by a Unix socket. Redis 7.0.15 takes some 4
-- us for a call of the core script and under 1 us for a plain command; the updates of a client that
-- nobody disturbs took 32 to 39 us (medians; vlockrun -w 1 -n 20000 none, on 2 cores), and take 29
-- in this model.
return {
  doc = "One machine, a Unix socket: 12 us a hop.",
  delay = { "lognormal", median = "12us", sigma = 0.25 },
  ordered = true,
  service = { default = "1us", EVAL = "4us", EVALSHA = "4us", SCRIPT = "50us" },
}
