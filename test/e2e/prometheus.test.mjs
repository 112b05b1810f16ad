// The real Prometheus scrapes a recorder: promtool accepts the metrics, the alert rules and their tests, and
// every query of the alerts and of the Grafana dashboard finds its series; a dead venue raises an alert.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { folder, run, runSync, simulate } from './lib.mjs';
import { end, get, recordWatched } from './watch.mjs';

const root = resolve(import.meta.dirname, '../..');
const find = (name) => ['/usr/bin', join(root, 'build/prometheus/usr/bin')].map((dir) => join(dir, name)).find(existsSync);
const prometheus = find('prometheus');
const promtool = find('promtool');
const skip = prometheus && promtool ? false : 'no Prometheus: scripts/setup test fetches it';
const rules = join(root, 'contrib/prometheus/alerts.yml');
const tool = (args, input) => {
  const { status, stdout, stderr } = spawnSync(promtool, args, { encoding: 'utf8', input });
  assert.equal(status, 0, `promtool ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout + stderr;
};

const freePort = () => new Promise((done) => {
  const server = net.createServer();
  server.listen(0, '127.0.0.1', () => { const { port } = server.address(); server.close(() => done(port)); });
});

// They wait more than they work: side by side.
describe('Prometheus', { concurrency: 4 }, () => {
test('alert rules: promtool accepts them and their tests; they know every condition', { skip }, () => {
  tool(['check', 'config', join(root, 'contrib/prometheus/prometheus.yml')]);
  tool(['test', 'rules', join(root, 'contrib/prometheus/alerts_test.yml')]);
  const said = { red: [], amber: [] };
  for (const [, name, level] of runSync(['metrics']).stdout.matchAll(/^\| `([a-z_]+)` \| (red|amber) \|/gm)) said[level].push(name);
  const [red, amber] = [...readFileSync(rules, 'utf8').matchAll(/condition=~"([a-z_|]+)"/g)].map(([, list]) => list.split('|'));
  assert.deepEqual(red, said.red);
  assert.deepEqual(amber, said.amber.filter((name) => name !== 'stopping'));
});

test('a scrape, the dashboard\'s and the alerts\' queries, and an alert when a venue dies', { skip, timeout: 240000 }, async () => {
  const dir = folder('prometheus');
  const sim = await simulate(dir, { symbols: 4, rate: 400, args: ['--plain'] });
  const recorder = await recordWatched(sim, `${dir}/data`);
  await recorder.green();
  assert.equal(tool(['check', 'metrics'], (await recorder.get('/metrics')).body), ''); // it has nothing to find fault with

  copyFileSync(rules, join(dir, 'alerts.yml'));
  writeFileSync(join(dir, 'prometheus.yml'), `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [alerts.yml]
scrape_configs: [{ job_name: market-data, static_configs: [{ targets: ['127.0.0.1:${new URL(recorder.url).port}'] }] }]
`);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server = run([`--config.file=${dir}/prometheus.yml`, `--storage.tsdb.path=${dir}/tsdb`, `--web.listen-address=127.0.0.1:${port}`, '--log.level=warn'], { command: prometheus });
  const api = async (path) => JSON.parse((await get(url, `/api/v1/${path}`)).body);
  const query = async (text) => {
    const answer = await api(`query?query=${encodeURIComponent(text)}`);
    assert.equal(answer.status, 'success', `${text}\n${JSON.stringify(answer)}`);
    return answer.data.result;
  };
  await recorder.eventually('scraped', async () => Number((await query('up{job="market-data"}'))[0]?.value[1]) === 1, 30);
  // a rate wants two scrapes, and the first may be of a recorder that had just begun
  await recorder.eventually('a rate', async () =>
    Number((await query('sum(rate(market_data_received_messages_total[10s]))'))[0]?.value[1]) > 50, 30);
  await recorder.eventually('all samples', async () => (await query('scrape_samples_scraped > 100')).length === 1, 30);

  const dashboard = JSON.parse(readFileSync(join(root, 'contrib/grafana/market-data.json'), 'utf8'));
  const mayBeEmpty = /condition|dropped|gaps_total|reconnects_total|_limit\{.*\} > 0/; // what has not happened has no series
  let asked = 0;
  for (const panel of dashboard.panels) {
    for (const { expr } of panel.targets) {
      const text = expr.replaceAll('$instance', '.*').replaceAll('$__rate_interval', '10s');
      await recorder.eventually(`${panel.title}: ${text}`, async () => (await query(text)).length > 0 || mayBeEmpty.test(text), 30);
      asked++;
    }
  }
  assert.ok(asked > 20);
  const named = new Set([...JSON.stringify(dashboard).matchAll(/market_data_[a-z_]+/g), ...readFileSync(rules, 'utf8').matchAll(/market_data_[a-z_]+/g)].map(([name]) => name));
  let unseen;
  await recorder.eventually('every name', async () => {
    const known = new Set((await api('label/__name__/values')).data);
    unseen = [...named].filter((name) => !known.has(name) && !/dropped_messages_total|gaps_total|reconnects_total/.test(name));
    return unseen.length === 0;
  }, 30).catch(() => assert.deepEqual(unseen, []));

  sim.child.kill('SIGKILL');
  const alert = await recorder.eventually('an alert', async () =>
    (await api('alerts')).data.alerts.find(({ labels }) => labels.alertname === 'MarketDataRed' && labels.condition === 'connection_down'), 30);
  assert.match(alert.state, /pending|firing/);
  assert.equal(alert.labels.severity, 'critical');
  server.child.kill('SIGTERM');
  await server.exited;
  assert.doesNotMatch(server.stderr, /level=error/);
  await end(dir, recorder);
});
});
