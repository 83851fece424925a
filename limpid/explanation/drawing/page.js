// Drawing, folding and the panel of a drawing's page. Texts become text nodes only, never markup.
const svg = document.getElementById("picture");
const panel = document.getElementById("panel");
let pinned = null;
const round = (x) => Math.round(x * 10) / 10;

function make(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
const written = (kind, x, y, text) => make("text", { class: kind, x: round(x), y: round(y) }, text);

function path(points, aside) {
  let [x, y] = [round(points[0][0] + aside), round(points[0][1])];
  let text = `M${x} ${y}`;
  for (const [across, down] of points.slice(1)) {
    const [a, b] = [round(across + aside), round(down)];
    const middle = (y + b) / 2;
    if (a !== x) text += `C${x} ${middle} ${a} ${middle} ${a} ${b}`;
    else if (b !== y) text += `V${b}`;
    [x, y] = [a, b];
  }
  return text;
}

function head([x, y], aside, way, half) {
  return `M${round(x + aside)} ${round(y)}l${-half} ${-2 * half * way}h${2 * half}z`;
}

// The gradient of several values together, and how strong it is beside the largest
function strengthOf(lines) {
  const norms = lines.map((line) => line[3]).filter((norm) => norm !== null).map(Number);
  if (!norms.length) return ["", null];
  const norm = norms.length > 1 ? Math.hypot(...norms) : norms[0];
  if (!Number.isFinite(norm)) return ["n", norm];
  if (norm === 0 || !data.largest) return ["0", norm];
  const power = Math.log10(norm) - Math.log10(data.largest);
  return [String(5 - C.steps.filter((step) => power < step).length), norm];
}

function drawLine({ lines, points, from, to, headed }) {
  const [kind, norm] = strengthOf(lines);
  const group = make("g", { class: "line" });
  const aside = kind === "" ? 0 : C.aside;
  if (kind !== "") {
    group.append(make("path", { class: `g w${kind}`, d: path(points, aside) }));
    if (from[0] !== "<" && kind !== "0")
      group.append(make("path", { class: `h${kind}`, d: head(points[0], aside, -1, C.heads[kind]) }));
  }
  group.append(make("path", { class: "f", d: path(points, -aside) }));
  if (to[0] !== ">" && headed)
    group.append(make("path", { class: "head", d: head(points.at(-1), -aside, 1, C.heads[""]) }));
  listen(group, () => lineRecord(lines, norm), null);
  return group;
}

function lineRecord(lines, norm) {
  const names = [...new Set(lines.map((line) => texts[parts[line[2]].title]))];
  const told = [["value of", names.join(", ")]];
  if (norm !== null) told.push(["gradient", `norm ${Number(norm.toPrecision(4))}`]);
  for (const rule of new Set(lines.flatMap((line) => line[4]))) told.push(["rule", texts[rule]]);
  return told;
}

function drawBox(box) {
  const { x, y, width, height } = box;
  if (box.id[0] === "~") {
    const line = box.group.lines[box.id.slice(1)];
    const rect = make("rect", { class: "box", rx: 8, x: round(x), y: round(y), width: round(width), height });
    return make("g", { class: "mark" }, rect, written("muted", x + C.pad, y + 13, texts[line[5]]));
  }
  const part = parts[box.id];
  const area = { x: round(x), y: round(y), width: round(width), height: round(height) };
  const group = make("g", { class: `part ${part.kind}`, "data-id": part.id, tabindex: 0 });
  if (box.isOpen) {
    group.append(make("rect", { class: "frame", rx: 6, ...area }));
    group.append(written("label", x + box.label, y + 16, `− ${texts[part.title]}`));
  } else drawFace(group, part, area, x, y);
  listen(group, () => partRecord(part), box);
  return group;
}

function partRecord(part) {
  const told = [];
  for (let i = 0; i < part.details.length; i += 2)
    told.push([texts[part.details[i]], texts[part.details[i + 1]]]);
  if (part.kind === "fold") {
    told.push(["within", part.lines.map((text) => texts[text]).join(", ")]);
    if (part.gradient >= 0) told.push(["gradient", texts[part.gradient]]);
  }
  return told;
}

function drawFace(group, part, area, x, y) {
  group.append(make("rect", { class: "box", rx: 4, ...area }));
  let baseline = y + C.line;
  const sign = part.kind === "fold" ? "+ " : "";
  group.append(written("title", x + C.pad, baseline, sign + texts[part.title]));
  if (data.compact) return;
  part.lines.forEach((text, i) => {
    baseline += C.line;
    group.append(written(i ? "" : "muted", x + C.pad, baseline, texts[text]));
  });
  if (part.gradient >= 0) {
    const above = round(y + area.height - C.line - 5);
    const strip = { x: round(x + 1), y: above, width: area.width - 2, height: C.line + 4 };
    group.append(make("rect", { class: "strip", ...strip }));
    group.append(written("", x + C.pad, above + 14, `∂ ${texts[part.gradient]}`));
  }
}

function draw() {
  const shown = layOut();
  const frames = shown.boxes.filter((box) => box.isOpen);
  const cards = shown.boxes.filter((box) => !box.isOpen);
  svg.replaceChildren(
    ...frames.map(drawBox),
    ...shown.routes.map(drawLine),
    ...cards.map(drawBox),
  );
  const [width, height] = [Math.ceil(shown.width), Math.ceil(shown.height)];
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
}

// Folding, and what a box tells

function toggle(id) {
  const number = Number(id);
  if (!groups[id] || number === root) return;
  if (!open.delete(number)) open.add(number);
  draw();
  const again = svg.querySelector(`[data-id="${CSS.escape(parts[id].id)}"]`);
  if (again) again.focus();
}

function tell(rows) {
  const list = document.createElement("dl");
  for (const [word, text] of rows) {
    const [term, description] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = word;
    description.textContent = text;
    list.append(term, description);
  }
  panel.replaceChildren(list);
}

function listen(element, rows, box) {
  element.addEventListener("pointerenter", () => pinned === null && tell(rows()));
  element.addEventListener("focus", () => pinned === null && tell(rows()));
  element.addEventListener("click", (event) => {
    event.stopPropagation();
    if (box && groups[box.id]) toggle(box.id);
    else {
      pinned = pinned === element ? null : element;
      tell(rows());
    }
    mark(box && parts[box.id]);
  });
  if (box)
    element.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      if (groups[box.id]) toggle(box.id);
      else tell(rows());
    });
}

function mark(part) {
  for (const other of svg.querySelectorAll(".paired")) other.classList.remove("paired");
  if (!part || !part.pair) return;
  const other = svg.querySelector(`[data-id="${CSS.escape(part.pair)}"]`);
  if (other) other.classList.add("paired");
}

svg.addEventListener("click", () => (pinned = null));
document.getElementById("fold").addEventListener("click", () => {
  open.clear();
  open.add(root);
  draw();
});
document.getElementById("unfold").addEventListener("click", () => {
  const closed = [...open].flatMap((id) => groups[id].parts).filter((id) => groups[id]);
  for (const id of closed) open.add(id);
  draw();
});
document.getElementById("reset").addEventListener("click", () => {
  open.clear();
  for (const id of data.open) open.add(id);
  draw();
});
draw();
