// The page: /status.json and /history.json once, then an event a second; /symbols.json while the table is in
// sight. Whatever comes from outside (symbols, exchanges' words, log lines) becomes a text node, never markup.
'use strict';

const KEPT = 300; // seconds on the charts
const PAGE = 100; // rows of a table shown at first
const LEVELS = { green: 'All is well', amber: 'Worth a look', red: 'Something is wrong', unknown: 'Waiting for the recorder' };
const byId = (id) => document.getElementById(id);

// ---- text

const number = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const whole = (n) => (n < 100000 ? number.format(n) : short.format(n));
const clock = (ms) => new Date(ms).toLocaleTimeString('en-GB');

function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  for (; n >= 1024 && unit < units.length - 1; unit++) n /= 1024;
  return `${unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[unit]}`;
}

function span(seconds) {
  if (seconds < 0) return '–';
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

const millis = (ms) => (ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : ms >= 100 ? `${Math.round(ms)} ms` : ms >= 1 ? `${ms.toFixed(1)} ms` : `${Math.round(ms * 1000)} µs`);

// ---- DOM, by text nodes alone

function element(tag, { text, kind, tone, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  if (tone) made.dataset.tone = tone;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const badge = (text, tone) => element('span', { text, kind: 'badge', tone });

// A table that keeps its rows and cells and changes only what changed: thousands of values stay smooth, and
// neither focus nor selection is lost. Columns: { name, number, value(row), text(row), tone(row), sort }.
class Table {
  constructor(id, columns, { caption, tone, page = PAGE, more, sorted, onSort } = {}) {
    const table = byId(id);
    this.columns = columns;
    this.tone = tone;
    this.page = page;
    this.limit = page;
    this.more = more && byId(more);
    this.sorted = sorted;
    this.rows = [];
    this.body = table.tBodies[0];
    this.heads = columns.map((column, index) => {
      const head = element('th', { scope: 'col', kind: column.number ? 'number' : '' });
      if (column.sort) {
        const button = element('button', { type: 'button', text: column.name });
        button.addEventListener('click', () => { this.sortBy(index); onSort?.(); });
        head.append(button);
      } else {
        head.textContent = column.name;
      }
      return head;
    });
    table.tHead.replaceChildren(element('tr', {}, ...this.heads));
    table.prepend(element('caption', { text: caption, kind: 'hidden' }));
    this.more?.addEventListener('click', () => { this.limit += this.page; onSort?.(); });
    this.showSort();
  }

  sortBy(index) {
    const first = this.columns[index].number ? -1 : 1;
    this.sorted = { index, way: this.sorted?.index === index ? -this.sorted.way : first };
    this.showSort();
  }

  showSort() {
    this.heads.forEach((head, index) => {
      if (!this.columns[index].sort) return;
      head.setAttribute('aria-sort', this.sorted?.index !== index ? 'none' : this.sorted.way > 0 ? 'ascending' : 'descending');
    });
  }

  show(list) {
    if (this.sorted) {
      const { sort } = this.columns[this.sorted.index];
      const { way } = this.sorted;
      list = [...list].sort((a, b) => {
        const x = sort(a);
        const y = sort(b);
        return (x < y ? -1 : x > y ? 1 : 0) * way;
      });
    }
    const count = Math.min(list.length, this.limit);
    while (this.rows.length < count) this.addRow();
    while (this.rows.length > count) this.rows.pop().row.remove();
    for (let i = 0; i < count; i++) this.fill(this.rows[i], list[i]);
    if (this.more) this.more.hidden = list.length <= this.limit;
  }

  addRow() {
    const cells = this.columns.map((column, index) => element(index === 0 ? 'th' : 'td',
      { kind: column.number ? 'number' : column.words ? 'words' : '', ...(index === 0 ? { scope: 'row' } : {}) }));
    const row = element('tr', {}, ...cells);
    this.body.append(row);
    this.rows.push({ row, cells });
  }

  fill({ row, cells }, item) {
    const tone = this.tone?.(item) ?? '';
    if ((row.dataset.tone ?? '') !== tone) row.dataset.tone = tone;
    this.columns.forEach((column, index) => {
      const cell = cells[index];
      const text = column.text(item);
      if (!column.badge) {
        say(cell, text);
      } else if (cell.textContent !== text) {
        cell.replaceChildren(text === '' ? '' : badge(text, column.badge(item)));
      }
    });
  }
}

// ---- charts

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

class TimeChart {
  constructor(id, series, { unit, logarithmic = false }) {
    this.series = series;
    this.canvas = byId(id);
    this.now = byId(`${id}-now`);
    this.label = this.canvas.getAttribute('aria-label');
    const text = (value) => unit(value);
    this.chart = new Chart(this.canvas, {
      type: 'line',
      data: { datasets: series.map(({ name, fill }) => ({ label: name, data: [], borderWidth: 1.75, pointRadius: 0, pointHitRadius: 8, tension: 0.25, fill: fill ? 'origin' : false })) },
      options: {
        animation: false, parsing: false, normalized: true, maintainAspectRatio: false,
        interaction: { mode: 'index', intersect: false },
        scales: {
          x: { type: 'linear', ticks: { maxTicksLimit: 6, maxRotation: 0, callback: (ms) => clock(ms) }, grid: { display: false } },
          y: logarithmic // from microseconds to seconds: only the powers of ten are named
            ? { type: 'logarithmic', suggestedMin: 0.1, suggestedMax: 100, ticks: { callback: (v) => (Number.isInteger(Math.log10(v)) ? text(v) : null) } }
            : { beginAtZero: true, ticks: { maxTicksLimit: 5, callback: text } },
        },
        plugins: {
          legend: { align: 'start', labels: { boxWidth: 10, boxHeight: 3, padding: 8 } },
          tooltip: { callbacks: { title: (items) => clock(items[0].parsed.x), label: (item) => `${item.dataset.label}: ${text(item.parsed.y)}` } },
        },
      },
    });
    this.colours();
  }

  colours() {
    const { options, data } = this.chart;
    for (const axis of [options.scales.x, options.scales.y]) axis.ticks.color = style('--muted');
    options.scales.y.grid = { color: style('--grid'), drawBorder: false };
    options.plugins.legend.labels.color = style('--muted');
    data.datasets.forEach((dataset, i) => {
      const colour = style(this.series[i].colour);
      dataset.borderColor = colour;
      dataset.backgroundColor = `${colour}22`;
      dataset.borderDash = this.series[i].dashed ? [5, 4] : [];
    });
    this.chart.update('none');
  }

  show(samples, now) {
    this.series.forEach(({ value }, i) => { this.chart.data.datasets[i].data = samples.map((s) => ({ x: s.unix_ms, y: value(s) })); });
    const last = samples.at(-1)?.unix_ms ?? Date.now();
    const first = samples[0]?.unix_ms ?? last; // a fresh start fills the chart too
    this.chart.options.scales.x.min = Math.min(Math.max(first, last - KEPT * 1000), last - 60000);
    this.chart.options.scales.x.max = last;
    this.chart.update('none');
    say(this.now, now);
    this.canvas.setAttribute('aria-label', `${this.label}: ${now}`);
  }
}

// ---- state

let samples = [];
let status;
let before; // the status a second ago, for rates of exchanges
let symbolRows = [];
let symbolNames = [];
const gaps = [];
let lastEvent = 0;
let budget = 0;

const symbolFields = ['exchange', 'symbol', 'age', 'rate', 'messages', 'gaps', 'book', 'silent', 'subscribed'];
const wantsLook = (row) => row.silent !== '' || (row.subscribed && (row.book === 'waiting' || row.book === 'joining'));

const exchangeTable = new Table('exchange-table', [
  { name: 'Exchange', text: (e) => e.exchange },
  { name: 'Messages/s', number: true, text: (e) => whole(e.rate) },
  { name: 'Latency', number: true, text: (e) => (e.latency_ms.count ? millis(e.latency_ms.p50) : '–') },
  { name: '99 %', number: true, text: (e) => (e.latency_ms.count ? millis(e.latency_ms.p99) : '–') },
  { name: 'Clock ahead ≤', number: true, text: (e) => (e.latency_ms.count ? (e.latency_ms.min < 0 ? '−' : '') + millis(Math.abs(e.latency_ms.min)) : '–') },
  { name: 'Symbols', number: true, text: (e) => whole(e.symbols) },
  { name: 'Streams', number: true, text: (e) => `${e.streams_on} of ${e.streams}` },
  { name: 'Reconnects', number: true, text: (e) => whole(e.reconnects) },
  { name: 'Dropped', number: true, text: (e) => whole(e.dropped) },
  { name: 'Unreadable', number: true, text: (e) => whole(e.undecodable) },
  { name: 'REST weight', number: true, text: (e) => `${whole(e.rest_weight)} of ${whole(e.rest_weight_limit)}` },
], { caption: 'What each exchange sends', tone: (e) => (e.given_up ? 'red' : '') });

const stateTone = (c) => (c.flows ? 'green' : c.down_s >= 2 ? 'red' : c.state === 'live' ? 'red' : 'amber');
const connectionTable = new Table('connection-table', [
  { name: 'Exchange', text: (c) => c.exchange },
  { name: 'Endpoint', text: (c) => c.endpoint },
  { name: 'State', text: (c) => (c.flows ? 'data flows' : c.down_s >= 0 ? 'down' : c.state === 'live' ? 'no data' : c.state), badge: stateTone },
  { name: 'Streams', number: true, text: (c) => `${c.on} of ${c.streams}` },
  { name: 'Last data', number: true, text: (c) => (c.data_age_s < 0 ? '–' : c.data_age_s < 2 ? 'now' : span(c.data_age_s)) },
  { name: 'Open for', number: true, text: (c) => span(c.open_s) },
  { name: 'Messages', number: true, text: (c) => whole(c.messages) },
  { name: 'Reconnects', number: true, text: (c) => whole(c.reconnects) },
  { name: 'Why it ended last', words: true, text: (c) => (c.next_try_s >= 0 && c.down_s >= 0 ? `${c.why}; again in ${span(c.next_try_s)}` : c.why) },
], { caption: 'Connections to the exchanges', more: 'connection-more', page: 40, tone: (c) => (stateTone(c) === 'red' ? 'red' : ''), onSort: () => connectionTable.show(status.connections) });

const symbolTable = new Table('symbol-table', [
  { name: 'Symbol', text: (s) => s.symbol, sort: (s) => s.symbol },
  { name: 'Exchange', text: (s) => s.exchange, sort: (s) => s.exchange },
  { name: 'Last message', number: true, text: (s) => (s.age < 0 ? 'none' : s.age < 1000 ? 'now' : span(s.age / 1000)), sort: (s) => (s.age < 0 ? Infinity : s.age) },
  { name: 'Messages/s', number: true, text: (s) => s.rate.toFixed(1), sort: (s) => s.rate },
  { name: 'Messages', number: true, text: (s) => whole(s.messages), sort: (s) => s.messages },
  { name: 'Gaps', number: true, text: (s) => whole(s.gaps), sort: (s) => s.gaps },
  { name: 'Book', text: (s) => s.book, sort: (s) => s.book, badge: (s) => (s.book === 'whole' ? 'green' : 'amber') },
  { name: 'State', text: (s) => (!s.subscribed ? 'not subscribed' : s.silent !== '' ? `${s.silent} silent` : 'speaks'), sort: (s) => `${s.subscribed ? (s.silent !== '' ? 0 : 2) : 1}`,
    badge: (s) => (!s.subscribed ? 'plain' : s.silent !== '' ? 'amber' : 'green') },
], { caption: 'Symbols', more: 'symbol-more', sorted: { index: 3, way: -1 }, tone: (s) => (s.silent !== '' ? 'amber' : ''), onSort: () => showSymbols() });

let charts = [];
function makeCharts() {
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  charts = [
    new TimeChart('chart-throughput', [
      { name: 'messages/s', colour: '--one', fill: true, value: (s) => s.messages },
      { name: 'rows/s', colour: '--two', value: (s) => s.rows },
      { name: 'dropped/s', colour: '--limit', value: (s) => s.drops },
    ], { unit: (v) => short.format(v) }),
    new TimeChart('chart-queue', [
      { name: 'filled', colour: '--one', fill: true, value: (s) => s.queue_permille / 10 },
      { name: 'dropping begins', colour: '--limit', dashed: true, value: () => 80 },
    ], { unit: (v) => `${v} %` }),
    new TimeChart('chart-memory', [
      { name: 'resident', colour: '--one', fill: true, value: (s) => s.rss_kib / 1024 },
      { name: 'budget', colour: '--limit', dashed: true, value: () => budget / 1048576 },
    ], { unit: (v) => `${number.format(v)} MiB` }),
    new TimeChart('chart-latency', [
      { name: 'median', colour: '--two', value: (s) => s.latency_p50_us / 1000 || NaN },
      { name: '99 %', colour: '--three', value: (s) => s.latency_p99_us / 1000 || NaN },
    ], { unit: (v) => millis(v), logarithmic: true }),
  ];
}

// ---- parts of the page

let spoken = '';
function showHealth({ health, uptime_s: uptime }) {
  const section = byId('health');
  section.dataset.level = health.level;
  say(byId('health-word'), LEVELS[health.level]);
  say(byId('headline'), health.headline);
  say(byId('uptime'), span(uptime));
  say(byId('flowing'), `${health.flowing} of ${health.connections}`);
  const list = byId('conditions');
  const key = health.conditions.map((c) => c.name).join();
  if (list.dataset.key !== key) {
    list.dataset.key = key;
    list.replaceChildren(...health.conditions.map(() => element('li', {}, element('span'), element('span', { kind: 'what' }), element('span'))));
  }
  health.conditions.forEach((condition, i) => {
    const [mark, what, remedy] = list.children[i].children;
    mark.className = 'badge';
    mark.dataset.tone = condition.level;
    say(mark, `${condition.level} since ${clock(condition.since_ms)}`);
    say(what, `${condition.words}. `);
    say(remedy, `What to do: ${condition.remedy}.`);
  });
  document.title = `${health.level === 'green' ? '' : `${health.level}: `}market-data`;
  const now = `${LEVELS[health.level]}: ${key}`; // read aloud when it changes, not each second
  if (now !== spoken) {
    spoken = now;
    say(byId('spoken'), `${LEVELS[health.level]}. ${health.level === 'green' ? '' : health.headline}`);
  }
}

const tileNodes = new Map();
function tile(name, value, small = '', tone = '') {
  let nodes = tileNodes.get(name);
  if (!nodes) {
    const text = document.createTextNode('');
    nodes = { text, small: element('small'), box: element('div') };
    nodes.box.append(element('dt', { text: name }), element('dd', {}, text, ' ', nodes.small));
    byId('tiles').append(nodes.box);
    tileNodes.set(name, nodes);
  }
  if (nodes.text.data !== value) nodes.text.data = value;
  say(nodes.small, small);
  nodes.box.dataset.tone = tone;
}

function showTiles(s) {
  tile('Messages', whole(s.rates.messages), '/s');
  tile('Rows', whole(s.rates.rows), '/s');
  tile('Received', bytes(s.rates.bytes), '/s');
  tile('Dropped', whole(s.totals.dropped), 'in all', s.totals.dropped > 0 ? 'red' : '');
  tile('Gaps', whole(s.totals.gaps), `${whole(s.totals.missing_ids)} ids`, s.totals.gaps > 0 ? 'amber' : '');
  tile('Books whole', `${s.books.whole}`, `of ${s.books.all}`, s.books.whole < s.books.all ? 'amber' : '');
  tile('Journal behind', millis(s.journal.lag_ms), 'the disk', s.journal.lag_ms > 2000 ? 'amber' : '');
  tile('Files sealed', whole(s.totals.files_sealed), bytes(s.totals.sealed_bytes));
  tile('Memory', bytes(s.memory.rss_bytes), `of ${bytes(s.memory.budget_bytes)}`, s.memory.rss_bytes > s.memory.budget_bytes ? 'amber' : '');
  tile('Processor', `${s.rates.cpu_percent.toFixed(0)} %`, 'of a core');
}

function showCharts(s) {
  const latency = s.exchanges.filter((e) => e.latency_ms.count);
  const worst = (key) => latency.reduce((most, e) => Math.max(most, e.latency_ms[key]), 0);
  const now = [
    `${whole(s.rates.messages)} messages/s, ${whole(s.rates.rows)} rows/s`,
    `${whole(s.queue.messages)} messages wait, at most ${whole(s.queue.messages_high)} so far`,
    `${bytes(s.memory.rss_bytes)} of ${bytes(s.memory.budget_bytes)}`,
    latency.length ? `median ${millis(worst('p50'))}, 99 % ${millis(worst('p99'))}` : 'no data yet',
  ];
  charts.forEach((chart, i) => chart.show(samples, now[i]));
}

function showMemory({ memory }) {
  const list = byId('memory-lines');
  if (list.children.length !== memory.lines.length) {
    list.replaceChildren(...memory.lines.map((line) => element('li', {}, element('span', { text: line.line }),
      element('meter', { min: 0, 'aria-label': line.line }), element('span', { kind: 'number' }))));
  }
  memory.lines.forEach((line, i) => {
    const [, meter, text] = list.children[i].children;
    meter.max = Math.max(line.planned_bytes, 1);
    meter.value = line.bytes;
    say(text, `${bytes(line.bytes)} of ${bytes(line.planned_bytes)}`);
  });
}

function gapItem(gap) {
  const what = `${gap.exchange} ${gap.channel}${gap.symbol ? ` ${gap.symbol}` : ''}`;
  const missing = gap.missing > 0 ? `, ${whole(gap.missing)} missing` : '';
  const item = element('li', { 'data-mended': gap.resolution === 'none' ? 'no' : 'yes' }, element('time', { text: clock(gap.start_ms) }),
    badge(gap.cause, gap.resolution === 'none' ? 'amber' : 'green'));
  item.append(`${what}: ${span(Math.max(0, gap.end_ms - gap.start_ms) / 1000)}${missing}, ${gap.resolution === 'none' ? 'not mended' : `mended by ${gap.resolution}`}`);
  return item;
}

function addGaps(list) {
  for (const gap of list) {
    if (gaps.length && gap.n <= gaps.at(-1).n) continue;
    gaps.push(gap);
    byId('gap-list').prepend(gapItem(gap));
  }
  while (gaps.length > 200) {
    gaps.shift();
    byId('gap-list').lastChild.remove();
  }
  byId('gap-none').hidden = gaps.length > 0;
}

// The last hour, or as far back as the gaps go: a mark for each gap, as long as it lasted.
function showStrip(nowMs) {
  const strip = byId('gap-strip');
  if (gaps.length === 0) return;
  const from = Math.max(Math.min(...gaps.map((g) => g.start_ms)), nowMs - 3600000);
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 1000 26');
  svg.setAttribute('preserveAspectRatio', 'none');
  const scale = 1000 / Math.max(nowMs - from, 1000);
  for (const gap of gaps) {
    if (gap.end_ms < from) continue;
    const mark = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
    const x = Math.max(0, (gap.start_ms - from) * scale);
    mark.setAttribute('x', x.toFixed(1));
    mark.setAttribute('y', '4');
    mark.setAttribute('height', '18');
    mark.setAttribute('width', Math.max(2.5, (gap.end_ms - gap.start_ms) * scale).toFixed(1));
    mark.setAttribute('fill', style(gap.resolution === 'none' ? '--amber' : '--green'));
    mark.setAttribute('fill-opacity', '0.6');
    svg.append(mark);
  }
  strip.replaceChildren(svg);
}

let lastLine = 0;
function addLog(lines) {
  const list = byId('log-list');
  for (const line of lines) {
    if (line.n <= lastLine) continue;
    lastLine = line.n;
    const item = element('li', {}, element('time', { text: clock(line.unix_ms) }),
      badge(line.level, line.level === 'error' ? 'red' : line.level === 'warn' ? 'amber' : 'plain'), element('strong', { text: `${line.kind} ` }));
    item.append(line.message + (line.suppressed ? ` (and ${line.suppressed} more like it)` : ''));
    list.prepend(item);
  }
  while (list.children.length > 100) list.lastChild.remove();
  byId('log-none').hidden = list.children.length > 0;
}

function showExchanges(s) {
  const old = new Map((before?.exchanges ?? []).map((e) => [e.exchange, e]));
  const passed = before ? (s.unix_ms - before.unix_ms) / 1000 : 0;
  for (const e of s.exchanges) {
    e.rate = passed > 0 && old.has(e.exchange) ? Math.max(0, e.messages - old.get(e.exchange).messages) / passed : 0;
  }
  exchangeTable.show(s.exchanges);
  const select = byId('symbol-exchange');
  if (select.options.length !== s.exchanges.length + 1) {
    select.replaceChildren(element('option', { value: '', text: 'all' }), ...s.exchanges.map((e) => element('option', { value: e.exchange, text: e.exchange })));
  }
}

function show(s) {
  before = status;
  status = s;
  budget = s.memory.budget_bytes;
  showHealth(s);
  showTiles(s);
  showCharts(s);
  showExchanges(s);
  // those in trouble first
  s.connections.sort((a, b) => (a.flows === b.flows ? 0 : a.flows ? 1 : -1));
  connectionTable.show(s.connections);
  say(byId('connection-count'), `${s.health.flowing} of ${s.connections.length} with data`);
  addGaps(s.gaps);
  showStrip(s.unix_ms);
  say(byId('gap-count'), s.totals.gaps > 0 ? `${whole(s.totals.gaps)} in all` : '');
  showMemory(s);
  addLog(s.log);
  say(byId('recorder'), s.recorder);
  say(byId('version'), `market-data ${s.version}, writes to ${s.data_dir}`);
}

function showSymbols() {
  const wanted = byId('symbol-search').value.trim().toLowerCase();
  const exchange = byId('symbol-exchange').value;
  const trouble = byId('symbol-trouble').checked;
  const found = symbolRows.filter((row, i) => (wanted === '' || symbolNames[i].includes(wanted)) && (exchange === '' || row.exchange === exchange)
    && (!trouble || wantsLook(row)));
  symbolTable.show(found);
  say(byId('symbol-count'), `${whole(found.length)} of ${whole(symbolRows.length)}`);
}

function takeSymbols({ exchanges, rows }) {
  symbolRows = rows.map((row) => {
    const item = Object.fromEntries(symbolFields.map((name, i) => [name, row[i]]));
    item.exchange = exchanges[item.exchange];
    item.rate /= 10;
    return item;
  });
  symbolNames = symbolRows.map((row) => row.symbol.toLowerCase());
  showSymbols();
}

// ---- talking to the recorder

const ask = async (path) => {
  const answer = await fetch(path, { cache: 'no-store' });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
};

function setLink(state, words) {
  byId('link').dataset.state = state;
  say(byId('link'), words);
}

function onLost() {
  if (Date.now() - lastEvent < 6000) return;
  const last = lastEvent ? ` since ${clock(lastEvent)}` : '';
  setLink('lost', `no word${last}`);
  showHealth({ health: { level: 'red', headline: `The recorder does not answer${last}: is it running, and is this machine's network up?`,
    flowing: 0, connections: status?.connections.length ?? 0, conditions: [] }, uptime_s: -1 });
}

async function catchUp() {
  const history = await ask('/history.json');
  samples = history.unix_ms.map((_, i) => Object.fromEntries(Object.entries(history).map(([name, column]) => [name, column[i]])));
  show(await ask('/status.json'));
}

function sampleOf(s) {
  const latency = s.exchanges.filter((e) => e.latency_ms.count);
  const worst = (key) => Math.max(0, ...latency.map((e) => e.latency_ms[key])) * 1000;
  const byMessages = s.queue.messages_limit ? s.queue.messages / s.queue.messages_limit : 0;
  return { unix_ms: s.unix_ms, messages: s.rates.messages, rows: s.rates.rows, drops: s.rates.drops, rss_kib: s.memory.rss_bytes / 1024,
    queue_permille: 1000 * Math.max(byMessages, s.queue.bytes / s.queue.bytes_limit), latency_p50_us: worst('p50'), latency_p99_us: worst('p99') };
}

function listen() {
  const events = new EventSource('/events');
  events.addEventListener('open', () => catchUp().catch(() => {}));
  events.addEventListener('message', (event) => {
    lastEvent = Date.now();
    setLink('live', 'live');
    const s = JSON.parse(event.data);
    samples.push(sampleOf(s));
    samples = samples.slice(-KEPT);
    show(s);
  });
}

let symbolsInSight = false;
let asking = false;
async function refreshSymbols() {
  if (!symbolsInSight || document.hidden || asking) return;
  asking = true;
  try {
    takeSymbols(await ask('/symbols.json'));
  } catch { // the banner says it
  } finally {
    asking = false;
  }
}

function themes() {
  const button = byId('theme');
  const names = { auto: 'as the system', light: 'light', dark: 'dark' };
  const set = (theme) => {
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    say(button, theme[0].toUpperCase() + theme.slice(1));
    button.setAttribute('aria-label', `Colours: ${names[theme]}`);
    charts.forEach((chart) => chart.colours());
  };
  let theme = names[localStorage.getItem('theme')] ? localStorage.getItem('theme') : 'auto';
  set(theme);
  button.addEventListener('click', () => {
    const all = Object.keys(names);
    theme = all[(all.indexOf(theme) + 1) % all.length];
    localStorage.setItem('theme', theme);
    set(theme);
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => charts.forEach((chart) => chart.colours()));
}

makeCharts();
themes();
byId('symbol-form').addEventListener('submit', (event) => event.preventDefault());
for (const id of ['symbol-search', 'symbol-exchange', 'symbol-trouble']) {
  byId(id).addEventListener('input', () => { symbolTable.limit = symbolTable.page; showSymbols(); });
}
new IntersectionObserver((entries) => {
  symbolsInSight = entries.at(-1).isIntersecting;
  refreshSymbols();
}, { rootMargin: '300px' }).observe(byId('symbols'));
setInterval(refreshSymbols, 2000);
setInterval(onLost, 1000);
listen();
