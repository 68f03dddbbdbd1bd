// The cell of a platform: prices, state, margin, age, and a link to the bookmaker's page.

const STATE_WORDS = {
  suspended: 'suspended', withdrawn: 'withdrawn', no_price: 'no price', dropped: 'no longer listed', unknown: '? not observed',
};
const PLAIN_WORDS = { no_market: 'without the market', not_listed: 'not listed' };
const WINDOW_WORDS = { cycle: 'before the last answer', 15: 'up to 15 min ago', 60: 'up to 60 min ago' };
const WINDOW_S = { 15: 900, 60: 3600 };
// The prices at the beginning of a window of arrows. A move of the last cycle is one until the next answer; the others become too old.
function pricesBefore(cell, windowName) {
  if (nowS() - cell.changed > (WINDOW_S[windowName] ?? Infinity)) return null;
  return cell.moves?.[windowName] ?? null;
}
const price = (milli) => { const odds = milli / 1000; return odds >= 100 ? odds.toFixed(0) : odds.toFixed(2); };
const shortAge = (seconds) => {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
};
const lineWords = (line) => line.replace(/^[a-z_]+=/, '').replace(/\|[a-z_]+=/g, ', ');

function ageElement(at) {
  return make('time', { class: 'age', 'data-at': at, datetime: new Date(at * 1000).toISOString(), title: `last answer ${moment(at)} ${zone}` }, shortAge(nowS() - at));
}
function refreshAges(root) {
  const now = nowS();
  root.querySelectorAll('.age').forEach((element) => {
    const words = shortAge(now - Number(element.dataset.at));
    if (element.textContent !== words) element.textContent = words;
  });
}

function outcomeElement(cell, o, label, { isBest, rank, base, windowName }) {
  const odds = cell.odds[o] ?? null;
  if (odds === null) return make('span', { class: 'o none', 'data-label': label }, '–');
  const isOff = cell.state !== 'offered' || Math.floor((cell.off || 0) / 2 ** o) % 2 === 1;
  const before = base ? base[o] ?? null : null;
  const direction = before === null || before === odds ? '' : odds > before ? 'up' : 'down';
  const words = [];
  if (isOff) words.push('cannot be backed');
  if (isBest) words.push('best price');
  if (rank === 'w') words.push('below every comparable competitor');
  if (direction) words.push(`was ${price(before)} ${WINDOW_WORDS[windowName]}`);
  const classes = ['o', isOff ? 'off' : '', isBest ? 'best' : '', rank === 'w' ? 'rank-w' : '', direction].filter(Boolean).join(' ');
  return make('span', { class: classes, 'data-label': label, title: words.length ? `${label}: ${words.join('; ')}` : null },
    price(odds), direction ? make('i', { role: 'img', 'aria-label': direction === 'up' ? 'rose' : 'fell' }, direction === 'up' ? '▲' : '▼') : null);
}

/*
 The cell of platform p in a row. Fields of spec: platforms, outcomes (labels), arrows (name of the window).
*/
function cellElement(row, p, spec) {
  const cell = row.cells[p];
  const platform = spec.platforms[p];
  const parts = [];
  if (cell.odds && cell.state !== 'withdrawn') {
    const base = pricesBefore(cell, spec.arrows);
    parts.push(make('div', { class: spec.outcomes.length > 3 ? 'odds long' : 'odds' }, ...spec.outcomes.map((label, o) => outcomeElement(cell, o, label, {
      isBest: row.best[o] === platform.key, rank: p === 0 ? row.ranks[o] : '', base, windowName: spec.arrows,
    }))));
  }
  if (PLAIN_WORDS[cell.state]) parts.push(make('span', { class: 'plain' }, PLAIN_WORDS[cell.state]));
  const state = STATE_WORDS[cell.state];
  const since = cell.since && cell.state !== 'unknown' ? `since ${moment(cell.since)} ${zone}` : null;
  const chips = [
    state ? make('span', { class: `chip ${cell.state}`, title: since }, state) : null,
    cell.unseen && cell.state !== 'unknown' ? make('span', { class: 'chip unknown', title: 'the platform did not answer when others did' }, STATE_WORDS.unknown) : null,
  ].filter(Boolean);
  if (!cell.answered) parts.push(...chips);
  else {
    const margin = cell.margin === null || cell.margin === undefined ? null : make('span', { class: 'margin', title: 'margin' }, percent(cell.margin));
    parts.push(make('div', { class: 'sub' }, make('span', {}, ...chips, chips.length && margin ? ' ' : null, margin),
      make('span', {}, ageElement(cell.answered), cell.link ? ' ' : null,
        cell.link ? make('a', { href: cell.link, target: '_blank', rel: 'noopener noreferrer', title: `open at ${platform.name}`, 'aria-label': `open at ${platform.name}` }, '↗') : null)));
  }
  return make('td', { class: ['cell', p === 0 ? 'is-home' : '', cell.unseen ? 'unseen' : ''].filter(Boolean).join(' '), 'data-platform': platform.name, 'data-state': cell.state }, ...parts);
}
