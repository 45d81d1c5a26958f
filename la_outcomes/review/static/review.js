// The review page: work list, viewer, decisions, Fazekas grades. Everything can be done from the keyboard.
"use strict";

const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
const root = $("#viewer");
const isTyping = (event) => event.target.matches("input:not([type=range]):not([type=checkbox]), textarea");
let busy = false;
let retry = null;

function tell(text, kind = "") {
  const box = $("#told");
  box.textContent = text;
  box.className = kind;
}

// Resolves with the server's answer once it is on the disk; tells the reader and resolves to null otherwise.
async function post(address, body) {
  if (busy) return null;
  busy = true;
  const again = () => post(address, body).then((answer) => answer && answer.next && location.assign(answer.next));
  try {
    const answer = await fetch(`${address}?${root.dataset.query}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": root.dataset.csrf },
      body: JSON.stringify(body),
    });
    const said = await answer.json();
    if (answer.ok) {
      retry = null;
      return said;
    }
    tell(answer.status === 401 ? "Not saved: the page was started anew. Open its new address." : `Not saved: ${said.error}`, "bad");
  } catch {
    retry = again;
    tell("Not saved: the server does not answer. Enter tries again.", "bad");
  } finally {
    busy = false;
  }
  return null;
}

async function follow(promise, nothing) {
  const answer = await promise;
  if (answer && answer.next) location.assign(answer.next);
  else if (answer) tell(nothing);
}

function onKeys(table) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && isTyping(event)) return event.target.blur();
    if (isTyping(event) || $("#help").open) return;
    if (event.key === "Enter" && retry) {
      event.preventDefault();
      return retry();
    }
    const action = table(event.key, event);
    if (action) {
      event.preventDefault();
      action();
    }
  });
}

const click = (selector) => $(selector) && (() => $(selector).click());
const help = () => $("#help").showModal();

/* ---- list ---- */

function startList() {
  const rows = $$("#rows tbody tr");
  const remembered = sessionStorage.getItem("row");
  let at = Math.max(0, rows.findIndex((row) => row.dataset.href === remembered));
  let ahead = null;
  const readAhead = async () => {
    const [, kind, ref] = rows[at].dataset.href.split(/[/?]/);
    for (const part of kind === "case" ? ["ct", "masks", "flair"] : ["ct"])
      await fetch(`/images/${kind === "case" ? "case" : "scan"}/${ref}/${part}?warm`).catch(() => null);
  };
  const choose = (index) => {
    if (!rows.length) return;
    clearTimeout(ahead);
    ahead = setTimeout(readAhead, 250);
    rows[at].classList.remove("at");
    at = Math.min(Math.max(index, 0), rows.length - 1);
    rows[at].classList.add("at");
    rows[at].scrollIntoView({ block: "nearest" });
  };
  const open = () => {
    if (!rows.length) return;
    sessionStorage.setItem("row", rows[at].dataset.href);
    location.assign(rows[at].dataset.href);
  };
  rows.forEach((row, index) => row.addEventListener("click", () => (choose(index), open())));
  choose(at);
  const undo = () => follow(post(`/undo/${root.dataset.undo || "case"}`, {}), "There is nothing to take back.");
  onKeys((key, event) => {
    if (key === "Enter" && event.target.matches("a, button")) return null;
    return {
      j: () => choose(at + 1), ArrowDown: () => choose(at + 1), k: () => choose(at - 1), ArrowUp: () => choose(at - 1),
      Home: () => choose(0), End: () => choose(rows.length - 1), Enter: open,
      "[": click("#page-before"), "]": click("#page-after"), n: () => location.assign(root.dataset.open),
      1: click("#tab-1"), 2: click("#tab-2"), 3: click("#tab-3"),
      "/": $("#find") && (() => $("#find").focus()), z: undo, "?": help,
    }[key];
  });
}

/* ---- volumes ---- */

class Volume {
  constructor(header) {
    Object.assign(this, header);
    const [n, rows, columns] = this.shape;
    this.data = new (header.dtype === "uint8" ? Uint8Array : Int16Array)(n * rows * columns);
    this.has = new Uint8Array(n);
  }

  add(header, bytes) {
    const part = new this.data.constructor(bytes);
    const size = this.shape[1] * this.shape[2];
    this.data.set(part, header.from * size);
    this.has.fill(1, header.from, header.from + part.length / size);
  }

  slice(k) {
    const size = this.shape[1] * this.shape[2];
    return this.has[k] ? this.data.subarray(k * size, (k + 1) * size) : null;
  }
}

async function fetchBlock(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error((await answer.json()).error);
  const bytes = await answer.arrayBuffer();
  const length = new DataView(bytes).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  return [header, bytes.slice(4 + length)];
}

// First the block with the slice to be shown, then its neighbours outwards.
async function fetchVolume(address, onBlock) {
  const [header, bytes] = await fetchBlock(address);
  const volume = new Volume(header);
  volume.add(header, bytes);
  onBlock(volume);
  const starts = [];
  for (let k = 0; k < volume.shape[0]; k += header.block) if (k !== header.from) starts.push(k);
  starts.sort((a, b) => Math.abs(a - header.from) - Math.abs(b - header.from));
  for (const start of starts) {
    volume.add(...(await fetchBlock(`${address}?from=${start}`)));
    onBlock(volume);
  }
  return volume;
}

/* ---- viewer ---- */

class Viewer {
  constructor(settings) {
    this.settings = settings;
    this.volumes = {};
    this.k = null;
    this.windows = { ct: [...(settings.unit === "HU" ? settings.windows.brain : settings.flair_window)], flair: [...settings.flair_window] };
    this.windowName = settings.unit === "HU" ? "brain" : "";
    this.layout = settings.has_flair ? sessionStorage.getItem("layout") || "ct" : "ct";
    this.off = new Set(JSON.parse(sessionStorage.getItem("off") || "[]"));
    this.fade = Number(sessionStorage.getItem("fade") ?? 85);
    this.hidden = false;
    this.zoom = 1;
    this.shift = [0, 0];
    this.bits = { prediction: 1, label: 2, reference: 4 };
    const name = sessionStorage.getItem("window");
    if (name && settings.unit === "HU" && settings.windows[name]) this.setWindow(name, false);
    this.bind();
    this.setLayout(this.layout);
  }

  async load() {
    const { what, ref, next, has_flair: hasFlair, has_masks: hasMasks } = this.settings;
    const address = (part, of = ref) => `/images/${what}/${of}/${part}`;
    const take = (part) => (volume) => {
      this.volumes[part] = volume;
      if (this.k === null) this.k = volume.best;
      if (part === "masks") this.showMaskButtons();
      this.draw();
      this.noteOpened();
    };
    const jobs = ["ct", ...(hasMasks ? ["masks"] : [])].map((part) => fetchVolume(address(part), take(part)));
    try {
      await Promise.all(jobs);
    } catch (error) {
      $("#loading").hidden = false;
      $("#loading").className = "bad";
      $("#loading").textContent = `The images cannot be shown: ${error.message}.`;
      return;
    }
    if (hasFlair) await fetchVolume(address("flair"), take("flair")).catch((error) => this.noFlair(error.message));
    document.body.dataset.loaded = "all";
    const parts = ["ct", ...(hasMasks ? ["masks"] : []), ...(hasFlair ? ["flair"] : [])];
    for (const part of next ? parts : []) await fetch(`${address(part, next)}?warm`).catch(() => null);
    document.body.dataset.warmed = next || "none";
  }

  noFlair(reason) {
    this.settings.has_flair = false;
    $$("[data-layout]").forEach((button) => (button.disabled = true));
    this.setLayout("ct");
    tell(`No FLAIR: ${reason}`);
  }

  noteOpened() {
    const isThere = this.volumes.ct && (!this.settings.has_masks || this.volumes.masks);
    if (isThere && !document.body.dataset.opened) document.body.dataset.opened = performance.now().toFixed(0);
  }

  showMaskButtons() {
    const volumes = this.volumes.masks.masks;
    for (const button of $$("[data-mask]")) {
      const name = button.dataset.mask;
      button.hidden = !(name in volumes);
      button.style.setProperty("--mark", this.settings.outlines[name]);
      button.setAttribute("aria-pressed", String(!this.off.has(name)));
      button.title = name in volumes ? `${volumes[name].toFixed(1)} mL` : "";
    }
  }

  toggleMask(name) {
    if (!this.off.delete(name)) this.off.add(name);
    sessionStorage.setItem("off", JSON.stringify([...this.off]));
    if (this.volumes.masks) this.showMaskButtons();
    this.draw();
  }

  setFade(value) {
    this.fade = Math.min(100, Math.max(0, value));
    sessionStorage.setItem("fade", this.fade);
    $("#fade").value = this.fade;
    this.draw();
  }

  setWindow(name, isDrawn = true) {
    this.windows.ct = [...this.settings.windows[name]];
    this.windowName = name;
    sessionStorage.setItem("window", name);
    if (isDrawn) this.draw();
  }

  setLayout(layout) {
    this.layout = layout;
    if (this.settings.has_flair) sessionStorage.setItem("layout", layout);
    $("#pane-ct").hidden = layout === "flair";
    $("#pane-flair").hidden = !["flair", "both"].includes(layout);
    this.draw();
  }

  go(k) {
    if (!this.volumes.ct) return;
    this.k = Math.min(Math.max(k, 0), this.volumes.ct.shape[0] - 1);
    this.draw();
  }

  draw() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = null;
      this.paint();
    });
  }

  paint() {
    for (const button of $$("[data-window]")) button.setAttribute("aria-pressed", String(button.dataset.window === this.windowName));
    for (const button of $$("[data-layout]")) button.setAttribute("aria-pressed", String(button.dataset.layout === this.layout));
    const ct = this.volumes.ct;
    if (!ct) return;
    $("#loading").hidden = Boolean(ct.slice(this.k));
    const range = $("#slice");
    range.max = ct.shape[0] - 1;
    range.value = this.k;
    if (this.layout !== "flair") this.paintPane("ct", this.layout === "checks" ? this.checked() : this.grey("ct"));
    if (["flair", "both"].includes(this.layout)) this.paintPane("flair", this.grey("flair"));
  }

  grey(part) {
    const slice = this.volumes[part] && this.volumes[part].slice(this.k);
    if (!slice) return null;
    const [level, width] = this.windows[part];
    const out = new Uint8ClampedArray(slice.length);
    const low = level - width / 2, scale = 255 / width;
    for (let i = 0; i < slice.length; i++) out[i] = (slice[i] - low) * scale;
    return out;
  }

  checked() {
    const [ct, flair] = [this.grey("ct"), this.grey("flair")];
    if (!ct || !flair) return ct;
    const [, rows, columns] = this.volumes.ct.shape;
    const [, rowMm, columnMm] = this.volumes.ct.spacing_mm;
    const side = (step) => Math.max(1, Math.round(25 / step));
    for (let r = 0, i = 0; r < rows; r++)
      for (let c = 0; c < columns; c++, i++)
        if ((Math.floor(r / side(rowMm)) + Math.floor(c / side(columnMm))) % 2) ct[i] = flair[i];
    return ct;
  }

  paintPane(part, grey) {
    const pane = $(`#pane-${part}`), canvas = $("canvas", pane), volume = this.volumes.ct;
    const box = pane.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(box.width * ratio) || canvas.height !== Math.round(box.height * ratio)) {
      canvas.width = Math.round(box.width * ratio);
      canvas.height = Math.round(box.height * ratio);
    }
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    $("figcaption", pane).textContent = this.caption(part, grey);
    if (!grey) return;
    const [, rows, columns] = volume.shape, [, rowMm, columnMm] = volume.spacing_mm;
    const fit = Math.min(canvas.width / (columns * columnMm), canvas.height / (rows * rowMm)) * this.zoom;
    const [sx, sy] = [fit * columnMm, fit * rowMm];
    const x0 = (canvas.width - columns * sx) / 2 + this.shift[0] * ratio, y0 = (canvas.height - rows * sy) / 2 + this.shift[1] * ratio;
    this.place = { x0: x0 / ratio, y0: y0 / ratio };
    context.imageSmoothingQuality = "high";
    context.drawImage(this.bitmap(grey, rows, columns), x0, y0, columns * sx, rows * sy);
    if (!this.hidden) this.paintOutlines(context, x0, y0, sx, sy, ratio);
  }

  bitmap(grey, rows, columns) {
    const buffer = (this.buffer ||= document.createElement("canvas"));
    buffer.width = columns;
    buffer.height = rows;
    const image = new ImageData(columns, rows), pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < grey.length; i++) pixels[i] = 0xff000000 | (grey[i] * 0x010101);
    buffer.getContext("2d").putImageData(image, 0, 0);
    return buffer;
  }

  paintOutlines(context, x0, y0, sx, sy, ratio) {
    const masks = this.volumes.masks, slice = masks && masks.slice(this.k);
    if (!slice) return;
    context.globalAlpha = this.fade / 100;
    context.lineWidth = 1.5 * ratio;
    context.lineJoin = "round";
    for (const [name, bit] of Object.entries(this.bits)) {
      if (this.off.has(name) || !(name in masks.masks)) continue;
      context.strokeStyle = this.settings.outlines[name];
      context.stroke(outline(slice, bit, masks.shape[1], masks.shape[2], x0, y0, sx, sy));
    }
    context.globalAlpha = 1;
  }

  caption(part, grey) {
    const { first_slice: first, n_slices: n } = this.volumes.ct;
    const name = part === "flair" || this.settings.unit !== "HU" ? "FLAIR" : this.layout === "checks" ? "CT and FLAIR" : "CT";
    const [level, width] = this.windows[part].map(Math.round);
    const shown = part === "ct" && this.settings.unit === "HU" ? ` · ${this.windowName || "window"} ${level}/${width} HU` : "";
    return `${name} · slice ${first + this.k} of ${n}${shown}${grey ? "" : " · loading…"}`;
  }

  bind() {
    const stage = $("#stage");
    let turned = 0;
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (event.ctrlKey) return this.zoomAt(event.deltaY < 0 ? 1.15 : 1 / 1.15);
      turned += event.deltaMode ? event.deltaY * 40 : event.deltaY;
      const steps = Math.trunc(turned / 40);
      if (steps) {
        turned -= steps * 40;
        this.go(this.k - Math.sign(steps));
        if (Math.abs(turned) > 400) turned = 0;
      }
    }, { passive: false });
    stage.addEventListener("pointerdown", (event) => stage.setPointerCapture(event.pointerId));
    stage.addEventListener("pointermove", (event) => event.buttons && this.drag(event));
    stage.addEventListener("dblclick", () => { this.zoom = 1; this.shift = [0, 0]; this.draw(); });
    $("#slice").addEventListener("input", (event) => this.go(Number(event.target.value)));
    if ($("#fade")) {
      $("#fade").value = this.fade;
      $("#fade").addEventListener("input", (event) => this.setFade(Number(event.target.value)));
    }
    for (const button of $$("[data-window]")) button.addEventListener("click", () => this.setWindow(button.dataset.window));
    for (const button of $$("[data-layout]")) button.addEventListener("click", () => this.setLayout(button.dataset.layout));
    for (const button of $$("[data-mask]")) button.addEventListener("click", () => this.toggleMask(button.dataset.mask));
    addEventListener("resize", () => this.draw());
    document.addEventListener("keyup", (event) => event.key === "h" && this.hidden && ((this.hidden = false), this.draw()));
  }

  drag(event) {
    if (event.shiftKey || event.buttons === 4) {
      this.shift = [this.shift[0] + event.movementX, this.shift[1] + event.movementY];
    } else {
      const part = event.target.closest("#pane-flair") ? "flair" : "ct";
      const step = this.windows[part][1] / 300;
      this.windows[part][1] = Math.max(2, this.windows[part][1] + event.movementX * step);
      this.windows[part][0] += event.movementY * step;
      if (part === "ct") this.windowName = "";
    }
    this.draw();
  }

  zoomAt(factor) {
    this.zoom = Math.min(8, Math.max(1, this.zoom * factor));
    if (this.zoom === 1) this.shift = [0, 0];
    this.draw();
  }

  key(key) {
    const masks = Object.keys(this.bits);
    const windows = { b: "brain", s: "stroke", o: "bone" }, layouts = { c: "ct", f: "flair", d: "both", k: "checks" };
    if (key in windows && this.settings.unit === "HU") return () => this.setWindow(windows[key]);
    if (key in layouts && this.settings.has_flair) return () => this.setLayout(layouts[key]);
    if (this.settings.has_masks && masks[Number(key) - 1]) return () => this.toggleMask(masks[Number(key) - 1]);
    return {
      ArrowUp: () => this.go(this.k + 1), ArrowDown: () => this.go(this.k - 1),
      PageUp: () => this.go(this.k + 5), PageDown: () => this.go(this.k - 5),
      Home: () => this.go(0), End: () => this.go(1e6),
      "+": () => this.settings.has_masks && this.setFade(this.fade + 10), "-": () => this.settings.has_masks && this.setFade(this.fade - 10),
      h: () => { this.hidden = true; this.draw(); },
    }[key];
  }
}

// The edges between pixels inside and outside, as one path in screen coordinates.
function outline(slice, bit, rows, columns, x0, y0, sx, sy) {
  const path = new Path2D();
  const inside = (r, c) => r >= 0 && c >= 0 && r < rows && c < columns && (slice[r * columns + c] & bit) !== 0;
  for (let r = 0; r <= rows; r++)
    for (let c = 0; c <= columns; c++) {
      const here = inside(r, c);
      if (here !== inside(r - 1, c)) {
        path.moveTo(x0 + c * sx, y0 + r * sy);
        path.lineTo(x0 + (c + 1) * sx, y0 + r * sy);
      }
      if (here !== inside(r, c - 1)) {
        path.moveTo(x0 + c * sx, y0 + r * sy);
        path.lineTo(x0 + c * sx, y0 + (r + 1) * sy);
      }
    }
  return path;
}

/* ---- one case ---- */

const commonKeys = (key) => ({
  z: click("#undo"), n: click("#following"), p: click("#before"), l: click("#home"), "?": help,
}[key]);

function startCase(viewer) {
  const panel = $("#decide"), reasons = $("#reasons");
  let decision = null;
  const save = (reason) => follow(post("/decisions", {
    ref: panel.dataset.ref, decision, reason, comment: $("#comment").value,
    with_scan: decision === "reject" && $("#scan-too").checked,
  }), "Saved.");
  const choose = (name) => {
    decision = name;
    if (name === "accept") return save(null);
    reasons.hidden = false;
    $("#reasons-title").textContent = name === "reject" ? "Rejected, because" : "Unsure, because";
    $("#no-reason").hidden = name === "reject";
    $("#with-scan").hidden = name !== "reject";
    return $("[data-reason]", reasons).focus();
  };
  const close = () => ((decision = null), (reasons.hidden = true));
  const undo = () => follow(post("/undo/case", {}), "There is nothing to take back.");
  for (const button of $$("[data-decision]")) button.addEventListener("click", () => choose(button.dataset.decision));
  for (const button of $$("[data-reason]")) button.addEventListener("click", () => save(button.dataset.reason || null));
  $("#undo").addEventListener("click", undo);
  $("#comment").addEventListener("input", (event) => (event.target.rows = event.target.value.length > 60 ? 3 : 1));
  onKeys((key) => {
    if (!reasons.hidden) {
      const button = key === "0" ? decision === "unsure" && $("#no-reason button") : $$("ol [data-reason]", reasons)[Number(key) - 1];
      if (button && !button.parentElement.hidden) return () => button.click();
      if (key === "Escape") return close;
      if (key === "x" && decision === "reject") return () => ($("#scan-too").checked = !$("#scan-too").checked);
    }
    return {
      a: () => choose("accept"), r: () => choose("reject"), u: () => choose("unsure"), m: () => $("#comment").focus(),
    }[key] || commonKeys(key) || viewer.key(key);
  });
}

function startGrade(viewer) {
  const panel = $("#grade"), fields = $$("[data-score]", panel), scores = {};
  const show = () => {
    for (const field of fields) for (const button of $$("[data-grade]", field))
      button.setAttribute("aria-pressed", String(Number(button.dataset.grade) === scores[field.dataset.score]));
    const open = fields.find((field) => !(field.dataset.score in scores));
    fields.forEach((field) => field.classList.toggle("at", field === open));
    $("#save").disabled = Boolean(open);
  };
  const give = (field, score) => ((scores[field.dataset.score] = score), show());
  const clear = () => (fields.forEach((field) => delete scores[field.dataset.score]), show());
  const save = () => !$("#save").disabled && follow(post("/gradings", { ref: panel.dataset.ref, ...scores }), "Saved.");
  const undo = () => follow(post("/undo/grade", {}), "There is nothing to take back.");
  for (const field of fields) for (const button of $$("[data-grade]", field))
    button.addEventListener("click", () => (give(field, Number(button.dataset.grade)), button.blur()));
  $("#save").addEventListener("click", save);
  $("#undo").addEventListener("click", undo);
  show();
  onKeys((key) => {
    const open = fields.find((field) => !(field.dataset.score in scores));
    if ("0123".includes(key) && open) return () => give(open, Number(key));
    return { Backspace: clear, Enter: save }[key] || commonKeys(key) || viewer.key(key);
  });
}

if ($("#settings")) {
  const viewer = new Viewer(JSON.parse($("#settings").textContent));
  if ($("#decide")) startCase(viewer);
  else startGrade(viewer);
  viewer.load();
} else if (root) startList();
document.body.dataset.ready = "";
