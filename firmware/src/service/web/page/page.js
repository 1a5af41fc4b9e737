'use strict';

const SHOWN = 8;
const MINUTE = 60_000;
const HISTORY = 100;
const STATE_PERIOD = 10_000;
// Of the chart, in CSS pixels.
const ROW = 30;
const AXIS = 20;
const LABELS = 120;

const at = id => document.getElementById(id);

let labels = [];
let frame = null;
let state = null;
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
  if (dragged === null) {
    const items = order().map(index => row(index).item);
    const list = at('tags');
    if (items.some((item, place) => list.children[place] !== item) || list.children.length !== items.length) {
      const focused = document.activeElement;
      list.replaceChildren(...items);
      if (list.contains(focused)) focused.focus();
    }
  }
  for (const [index, { item, bar, slider, score, threshold }] of rows) {
    item.classList.toggle('present', present.has(labels[index]));
    bar.style.width = `${frame.scores[index] * 100}%`;
    score.textContent = frame.scores[index].toFixed(2);
    if (dragged !== index) slider.value = frame.thresholds[index];
    threshold.textContent = `of ${Number(slider.value).toFixed(2)}`;
  }
}

function drawFrame() {
  const seen = frame.frame;
  const lost = !seen || seen.error;
  at('picture').classList.toggle('old', Boolean(lost));
  at('no-picture').hidden = !lost;
  at('no-picture').textContent = seen && seen.error ? `Bad frame: ${seen.error}` : 'No picture';
  const tags = seen ? seen.tags : [];
  const chips = tags.map(tag => element('span', '', tag.label));
  at('present').replaceChildren(...chips);
  if (seen) {
    const name = seen.path ? `${seen.path.split('/').pop()} · ` : '';
    at('frame').textContent = `${name}${seen.width} × ${seen.height} · ${seen.inference_ms.toFixed(1)} ms to infer`;
  }
  drawTags(new Set(tags.map(tag => tag.label)));
}

function drawHealth(health) {
  const { frames } = health;
  const lines = [
    ['signal', health.lost_because ? `${health.signal}: ${health.lost_because}` : health.signal],
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
  at('health').replaceChildren(...lines.flatMap(([name, value]) => [element('dt', '', name), element('dd', '', value)]));
  if (health.signal === 'present') say('live', false);
  else say(health.signal === 'lost' ? 'no signal' : health.signal, health.signal === 'lost');
}

function duration(seconds) {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours ? `${hours} h ${minutes} min` : minutes ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

function say(text, bad) {
  at('signal').textContent = text;
  at('signal').classList.toggle('bad', bad);
}

function addChange(change) {
  const item = element('li', change.event);
  const time = element('time', '', new Date(change.time * 1000).toLocaleTimeString());
  const lasted = change.seconds === undefined ? '' : ` after ${change.seconds.toFixed(1)} s`;
  item.append(time, element('span', '', `${change.label} ${change.event}${lasted}`));
  const list = at('history');
  list.prepend(item);
  while (list.children.length > HISTORY) list.lastChild.remove();
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
  const canvas = at('chart');
  const shown = remembered();
  canvas.style.height = `${Math.max(1, shown.length) * ROW + AXIS}px`;
  const scale = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext('2d');
  pen.scale(scale, scale);
  const style = getComputedStyle(document.documentElement);
  const colour = name => style.getPropertyValue(name);
  const now = Date.now();
  const x = time => LABELS + (width - LABELS) * (1 - (now - time) / MINUTE);
  pen.font = '14px system-ui, sans-serif';
  pen.textBaseline = 'middle';
  shown.forEach((index, place) => drawRow(pen, index, place, x, colour, width));
  pen.fillStyle = colour('--quiet');
  if (!shown.length) pen.fillText('nothing was present', 0, ROW / 2);
  pen.font = '12px system-ui, sans-serif';
  pen.fillText('1 min ago', LABELS, height - AXIS / 2 + 2);
  pen.textAlign = 'right';
  pen.fillText('now', width, height - AXIS / 2 + 2);
}

// A label and its score over time, strong where it was present.
function drawRow(pen, index, place, x, colour, width) {
  const base = (place + 1) * ROW - 4;
  pen.fillStyle = colour('--ink');
  pen.fillText(labels[index], 0, base - ROW / 2 + 6, LABELS - 10);
  samples.forEach(({ now, scores, present }, number) => {
    const left = Math.max(LABELS, x(now));
    const right = number + 1 < samples.length ? x(samples[number + 1].now) : width;
    const high = scores[index] * (ROW - 8);
    pen.fillStyle = colour(present.has(labels[index]) ? '--accent' : '--faint');
    pen.fillRect(left, base - high, Math.max(0, right - left) + 0.5, high);
  });
  pen.fillStyle = colour('--line');
  pen.fillRect(LABELS, base, width - LABELS, 1);
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

function listen() {
  const events = new EventSource('/api/events');
  events.addEventListener('error', () => say('no connection', true));
  events.addEventListener('labels', event => {
    labels = JSON.parse(event.data);
    rows.clear();
    samples.length = 0;
    at('tags').replaceChildren();
  });
  events.addEventListener('frame', event => {
    frame = JSON.parse(event.data);
    sample();
    drawFrame();
    showPicture();
    drawHealth(frame.health);
  });
  events.addEventListener('change', event => addChange(JSON.parse(event.data)));
}

async function readState() {
  const answer = await fetch('/api/state').catch(() => null);
  if (answer && answer.ok) state = await answer.json();
}

async function start() {
  at('find').addEventListener('input', () => { if (frame) drawFrame(); });
  await readState();
  setInterval(readState, STATE_PERIOD);
  if (state) {
    at('name').textContent = state.name;
    document.title = `${state.name} · graphtag`;
    state.history.forEach(addChange);
  }
  watchPicture();
  listen();
  drawChart();
}

start();
