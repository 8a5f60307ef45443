// The page of `kvsframes view`: everything is drawn from the records and gaps in #data. What came from a stream is put in as text, never as HTML.
'use strict';

// ---- The records, which column.go has written.

const started = performance.now();
const data = JSON.parse(document.getElementById('data').textContent);

// unpack returns the numbers of a column: pairs of a difference and how often it comes, as varints.
function unpack(text, count) {
  const bytes = atob(text), numbers = new Float64Array(count);
  let at = 0, row = 0, value = 0;
  const varint = () => {
    let n = 0, unit = 1, byte;
    do {
      byte = bytes.charCodeAt(at++);
      n += (byte & 127) * unit;
      unit *= 128;
    } while (byte > 127);
    return n;
  };
  while (row < count) {
    const sign = varint(), delta = sign % 2 ? -(sign + 1) / 2 : sign / 2;
    for (let times = varint(); times > 0; times--) numbers[row++] = value += delta;
  }
  return numbers;
}

const unknownTime = Date.parse('0001-01-01T00:00:00Z');
const timeText = (ms) => (ms === unknownTime ? '' : new Date(ms).toISOString());

// Column is one key of all records. It unpacks itself when it is first asked.
class Column {
  constructor(column) { Object.assign(this, column); }

  get numbers() { return this.unpacked ??= unpack(this.data, data.records); }

  // list returns the different texts of the column, as JSON.
  get list() {
    if (!this.lengthened) {
      this.lengthened = [];
      for (let i = 0, last = ''; i < this.texts.length; i += 2) this.lengthened.push(last = last.slice(0, this.texts[i]) + this.texts[i + 1]);
    }
    return this.lengthened;
  }

  // json returns the JSON of a record's value; undefined if the record has none.
  json(row) {
    if (row in this.odd) return this.odd[row] === null ? undefined : JSON.stringify(this.odd[row]);
    switch (this.form) {
      case 'number': return String(this.numbers[row]);
      case 'truth': return this.numbers[row] ? 'true' : 'false';
      case 'time': return JSON.stringify(timeText(this.numbers[row]));
      case 'hash': return JSON.stringify(hex(atob(this.data.slice(Math.floor(row * 32 / 3) * 4, Math.ceil((row + 1) * 32 / 3) * 4)).slice(row * 32 % 3, row * 32 % 3 + 32)));
    }
    return this.name === 'key' ? lengthenKey(this.list[this.numbers[row]], row) : this.list[this.numbers[row]];
  }

  value(row) {
    const json = this.json(row);
    return json === undefined ? undefined : JSON.parse(json);
  }
}

const hex = (bytes) => Array.from(bytes, (c) => c.charCodeAt(0).toString(16).padStart(2, '0')).join('');

// lengthenKey puts what other columns hold in place of the marks that shortKey left.
function lengthenKey(json, row) {
  return json
    .replaceAll('\x01', () => columns.producer_timestamp.value(row).replaceAll(/[-:]/g, '').replace('.', '_'))
    .replaceAll('\x02', () => columns.fragment_number.value(row))
    .replaceAll('\x03', () => String(columns.frame_index.value(row)).padStart(6, '0'));
}

const columns = Object.create(null);
for (const c of data.columns) columns[c.name] = new Column(c);
const times = columns.producer_timestamp?.numbers ?? new Float64Array(0);
const concealed = columns.concealed?.numbers ?? new Float64Array(data.records);

const byId = (id) => document.getElementById(id);
const number = (n) => n.toLocaleString('en-US');
const plural = (n, what) => `${number(n)} ${what}${n === 1 ? '' : 's'}`;
const clamp = (n, least, most) => Math.min(Math.max(n, least), most);
// shown returns a time as the page shows it: UTC, to the millisecond.
const shown = (ms) => timeText(ms).replace('T', ' ').replace('Z', '');

function element(name, properties = {}, ...children) {
  const e = Object.assign(document.createElement(name), properties);
  e.append(...children);
  return e;
}

// isPicture reports whether a browser shows the object of a record: JPEG and PNG files of their own.
function isPicture(row) {
  return ['jpeg', 'png'].includes(columns.format.value(row)) && /\.(jpe?g|png)$/i.test(columns.key.value(row));
}

const urlOf = (row) => data.images + columns.key.value(row).split('/').map(encodeURIComponent).join('/');

// ---- Lanes: one for each stream and sink.

const axisHeight = 34, stripHeight = 16, lowHeight = 68;
// thumbHeight is that of pictures in lanes: the fewer lanes, the higher.
let thumbHeight = 58;

// byTime orders gaps; those of an unknown time are first.
const byTime = (a, b) => (a.from || 0) - (b.from || 0);

function makeLanes() {
  const found = new Map();
  const lane = (stream, sink) => {
    const name = JSON.stringify([stream, sink]);
    if (!found.has(name)) found.set(name, { stream, sink, rows: [], gaps: [] });
    return found.get(name);
  };
  const { stream, sink } = columns, differs = (column, row) => column.numbers[row] !== column.numbers[row - 1] || row in column.odd || row - 1 in column.odd;
  for (let row = 0, into; row < data.records; row++) {
    if (row === 0 || differs(stream, row) || differs(sink, row)) into = lane(stream.value(row), sink.value(row));
    into.rows.push(row);
  }
  for (const record of data.gaps) {
    const asked = record.asked_for ?? [], from = Date.parse(record.producer_timestamp || asked[0]);
    const until = Date.parse(record.until || asked.at(-1));
    lane(record.stream, record.sink).gaps.push({ record, from, until: until > from ? until : from });
  }
  const all = [...found.values()];
  for (const l of all) {
    l.rows = new Int32Array(l.rows);
    l.kept = new Int32Array(l.rows.length);
    l.pictures = l.rows.length > 0 && isPicture(l.rows[0]);
    l.aspect = l.pictures ? clamp(columns.width.value(l.rows[0]) / columns.height.value(l.rows[0]) || 1, 0.4, 3) : 1;
    l.gaps.sort(byTime);
  }
  const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  return all.sort((a, b) => order(a.stream, b.stream) || order(a.sink, b.sink));
}

// after returns the first place in rows, which are in order of time, whose time is at least ms.
function after(rows, ms) {
  let low = 0, high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[rows[middle]] < ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

// nearest returns the place in rows whose time is nearest; -1 if there is none.
function nearest(rows, ms) {
  const at = after(rows, ms);
  if (at === rows.length || at > 0 && ms - times[rows[at - 1]] < times[rows[at]] - ms) return at - 1;
  return at;
}

const lanes = makeLanes();

// ---- What is shown. A choice is {lane, row} or {lane, gap}.

const state = { from: 0, to: 1, lanes: [], chosen: null, pinned: null, hover: null };

// extent returns the first and the last time of all frames and gaps that the filters leave; the first is later if there are none.
function extent() {
  let least = Infinity, most = -Infinity;
  const take = (from, to) => {
    if (Number.isFinite(from)) least = Math.min(least, from);
    if (Number.isFinite(to)) most = Math.max(most, to);
  };
  for (const lane of state.lanes) {
    if (lane.shown.length) take(times[lane.shown[0]], times[lane.shown.at(-1)]);
    for (const gap of lane.shownGaps) take(gap.from, gap.until);
  }
  return [least, most];
}

// everything is that range, with a margin.
function everything() {
  const [least, most] = extent();
  if (least > most) return [0, 1000];
  const margin = Math.max((most - least) * 0.03, 500);
  return [least - margin, most + margin];
}

// Ranges in milliseconds, and times that calendars have.
const leastRange = 20, mostRange = 400 * 365 * 864e5, leastTime = Date.UTC(1000, 0), mostTime = Date.UTC(9000, 0);

function setRange(from, to) {
  const middle = clamp((from + to) / 2, leastTime, mostTime), half = clamp(to - from, leastRange, mostRange) / 2;
  [state.from, state.to] = [middle - half, middle + half];
  schedule();
}

function zoom(factor, at = (state.from + state.to) / 2) {
  setRange(at - (at - state.from) * factor, at + (state.to - at) * factor);
}

// ---- Filters.

// readTime reads a time in UTC, of which the last parts may be missing. It returns NaN for what is none.
function readTime(text) {
  const match = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,3}))?)?)?\s*Z?$/.exec(text.trim());
  if (!match) return NaN;
  const [year, month, day, hour = '00', minute = '00', second = '00', part = '0'] = match.slice(1);
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${part.padEnd(3, '0')}Z`);
}

function timeOf(input, otherwise) {
  const time = input.value.trim() ? readTime(input.value) : otherwise;
  input.setCustomValidity(Number.isNaN(time) ? 'a time in UTC, such as 2026-03-04 05:06:07.089' : '');
  return Number.isNaN(time) ? otherwise : time;
}

// accepted returns, for each different text of a column, whether accept takes its value; null if there is nothing to ask.
function accepted(column, accept) {
  return accept && column ? Uint8Array.from(column.list, (json) => accept(JSON.parse(json))) : null;
}

// tagFilter accepts tags of which one is NAME, or NAME=VALUE.
const tagFilter = (text) => text && ((tags) => tags.some(({ name, value }) => name === text || `${name}=${value}` === text));

// measured returns the values of a score, for each different text of scores.
const measured = (name) => scoreValues[name] ??= Float64Array.from(columns.scores.list, (json) => JSON.parse(json).find((s) => s.name === name)?.value ?? NaN);
const scoreValues = {};

function filter() {
  const names = byId('stream').value.split(',').map((name) => name.trim().toLowerCase()).filter(Boolean);
  const sink = byId('sink').selectedOptions[0];
  const from = timeOf(byId('from'), -Infinity), to = timeOf(byId('to'), Infinity);
  const tags = accepted(columns.tags, tagFilter(byId('tag').value));
  const score = byId('score').value && measured(JSON.parse(byId('score').value));
  const least = byId('least').value === '' ? -Infinity : Number(byId('least').value);
  const most = byId('most').value === '' ? Infinity : Number(byId('most').value);
  const onlyConcealed = byId('concealed').checked;
  const simple = !tags && !score && !onlyConcealed;
  const tagSets = tags && columns.tags.numbers, scoreSets = score && columns.scores.numbers;

  state.lanes = lanes.filter((lane) => (!names.length || names.some((name) => lane.stream.toLowerCase().includes(name))) && (!sink.value || lane.sink === sink.name));
  let frames = 0, gaps = 0;
  for (const lane of state.lanes) {
    const first = after(lane.rows, from), end = to === Infinity ? lane.rows.length : after(lane.rows, to + 1);
    if (simple) {
      lane.shown = lane.rows.subarray(first, Math.max(first, end));
    } else {
      let kept = 0;
      for (let i = first; i < end; i++) {
        const row = lane.rows[i];
        if (tags && !tags[tagSets[row]]) continue;
        if (score && !(score[scoreSets[row]] >= least && score[scoreSets[row]] <= most)) continue;
        if (onlyConcealed && !concealed[row]) continue;
        lane.kept[kept++] = row;
      }
      lane.shown = lane.kept.subarray(0, kept);
    }
    lane.shownGaps = lane.gaps.filter((gap) => !(gap.until < from || gap.from > to));
    frames += lane.shown.length;
    gaps += lane.shownGaps.length;
  }
  const total = frames === data.records ? plural(frames, 'frame') : `${number(frames)} of ${plural(data.records, 'frame')}`;
  const [first, last] = extent();
  const range = first > last ? '' : ` · ${shown(first)} – ${shown(last).slice(shown(first).slice(0, 10) === shown(last).slice(0, 10) ? 11 : 0)} UTC`;
  byId('count').textContent = `${total}, ${plural(gaps, 'gap')}${range}`;
  layOut();
}

// mostHeight is that of the time line.
const mostHeight = () => Math.round(innerHeight * 0.46);

// layOut places the lanes one below the other, with their labels.
function layOut() {
  const room = mostHeight() - axisHeight, low = state.lanes.filter((lane) => !lane.pictures).length;
  thumbHeight = Math.floor(clamp((room - low * lowHeight) / (state.lanes.length - low || 1) - 42, 58, 84));
  let top = axisHeight;
  const labels = byId('labels');
  labels.replaceChildren(labels.firstElementChild);
  for (const lane of state.lanes) {
    lane.top = top;
    lane.height = lane.pictures ? thumbHeight + 42 : lowHeight;
    top += lane.height;
    const counts = element('span', {}, plural(lane.shown.length, 'frame'));
    if (lane.shownGaps.length) counts.append(', ', element('span', { className: 'lacks', textContent: plural(lane.shownGaps.length, 'gap') }));
    counts.lastChild.style && (counts.lastChild.style.display = 'inline');
    lane.label = element('div', { className: 'lane', title: `${lane.stream}\n${lane.sink}` },
      element('b', { textContent: lane.stream || '(no name)' }), element('span', { textContent: lane.sink }), counts);
    lane.label.style.height = `${lane.height}px`;
    labels.append(lane.label);
  }
  state.height = top;
  schedule();
}

// ---- Pictures in small, for those on the screen alone.

const thumbs = new Map(); // by URL: a bitmap, or null while it is loaded or if it cannot be
const mostThumbs = 800, mostLoading = 8;
let wanted = [], loading = 0;

function thumb(url) {
  const bitmap = thumbs.get(url);
  if (bitmap === undefined) {
    wanted.push(url);
    return null;
  }
  thumbs.delete(url); // so that it is the latest
  thumbs.set(url, bitmap);
  return bitmap;
}

function load() {
  while (loading < mostLoading && wanted.length) {
    const url = wanted.shift();
    if (thumbs.has(url)) continue;
    thumbs.set(url, null);
    loading++;
    const image = new Image();
    image.src = url;
    image.decode()
      .then(() => createImageBitmap(image, { resizeHeight: 180, resizeQuality: 'medium' }))
      .then((bitmap) => thumbs.set(url, bitmap), () => {})
      .then(() => {
        loading--;
        schedule();
      });
  }
  for (const url of thumbs.keys()) {
    if (thumbs.size <= mostThumbs) break;
    thumbs.get(url)?.close();
    thumbs.delete(url);
  }
}

// ---- Drawing.

const canvas = byId('canvas'), context = canvas.getContext('2d'), scroller = byId('lanes');
let colours = {}, hatch = null, scheduled = false;

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ['back', 'panel', 'line', 'faint', 'text', 'quiet', 'frame', 'key', 'concealed', 'gap', 'pinned', 'chosen']) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
  const tile = element('canvas', { width: 8, height: 8 }), t = tile.getContext('2d');
  t.strokeStyle = colours.gap;
  t.globalAlpha = 0.55;
  t.lineWidth = 1.5;
  for (const x of [-8, 0, 8]) {
    t.moveTo(x, 8);
    t.lineTo(x + 8, 0);
  }
  t.stroke();
  hatch = context.createPattern(tile, 'repeat');
}

function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    draw();
  });
}

const xOf = (ms) => (ms - state.from) / (state.to - state.from) * state.width;
const msOf = (x) => state.from + x / state.width * (state.to - state.from);

function draw() {
  const width = scroller.clientWidth - byId('labels').offsetWidth;
  const height = Math.min(state.height, mostHeight());
  const ratio = devicePixelRatio || 1;
  state.width = width;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  wanted = [];
  const scroll = scroller.scrollTop, ticks = ticksOf(width);
  context.fillStyle = colours.faint;
  for (const t of ticks) context.fillRect(Math.round(xOf(t)), axisHeight, 1, height);
  for (const lane of state.lanes) {
    lane.y = lane.top - scroll;
    lane.thumbs = [];
    if (lane.y < height && lane.y + lane.height > axisHeight) drawLane(lane);
  }
  drawAxis(width, ticks);
  load();
  canvas.dataset.from = state.from;
  canvas.dataset.to = state.to;
}

const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 108e5, 216e5, 432e5,
  864e5, 2 * 864e5, 7 * 864e5, 14 * 864e5, 28 * 864e5, 91 * 864e5, 364 * 864e5];

// ticksOf returns the times that the axis names: as many as there is room for.
function ticksOf(width) {
  const least = (state.to - state.from) / width * 96;
  const step = steps.find((s) => s >= least) ?? steps.at(-1) * Math.ceil(least / steps.at(-1));
  const ticks = [];
  for (let t = Math.ceil(state.from / step) * step; t <= state.to; t += step) ticks.push(t);
  return Object.assign(ticks, { step });
}

function drawAxis(width, ticks) {
  context.fillStyle = colours.panel;
  context.fillRect(0, 0, width, axisHeight - 1);
  context.fillStyle = colours.line;
  context.fillRect(0, axisHeight - 1, width, 1);
  const { step } = ticks;
  context.font = '11px system-ui, sans-serif';
  let day = '';
  for (const t of ticks) {
    const x = Math.round(xOf(t)), text = new Date(t).toISOString();
    context.fillStyle = colours.quiet;
    context.fillRect(x, axisHeight - 6, 1, 6);
    if (step < 864e5) {
      context.fillStyle = colours.text;
      context.fillText(text.slice(11, step < 1000 ? 23 : step < 6e4 ? 19 : 16), x + 4, 26);
    }
    if (text.slice(0, 10) !== day && x > -4) {
      day = text.slice(0, 10);
      context.fillStyle = colours.quiet;
      context.fillText(day, x + 4, step < 864e5 ? 12 : 26);
    }
  }
}

function drawLane(lane) {
  const { y, height } = lane, strip = y + height - stripHeight - 8;
  context.fillStyle = colours.line;
  context.fillRect(0, y + height - 1, state.width, 1);
  context.fillStyle = colours.faint;
  context.fillRect(0, strip, state.width, stripHeight);
  for (const gap of lane.shownGaps) drawGap(lane, gap, strip);
  const first = after(lane.shown, state.from), end = after(lane.shown, state.to);
  drawMarks(lane, Math.max(first - 1, 0), Math.min(end + 1, lane.shown.length), strip);
  if (lane.pictures) drawThumbs(lane);
  drawChoice(lane, state.pinned, colours.pinned, strip);
  drawChoice(lane, state.chosen, colours.chosen, strip);
}

// gapBox returns where a gap is: at least a few pixels wide, so that one of a single frame can be seen and hit.
function gapBox(gap) {
  const left = xOf(gap.from), right = xOf(gap.until);
  return right - left >= 5 ? [left, right] : [(left + right) / 2 - 2.5, (left + right) / 2 + 2.5];
}

function drawGap(lane, gap, strip) {
  const [left, right] = gapBox(gap);
  if (!(right > 0 && left < state.width)) return;
  const from = Math.max(left, -2), width = Math.min(right, state.width + 2) - from;
  if (width > 6) {
    context.fillStyle = hatch;
    context.fillRect(from, lane.y + 6, width, strip - lane.y - 6);
  }
  context.fillStyle = colours.gap;
  context.globalAlpha = 0.85;
  context.fillRect(from, strip, width, stripHeight);
  context.fillRect(from, lane.y + 2, width, 3);
  context.globalAlpha = 1;
  if (width <= 6) context.fillRect(from + width / 2 - 0.5, lane.y + 6, 1, strip - lane.y - 6);
}

// drawMarks draws a mark for each frame, or for each column of pixels how many there are.
function drawMarks(lane, first, end, strip) {
  const { shown } = lane, most = (end - first) / state.width;
  const keyframes = columns.keyframe?.numbers;
  if (most < 0.34) {
    for (let i = first; i < end; i++) {
      const row = shown[i], x = xOf(times[row]);
      context.fillStyle = concealed[row] ? colours.concealed : keyframes?.[row] ? colours.key : colours.frame;
      context.fillRect(x - 1, strip + (concealed[row] || keyframes?.[row] ? 1 : 4), 2, stripHeight - (concealed[row] || keyframes?.[row] ? 2 : 5));
    }
    return;
  }
  const counts = new Uint32Array(Math.ceil(state.width) + 1), guessed = new Uint32Array(counts.length);
  let top = 1;
  for (let i = first; i < end; i++) {
    const row = shown[i], x = Math.floor(xOf(times[row]));
    if (x < 0 || x >= counts.length) continue;
    top = Math.max(top, ++counts[x]);
    guessed[x] += concealed[row];
  }
  for (let x = 0; x < counts.length; x++) {
    if (!counts[x]) continue;
    const tall = 4 + (stripHeight - 5) * counts[x] / top;
    context.fillStyle = colours.frame;
    context.fillRect(x, strip + stripHeight - tall, 1, tall);
    if (guessed[x]) {
      context.fillStyle = colours.concealed;
      context.fillRect(x, strip + stripHeight - 4, 1, 4);
    }
  }
}

// drawThumbs draws the picture of the chosen or pinned frame in each cell of a grid in time, or else of the first one. They stay as they are when the page
// moves. A picture is above its mark, or as near to that as the one before it and the edges leave room.
function drawThumbs(lane) {
  const { shown } = lane, width = Math.round(thumbHeight * lane.aspect), unit = (state.to - state.from) / state.width;
  const cell = 2 ** (Math.ceil(Math.log2((width + 4) * unit) * 4) / 4);
  const picked = [], gridOf = (row) => Math.floor(times[row] / cell);
  const spotOf = (row) => {
    const mark = xOf(times[row]), x = mark - width / 2;
    return mark >= 0 && mark <= state.width ? clamp(x, 3, state.width - width - 3) : x;
  };
  const special = [state.chosen, state.pinned].filter((choice) => choice?.lane === lane && !choice.gap).map((choice) => choice.row);
  for (let at = after(shown, (Math.floor(state.from / cell) - 2) * cell), right = -Infinity; at < shown.length && times[shown[at]] < state.to + cell;) {
    const grid = gridOf(shown[at]);
    let row = special.find((r) => gridOf(r) === grid) ?? shown[at];
    if (right + 4 - spotOf(row) > width / 2 && !special.includes(row)) row = shown[after(shown, msOf(right + 4))];
    if (row !== undefined && gridOf(row) === grid) {
      const x = Math.round(Math.max(spotOf(row), right + 4));
      picked.push({ row, x });
      right = x + width;
    }
    at = after(shown, (grid + 1) * cell);
  }
  const y = lane.y + 8;
  for (const { row, x } of picked) {
    if (x > state.width || x + width < 0) continue;
    const bitmap = thumb(urlOf(row));
    context.fillStyle = colours.faint;
    context.fillRect(x, y, width, thumbHeight);
    if (bitmap) {
      const scale = Math.min(width / bitmap.width, thumbHeight / bitmap.height), w = bitmap.width * scale, h = bitmap.height * scale;
      context.drawImage(bitmap, x + (width - w) / 2, y + (thumbHeight - h) / 2, w, h);
    }
    if (concealed[row]) frame(x, y, width, thumbHeight, colours.concealed, 2);
    lane.thumbs.push({ row, x, y, width });
  }
}

function frame(x, y, width, height, colour, line) {
  context.strokeStyle = colour;
  context.lineWidth = line;
  context.strokeRect(x + line / 2, y + line / 2, width - line, height - line);
}

function drawChoice(lane, choice, colour, strip) {
  if (choice?.lane !== lane) return;
  const [left, right] = choice.gap ? gapBox(choice.gap) : [xOf(times[choice.row]) - 3, xOf(times[choice.row]) + 3];
  frame(left - 2, strip - 2, right - left + 4, stripHeight + 4, colour, 2);
  const t = lane.thumbs.find((box) => box.row === choice.row);
  if (t) frame(t.x - 2, t.y - 2, t.width + 4, thumbHeight + 4, colour, 3);
}

// hit returns what is at a point of the canvas; null if there is nothing.
function hit(x, y) {
  const lane = state.lanes.find((l) => y >= Math.max(l.y, axisHeight) && y < l.y + l.height);
  if (!lane) return null;
  const box = lane.thumbs.findLast((t) => x >= t.x && x < t.x + t.width && y >= t.y && y < t.y + thumbHeight);
  if (box) return { lane, row: box.row };
  const at = nearest(lane.shown, msOf(x)), apart = at < 0 ? Infinity : Math.abs(xOf(times[lane.shown[at]]) - x);
  const gap = lane.shownGaps.findLast((g) => gapBox(g)[0] <= x && x <= gapBox(g)[1]);
  if (gap && apart > 2) return { lane, gap };
  return apart <= 6 ? { lane, row: lane.shown[at] } : null;
}

// ---- Records.

const same = (a, b) => a === b || a && b && a.lane === b.lane && a.row === b.row && a.gap === b.gap;

// fieldsOf returns names and JSON of everything that a record has.
function fieldsOf(choice) {
  if (choice.gap) return Object.entries(choice.gap.record).map(([name, value]) => [name, JSON.stringify(value)]);
  return data.columns.map((c) => [c.name, columns[c.name].json(choice.row)]).filter(([, json]) => json !== undefined);
}

function choose(choice, { reveal = true } = {}) {
  state.chosen = choice;
  if (reveal && choice) {
    const at = choice.gap ? choice.gap.from : times[choice.row], half = (state.to - state.from) / 2, edge = half / 20;
    if (at < state.from + edge || at > state.to - edge) setRange(at - half, at + half);
    const { top, height } = choice.lane;
    if (top - scroller.scrollTop < axisHeight) scroller.scrollTop = top - axisHeight;
    else if (top + height - scroller.scrollTop > canvas.clientHeight) scroller.scrollTop = top + height - canvas.clientHeight;
  }
  for (const lane of state.lanes) lane.label.setAttribute('aria-current', lane === choice?.lane);
  showCards();
  schedule();
}

function showCards() {
  const cards = byId('cards'), two = state.pinned && state.chosen && !same(state.pinned, state.chosen);
  cards.classList.toggle('two', Boolean(two));
  const shownOnes = two ? [state.pinned, state.chosen] : [state.chosen ?? state.pinned].filter(Boolean);
  if (!shownOnes.length) cards.replaceChildren(element('p', { className: 'none', textContent: 'No frame is left.' }));
  else cards.replaceChildren(...shownOnes.map((choice, i) => card(choice, two ? shownOnes[1 - i] : null)));
  if (state.chosen) byId('status').textContent = headline(state.chosen).join(', ');
}

// headline returns a few words of a frame or a gap: when, and what.
function headline({ lane, row, gap }) {
  if (!gap) return [shown(times[row]), lane.stream, lane.sink];
  return [gap.record.producer_timestamp ? shown(gap.from) : 'at an unknown time', lane.stream, lane.sink, `gap: ${gap.record.reason}`];
}

function card(choice, other) {
  const [when, ...what] = headline(choice), isPinned = same(choice, state.pinned);
  const head = element('header', {}, element('strong', { textContent: when }), element('span', { className: 'what', textContent: what.join(' · ') }));
  if (choice.gap) head.append(element('span', { className: 'mark gap', textContent: 'gap' }));
  else if (concealed[choice.row]) head.append(element('span', { className: 'mark concealed', textContent: 'concealed' }));
  if (isPinned) head.append(element('span', { className: 'mark pinned', textContent: 'pinned' }));
  head.append(element('span', { className: 'fill' }));
  if (!choice.gap) head.append(element('a', { href: urlOf(choice.row), target: '_blank', rel: 'noopener', textContent: 'open object' }));
  const pin = element('button', { type: 'button', textContent: isPinned ? 'Unpin' : 'Pin' });
  pin.addEventListener('click', () => togglePin(choice));
  head.append(pin);

  const theirs = new Map(other ? fieldsOf(other) : []);
  const table = element('table');
  for (const [name, json] of fieldsOf(choice)) {
    const value = JSON.parse(json);
    const line = element('tr', {}, element('th', { scope: 'row', textContent: name }), element('td', { textContent: typeof value === 'string' ? value : json }));
    line.dataset.field = name;
    line.classList.toggle('differs', Boolean(other) && theirs.get(name) !== json);
    table.append(line);
  }
  return element('article', { className: 'card' }, head, pictureOf(choice), element('div', { className: 'fields', tabIndex: 0 }, table));
}

function pictureOf(choice) {
  if (choice.gap) return element('div', { className: 'picture' }, element('p', { textContent: choice.gap.record.detail || choice.gap.record.reason }));
  const { row, lane } = choice;
  if (!isPicture(row)) {
    const key = columns.key.value(row), at = nearest(lane.rows, times[row]);
    const group = /\.(tar|parquet)$/i.test(key) || [at - 1, at + 1].some((i) => lane.rows[i] !== undefined && columns.key.value(lane.rows[i]) === key);
    const text = group ? `This frame is one of a group, in the object ${key}.` : `A browser does not show ${columns.format.value(row)}. The object is ${key}.`;
    return element('div', { className: 'picture' }, element('p', { textContent: text }));
  }
  const alt = `${lane.stream}, ${shown(times[row])}`, image = element('img', { alt, src: urlOf(row) }), width = columns.width.value(row);
  if (width < 640) image.width = width * 2; // as far as there is room
  image.addEventListener('error', () => holder.replaceChildren(element('p', { textContent: `The picture ${columns.key.value(row)} cannot be loaded.` })));
  const button = element('button', { type: 'button', title: 'full size' }, image), holder = element('div', { className: 'picture' }, button);
  button.addEventListener('click', () => showFull(row));
  return holder;
}

function showFull(row) {
  byId('full').replaceChildren(element('img', { alt: `${shown(times[row])}, full size`, src: urlOf(row) }));
  byId('full').showModal();
}

function togglePin(choice) {
  state.pinned = same(state.pinned, choice) ? null : choice;
  if (!state.chosen) state.chosen = choice;
  showCards();
  schedule();
}

// ---- Mouse.

function showTip(what, x, y) {
  const tip = byId('tip');
  tip.hidden = !what;
  if (!what) {
    state.hover = null;
    return;
  }
  if (!same(what, state.hover)) {
    const [when, ...rest] = headline(what), lines = [element('div', { textContent: when }), element('div', { textContent: rest.join(' · ') })];
    if (what.gap) {
      const { until, frames_lost: lost, fragment_number: fragment, detail } = what.gap.record;
      if (until) lines.push(element('div', { textContent: `until ${shown(what.gap.until)}` }));
      if (lost) lines.push(element('div', { textContent: plural(lost, 'frame') }));
      if (fragment) lines.push(element('div', { textContent: `fragment ${fragment}` }));
      lines.push(element('div', { className: 'gap', textContent: detail }));
    } else {
      lines.push(element('div', { textContent: `fragment ${columns.fragment_number.value(what.row)}, frame ${columns.frame_index.value(what.row)}` }));
      for (const { name, value } of [...columns.tags?.value(what.row) ?? [], ...columns.scores?.value(what.row) ?? []]) lines.push(element('div', { textContent: `${name} = ${value}` }));
      if (concealed[what.row]) lines.push(element('div', { className: 'concealed', textContent: 'concealed: parts are guessed' }));
      if (isPicture(what.row)) lines.unshift(element('img', { alt: '', src: urlOf(what.row) }));
    }
    tip.replaceChildren(...lines);
  }
  state.hover = what;
  tip.style.left = `${x + 320 > innerWidth ? Math.max(x - 316, 4) : x + 16}px`;
  tip.style.top = `${y + 16 + tip.offsetHeight > innerHeight ? Math.max(innerHeight - tip.offsetHeight - 8, 4) : y + 16}px`;
}

let drag = null;

canvas.addEventListener('pointerdown', (e) => {
  if (e.button !== 0) return;
  drag = { x: e.clientX, from: state.from, to: state.to, moved: false };
  canvas.setPointerCapture(e.pointerId);
});
canvas.addEventListener('pointermove', (e) => {
  if (!drag) {
    showTip(hit(e.offsetX, e.offsetY), e.clientX, e.clientY);
    return;
  }
  const moved = e.clientX - drag.x;
  if (Math.abs(moved) > 3) drag.moved = true;
  if (!drag.moved) return;
  canvas.classList.add('dragging');
  showTip(null);
  const by = -moved / state.width * (drag.to - drag.from);
  setRange(drag.from + by, drag.to + by);
});
canvas.addEventListener('pointerup', (e) => {
  const what = drag && !drag.moved && hit(e.offsetX, e.offsetY);
  endDrag();
  if (what) choose(what, { reveal: false });
});
canvas.addEventListener('pointercancel', endDrag);
canvas.addEventListener('pointerleave', () => showTip(null));
canvas.addEventListener('wheel', (e) => {
  e.preventDefault();
  showTip(null);
  if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) {
    const by = (e.deltaX || e.deltaY) / state.width * (state.to - state.from);
    setRange(state.from + by, state.to + by);
    return;
  }
  zoom(Math.exp(clamp(e.deltaY, -200, 200) * 0.002), msOf(e.offsetX));
}, { passive: false });

function endDrag() {
  drag = null;
  canvas.classList.remove('dragging');
}

// ---- Keyboard.

// inLane returns the place of the choice in its lane's frames. Of a gap it is the last frame before it.
function inLane({ lane, row, gap }) {
  const at = gap ? after(lane.shown, gap.from) - 1 : nearest(lane.shown, times[row]);
  if (gap) return at;
  for (let i = at; i >= 0 && times[lane.shown[i]] === times[row]; i--) if (lane.shown[i] === row) return i;
  for (let i = at; i < lane.shown.length && times[lane.shown[i]] === times[row]; i++) if (lane.shown[i] === row) return i;
  return at;
}

function step(by) {
  const { chosen } = state;
  if (!chosen) return chooseFirst();
  const at = inLane(chosen) + by + (chosen.gap && by < 0 ? 1 : 0), { shown: frames } = chosen.lane;
  if (frames.length) choose({ lane: chosen.lane, row: frames[clamp(at, 0, frames.length - 1)] });
}

function chooseFirst() {
  const lane = state.lanes.find((l) => l.shown.length);
  choose(lane ? { lane, row: lane.shown[0] } : null, { reveal: false });
}

function stepLane(by) {
  const { chosen, lanes: all } = state;
  if (!chosen) return;
  const at = chosen.gap ? chosen.gap.from : times[chosen.row];
  for (let i = all.indexOf(chosen.lane) + by; i >= 0 && i < all.length; i += by) {
    if (all[i].shown.length) return choose({ lane: all[i], row: all[i].shown[nearest(all[i].shown, at)] });
  }
}

// stepGap chooses the next gap in time, of any lane, or the one before.
function stepGap(by) {
  const all = state.lanes.flatMap((lane) => lane.shownGaps.map((gap) => ({ lane, gap }))).sort((a, b) => byTime(a.gap, b.gap));
  if (!all.length) return;
  let at = all.findIndex((g) => same(g, state.chosen));
  if (at < 0) {
    const now = state.chosen ? times[state.chosen.row] : -Infinity;
    at = all.findIndex((g) => g.gap.from >= now);
    if (at < 0) at = all.length;
    if (by > 0) at--;
  }
  choose(all[clamp(at + by, 0, all.length - 1)]);
}

const keys = {
  ArrowLeft: (e) => step(e.shiftKey ? -10 : -1),
  ArrowRight: (e) => step(e.shiftKey ? 10 : 1),
  ArrowUp: () => stepLane(-1),
  ArrowDown: () => stepLane(1),
  Home: () => step(-Infinity),
  End: () => step(Infinity),
  '+': () => zoom(1 / 1.5, centre()),
  '=': () => zoom(1 / 1.5, centre()),
  '-': () => zoom(1.5, centre()),
  0: () => setRange(...everything()),
  g: () => stepGap(1),
  G: () => stepGap(-1),
  p: () => state.chosen && togglePin(state.chosen),
  Enter: () => state.chosen && !state.chosen.gap && isPicture(state.chosen.row) && showFull(state.chosen.row),
  '/': () => byId('stream').focus(),
  Escape: () => state.pinned && togglePin(state.pinned),
};

// centre is the time around which keys zoom: that of the choice, if it is in sight.
function centre() {
  const at = state.chosen && (state.chosen.gap ? state.chosen.gap.from : times[state.chosen.row]);
  return at > state.from && at < state.to ? at : undefined;
}

document.addEventListener('keydown', (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || byId('full').open) return;
  if (e.target.closest('input, select')) {
    if (e.key === 'Escape') canvas.focus();
    return;
  }
  if (e.key === 'Enter' && e.target.closest('button, a')) return;
  if (e.target.closest('.fields') && /^(Arrow|Home|End)/.test(e.key)) return; // they scroll it
  if (!Object.hasOwn(keys, e.key)) return;
  e.preventDefault();
  keys[e.key](e);
});

// ---- Beginning.

function fillFilters() {
  const names = (key) => [...new Set(lanes.map((lane) => lane[key]))];
  byId('streams').append(...names('stream').map((value) => element('option', { value })));
  byId('sink').append(...names('sink').map((name) => element('option', { name, value: JSON.stringify(name), textContent: name })));
  const tags = new Set((columns.tags?.list ?? []).flatMap((json) => JSON.parse(json).map(({ name, value }) => `${name}=${value}`)));
  byId('tags').append(...[...tags].slice(0, 500).map((value) => element('option', { value })));
}

// fillScores reads the scores, which may differ in each record, when the page is there.
function fillScores() {
  const names = new Set();
  for (const json of columns.scores?.list ?? []) for (const { name } of JSON.parse(json)) names.add(name);
  byId('scores').hidden = names.size === 0;
  byId('score').append(...[...names].map((name) => element('option', { value: JSON.stringify(name), textContent: name })));
}

// refilter filters anew, and keeps the choice if it is still there.
function refilter() {
  const began = performance.now();
  const whole = everything(), wasWhole = whole[0] >= state.from && whole[1] <= state.to;
  filter();
  const { chosen } = state;
  if (!chosen || !state.lanes.includes(chosen.lane) || !(chosen.gap ? chosen.lane.shownGaps.includes(chosen.gap) : chosen.lane.shown[inLane(chosen)] === chosen.row)) chooseFirst();
  else choose(chosen, { reveal: false });
  if (wasWhole || byId('from').value || byId('to').value) setRange(...everything());
  painted((at) => document.documentElement.dataset.filtered = at - began);
}

// painted calls f with the time when what was drawn is on the screen.
const painted = (f) => requestAnimationFrame(() => setTimeout(() => f(performance.now())));

byId('filters').addEventListener('input', refilter);
byId('filters').addEventListener('reset', () => setTimeout(refilter));
byId('filters').addEventListener('submit', (e) => e.preventDefault());
byId('full').addEventListener('click', () => byId('full').close());
scroller.addEventListener('scroll', schedule);
addEventListener('resize', layOut);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  readColours();
  schedule();
});

document.title = `${data.title} · kvsframes`;
byId('title').textContent = data.title;
readColours();
fillFilters();
filter();
setRange(...everything());
chooseFirst();
painted((at) => {
  Object.assign(document.documentElement.dataset, { began: started, drawn: at });
  fillScores();
});
