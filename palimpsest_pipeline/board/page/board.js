// The page of the table: filters in the URL, rows from the server, news as they come.

const SEARCH_DELAY_MS = 25;
const PAGE = 20; // rows per request: about one screen. Scrolling requests more.
const MOST_AT_ONCE = 400; // ids in one request
const MOST_SHOWN = 500; // rows that are kept up to date in one request
const MAIN = ['match_result', 'total_goals', 'both_teams_to_score', 'double_chance', 'asian_handicap'];
const CONTROLS = ['within', 'from', 'until', 'country', 'tournament', 'home', 'off', 'moved', 'search', 'sort', 'arrows'];
const DEFAULTS = { sort: 'kickoff', arrows: 'cycle' };

async function start() {
  const filters = new URLSearchParams(location.search);
  ['offset', 'limit', 'fixtures'].forEach((name) => filters.delete(name));
  let request = 0;
  let grid = null;
  Shell(() => { if (grid) grid.redraw(); news?.show(); });
  let news = null;

  const tablePath = (extra) => `/api/table?${new URLSearchParams([...filters, ...Object.entries(extra)])}`;
  const firstAnswer = ask(tablePath({ offset: 0, limit: PAGE }));
  firstAnswer.catch(() => {});
  const choices = await ask('/api/choices');
  grid = Grid(choices);
  const names = new Map(choices.markets.map(({ key, name }) => [key, name]));
  const keyOf = new Map(choices.markets.map(({ key, name }) => [name, key]));
  const pills = [...new Set([...MAIN, ...choices.main])].filter((key) => names.has(key)).slice(0, 8);

  options($('country'), [['', 'all'], ...choices.countries.map((country) => [country, country]), ['-', 'none given']]);
  function fillTournaments() {
    const country = filters.get('country');
    options($('tournament'), [['', 'all'], ...choices.tournaments
      .filter((one) => !country || one.country === (country === '-' ? null : country) || one.key === filters.get('tournament'))
      .map(({ key, name, country: of }) => [key, of && !country ? `${of}: ${name}` : name])]);
  }
  $('market-list').replaceChildren(...choices.markets.map(({ name }) => make('option', { value: name })));
  $('market-buttons').replaceChildren(...pills.map((key) => make('button', { type: 'button', 'data-key': key, onclick: () => chooseMarket(key) }, names.get(key).replace(/ - FT$/, ''))));

  const currentMarket = () => filters.get('market') || choices.main[0];
  function chooseMarket(key) {
    if (key === choices.main[0]) filters.delete('market'); else filters.set('market', key);
    filters.delete('line');
    load();
  }

  // From the URL to the controls.
  function showFilters() {
    fillTournaments();
    for (const name of CONTROLS) $(name).value = filters.get(name) ?? DEFAULTS[name] ?? '';
    ['from', 'until'].forEach((name) => { $(name).value = (filters.get(name) || '').replace(/Z$/, '').slice(0, 16); });
    const isCustom = filters.has('from') || filters.has('until');
    if (isCustom) $('within').value = 'custom';
    else if (filters.has('within') && $('within').selectedIndex < 0) {
      $('within').append(make('option', { value: filters.get('within') }, `next ${filters.get('within')} min`));
      $('within').value = filters.get('within');
    }
    document.querySelectorAll('.custom-time').forEach((label) => { label.hidden = $('within').value !== 'custom'; });
    document.querySelectorAll('#market-buttons button').forEach((button) => button.setAttribute('aria-pressed', String(button.dataset.key === currentMarket())));
    $('market-search').value = pills.includes(currentMarket()) ? '' : names.get(currentMarket()) || '';
    const n = [...filters.keys()].filter((name) => !['market', 'line', 'sort', 'arrows'].includes(name)).length;
    $('filter-count').textContent = n ? `(${plural(n, 'is set', 'are set')})` : '';
  }
  // From a control to the URL.
  function take(name) {
    let { value } = $(name);
    if (name === 'within') {
      if (value === 'custom') {
        filters.delete('within');
        document.querySelectorAll('.custom-time').forEach((label) => { label.hidden = false; });
        return false;
      }
      ['from', 'until'].forEach((each) => filters.delete(each));
    }
    if (name === 'off' && value !== '') value = String(Math.min(999, Math.max(0, Number(value))));
    if (name === 'country') filters.delete('tournament');
    if (value === '' || value === DEFAULTS[name]) filters.delete(name); else filters.set(name, value);
    return true;
  }
  function writeUrl() {
    const query = filters.toString();
    history.replaceState(null, '', query ? `/?${query}` : '/');
    for (const suffix of ['csv', 'xlsx', 'sql']) $(suffix).href = `/table.${suffix}${query ? `?${query}` : ''}`;
  }
  const fixtureQuery = () => {
    const parts = new URLSearchParams();
    if (filters.has('market')) parts.set('market', filters.get('market'));
    if (filters.has('line')) parts.set('line', filters.get('line'));
    return parts.size ? `?${parts}` : '';
  };

  function tell(answer) {
    $('result').textContent = answer.total === answer.all ? `${plural(answer.all, 'fixture', 'fixtures')} to come` : `${count(answer.total)} of ${plural(answer.all, 'fixture', 'fixtures')}`;
    $('nothing').hidden = answer.total > 0;
    $('more').hidden = grid.size >= answer.total;
    $('more').textContent = `Show more (${count(answer.total - grid.size)} left)`;
    News.asOf = answer.asOf;
    news?.show();
    document.documentElement.dataset.token = answer.token;
    setTimeout(watchEnd);
  }
  function showLines(answer) {
    const lines = answer.lines.includes(answer.line) ? answer.lines : [...answer.lines, answer.line];
    options($('line'), lines.map((line) => [line, lineWords(line) || 'no line']));
    $('line').value = answer.line;
    $('line-label').hidden = lines.length < 2;
  }

  async function load(answering = null) {
    const asked = ++request;
    showFilters();
    writeUrl();
    try {
      const answer = await (answering || ask(tablePath({ offset: 0, limit: PAGE })));
      if (asked !== request) return;
      complain('');
      grid.show(answer, $('arrows').value, fixtureQuery());
      showLines(answer);
      tell(answer);
    } catch (error) {
      if (asked === request) complain(error.message);
    }
  }
  async function more() {
    if (isBusy) return;
    isBusy = true;
    const asked = request;
    try {
      const answer = await ask(tablePath({ offset: grid.size, limit: PAGE }));
      if (asked !== request) return;
      grid.append(answer);
      tell(answer);
    } catch (error) { if (asked === request) complain(error.message); } finally { free(asked); }
  }
  let isBusy = false;
  // Ends a request for further rows or for derived ones. Derived rows that waited for it are requested now. If the table was
  // replaced meanwhile, its end must be observed again: the observer reported it only once, while this request was under way.
  function free(asked) {
    isBusy = false;
    if (isWaiting) {
      const next = waiting;
      isWaiting = false;
      waiting = [];
      refresh(next);
    } else if (asked !== request) watchEnd();
  }

  // Requests the rows of derived fixtures again, and the present order of the shown fixtures.
  async function refresh(ids) {
    if (isBusy) { waiting = ids === null || waiting === null ? null : [...new Set([...(waiting || []), ...ids])]; isWaiting = true; return; }
    isBusy = true;
    const asked = request;
    try {
      const limit = Math.max(PAGE, Math.min(MOST_SHOWN, grid.size));
      const shown = ids === null ? null : ids.filter(grid.has);
      const only = shown === null || shown.length > MOST_AT_ONCE ? {} : { fixtures: shown.length ? shown.join(',') : '0' };
      let answer = await ask(tablePath({ offset: 0, limit, ...only }));
      let { rows } = answer;
      const known = new Set(rows.map(({ id }) => id));
      const missing = answer.ids.filter((id) => !known.has(id) && !grid.has(id));
      if (missing.length) {
        const order = answer.ids;
        answer = await ask(tablePath({ offset: 0, limit, fixtures: missing.slice(0, MOST_AT_ONCE).join(',') }));
        rows = [...rows, ...answer.rows];
        const present = new Set(rows.map(({ id }) => id));
        answer.ids = order.filter((id) => present.has(id) || grid.has(id));
      }
      if (asked !== request) return;
      complain('');
      // Beyond the limit, rows stay as they are until they are derived again.
      grid.update(rows, [...answer.ids, ...grid.ids.slice(limit).filter((id) => !answer.ids.includes(id))]);
      tell(answer);
      document.documentElement.dataset.refreshes = String(Number(document.documentElement.dataset.refreshes || 0) + 1);
    } catch (error) { if (asked === request) complain(error.message); } finally { free(asked); }
  }
  let waiting = [];
  let isWaiting = false;

  let pending = 0;
  $('filters').addEventListener('input', ({ target }) => {
    if (target.id === 'market-search') {
      if (keyOf.has(target.value)) chooseMarket(keyOf.get(target.value));
      return;
    }
    clearTimeout(pending);
    const apply = () => {
      if (target.id === 'line') { filters.set('line', target.value); load(); return; }
      if (!CONTROLS.includes(target.id) || !take(target.id)) return;
      if (target.id === 'arrows') { showFilters(); writeUrl(); grid.redraw(target.value); } else load();
    };
    if (['search', 'off'].includes(target.id)) pending = setTimeout(apply, SEARCH_DELAY_MS); else apply();
  });
  $('filters').addEventListener('submit', (event) => event.preventDefault());
  const clear = () => {
    [...filters.keys()].filter((name) => !['market', 'line'].includes(name)).forEach((name) => filters.delete(name));
    load();
  };
  $('clear').addEventListener('click', clear);
  $('clear-too').addEventListener('click', clear);
  $('more').addEventListener('click', more);
  const observer = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting) && !$('more').hidden) more(); }, { rootMargin: '600px' });
  // Observes the button again after each page: otherwise the observer reports nothing while the button stays near the screen.
  const watchEnd = () => { observer.unobserve($('more')); observer.observe($('more')); };
  watchEnd();
  const toggleHelp = () => { $('help').hidden = !$('help').hidden; $('help-button').setAttribute('aria-expanded', String(!$('help').hidden)); };
  $('help-button').addEventListener('click', toggleHelp);
  $('more-filters').open = matchMedia('(min-width: 721px)').matches;

  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isTyping = event.target.matches('input, select, textarea');
    if (event.key === 'Escape' && event.target.id === 'search') { event.target.blur(); return; }
    if (isTyping) return;
    const at = pills.indexOf(currentMarket());
    const acts = {
      '/': () => { $('more-filters').open = true; $('search').focus(); $('search').select(); },
      j: () => grid.move(1), k: () => grid.move(-1),
      ']': () => chooseMarket(pills[(at + 1) % pills.length]), '[': () => chooseMarket(pills[(at - 1 + pills.length) % pills.length]),
      f: () => { $('more-filters').open = !$('more-filters').open; },
      '?': toggleHelp,
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  });

  await load(firstAnswer);
  news = News(document.documentElement.dataset.token || '', refresh);
  setInterval(() => grid.refreshAges(), 5000);
  // A fixture can kick off without a derivation, so the table is refreshed every minute.
  setInterval(() => { if (!document.hidden) refresh([]); }, 60000);
  document.documentElement.dataset.ready = 'yes';
}

start().catch((error) => { complain(error.message); throw error; });
