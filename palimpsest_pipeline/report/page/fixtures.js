// The table of tournaments. A row opens to show the tournament's fixtures.

const FEW = 20;
const GAP_WORDS = [null, 'home lacks the tournament', 'lacks a tournament that home has'];
const CLASS_COLUMNS = [['n_matched', 'matched'], ['n_home_only', 'home only'], ['n_platform_only', 'comp. only'], ['n_undetermined', 'undet.'], ['n_unidentified', 'no id']];
const CLASS_WORDS = { matched: 'matched', home_only: 'home only', competitor_only: 'competitors only', undetermined: 'undetermined' };
const SUSPECT_WORDS = {
  kickoff_mismatch: 'kickoffs far apart: perhaps two matches',
  home_away_swapped: 'home and away are swapped on one platform',
  duplicate_sr_id: 'another fixture looks like the same match',
};

// One fixture: kickoff, teams, the platforms that list it with their markets, and warnings.
function eventRow(data, i, { tournament, notes }) {
  const { fixtures: f, platforms, classes, tournaments } = data;
  const offers = platforms.map((platform, p) => {
    const bit = 1 << p;
    if (f.on[i] & bit) {
      const markets = f.markets[p][i];
      const [more, fewer, unknown] = p ? [f.home_lacks, f.lacks, f.not_compared].map((of) => of[p - 1][i]) : [];
      const notCompared = unknown && `at least ${plural(unknown, 'market', 'markets')} not compared: ${platforms[0].name} and ${platform.name} were not looked at together, or another platform is home by now`;
      const words = [markets === null ? 'not asked yet' : `${count(markets)} markets with a price`, more && `${count(more)} of them missing at ${platforms[0].name}`,
        fewer && `${count(fewer)} of ${platforms[0].name}'s markets missing`, notCompared, f.listings[i] & bit ? 'listed more than once' : ''].filter(Boolean);
      return make('span', { title: words.join('; ') }, `✓ ${platform.name}${markets === null ? '' : ' ' + count(markets)}`,
        more || fewer ? make('span', { class: 'gap' }, `${more ? ` +${count(more)}` : ''}${fewer ? ` −${count(fewer)}` : ''}`) : null,
        notCompared ? make('b', { class: 'gap', title: notCompared, role: 'img', 'aria-label': notCompared }, ' ?') : null,
        f.listings[i] & bit ? ' ×2' : null);
    }
    const unknown = f.unknown[i] & bit;
    return make('span', { class: 'off', title: unknown ? 'could not be looked at' : 'not listed' }, `${unknown ? '?' : '–'} ${platform.name}`);
  });
  const warnings = [];
  if (f.suspect_code[i]) warnings.push(make('b', {}, `⚠ ${SUSPECT_WORDS[f.suspect_code[i]] || f.suspect_code[i]}`));
  else if (f.rotated[i]) warnings.push(make('b', {}, '⚠ home and away are swapped on one platform'));
  platforms.forEach((platform, p) => {
    const moved = f.moved[p][i];
    if (moved && f.on[i] & (1 << p)) warnings.push(make('span', {}, `${platform.name} says ${moment(f.kickoff[i] + moved)} (${duration(moved)} ${moved > 0 ? 'later' : 'earlier'})`));
  });
  if (f.stale_since[i] !== null) warnings.push(make('span', {}, `based on a look at ${moment(f.stale_since[i])}`));
  const extra = [...warnings, ...(notes || [])];
  const name = `${f.home_team[i]} – ${f.away_team[i]}`;
  return make('li', { class: 'event' },
    make('time', { datetime: new Date(f.kickoff[i] * 1000).toISOString() }, moment(f.kickoff[i]), f.started[i] ? make('span', { class: 'class' }, ' started') : null),
    make('span', { class: 'teams' }, name, ' ', make('span', { class: 'class' }, tournament ? placeOf(tournaments, f.tournament[i]) : CLASS_WORDS[classes[f.class[i]]])),
    make('span', { class: `who${platforms.length > MANY_PLATFORMS ? ' many' : ''}` }, ...offers),
    extra.length ? make('span', { class: 'said' }, ...extra.flatMap((part, k) => (k ? ['; ', part] : [part]))) : null);
}

const placeOf = (tournaments, t) => [tournaments.name[t], tournaments.country[t]].filter(Boolean).join(', ');

function TournamentTable(data) {
  const { tournaments: T, fixtures: f, platforms } = data;
  const table = $('tournaments');
  const head = (label, more, title) => make('th', { scope: 'col', class: `n${more ? ' more' : ''}`, title }, make('span', {}, label));
  table.classList.toggle('many', platforms.length > MANY_PLATFORMS);
  table.tHead.replaceChildren(make('tr', {},
    make('th', { scope: 'col' }, 'Tournament'),
    ...platforms.map((p) => head(p.name)),
    head('Matched', true), head('Home only', true), head('Comp. only', true, 'on a competitor, and not on home'), head('Undet.', true, 'undetermined'),
    head('No id', true, 'listings without a SportRadar id')));
  const width = 6 + platforms.length;
  const countryOf = (t) => [T.country[t] === null ? 'no country given' : T.country[t],
    ...T.elsewhere[t].map(([country, at]) => `${country} on ${at.map((p) => platforms[p].name).join(', ')}`)].join(' · ');
  const open = new Set();
  const bodies = T.name.map((name, t) => {
    const opener = make('button', { class: 'opener', type: 'button', 'aria-expanded': 'false', onclick: () => toggle(t) },
      name, make('span', { class: 'note' }, countryOf(t), make('span', { class: 'less' }), make('span', { class: 'selected' })));
    const cells = Array.from({ length: width - 1 }, (_, k) => make('td', { class: k < platforms.length ? 'n' : 'n more' }));
    const body = make('tbody', { hidden: true }, make('tr', {}, make('th', { scope: 'row' }, opener), ...cells));
    return { body, opener, cells, less: opener.querySelector('.less'), selected: opener.querySelector('.selected'), inner: null };
  });
  let rowsOf = [];
  let universe = -1;
  let unasked = []; // opened because few fixtures are selected, not by a click

  function toggle(t) {
    if (open.has(t)) open.delete(t); else open.add(t);
    fill(t);
  }

  function fill(t) {
    const row = bodies[t];
    row.opener.setAttribute('aria-expanded', String(open.has(t)));
    if (row.inner) row.inner.remove();
    row.inner = null;
    if (!open.has(t)) return;
    const list = make('ul', { class: 'events' }, ...rowsOf[t].map((i) => eventRow(data, i, {})));
    const nothing = rowsOf[t].length ? null : make('p', { class: 'muted' }, 'No selected fixture in this tournament. Listings without a SportRadar id are only counted.');
    row.inner = make('tr', { class: 'inner' }, make('td', { colspan: width }, nothing || list));
    row.body.append(row.inner);
  }

  function fillCounts(counts) {
    bodies.forEach(({ cells, less }, t) => {
      const put = (k, n, mark, title) => {
        cells[k].replaceChildren(n === null ? '' : count(n), mark ? make('b', { class: 'gap', title, role: 'img', 'aria-label': title }, ` ${mark}`) : '');
        cells[k].classList.toggle('zero', !n);
      };
      let home = '';
      platforms.forEach((platform, p) => {
        const gap = p === 0 ? 0 : counts.gap[p - 1][t];
        if (gap === 1) home = GAP_WORDS[1];
        put(p, counts.on[p][t], gap === 2 ? '▽' : '', `${platform.name} ${GAP_WORDS[2]}`);
      });
      if (home && counts.on[0][t] === 0) put(0, 0, '▲', home);
      CLASS_COLUMNS.forEach(([name], k) => put(platforms.length + k, counts[name][t]));
      less.textContent = CLASS_COLUMNS.filter(([name]) => counts[name][t]).map(([name, words]) => ` · ${counts[name][t]} ${words}`).join('');
    });
  }

  // Sorts tournaments by the chosen order.
  function ordered(shown, counts) {
    const by = $('sort').value;
    const first = (t) => (rowsOf[t].length ? f.kickoff[rowsOf[t][0]] : Infinity);
    const size = (t) => counts.n_matched[t] + counts.n_home_only[t] + counts.n_platform_only[t] + counts.n_undetermined[t];
    const less = {
      country: (a, b) => a - b,
      kickoff: (a, b) => first(a) - first(b) || a - b,
      name: (a, b) => T.name[a].localeCompare(T.name[b]) || a - b,
      size: (a, b) => size(b) - size(a) || a - b,
      missing: (a, b) => counts.n_platform_only[b] - counts.n_platform_only[a] || a - b,
    }[by];
    return shown.sort(less);
  }

  let order = '';
  function show({ found, started, narrowed }) {
    const counts = T.counts[Number(started)];
    if (universe !== Number(started)) fillCounts(counts);
    universe = Number(started);
    rowsOf = T.name.map(() => []);
    for (const i of found) rowsOf[f.tournament[i]].push(i);
    const shown = ordered(T.name.map((_, t) => t).filter((t) => (narrowed ? rowsOf[t].length : counts.n_matched[t] !== null)), counts);
    const visible = new Set(shown);
    bodies.forEach((row, t) => {
      row.body.hidden = !visible.has(t);
      if (row.body.hidden && row.inner) { row.inner.remove(); row.inner = null; }
    });
    if (order !== shown.join()) table.append(...shown.map((t) => bodies[t].body));
    order = shown.join();
    unasked.forEach((t) => open.delete(t));
    unasked = narrowed && found.length <= FEW ? shown.filter((t) => !open.has(t)) : [];
    unasked.forEach((t) => open.add(t));
    for (const t of shown) {
      bodies[t].selected.textContent = narrowed ? ` · ${count(rowsOf[t].length)} selected` : '';
      if (open.has(t) || bodies[t].inner) fill(t);
    }
    $('result').textContent = `${plural(found.length, 'fixture', 'fixtures')} in ${plural(shown.filter((t) => rowsOf[t].length).length, 'tournament', 'tournaments')}`
      + (narrowed ? `, of ${plural(f.started.filter((begun) => started || !begun).length, 'fixture', 'fixtures')} in all` : '');
    return shown;
  }

  let shown = [];
  $('open-all').addEventListener('click', () => shown.forEach((t) => { open.add(t); fill(t); }));
  $('close-all').addEventListener('click', () => { open.clear(); unasked = []; bodies.forEach((row, t) => row.inner && fill(t)); });
  return { show: (selection) => { shown = show(selection); } };
}
