-- Model "wan": client and server in two regions. A hop takes 20 ms by the length of the way, and
-- then some by the queues of the routers in between.
return {
  doc = "Two regions: 20 ms a hop and more.",
  delay = { "exponential", mean = "1ms", minimum = "20ms" },
  ordered = true,
  service = { default = "1us", EVAL = "4us", EVALSHA = "4us", SCRIPT = "50us" },
}
