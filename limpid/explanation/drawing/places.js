"use strict";
// Where boxes and lines are, for what is open: found as layout.py and placement.py find it.
const data = JSON.parse(document.getElementById("data").textContent);
const { texts, groups, top: root, constants: C } = data;
const parts = data.parts.map(([id, kind, title, lines, gradient, width, height, details, pair]) => {
  return { id, kind, title, lines, gradient, width, height, details, pair };
});
const open = new Set(data.open);

const isThin = (key) => /^[.<>]/.test(key);

// Groups as they were written: numbers of parts, ports "i5" and "o5", -k-1 where line k passes. Here
// ports are "<5" and ">5", and line k passes row r at ".k.r".
const keyOf = (key) => String(key).replace(/^i/, "<").replace(/^o/, ">");
for (const [id, group] of Object.entries(groups)) {
  group.id = id;
  group.levels = new Map();
  group.rows = group.rows.map((row, level) =>
    row.map((key) => {
      const name = key < 0 ? `.${-key - 1}.${level}` : keyOf(key);
      group.levels.set(name, level);
      return name;
    }),
  );
  group.ways = group.lines.map((line, k) => {
    const [mark, source, target] = [`~${k}`, keyOf(line[0]), keyOf(line[1])];
    if (group.levels.has(mark)) return [mark, target];
    const way = [source];
    const end = group.levels.get(target);
    for (let row = group.levels.get(source) + 1; row < end; row++) way.push(`.${k}.${row}`);
    way.push(target);
    return way;
  });
}

// Places within a row

const gapOf = (key) => (isThin(key) ? C.thin : C.gap);

function place(rows, ways, width) {
  const x = new Map();
  for (const row of rows) {
    let right = 0;
    for (const key of row) {
      x.set(key, right + width(key) / 2);
      right += width(key) + gapOf(key);
    }
    for (const key of row) x.set(key, x.get(key) - right / 2);
  }
  const [above, below] = neighbours(ways);
  for (let sweep = 0; sweep < C.sweeps; sweep++) {
    const down = sweep % 2 === 0;
    for (const row of down ? rows : [...rows].reverse()) settle(row, down ? above : below, x, width);
  }
  return x;
}

function neighbours(ways) {
  const above = new Map();
  const below = new Map();
  const add = (to, key, pull) => (to.has(key) ? to.get(key).push(pull) : to.set(key, [pull]));
  const reached = new Set(ways.flatMap((way) => way.slice(1)));
  for (const way of ways) {
    for (let i = 0; i + 1 < way.length; i++) {
      const [a, b] = [way[i], way[i + 1]];
      let weight = a[0] === "." && b[0] === "." ? 8 : 1;
      if (!reached.has(a) && a[0] !== "<") weight = 0.02;
      add(above, b, [a, weight]);
      add(below, a, [b, weight]);
    }
  }
  return [above, below];
}

function settle(row, pulls, x, width) {
  const pools = [];
  const offsets = [];
  let offset = 0;
  let before = "";
  for (const key of row) {
    if (before) offset += width(before) / 2 + gapOf(before) + width(key) / 2;
    before = key;
    offsets.push(offset);
    const [wish, weight] = wishOf(key, pulls, x);
    let [total, share, many] = [weight * (wish - offset), weight, 1];
    while (pools.length && pools.at(-1)[0] / pools.at(-1)[1] > total / share) {
      const [t, s, n] = pools.pop();
      [total, share, many] = [total + t, share + s, many + n];
    }
    pools.push([total, share, many]);
  }
  let i = 0;
  for (const [total, share, many] of pools)
    for (const end = i + many; i < end; i++) x.set(row[i], total / share + offsets[i]);
}

function wishOf(key, pulls, x) {
  const found = pulls.get(key);
  if (!found) return [x.get(key), 0.1];
  let total = 0;
  let weights = 0;
  for (const [neighbour, weight] of found) {
    total += weight * x.get(neighbour);
    weights += weight;
  }
  return [total / weights, weights];
}

// Sizes from the inside, places from the outside

function layOut() {
  const frames = new Map();
  const size = (key) => {
    if (isThin(key)) return { width: C.thin, height: 0 };
    return frames.get(key) || (key[0] === "~" ? C.mark : parts[key]);
  };
  const frameOf = (id) => {
    const group = groups[id];
    for (const key of group.parts) if (open.has(key)) frameOf(String(key));
    const frame = { middles: null, tops: new Map(), rows: [], width: 0, height: 0 };
    frames.set(String(id), frame);
    frame.middles = place(group.rows, group.ways, (key) => size(key).width);
    fit(frame, group, String(id) === String(root), size);
    return frame;
  };
  const whole = frameOf(root);
  const shown = { boxes: [], routes: [], width: whole.width, height: whole.height };
  put(String(root), 0, 0, frames, size, shown);
  return shown;
}

function fit(frame, group, bare, size) {
  let [left, right] = [0, 0];
  const keys = group.rows.flat();
  keys.forEach((key, i) => {
    const [middle, half] = [frame.middles.get(key), size(key).width / 2];
    left = i ? Math.min(left, middle - half) : middle - half;
    right = i ? Math.max(right, middle + half) : middle + half;
  });
  const title = bare ? 0 : parts[group.id].width;
  const spare = Math.max(0, title - (right - left) - 2 * C.margin) / 2;
  for (const key of keys) frame.middles.set(key, frame.middles.get(key) + C.margin + spare - left);
  frame.width = right - left + 2 * (C.margin + spare);
  let y = bare ? C.margin : C.header;
  const heights = group.rows.map((row) => Math.max(0, ...row.map((key) => size(key).height)));
  group.rows.forEach((row, i) => {
    frame.rows.push([y, y + heights[i]]);
    for (const key of row) frame.tops.set(key, y);
    y += heights[i] + (heights[i] && heights[i + 1] ? C.rowGap : C.portGap);
  });
  frame.height = (frame.rows.length ? frame.rows.at(-1)[1] : y) + C.margin;
  frame.label = labelOf(frame, group, title - 2 * C.label);
}

// Where a title is that no line goes through
function labelOf(frame, group, width) {
  const ports = group.rows.flat().filter((key) => key[0] === "<");
  let label = C.label;
  for (const x of ports.map((port) => frame.middles.get(port)).sort((a, b) => a - b))
    if (label - C.beside < x && x < label + width + C.beside) label = x + C.beside;
  return label + width <= frame.width ? label : C.label;
}

function put(id, x, y, frames, size, shown) {
  const [frame, group] = [frames.get(id), groups[id]];
  if (id !== String(root))
    shown.boxes.push({ id, x, y, width: frame.width, height: frame.height, label: frame.label, isOpen: true });
  for (const key of group.rows.flat()) {
    if (isThin(key)) continue;
    const { width, height } = size(key);
    const [left, above] = [x + frame.middles.get(key) - width / 2, y + frame.tops.get(key)];
    if (frames.has(key)) put(key, left, above, frames, size, shown);
    else shown.boxes.push({ id: key, group, x: left, y: above, width, height, isOpen: false });
  }
  route(frame, group, x, y, frames, size, shown);
}

function route(frame, group, x, y, frames, size, shown) {
  const bundles = bundlesOf(group, frames);
  const ends = endsOf(frame, group, frames, size, bundles);
  for (const [k, lines] of bundles) {
    const way = group.ways[k];
    const points = [];
    way.forEach((key, i) => {
      let [above, bottom] = frame.rows[group.levels.get(key)];
      const shift = key[0] === "." ? 0 : ends.get(`${k} ${i === 0}`) || 0;
      const across = frame.middles.get(key) + shift;
      if (key[0] === "<") above = 0;
      else if (key[0] === ">") bottom = frame.height;
      else if (key[0] !== "." && i === 0) above = frame.tops.get(key) + size(key).height;
      points.push([x + across, y + above], [x + across, y + bottom]);
    });
    if (way.at(-1)[0] !== ">") points.pop();
    const [from, to] = [way[0], way.at(-1)];
    shown.routes.push({ lines, points, from, to, headed: !frames.has(to) });
  }
}

// Lines that are one in the picture, by the number of the first
function bundlesOf(group, frames) {
  const [first, bundles] = [new Map(), new Map()];
  group.ways.forEach((way, k) => {
    const [from, to] = [way[0], way.at(-1)];
    const folded = [from, to].some((key) => groups[key] && !frames.has(key));
    const name = folded ? `${from} ${to}` : k;
    if (!first.has(name)) first.set(name, k);
    const at = first.get(name);
    if (!bundles.has(at)) bundles.set(at, []);
    bundles.get(at).push(group.lines[k]);
  });
  return bundles;
}

function endsOf(frame, group, frames, size, shown) {
  const sides = new Map();
  const add = (key, other, k) => (sides.has(key) ? sides.get(key).push([other, k]) : sides.set(key, [[other, k]]));
  for (const k of shown.keys()) {
    const way = group.ways[k];
    add(`${way[0]} true`, frame.middles.get(way[1]), k);
    add(`${way.at(-1)} false`, frame.middles.get(way.at(-2)), k);
  }
  const found = new Map();
  for (const [side, lines] of sides) {
    const [key, begins] = side.split(" ");
    lines.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const step = Math.min(C.spread, size(key).width / (lines.length + 1));
    lines.forEach(([, k], i) => {
      let shift = (i - (lines.length - 1) / 2) * step;
      if (/^[<>]/.test(key)) shift = 0;
      else if (frames.has(key)) {
        const inner = frames.get(key);
        const port = inner.middles.get((begins === "true" ? ">" : "<") + group.lines[k][2]);
        shift = port === undefined ? 0 : port - inner.width / 2;
      }
      found.set(`${k} ${begins}`, shift);
    });
  }
  return found;
}
