-- Model "aws": the simulator behind M. Brooker, "Exponential Backoff And Jitter", AWS Architecture
-- Blog, 2015 (https://github.com/aws-samples/aws-arch-backoff-simulator). Every hop takes
-- |Normal(10 ms, 2 ms)|, on its own; the server takes no time, nothing is lost, and who loses
-- learns only that. Its clients go on until they have written; so does, here, a policy that does
-- not say for how long.
return {
  doc = "The article's network: 10 ms a hop, no service time; a conflict tells nothing.",
  server = "register",
  delay = { "folded", mean = "10ms", deviation = "2ms" },
  conflict_value = false,
  defaults = { retry = "forever" },
}
