// node-redis: https://github.com/redis/node-redis.
//
// way=watch:  WATCH, GET, and multi() with exec(), which throws a WatchError, as its page on
//             transactions teaches; a connection for each worker.
// way=script: compare_and_count.lua by EVALSHA, for own keys: what is sent in one turn of the event
//             loop travels together, on as many connections as are asked for. The last commit is
//             the next base.
//
// After a conflict: a pause below min(cap, base 2^n), uniform at random; the clock has
// milliseconds. Settings and what is printed: see ../measuring/programs.py.
'use strict';
const fs = require('fs');
const path = require('path');
const { createClient, WatchError } = require(
  path.join(__dirname, '../../../build/peers/node/node_modules/redis'));

const settings = Object.fromEntries(process.argv.slice(2).map((word) => word.split('=')));
const number = (name) => Number(settings[name]);
const source = fs.readFileSync(path.join(__dirname, 'compare_and_count.lua'), 'utf8');
let attempts = 0;

function pause(failures) {
  const ceiling = Math.min(number('cap_us'), number('base_us') * 2 ** failures) / 1000;
  return new Promise((done) => {
    if (ceiling > 0) setTimeout(done, Math.random() * ceiling);
    else setImmediate(done);
  });
}

async function byWatch(client, key) {
  await client.watch(key);
  const value = Number(await client.get(key) ?? 0);
  try {
    await client.multi().set(key, String(value + 1)).exec();
    return true;
  } catch (error) {
    if (error instanceof WatchError) return false;
    throw error;
  }
}

async function byScript(client, key, sha, state) {
  const reply = await client.evalSha(sha, { keys: [key, `{${key}}:v`],
    arguments: [String(state.value + 1), String(state.value + 1)] });
  if (reply !== 'OK') throw new Error(`a key of its own: ${reply}`);
  state.value += 1; // and so is its version
  return true;
}

async function work(client, worker, sha) {
  const by = settings.way === 'script' ? byScript : byWatch;
  const key = `bench:${settings.kind === 'hot' ? 0 : worker}`;
  const state = { value: 0 };
  for (let share = number('share'); share > 0; share--) {
    for (let failures = 1; ; failures++) {
      attempts++;
      if (await by(client, key, sha, state)) break;
      await pause(failures);
    }
  }
}

async function main() {
  const clients = [];
  for (let i = 0; i < number('connections'); i++) {
    clients.push(await createClient({ socket: { path: settings.socket } }).connect());
  }
  const sha = await clients[0].scriptLoad(source);
  const seconds = [];
  const started = performance.now();
  await Promise.all(Array.from({ length: number('workers') }, async (_, worker) => {
    await work(clients[worker % clients.length], worker, sha);
    seconds[worker] = (performance.now() - started) / 1000;
  }));
  console.log(JSON.stringify({ attempts, seconds }));
  for (const client of clients) client.destroy();
}

main().catch((error) => {
  console.error(`node-redis: ${error.stack}`);
  process.exit(1);
});
