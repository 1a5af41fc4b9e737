'use strict';

const SHOWN = 8;
const MINUTE = 60_000;
const HISTORY = 100;
const COLOURS = ['#0d9488', '#d97706', '#7c3aed', '#dc2626', '#2563eb', '#65a30d'];

const at = id => document.getElementById(id);

let labels = [];
let frame = null;
let dragged = null;
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
  const score = element('span', 'score');
  track.append(bar, slider);
  item.append(name, track, score);
  const made = { item, bar, slider, score };
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
  for (const [index, { item, bar, slider, score }] of rows) {
    item.classList.toggle('present', present.has(labels[index]));
    bar.style.width = `${frame.scores[index] * 100}%`;
    score.textContent = frame.scores[index].toFixed(2);
    if (dragged !== index) slider.value = frame.thresholds[index];
    slider.title = `threshold ${Number(slider.value).toFixed(2)}`;
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
    if (seen.width) at('picture').style.aspectRatio = `${seen.width} / ${seen.height}`;
    const name = seen.path ? `${seen.path.split('/').pop()} · ` : '';
    at('frame').textContent = `${name}${seen.width} × ${seen.height} · ${seen.inference_ms.toFixed(1)} ms to infer`;
  }
  drawTags(new Set(tags.map(tag => tag.label)));
}

function drawHealth(health) {
  const { frames } = health;
  const lines = [
    ['source', health.lost_because ? `${health.signal}: ${health.lost_because}` : health.signal],
    ['running for', duration(health.uptime_s)],
    ['frames', `${frames.captured} captured, ${frames.inferred} inferred`],
    ['', `${frames.dropped} dropped, ${frames.still} still, ${frames.failed} failed`],
    ['lost', `${frames.source_lost} times`],
  ];
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
  samples.push({ now, scores: frame.scores });
  while (samples.length && samples[0].now < now - MINUTE) samples.shift();
}

function drawChart() {
  requestAnimationFrame(() => setTimeout(drawChart, 250));
  const canvas = at('chart');
  const scale = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext('2d');
  pen.scale(scale, scale);
  const now = Date.now();
  const style = getComputedStyle(document.body);
  pen.strokeStyle = style.getPropertyValue('--line');
  for (const share of [0, 0.5, 1]) {
    const y = 4 + (height - 8) * (1 - share);
    pen.beginPath();
    pen.moveTo(0, y);
    pen.lineTo(width, y);
    pen.stroke();
  }
  const highest = labels.map((label, index) => [Math.max(0, ...samples.map(({ scores }) => scores[index])), index]);
  const drawn = highest.filter(([score]) => score > 0.1).sort(([a], [b]) => b - a).slice(0, COLOURS.length);
  drawn.forEach(([, index], colour) => {
    pen.strokeStyle = COLOURS[colour];
    pen.lineWidth = 2;
    pen.beginPath();
    for (const point of samples) {
      pen.lineTo(width * (1 - (now - point.now) / MINUTE), 4 + (height - 8) * (1 - point.scores[index]));
    }
    pen.stroke();
  });
  at('legend').replaceChildren(...drawn.map(([, index], colour) => {
    const item = element('li');
    const mark = element('i');
    mark.style.background = COLOURS[colour];
    item.append(mark, labels[index]);
    return item;
  }));
}

function showPicture() {
  const picture = at('picture');
  picture.addEventListener('error', () => setTimeout(() => { picture.src = `/live.mjpg?${Date.now()}`; }, 1000));
  picture.src = '/live.mjpg';
}

function listen() {
  const events = new EventSource('/api/events');
  let lost = false;
  events.addEventListener('open', () => {
    if (lost) at('picture').src = `/live.mjpg?${Date.now()}`;
    lost = false;
  });
  events.addEventListener('error', () => { lost = true; say('no connection', true); });
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
    drawHealth(frame.health);
  });
  events.addEventListener('change', event => addChange(JSON.parse(event.data)));
}

async function start() {
  at('find').addEventListener('input', () => { if (frame) drawFrame(); });
  const answer = await fetch('/api/state').catch(() => null);
  if (answer && answer.ok) {
    const state = await answer.json();
    at('name').textContent = state.name;
    document.title = `${state.name} · graphtag`;
    state.history.forEach(addChange);
  }
  showPicture();
  listen();
  drawChart();
}

start();
