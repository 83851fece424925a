"use strict";
// Draws the moment that the slider is at. Places were computed before; nothing is computed here but
// where they are on the screen.
const data = JSON.parse(document.getElementById("data").textContent);
const { views, frames, labels, unit: UNIT, shades: SHADES, sure: SURE } = data;
const [LINES, SAMPLES] = data.grid;
const RATE = 12; // moments in a second
const STRONGEST = 0.4; // of the shading, where the network is sure
const CATCH = 14; // pixels within which a point is pointed at

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const places = new Int16Array(bytes(data.places).buffer);
const shading = bytes(data.shading);
const find = (id) => document.getElementById(id);
const slider = find("time");

// Where each plane's numbers begin in the two long lists.
let place = 0;
let cell = 0;
for (const frame of frames) {
  frame.planes.forEach((plane, number) => {
    plane.start = place;
    plane.shade = cell;
    const folds = plane.folds.reduce((sum, [, count]) => sum + count, 0);
    place += 2 * (labels.length + LINES * SAMPLES) + 4 * (plane.boundary + folds);
    if (views[number].shaded) cell += SHADES * SHADES;
  });
}

// The panels

function addPanel(title, note, row, column) {
  const figure = document.createElement("figure");
  figure.style.gridRow = row + 1;
  figure.style.gridColumn = column + 1;
  const caption = document.createElement("figcaption");
  caption.textContent = title;
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", note ? `${title}: ${note}` : title);
  const small = document.createElement("div");
  small.className = "note";
  small.textContent = note;
  figure.append(caption, canvas, small);
  find("panels").append(figure);
  return canvas;
}

const columns = 1 + Math.max(...views.map((view) => view.column));
find("panels").style.gridTemplateColumns = `repeat(${columns}, minmax(9em, 21em))`;
const canvases = views.map((view) => addPanel(view.title, view.note, view.row, view.column));
const course = frames.length > 1 ? addPanel("loss", "click to go there", 1, 0) : null;

// Colours follow the reader's setting; paper is white.

let printing = false;
let ink = {};
let dark = false;

function readColours() {
  const found = getComputedStyle(document.documentElement);
  const name = (key) => found.getPropertyValue(key).trim();
  dark = !printing && matchMedia("(prefers-color-scheme: dark)").matches;
  ink = printing
    ? { paper: "#fff", ink: "#000", muted: "#444" }
    : { paper: name("--paper"), ink: name("--ink"), muted: name("--muted") };
}

const mixed = new Map(); // rgb of each byte of the shading

function mixColours() {
  mixed.clear();
  const rgb = (colour) => {
    const long = colour.length === 4 ? colour.replace(/[0-9a-f]/gi, "$&$&") : colour;
    return [1, 3, 5].map((at) => parseInt(long.slice(at, at + 2), 16));
  };
  const paper = rgb(ink.paper);
  for (let kind = 0; kind < data.classes; kind++) {
    const colour = rgb(data.colours[kind]);
    for (let step = 0; step <= SURE; step++) {
      const chance = 1 / data.classes;
      const sure = Math.max(0, (step / SURE - chance) / (1 - chance)) * STRONGEST;
      mixed.set(
        kind * (SURE + 1) + step,
        paper.map((part, i) => part + sure * (colour[i] - part)),
      );
    }
  }
}

// Drawing

const sheet = document.createElement("canvas");
sheet.width = sheet.height = SHADES;

function prepare(canvas) {
  const ratio = Math.max(window.devicePixelRatio || 1, printing ? 3 : 1);
  const side = canvas.clientWidth || 200;
  if (canvas.width !== Math.round(side * ratio)) canvas.width = canvas.height = side * ratio;
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.fillStyle = ink.paper;
  pen.fillRect(0, 0, side, side);
  return [pen, side];
}

const isShown = (name) => find(`show-${name}`).checked;

function drawShading(pen, side, start) {
  const image = new ImageData(SHADES, SHADES);
  for (let row = 0; row < SHADES; row++) {
    for (let column = 0; column < SHADES; column++) {
      const rgb = mixed.get(shading[start + (SHADES - 1 - row) * SHADES + column]);
      const at = 4 * (row * SHADES + column);
      for (let i = 0; i < 3; i++) image.data[at + i] = rgb[i];
      image.data[at + 3] = 255;
    }
  }
  sheet.getContext("2d").putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = true;
  pen.drawImage(sheet, 0, 0, side, side);
}

function drawTicks(pen, side, [left, right, bottom, top]) {
  const raw = (right - left) / 3;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((part) => part * power).find((part) => part >= raw * 0.99);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  pen.fillStyle = pen.strokeStyle = ink.muted;
  pen.lineWidth = 1;
  pen.font = "10px system-ui, sans-serif";
  const tick = (value, horizontal) => {
    const share = horizontal ? (value - left) / (right - left) : (top - value) / (top - bottom);
    if (share < 0.06 || share > 0.94) return;
    pen.beginPath();
    if (horizontal) pen.moveTo(share * side, side), pen.lineTo(share * side, side - 4);
    else pen.moveTo(0, share * side), pen.lineTo(4, share * side);
    pen.stroke();
    pen.textAlign = horizontal ? "center" : "left";
    const text = value.toFixed(digits).replace("-", "−");
    if (horizontal) pen.fillText(text, share * side, side - 6);
    else pen.fillText(text, 6, share * side + 3);
  };
  for (let n = Math.ceil(left / step); n * step <= right; n++) tick(n * step, true);
  for (let n = Math.ceil(bottom / step); n * step <= top; n++) tick(n * step, false);
}

function stroke(pen, colour, width, dash = []) {
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.setLineDash(dash);
  pen.stroke();
  pen.setLineDash([]);
}

const dashOf = (layer) => data.dashes[(layer - 1) % data.dashes.length];

function drawPanel(number, frame) {
  const [pen, side] = prepare(canvases[number]);
  const plane = frame.planes[number];
  const x = (at) => (places[at] / UNIT) * side;
  const y = (at) => side - (places[at + 1] / UNIT) * side;
  const segments = (start, count) => {
    pen.beginPath();
    for (let at = start; at < start + 4 * count; at += 4) {
      // A curve goes on where a segment begins at the end of the one before: so do its dashes.
      const goesOn = at > start && [0, 1].every((i) => places[at + i] === places[at + i - 2]);
      if (!goesOn) pen.moveTo(x(at), y(at));
      pen.lineTo(x(at + 2), y(at + 2));
    }
  };
  const gridStart = plane.start + 2 * labels.length;
  const boundaryStart = gridStart + 2 * LINES * SAMPLES;
  pen.lineCap = pen.lineJoin = "round";
  if (views[number].shaded && isShown("shading")) drawShading(pen, side, plane.shade);
  if (isShown("grid")) {
    pen.beginPath();
    for (let line = 0; line < LINES; line++) {
      for (let k = 0; k < SAMPLES; k++) {
        const at = gridStart + 2 * (line * SAMPLES + k);
        if (k) pen.lineTo(x(at), y(at));
        else pen.moveTo(x(at), y(at));
      }
    }
    pen.globalAlpha = 0.6;
    stroke(pen, ink.muted, 0.7);
    pen.globalAlpha = 1;
  }
  if (isShown("lines")) {
    let start = boundaryStart + 4 * plane.boundary;
    for (const [layer, count] of plane.folds) {
      segments(start, count);
      stroke(pen, ink.ink, 1, dashOf(layer));
      start += 4 * count;
    }
    for (const line of plane.lines) drawHyperplane(pen, side, line);
  }
  if (isShown("boundary")) {
    segments(boundaryStart, plane.boundary);
    stroke(pen, ink.paper, 5);
    stroke(pen, ink.ink, 2.5);
  }
  drawTicks(pen, side, views[number].window);
  if (isShown("points")) {
    labels.forEach((kind, k) => {
      drawMark(pen, x(plane.start + 2 * k), y(plane.start + 2 * k), kind, side / 75);
    });
  }
  if (held !== null) {
    pen.beginPath();
    pen.arc(x(plane.start + 2 * held), y(plane.start + 2 * held), 8, 0, 7);
    stroke(pen, ink.paper, 5);
    stroke(pen, ink.ink, 2.5);
  }
}

function drawHyperplane(pen, side, [layer, x1, y1, x2, y2, nx, ny]) {
  const [scale, arrow] = [side / UNIT, side * 0.07];
  pen.beginPath();
  pen.moveTo(x1 * scale, side - y1 * scale);
  pen.lineTo(x2 * scale, side - y2 * scale);
  stroke(pen, ink.ink, 1.3, dashOf(layer));
  // An arrow to the side where the unit is positive.
  const [x, y] = [((x1 + x2) / 2) * scale, side - ((y1 + y2) / 2) * scale];
  const [tx, ty] = [x + nx * arrow, y - ny * arrow];
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(tx, ty);
  const [bx, by] = [tx - nx * 5, ty + ny * 5];
  pen.moveTo(bx + ny * 3, by + nx * 3);
  pen.lineTo(tx, ty);
  pen.lineTo(bx - ny * 3, by - nx * 3);
  stroke(pen, ink.ink, 1.3);
}

// Corners of marks other than the disc, as parts of their size.
const SHAPES = [
  null,
  [[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
  [[0, -1.15], [1.1, 0.85], [-1.1, 0.85]],
  [[0, -1.2], [1.2, 0], [0, 1.2], [-1.2, 0]],
  [[0, 1.15], [1.1, -0.85], [-1.1, -0.85]],
  [[-0.4, -1.1], [0.4, -1.1], [0.4, -0.4], [1.1, -0.4], [1.1, 0.4], [0.4, 0.4], [0.4, 1.1],
   [-0.4, 1.1], [-0.4, 0.4], [-1.1, 0.4], [-1.1, -0.4], [-0.4, -0.4]],
];

function drawMark(pen, x, y, kind, size) {
  const side = Math.min(4, Math.max(2.4, size));
  pen.beginPath();
  if (SHAPES[kind]) {
    for (const [dx, dy] of SHAPES[kind]) pen.lineTo(x + dx * side, y + dy * side);
    pen.closePath();
  } else pen.arc(x, y, side, 0, 7);
  pen.fillStyle = data.colours[kind];
  stroke(pen, ink.paper, 1.6);
  pen.fill();
}

const short = (number) => (number >= 0.001 ? String(Number(number.toPrecision(3))) : number.toExponential(1));

function drawCourse(now) {
  const [pen, side] = prepare(course);
  const log = (loss) => Math.log10(Math.max(loss, 1e-12));
  const losses = data.course.map(([, loss]) => log(loss));
  const [low, high] = [Math.min(...losses), Math.max(...losses)];
  const last = frames[frames.length - 1].epoch || 1;
  const pad = 0.1 * side;
  const x = (epoch) => pad + (epoch / last) * (side - 2 * pad);
  const y = (loss) => pad + ((high - log(loss)) / (high - low || 1)) * (side - 2 * pad);
  pen.beginPath();
  for (const [epoch, loss] of data.course) pen.lineTo(x(epoch), y(loss));
  stroke(pen, ink.muted, 1.5);
  pen.beginPath();
  pen.arc(x(frames[now].epoch), y(frames[now].loss), 5, 0, 7);
  pen.fillStyle = ink.ink;
  pen.fill();
  pen.fillStyle = ink.muted;
  pen.font = "10px system-ui, sans-serif";
  pen.textAlign = "right";
  pen.fillText(`${short(10 ** high)} (logarithmic)`, side - 6, 14);
  pen.fillText(`epoch ${last}: ${short(10 ** losses[losses.length - 1])}`, side - 6, side - 6);
}

let held = null; // the point that is pointed at

function draw() {
  const now = Number(slider.value);
  const frame = frames[now];
  const right = Math.round(frame.accuracy * labels.length);
  find("told").textContent =
    `epoch ${frame.epoch}: loss ${short(frame.loss)}, ${right} of ${labels.length} points right, ` +
    `${frame.regions} region${frame.regions === 1 ? "" : "s"}`;
  canvases.forEach((_, number) => drawPanel(number, frame));
  if (course) drawCourse(now);
}

function restyle() {
  readColours();
  mixColours();
  draw();
}

// Playing

let timer = null;

function pause() {
  clearInterval(timer);
  timer = null;
  find("play").textContent = "▶";
  find("play").setAttribute("aria-label", "Play");
}

function play() {
  if (Number(slider.value) === frames.length - 1) slider.value = 0;
  find("play").textContent = "⏸";
  find("play").setAttribute("aria-label", "Pause");
  draw();
  timer = setInterval(() => go(1) || pause(), 1000 / RATE);
}

// Whether there is a moment so many further on; shows it.
function go(steps) {
  const wanted = Number(slider.value) + steps;
  if (wanted < 0 || wanted >= frames.length) return false;
  slider.value = wanted;
  draw();
  return true;
}

find("play").addEventListener("click", () => (timer === null ? play() : pause()));
slider.addEventListener("input", () => {
  pause();
  draw();
});
document.querySelectorAll("#shown input").forEach((box) => box.addEventListener("change", draw));
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, button")) return; // they have keys of their own
  const steps = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (event.key === " ") find("play").click();
  else if (steps) pause(), go(steps);
  else return;
  event.preventDefault();
});

canvases.forEach((canvas, number) => {
  canvas.addEventListener("pointermove", (event) => {
    const side = canvas.clientWidth;
    const { start } = frames[Number(slider.value)].planes[number];
    let [best, near] = [null, CATCH];
    for (let k = 0; k < labels.length; k++) {
      const dx = (places[start + 2 * k] / UNIT) * side - event.offsetX;
      const dy = side - (places[start + 2 * k + 1] / UNIT) * side - event.offsetY;
      const far = Math.hypot(dx, dy);
      if (far < near) [best, near] = [k, far];
    }
    if (best !== held) {
      held = best;
      draw();
    }
  });
  canvas.addEventListener("pointerleave", () => {
    held = null;
    draw();
  });
});

if (course) {
  course.addEventListener("click", (event) => {
    const share = (event.offsetX / course.clientWidth - 0.1) / 0.8;
    const wanted = share * frames[frames.length - 1].epoch;
    const far = (k) => Math.abs(frames[k].epoch - wanted);
    slider.value = frames.reduce((best, _, k) => (far(k) < far(best) ? k : best), 0);
    pause();
    draw();
  });
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
addEventListener("beforeprint", () => {
  printing = true;
  restyle();
});
addEventListener("afterprint", () => {
  printing = false;
  restyle();
});
addEventListener("resize", draw);
slider.value = frames.length - 1; // some browsers keep what it was before a reload
find("play").hidden = slider.hidden = frames.length === 1;
restyle();
