'use strict';

const MINUTE = 60_000;
// In CSS pixels.
const ROW = 30;
const AXIS = 20;
const MARGIN = 120;

// Draws the scores of `shown`, which are indices of `labels`, over the last minute. A sample is `now`, in milliseconds,
// the `scores` of all labels and the set of those that were `present`.
function drawScores(canvas, labels, shown, samples) {
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
  const x = time => MARGIN + (width - MARGIN) * (1 - (now - time) / MINUTE);
  pen.font = '14px system-ui, sans-serif';
  pen.textBaseline = 'middle';
  shown.forEach((index, place) => drawRow(pen, labels[index], index, place, samples, x, colour, width));
  pen.fillStyle = colour('--quiet');
  if (!shown.length) pen.fillText('nothing was present', 0, ROW / 2);
  pen.font = '12px system-ui, sans-serif';
  pen.fillText('1 min ago', MARGIN, height - AXIS / 2 + 2);
  pen.textAlign = 'right';
  pen.fillText('now', width, height - AXIS / 2 + 2);
}

// A label and its score over time, strong where it was present.
function drawRow(pen, label, index, place, samples, x, colour, width) {
  const base = (place + 1) * ROW - 4;
  pen.fillStyle = colour('--ink');
  pen.fillText(label, 0, base - ROW / 2 + 6, MARGIN - 10);
  samples.forEach(({ now, scores, present }, number) => {
    const left = Math.max(MARGIN, x(now));
    const right = number + 1 < samples.length ? x(samples[number + 1].now) : width;
    const high = scores[index] * (ROW - 8);
    pen.fillStyle = colour(present.has(label) ? '--accent' : '--faint');
    pen.fillRect(left, base - high, Math.max(0, right - left) + 0.5, high);
  });
  pen.fillStyle = colour('--line');
  pen.fillRect(MARGIN, base, width - MARGIN, 1);
}
