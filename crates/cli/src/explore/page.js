"use strict";
const meta = JSON.parse(document.getElementById("meta").textContent);
const [INDEX, NAME, BYTES, WORK, CODE, FRAME, TRAPS, PIECE, PLACE, START] = Array(10).keys();
const ROW = 18;
const AHEAD = 12;
const MACHINE = meta.columns.length - 1;
const at = id => document.getElementById(id);
const number = n => n.toLocaleString("en");
const label = func => func[NAME] || `function ${func[INDEX]}`;

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

/* A list of which only the rows in sight are elements. */
class Rows {
  constructor(pane, row) {
    this.pane = pane;
    this.row = row;
    this.count = 0;
    this.inner = make("div", "rows");
    pane.replaceChildren(this.inner);
    pane.addEventListener("scroll", () => this.soon(), { passive: true });
    new ResizeObserver(() => this.soon()).observe(pane);
  }
  set(count, width) {
    this.count = count;
    this.inner.style.height = `${count * ROW}px`;
    this.inner.style.width = width ? `calc(${width}ch + 32px)` : "";
    this.pane.scrollTop = 0;
    this.pane.scrollLeft = 0;
    this.draw();
  }
  soon() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.draw(); });
  }
  draw() {
    const first = Math.max(0, Math.floor(this.pane.scrollTop / ROW) - AHEAD);
    const seen = Math.ceil(this.pane.clientHeight / ROW) + 2 * AHEAD;
    const rows = [];
    for (let i = first; i < Math.min(this.count, first + seen); i++) {
      const row = this.row(i);
      row.style.top = `${i * ROW}px`;
      row.dataset.i = i;
      rows.push(row);
    }
    this.inner.replaceChildren(...rows);
  }
  reveal(i) {
    const top = i * ROW, pane = this.pane;
    if (top < pane.scrollTop || top + ROW > pane.scrollTop + pane.clientHeight) {
      pane.scrollTop = Math.max(0, top - pane.clientHeight / 3);
    }
  }
}
const lineOf = event => {
  const row = event.target.closest(".row");
  return row ? Number(row.dataset.i) : -1;
};

/* The list of functions. */
let shown = meta.funcs.slice();
let order = [INDEX, 1];
let chosen = null;
const list = new Rows(at("list"), i => {
  const func = shown[i];
  const row = make("div", func === chosen ? "row chosen" : "row");
  row.append(make("span", "", label(func)), ...[BYTES, CODE, WORK].map(k => make("span", "", number(func[k]))));
  row.title = `${label(func)}: function ${func[INDEX]}`;
  return row;
});
at("list").addEventListener("click", event => {
  const i = lineOf(event);
  if (i >= 0) choose(shown[i]);
});
at("list").addEventListener("keydown", event => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const next = step && shown[shown.indexOf(chosen) + step];
  if (next) { event.preventDefault(); choose(next); list.reveal(shown.indexOf(next)); }
});
function arrange() {
  const wanted = at("filter").value.toLowerCase();
  const [key, direction] = order;
  shown = meta.funcs.filter(func => `${func[INDEX]} ${func[NAME]}`.toLowerCase().includes(wanted));
  const value = key === NAME ? label : func => func[key];
  shown.sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : a[INDEX] - b[INDEX]) * direction);
  list.set(shown.length);
  if (!shown.length) list.inner.replaceChildren(make("div", "none", "No function has this name."));
}
at("filter").addEventListener("input", arrange);
for (const [key, text, title] of [
  [INDEX, "function", "in the order of the module"],
  [BYTES, "bytes", "bytes of Wasm"],
  [CODE, "code", "bytes of machine code"],
  [WORK, "work", "steps of the compiler"],
]) {
  const button = make("button", "", text);
  button.title = `Sort by ${title}`;
  button.addEventListener("click", () => {
    order = [key, order[0] === key ? -order[1] : key === INDEX ? 1 : -1];
    arrange();
  });
  at("sorts").append(button);
}

/* Texts, unpacked when they are looked at. */
const pieces = new Map();
async function unpack(number) {
  const packed = Uint8Array.from(atob(at(`piece${number}`).textContent), c => c.charCodeAt(0));
  const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return JSON.parse(await new Response(plain).text());
}
function piece(number) {
  if (!pieces.has(number)) {
    if (pieces.size >= 8) pieces.delete(pieces.keys().next().value);
    pieces.set(number, unpack(number));
  }
  return pieces.get(number);
}

/* Columns. */
let pointed = 0, pinned = 0;
const columns = meta.columns.map((title, number) => {
  const element = make("div", "column");
  const pane = make("div", "pane");
  const ruler = make("div", "ruler");
  element.append(make("h2", "", title), pane, ruler);
  at("columns").append(element);
  const column = { title, element, pane, ruler, lines: [], offsets: [], places: new Map() };
  column.rows = new Rows(pane, i => {
    const offset = column.offsets[i];
    const row = make("div", offset && offset === (pinned || pointed) ? "row hit" : "row");
    fill(row, column.lines[i], number);
    if (related(offset)) row.style.borderLeftColor = `hsl(${offset * 67 % 360} 55% 55% / .7)`;
    return row;
  });
  pane.addEventListener("pointerover", event => {
    const i = lineOf(event);
    if (i >= 0 && !pinned) point(column.offsets[i]);
  });
  pane.addEventListener("pointerleave", () => { if (!pinned) point(0); });
  pane.addEventListener("click", event => {
    const i = lineOf(event);
    const offset = i >= 0 ? column.offsets[i] : 0;
    pinned = offset === pinned ? 0 : offset;
    point(offset);
    if (pinned) for (const other of columns) {
      const [first] = other.places.get(offset) || [];
      if (other !== column && first !== undefined) other.rows.reveal(first);
    }
  });
  const toggle = make("button", "", title);
  const show = on => {
    toggle.setAttribute("aria-pressed", on);
    element.style.display = on ? "" : "none";
    column.rows.soon();
  };
  toggle.addEventListener("click", () => show(toggle.getAttribute("aria-pressed") !== "true"));
  at("toggles").append(toggle);
  show(title !== "selected" && title !== "allocated");
  return column;
});
document.addEventListener("keydown", event => {
  if (event.key === "Escape") { pinned = 0; point(0); }
  if (event.key === "/" && event.target !== at("filter")) { event.preventDefault(); at("filter").focus(); }
});

/* Whether lines of several columns belong to an operator. */
function related(offset) {
  return offset && columns.filter(column => column.places.has(offset)).length > 1;
}

/* Offsets, bytes and comments stand back. */
function fill(row, line, number) {
  const parts = line.split("\t");
  if (number === MACHINE && parts.length === 3) {
    row.append(make("i", "", parts[0]), parts[1], make("i", "", parts[2]));
    return;
  }
  const split = /^(.*?)(\s+;;.*)$/.exec(line);
  row.append(split ? split[1] : line);
  if (split) row.append(make("i", "", split[2]));
}

function point(offset) {
  if (offset === pointed && !pinned) return;
  pointed = offset;
  const parts = [];
  for (const column of columns) {
    // Rows stay, so that text can be selected.
    for (const row of column.rows.inner.children) {
      row.classList.toggle("hit", offset !== 0 && column.offsets[row.dataset.i] === offset);
    }
    const places = column.places.get(offset) || [];
    const ticks = places.slice(0, 100).map(line => {
      const tick = make("b");
      tick.style.top = `${100 * line / column.lines.length}%`;
      return tick;
    });
    column.ruler.replaceChildren(...ticks);
    if (places.length) parts.push(`${column.title} ${number(places.length)}`);
  }
  const status = at("status");
  if (!offset) { status.textContent = "Point at a line; click to hold it."; return; }
  const bytes = (columns[MACHINE].places.get(offset) || []).reduce((sum, line) => {
    const bytes = columns[MACHINE].lines[line].split("\t")[2];
    return sum + (bytes ? bytes.trim().split(" ").length : 0);
  }, 0);
  status.replaceChildren(make("b", "", `0x${offset.toString(16)}`),
    `  lines: ${parts.join(", ")}; ${number(bytes)} bytes of machine code${pinned ? "; held" : ""}`);
}

async function choose(func) {
  chosen = func;
  list.draw();
  let texts;
  try {
    texts = (await piece(func[PIECE]))[func[PLACE]];
  } catch (error) {
    at("status").textContent = `The text cannot be unpacked: ${error}. A current browser is needed.`;
    return;
  }
  if (chosen !== func) return;
  history.replaceState(null, "", `#${func[INDEX]}`);
  pinned = 0;
  columns.forEach((column, k) => {
    const [text, runs] = texts[k];
    column.lines = text === "" ? [] : text.split("\n");
    column.offsets = [];
    column.places = new Map();
    let known = 0;
    for (let r = 0; r < runs.length; r += 2) {
      const step = runs[r + 1];
      if (step !== null) known += step;
      const offset = step === null ? 0 : known;
      for (let n = 0; n < runs[r]; n++) {
        if (offset) {
          if (!column.places.has(offset)) column.places.set(offset, []);
          column.places.get(offset).push(column.offsets.length);
        }
        column.offsets.push(offset);
      }
    }
  });
  for (const { rows, lines } of columns) {
    rows.set(lines.length, lines.reduce((most, line) => Math.max(most, line.length), 0));
  }
  pointed = -1;
  point(0);
  const per = value => `${(value / Math.max(1, func[BYTES])).toFixed(1)} per byte`;
  at("costs").replaceChildren(make("b", "", label(func)),
    `  function ${func[INDEX]} at 0x${func[START].toString(16)}: ${number(func[BYTES])} bytes of Wasm, `
    + `${number(func[WORK])} steps of work (${per(func[WORK])}), `
    + `${number(func[CODE])} bytes of machine code (${per(func[CODE])}), `
    + `frame of ${number(func[FRAME])} bytes, ${number(func[TRAPS])} places that may trap`);
}

const sum = key => meta.funcs.reduce((total, func) => total + func[key], 0);
document.title = `${meta.file} – runwell explore`;
at("file").textContent = meta.file;
at("totals").textContent = `${number(meta.bytes)} bytes, ${number(meta.funcs.length)} functions, `
  + `${number(sum(CODE))} bytes of machine code, ${number(sum(WORK))} steps of work`;
arrange();
const asked = Number(location.hash.slice(1));
const first = meta.funcs.find(func => location.hash && func[INDEX] === asked) || meta.funcs[0];
if (first) {
  choose(first);
  list.reveal(shown.indexOf(first));
} else {
  at("costs").textContent = "This module has no functions of its own.";
}
