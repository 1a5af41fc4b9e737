'use strict';

const SHOWN = 8;
const HISTORY = 100;
const STATE_PERIOD = 10_000;
// The service says how it fares once a second.
const SILENCE = 5_000;
const SIGNALS = { opening: 'connecting', present: 'live', lost: 'no camera', ended: 'ended' };

const at = id => document.getElementById(id);

let labels = [];
let frame = null;
let health = null;
let state = null;
let changes = [];
// Unknown at first.
let connected = null;
let silence = null;
let dragged = null;
let loading = false;
const rows = new Map();
const samples = [];

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// Writes only what differs: what is written again is read out again, and is selected no more.
function write(where, text) {
  if (where.textContent !== text) where.textContent = text;
}

function row(index) {
  const known = rows.get(index);
  if (known) return known;
  const item = element('li');
  const name = element('span', 'label', labels[index]);
  const track = element('span', 'track');
  const bar = element('span', 'bar');
  const slider = element('input');
  Object.assign(slider, { type: 'range', min: 0, max: 1, step: 0.01 });
  slider.setAttribute('aria-label', `Threshold of ${labels[index]}`);
  slider.addEventListener('input', () => { dragged = index; });
  slider.addEventListener('change', () => setThreshold(index, Number(slider.value)));
  slider.addEventListener('blur', () => { if (dragged === index) dragged = null; });
  const numbers = element('span', 'numbers');
  const score = element('span', 'score');
  const threshold = element('span', 'threshold');
  numbers.append(score, threshold);
  track.append(bar, slider);
  item.append(name, track, numbers);
  const made = { item, bar, slider, score, threshold };
  rows.set(index, made);
  return made;
}

async function setThreshold(index, threshold) {
  const answer = await fetch(`/api/thresholds/${encodeURIComponent(labels[index])}`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ threshold }),
  }).catch(() => null);
  if (!answer || !answer.ok) say('threshold not set', true);
  // Until the answer shows in the next frames, the handle stays where it was put.
  setTimeout(() => { if (dragged === index) dragged = null; }, 500);
}

function order() {
  const wanted = at('find').value.trim().toLowerCase();
  const indices = labels.map((_, index) => index);
  const found = wanted ? indices.filter(index => labels[index].toLowerCase().includes(wanted)) : indices;
  const likeliest = found.sort((a, b) => frame.scores[b] - frame.scores[a]).slice(0, SHOWN);
  // The row in use does not go away.
  const used = [...rows].find(([, { slider }]) => slider === document.activeElement);
  if (used && !likeliest.includes(used[0])) likeliest[SHOWN - 1] = used[0];
  return likeliest;
}

function drawTags(present) {
  const list = at('tags');
  // Nothing moves where the keyboard is.
  if (dragged === null && !list.querySelector(':focus-visible')) {
    const items = order().map(index => row(index).item);
    if (items.some((item, place) => list.children[place] !== item) || list.children.length !== items.length) {
      const focused = document.activeElement;
      list.replaceChildren(...items);
      if (list.contains(focused)) focused.focus();
    }
  }
  for (const [index, { item, bar, slider, score, threshold }] of rows) {
    item.classList.toggle('present', present.has(labels[index]));
    bar.style.width = `${frame.scores[index] * 100}%`;
    write(score, frame.scores[index].toFixed(2));
    if (dragged !== index) slider.value = frame.thresholds[index];
    write(threshold, `of ${Number(slider.value).toFixed(2)}`);
  }
}

function drawFrame() {
  const seen = frame.frame;
  const tags = seen ? seen.tags.map(tag => tag.label) : [];
  const chips = at('present');
  if (tags.length !== chips.children.length || tags.some((tag, place) => chips.children[place].textContent !== tag)) {
    chips.replaceChildren(...tags.map(tag => element('span', '', tag)));
  }
  if (seen) {
    const name = seen.path ? `${seen.path.split('/').pop()} · ` : '';
    write(at('frame'), `${name}${seen.width} × ${seen.height} · ${seen.inference_ms.toFixed(1)} ms to infer`);
  }
  drawTags(new Set(tags));
  drawTrouble();
}

// Why the picture is not of this moment, if so.
function trouble() {
  if (connected === false) return 'No connection';
  if (!health || health.signal === 'opening') return 'Connecting';
  if (health.signal === 'lost') return `No camera: ${health.lost_because}`;
  if (health.signal === 'ended') return 'The source has ended';
  if (!frame || !frame.frame) return 'No picture';
  return frame.frame.error ? `Bad frame: ${frame.frame.error}` : '';
}

function drawTrouble() {
  const text = trouble();
  at('picture').classList.toggle('old', text !== '');
  at('no-picture').hidden = text === '';
  write(at('no-picture'), text);
}

function healthLines() {
  const { frames } = health;
  const signal = health.lost_because ? `${health.signal}: ${health.lost_because}` : health.signal;
  const lines = [
    ['signal', connected ? signal : 'unknown: no connection'],
    ['running for', duration(health.uptime_s)],
    ['captured', `${frames.captured} frames, of which ${frames.inferred} inferred, ${frames.still} still`],
    ['not seen', `${frames.dropped} dropped, ${frames.failed} failed; source lost ${frames.source_lost} times`],
  ];
  if (state) {
    lines.unshift(['source', state.source], ['model', state.model]);
    const { celsius, throttled } = state.heat;
    if (celsius !== null) lines.push(['temperature', `${celsius.toFixed(0)} °C${throttled ? ', throttled' : ''}`]);
  }
  if (health.problem) lines.push(['problem', health.problem]);
  return lines;
}

function drawHealth() {
  const signal = health ? health.signal : 'opening';
  say(connected === false ? 'no connection' : SIGNALS[signal], connected === false || signal === 'lost');
  drawTrouble();
  if (!health) return;
  const lines = healthLines();
  const list = at('health');
  const names = [...list.querySelectorAll('dt')].map(name => name.textContent);
  if (names.join() !== lines.map(([name]) => name).join()) {
    list.replaceChildren(...lines.flatMap(([name]) => [element('dt', '', name), element('dd')]));
  }
  lines.forEach(([, value], place) => write(list.children[2 * place + 1], value));
}

function duration(seconds) {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours ? `${hours} h ${minutes} min` : minutes ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

function say(text, bad) {
  write(at('signal'), text);
  at('signal').classList.toggle('bad', bad);
}

function changeItem(change) {
  const item = element('li', change.event);
  const time = element('time', '', new Date(change.time * 1000).toLocaleTimeString());
  const lasted = change.seconds === undefined ? '' : ` after ${change.seconds.toFixed(1)} s`;
  item.append(time, element('span', '', `${change.label} ${change.event}${lasted}`));
  return item;
}

function addChange(change) {
  changes = [...changes, change].slice(-HISTORY);
  const list = at('history');
  list.prepend(changeItem(change));
  while (list.children.length > HISTORY) list.lastChild.remove();
}

// Fills what is missing of the changes; those that came while `history` was on its way are not in it.
function fillChanges(history) {
  const known = new Set(history.map(change => JSON.stringify(change)));
  const later = changes.filter(change => !known.has(JSON.stringify(change)));
  const all = [...history, ...later].sort((a, b) => a.time - b.time).slice(-HISTORY);
  if (JSON.stringify(all) === JSON.stringify(changes)) return;
  changes = all;
  at('history').replaceChildren(...changes.map(changeItem).reverse());
}

function sample() {
  const now = Date.now();
  const tags = frame.frame ? frame.frame.tags : [];
  samples.push({ now, scores: frame.scores, present: new Set(tags.map(tag => tag.label)) });
  while (samples.length && samples[0].now < now - MINUTE) samples.shift();
}

// The labels that were present last, in the order of the model.
function remembered() {
  const found = new Set();
  for (const { present } of [...samples].reverse()) {
    for (const label of present) {
      if (found.size < SHOWN) found.add(label);
    }
  }
  return labels.flatMap((label, index) => (found.has(label) ? [index] : []));
}

function drawChart() {
  requestAnimationFrame(() => setTimeout(drawChart, 250));
  drawScores(at('chart'), labels, remembered(), samples);
}

// The picture that belongs to the frame, one at a time: browsers show those of a stream one late.
function showPicture() {
  const seen = frame.frame;
  if (loading || document.hidden || !seen || seen.error) return;
  loading = true;
  at('picture').src = `/api/snapshot.jpg?${seen.frame}`;
}

function watchPicture() {
  const picture = at('picture');
  for (const end of ['load', 'error']) picture.addEventListener(end, () => { loading = false; });
  // Its place keeps the widest shape so far, so that the page does not jump with every photo of a folder.
  let widest = 0;
  picture.addEventListener('load', () => {
    widest = Math.max(widest, picture.naturalWidth / picture.naturalHeight);
    picture.style.aspectRatio = widest;
  });
}

function hear() {
  connected = true;
  clearTimeout(silence);
  silence = setTimeout(lose, SILENCE);
}

function lose() {
  connected = false;
  drawHealth();
}

function listen() {
  const events = new EventSource('/api/events');
  events.addEventListener('error', lose);
  // The service may be another one than before.
  events.addEventListener('open', () => {
    hear();
    changes = [];
    at('history').replaceChildren();
    readState();
  });
  events.addEventListener('health', event => {
    hear();
    health = JSON.parse(event.data);
    drawHealth();
  });
  events.addEventListener('labels', event => {
    labels = JSON.parse(event.data);
    frame = null;
    rows.clear();
    samples.length = 0;
    at('tags').replaceChildren();
  });
  events.addEventListener('frame', event => {
    frame = JSON.parse(event.data);
    sample();
    drawFrame();
    showPicture();
  });
  events.addEventListener('change', event => addChange(JSON.parse(event.data)));
  events.addEventListener('missed', readState);
}

async function readState() {
  const answer = await fetch('/api/state').catch(() => null);
  const read = answer && answer.ok ? await answer.json().catch(() => null) : null;
  if (!read) return;
  state = read;
  write(at('name'), state.name);
  document.title = `${state.name} · graphtag`;
  fillChanges(state.history);
}

function start() {
  at('find').addEventListener('input', () => { if (frame) drawFrame(); });
  setInterval(readState, STATE_PERIOD);
  watchPicture();
  listen();
  drawChart();
}

start();
