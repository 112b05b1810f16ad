// Asks a recorder's HTTP server, for the tests of metrics, page and status.
import http from 'node:http';
import { record, remove, sleep } from './lib.mjs';

// GET without a library in between: { status, headers, body }.
export function get(url, path, { method = 'GET', headers = {} } = {}) {
  return new Promise((done, fail) => {
    const request = http.request(new URL(path, url), { method, headers, agent: false }, (response) => {
      let body = '';
      response.on('data', (d) => { body += d; });
      response.on('end', () => done({ status: response.statusCode, headers: response.headers, body }));
      response.on('error', fail);
    });
    request.on('error', fail);
    request.end();
  });
}

// A recorder with its page on a free port.
export async function recordWatched(sim, dir, args = [], options = {}) {
  const self = record(sim, dir, ['--set', 'http.listen=127.0.0.1:0', ...args], options);
  self.url = (await self.until(/page and metrics: (\S+)/))[1];
  self.get = (path, options) => get(self.url, path, options);
  self.json = async (path = '/status.json') => JSON.parse((await self.get(path)).body);
  self.metrics = async () => parse((await self.get('/metrics')).body);
  // Waits until `look` gives something true; `seconds` at most.
  self.eventually = async (what, look, seconds = 20) => {
    const end = Date.now() + seconds * 1000;
    let last;
    for (;;) {
      try { last = await look(); } catch (error) { last = undefined; self.lastError = error; }
      if (last) return last;
      if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s; ${self.lastError?.message ?? ""}\n${self.stderr}\n${JSON.stringify((await self.json()).health, null, 1)}`);
      await sleep(200);
    }
  };
  // Green, with data on every connection; right after the start it is amber: subscriptions are to come.
  self.green = (seconds = 30) => self.eventually('green', async () => {
    const healthz = await self.get('/healthz');
    return healthz.status === 200 && /^green\ndata flows on (\d+) of \1 connections/.test(healthz.body) && healthz.body;
  }, seconds);
  return self;
}

// Samples by their text: 'name{label="x"}' -> number.
export function parse(text) {
  const samples = {};
  for (const line of text.split('\n')) {
    const found = /^([a-z_]+(?:\{.*\})?) (\S+)$/.exec(line);
    if (found) samples[found[1]] = Number(found[2]);
  }
  return samples;
}

// Ends what is not looked at any more, at once: nothing needs to be sealed.
export async function end(dir, ...children) {
  for (const { child } of children) child.kill('SIGKILL');
  await Promise.all(children.map(({ exited }) => exited));
  remove(dir);
}
