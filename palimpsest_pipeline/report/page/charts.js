// Lines over time, drawn by uPlot, with values in the legend, names at the ends of lines, and a table.

const drawn = new Set();
const redrawCharts = () => drawn.forEach((chart) => chart.draw());
const HEIGHT = 210;
const DASH = [5, 4];
// The distances between labels of an axis at which the format gives neighbours different texts.
const distances = (least) => [...Array(12).keys()].flatMap((n) => [1, 2, 5].map((one) => one * 10 ** (n - 6))).filter((each) => each >= least * 0.999);

// A path that holds each value until the next instant. Null is a hole.
const steps = (u, index, from, to) => uPlot.orient(u, index, (series, xs, ys, sx, sy, toX, toY, left, top, width, height, moveTo, lineTo) => {
  const stroke = new Path2D();
  const x = (i) => toX(xs[i], sx, width, left);
  const y = (i) => toY(ys[i], sy, height, top);
  for (let i = Math.max(from - 1, 0); i <= to; i++) {
    if (ys[i] === null) continue;
    if (i > 0 && ys[i - 1] !== null) lineTo(stroke, x(i), y(i));
    else moveTo(stroke, x(i), y(i));
    if (i + 1 < xs.length) lineTo(stroke, x(i + 1), y(i));
  }
  return { stroke, fill: null, clip: null, band: null, gaps: null, flags: 1 };
});

// The range of an axis: wide enough for some labels even if the values hardly differ.
function reach(low, high, least) {
  const more = Math.max(0, 4 * least - (high - low)) / 2;
  return uPlot.rangeNum(low - more, high + more, 0.12, true);
}

// Names at the right ends of lines, moved apart where they would overlap.
function endNames(lines, stepped) {
  const reach = stepped ? 1 : 0; // a step holds until the next instant
  return (u) => {
    const px = devicePixelRatio;
    const ends = [];
    lines.forEach((line, k) => {
      if (!u.series[1 + 2 * k].show) return;
      for (let i = line.values.length - 1; i >= 0; i--) {
        const value = line.values[i] ?? line.off?.[i] ?? null;
        if (value !== null) { ends.push({ line, x: u.valToPos(u.data[0][Math.min(i + reach, u.data[0].length - 1)], 'x', true), y: u.valToPos(value, 'y', true) }); break; }
      }
    });
    ends.sort((a, b) => a.y - b.y);
    const least = 13 * px;
    ends.forEach((end, i) => { if (i) end.y = Math.max(end.y, ends[i - 1].y + least); });
    const over = ends.length ? ends[ends.length - 1].y - (u.bbox.top + u.bbox.height) : 0;
    if (over > 0) for (let i = ends.length - 1, y = Infinity; i >= 0; i--) { ends[i].y = Math.min(ends[i].y - (i === ends.length - 1 ? over : 0), y - least); y = ends[i].y; }
    u.ctx.save();
    u.ctx.font = `${11 * px}px system-ui, sans-serif`;
    u.ctx.textBaseline = 'middle';
    u.ctx.textAlign = 'left';
    for (const { line, x, y } of ends) {
      u.ctx.fillStyle = colour(line.colour);
      u.ctx.fillText(line.short || line.name, x + 6 * px, y);
    }
    u.ctx.restore();
  };
}

// Vertical dotted lines at instants, with their names.
function markLines(marks) {
  return (u) => {
    const px = devicePixelRatio;
    u.ctx.save();
    u.ctx.strokeStyle = colour('--soft');
    u.ctx.fillStyle = colour('--soft');
    u.ctx.font = `${11 * px}px system-ui, sans-serif`;
    u.ctx.textAlign = 'right';
    u.ctx.textBaseline = 'top';
    u.ctx.lineWidth = px;
    u.ctx.setLineDash([2 * px, 3 * px]);
    for (const { x, label } of marks) {
      const at = Math.round(u.valToPos(x, 'x', true));
      if (at < u.bbox.left || at > u.bbox.left + u.bbox.width) continue;
      u.ctx.beginPath();
      u.ctx.moveTo(at, u.bbox.top);
      u.ctx.lineTo(at, u.bbox.top + u.bbox.height);
      u.ctx.stroke();
      u.ctx.fillText(label, at - 3 * px, u.bbox.top);
    }
    u.ctx.restore();
  };
}

/*
 One chart with its legend and table. Fields of spec:
   title, says    heading, and the text below it
   x, days        seconds since 1970; true if they are UTC dates
   lines          [{name, short, colour, width, values, off, ends}]: `off` holds values that are drawn dashed, `ends` is
                  the instant of the line's last look
   format, least  function from value to text; the smallest difference that the text shows (default 0.01)
   stepped        true if a value holds until the next instant
   fromZero       true if the axis begins at 0
   sync           charts with the same word share the cursor
   choices        elements above the plot
   marks          [{x, label}]: instants with a vertical line
   empty          text that is shown when there is nothing to draw
*/
function Chart(spec) {
  const plot = make('div', { class: 'plot' });
  const legend = make('ul', { class: 'legend' });
  const table = make('details', {}, make('summary', {}, 'As a table'));
  const figure = make('figure', {},
    make('figcaption', {}, make('h3', {}, spec.title), spec.says ? make('p', { class: 'muted' }, spec.says) : null),
    spec.choices ? make('div', { class: 'choices' }, ...spec.choices) : null, plot, legend, table);
  let u = null;
  let width = 0;
  let { x, lines } = spec;
  const hidden = new Set();
  const valueText = (line, i) => {
    const value = line.values[i] ?? null;
    if (value !== null) return spec.format(value);
    const off = line.off?.[i] ?? null;
    return off === null ? '–' : `(${spec.format(off)})`;
  };
  // A step ends at the last look; no value begins there.
  const isEnd = (line, i) => line.ends === x[i] && i > 0;
  const shownText = (line, i) => valueText(line, isEnd(line, i) ? i - 1 : i);
  const last = (line) => { const i = line.ends === undefined ? -1 : x.indexOf(line.ends); return i < 0 ? '–' : shownText(line, i); };
  const when = (s) => (spec.days ? date(s) : moment(s));

  function drawLegend() {
    const outputs = [];
    legend.replaceChildren(...lines.map((line, k) => {
      const swatch = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
      const stroke = document.createElementNS('http://www.w3.org/2000/svg', 'line');
      Object.entries({ x1: 0, x2: 22, y1: 4, y2: 4, 'stroke-width': line.width || 2, stroke: colour(line.colour) }).forEach(([name, value]) => stroke.setAttribute(name, value));
      swatch.append(stroke);
      swatch.setAttribute('aria-hidden', 'true');
      const output = make('output', {});
      outputs.push(output);
      const button = make('button', { type: 'button', 'aria-pressed': String(!hidden.has(k)), title: 'show or hide', onclick: () => {
        if (hidden.has(k)) hidden.delete(k); else hidden.add(k);
        button.setAttribute('aria-pressed', String(!hidden.has(k)));
        u.batch(() => [1, 2].forEach((part) => u.setSeries(2 * k + part, { show: !hidden.has(k) })));
      } }, swatch, line.name, output);
      return make('li', {}, button);
    }));
    return (i) => lines.forEach((line, k) => {
      let at = i;
      if (at === null || at === undefined) for (at = x.length - 1; at > 0 && valueText(line, at) === '–'; at--);
      outputs[k].value = valueText(line, at);
    });
  }

  function drawTable() {
    if (!table.open || table.childElementCount > 1) return;
    table.append(make('div', { class: 'scrolls', tabindex: '0', role: 'region', 'aria-label': spec.title }, make('table', {},
      make('thead', {}, make('tr', {}, make('th', { scope: 'col' }, spec.days ? 'Kickoff date' : zone), ...lines.map((line) => make('th', { scope: 'col', class: 'n' }, line.name)))),
      make('tbody', {}, ...rows()))));
  }
  // An instant at which lines only end is left out: the last row of the table holds the final value of every line.
  function rows() {
    const row = (words, cells) => make('tr', {}, make('th', { scope: 'row' }, words), ...cells.map((cell) => make('td', { class: 'n' }, cell)));
    const turns = x.map((_, i) => i).filter((i) => !spec.stepped || !lines.some((line) => isEnd(line, i))
      || lines.some((line) => !isEnd(line, i) && valueText(line, i) !== '–' && valueText(line, i) !== shownText(line, i - 1)));
    return [...turns.map((i) => row(when(x[i]), lines.map((line) => shownText(line, i)))), ...(spec.stepped ? [row('last look', lines.map(last))] : [])];
  }
  table.addEventListener('toggle', drawTable);

  function draw() {
    if (u) u.destroy();
    u = null;
    plot.replaceChildren();
    table.replaceChildren(table.firstElementChild);
    const nothing = !x.length || !lines.some((line) => line.values.some((v) => v !== null) || line.off?.some((v) => v !== null));
    legend.hidden = table.hidden = nothing;
    if (nothing) {
      plot.append(make('p', { class: 'empty' }, spec.empty || 'No data yet.'));
      return;
    }
    width = plot.clientWidth;
    if (!width) return; // without a layout yet; the observer draws later
    const tell = drawLegend();
    const axis = { stroke: colour('--soft'), grid: { stroke: colour('--grid'), width: 1 }, ticks: { stroke: colour('--grid'), width: 1, size: 4 }, font: '11px system-ui, sans-serif' };
    const isUtc = zone === 'UTC' || spec.days;
    const ticks = (_, at, __, ___, every) => at.map((s) => {
      if (spec.days || every >= 86400) return (spec.days ? date(s) : day(s)).slice(4);
      return time(s) === '00:00' ? day(s).slice(4) : time(s);
    });
    const path = spec.stepped ? steps : uPlot.paths.linear();
    const points = { show: !spec.stepped && x.length <= 60, size: 5 };
    u = new uPlot({
      width, height: HEIGHT, padding: [10, 66, 0, 0],
      tzDate: (s) => (isUtc ? uPlot.tzDate(new Date(s * 1000), 'Etc/UTC') : new Date(s * 1000)),
      cursor: { drag: { x: true, y: false, setScale: true }, points: { size: 6 }, ...(spec.sync ? { sync: { key: spec.sync } } : {}) },
      legend: { show: false },
      scales: { x: { time: true }, y: { range: (_, low, high) => (spec.fromZero ? [0, high * 1.08 || 1] : reach(low, high, spec.least ?? 0.01)) } },
      axes: [{ ...axis, values: ticks, space: 62, size: 30, ...(spec.days ? { incrs: [1, 2, 3, 5, 7, 14, 28].map((n) => n * 86400) } : {}) },
        { ...axis, size: 54, incrs: distances(spec.least ?? 0.01), values: (_, at) => at.map((v) => spec.format(v)) }],
      series: [{}, ...lines.flatMap((line, k) => {
        const common = { stroke: colour(line.colour), width: line.width || 2, paths: path, show: !hidden.has(k), spanGaps: false };
        return [{ ...common, points: { ...points, fill: colour(line.colour) } }, { ...common, dash: DASH, cap: 'butt', points: { show: false } }];
      })],
      hooks: { draw: [endNames(lines, spec.stepped), markLines(spec.marks || [])], setCursor: [(plot_) => tell(plot_.cursor.idx)] },
    }, [x, ...lines.flatMap((line) => [line.values, line.off || x.map(() => null)])], plot);
    u.root.setAttribute('role', 'img');
    u.root.setAttribute('aria-label', `${spec.title}: ${lines.map((line) => line.name).join(', ')}, from ${when(x[0])} to ${when(x[x.length - 1])}`);
    tell(null);
    drawTable();
  }

  const observer = new ResizeObserver(() => { if (plot.clientWidth && plot.clientWidth !== width) draw(); });
  const chart = {
    figure,
    draw,
    set(next) { ({ x, lines } = next); hidden.clear(); draw(); },
    remove() { observer.disconnect(); drawn.delete(chart); if (u) u.destroy(); figure.remove(); },
  };
  drawn.add(chart);
  observer.observe(plot);
  return chart;
}
