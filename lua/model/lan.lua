-- Model "lan": client and server in one data centre. Half of the round trips take 200 us or less,
-- one in a hundred more than twice as long.
return {
  doc = "One data centre: 100 us a hop.",
  delay = { "lognormal", median = "100us", sigma = 0.35 },
  ordered = true,
  service = { default = "1us", EVAL = "4us", EVALSHA = "4us", SCRIPT = "50us" },
}
