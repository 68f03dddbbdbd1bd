// The page of the table: filters in the URL, rows from the server, news as they come.

const SEARCH_DELAY_MS = 25;
const PAGE_ROWS = 20; // rows per request: about one screen. Scrolling requests more.
const MAX_IDS_PER_REQUEST = 400; // the server takes 500; a proxy may refuse an address of more than 8 KB
const MAX_ORDERED_IDS = 10000; // the server's limit of `limit` when the rows are chosen by `fixtures`
const MAX_MARKET_BUTTONS = 8;
const TICK_MS = 60000;
const CONTROLS = ['within', 'from', 'until', 'country', 'tournament', 'home', 'off', 'moved', 'search', 'sort', 'arrows'];
const DEFAULTS = { sort: 'kickoff', arrows: 'cycle' };

async function start() {
  const filters = new URLSearchParams(location.search);
  ['offset', 'limit', 'fixtures'].forEach((name) => filters.delete(name));
  let request = 0; // number of the latest load
  let shown = null; // market and line of the table on the screen; null while it is not the table of `filters`
  let isLoading = false;
  let nLeft = 0; // number of selected fixtures that are not shown
  let isCustomTime = filters.has('from') || filters.has('until');
  let grid = null;
  let news = null;
  Shell(() => { if (grid) grid.redraw(); news?.show(); });

  // Without a line in the filters the server chooses one, and it may choose another one later. A table on the screen keeps its line.
  const tableQuery = (extra = {}) => {
    const query = new URLSearchParams(filters);
    for (const [name, value] of Object.entries({ ...shown, ...extra })) query.set(name, value);
    return query;
  };
  const tablePath = (extra) => `/api/table?${tableQuery(extra)}`;
  const firstAnswer = ask(tablePath({ offset: 0, limit: PAGE_ROWS }));
  firstAnswer.catch(() => {});
  const choices = await askUntilAnswered('/api/choices');
  grid = Grid(choices);
  const names = new Map(choices.markets.map(({ key, name }) => [key, name]));
  const keyOf = new Map(choices.markets.map(({ key, name }) => [name, key]));
  const mainMarkets = choices.main.filter((key) => names.has(key)).slice(0, MAX_MARKET_BUTTONS);

  options($('country'), [['', 'all'], ...choices.countries.map((country) => [country, country]), ['-', 'none given']]);
  function fillTournaments() {
    const country = filters.get('country');
    options($('tournament'), [['', 'all'], ...choices.tournaments
      .filter((tournament) => !country || tournament.country === (country === '-' ? null : country) || tournament.key === filters.get('tournament'))
      .map(({ key, name, country: of }) => [key, of && !country ? `${of}: ${name}` : name])]);
  }
  $('market-list').replaceChildren(...choices.markets.map(({ name }) => make('option', { value: name })));
  $('market-buttons').replaceChildren(...mainMarkets.map((key) => make('button', { type: 'button', 'data-key': key, onclick: () => chooseMarket(key) }, names.get(key).replace(/ - FT$/, ''))));

  const chosenMarket = () => filters.get('market') || choices.main[0];
  function chooseMarket(key) {
    if (key === choices.main[0]) filters.delete('market'); else filters.set('market', key);
    filters.delete('line');
    applyFilters();
  }

  // From the filters to the controls. A control that has its value already is left alone: a person may be typing in it.
  function showFilters() {
    fillTournaments();
    const values = Object.fromEntries(CONTROLS.map((name) => [name, filters.get(name) ?? DEFAULTS[name] ?? '']));
    ['from', 'until'].forEach((name) => { values[name] = values[name].replace(/Z$/, '').slice(0, 16); });
    if (isCustomTime) values.within = 'custom';
    else if (![...$('within').options].some(({ value }) => value === values.within)) {
      $('within').append(make('option', { value: values.within }, `next ${values.within} min`));
    }
    for (const name of CONTROLS) if ($(name).value !== values[name]) $(name).value = values[name];
    document.querySelectorAll('.custom-time').forEach((label) => { label.hidden = !isCustomTime; });
    document.querySelectorAll('#market-buttons button').forEach((button) => button.setAttribute('aria-pressed', String(button.dataset.key === chosenMarket())));
    $('market-search').value = mainMarkets.includes(chosenMarket()) ? '' : names.get(chosenMarket()) || '';
    const n = [...filters.keys()].filter((name) => !['market', 'line', 'sort', 'arrows'].includes(name)).length;
    $('filter-count').textContent = n ? `(${plural(n, 'is set', 'are set')})` : '';
  }
  // From a control to the filters.
  function readControl(name) {
    let { value } = $(name);
    if (name === 'within') {
      isCustomTime = value === 'custom';
      if (isCustomTime) value = '';
      else ['from', 'until'].forEach((each) => filters.delete(each));
    }
    // The server takes percentages of at most three decimals.
    if (name === 'off' && value !== '') value = String(Math.round(1000 * Math.min(999, Math.max(0, Number(value)))) / 1000);
    if (name === 'country') filters.delete('tournament');
    if (value === '' || value === DEFAULTS[name]) filters.delete(name); else filters.set(name, value);
  }
  function writeUrl() {
    const query = filters.toString();
    history.replaceState(null, '', query ? `/?${query}` : '/');
  }
  function linkDownloads() {
    const query = tableQuery().toString();
    for (const suffix of ['csv', 'xlsx', 'sql']) $(suffix).href = `/table.${suffix}${query ? `?${query}` : ''}`;
  }
  // The page of a fixture opens with the table's market and line. The part after # leads back to the same table.
  const fixtureQuery = () => {
    const { market, line } = shown;
    const fragment = filters.size ? `#${new URLSearchParams({ table: filters })}` : '';
    return `?${new URLSearchParams({ market, ...(line ? { line } : {}) })}${fragment}`;
  };

  function showTotals(answer) {
    $('result').textContent = answer.total === answer.all ? `${plural(answer.all, 'fixture', 'fixtures')} to come` : `${count(answer.total)} of ${plural(answer.all, 'fixture', 'fixtures')}`;
    $('nothing').hidden = answer.total > 0;
    nLeft = answer.total - grid.size;
    $('more').hidden = nLeft <= 0;
    $('more').textContent = `Show more (${count(nLeft)} left)`;
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

  function applyFilters() {
    showFilters();
    writeUrl();
    load();
  }
  // Replaces the table by that of the filters. Until it succeeds, nothing else is written into the table.
  async function load(earlyAnswer = null) {
    const number = ++request;
    shown = null;
    isLoading = true;
    // The answer contains all that was derived before now.
    isRefreshDue = false;
    dueIds = new Set();
    clearTimeout(retry);
    linkDownloads();
    try {
      const answer = await (earlyAnswer || ask(tablePath({ offset: 0, limit: PAGE_ROWS })));
      if (number !== request) return;
      shown = { market: answer.market.key, line: answer.line };
      complain('');
      grid.show(answer, $('arrows').value, fixtureQuery());
      linkDownloads();
      showLines(answer);
      showTotals(answer);
    } catch (error) {
      if (number !== request) return;
      complain(error.message);
      retryLater(error, []);
    }
    isLoading = false;
    if (shown) refreshDue();
  }
  const isOfShownTable = (answer) => answer.market.key === shown.market && answer.line === shown.line;

  async function showMore() {
    if (isBusy || isLoading) return;
    if (!shown) { load(); return; }
    isBusy = true;
    const number = request;
    try {
      const answer = await ask(tablePath({ offset: grid.size, limit: PAGE_ROWS }));
      if (number === request && !isOfShownTable(answer)) load();
      else if (number === request) {
        const { size } = grid;
        grid.append(answer);
        showTotals(answer);
        // Only rows that are shown already: the order has changed, and the same request would give the same rows again.
        if (grid.size === size) addDue([]);
      }
    } catch (error) {
      if (number === request) {
        // The button is not observed again now: near the screen it would send request after request.
        $('more').textContent = `Showing more failed: try again (${count(nLeft)} left)`;
        failRequest(error, []);
        return;
      }
    }
    finishRequest(number);
  }
  let isBusy = false; // whether further rows or derived rows are being requested
  // Requests derived rows that came meanwhile. If the table was replaced meanwhile, its end must be observed again: the
  // observer reported it only once, while this request was under way.
  function finishRequest(number) {
    isBusy = false;
    if (isRefreshDue) refreshDue();
    else if (number !== request) watchEnd();
  }
  // Keeps the derived fixtures of a failed request, and tries again later.
  function failRequest(error, ids) {
    isBusy = false;
    complain(error.message);
    retryLater(error, ids);
  }

  let dueIds = new Set(); // derived fixtures whose rows must be requested again; null: any fixture
  let isRefreshDue = false;
  let retry = 0;
  function addDue(ids) {
    dueIds = ids === null || dueIds === null ? null : new Set([...dueIds, ...ids]);
    isRefreshDue = true;
  }
  function retryLater(error, ids) {
    addDue(ids);
    clearTimeout(retry);
    if (isPassing(error)) retry = setTimeout(refreshDue, RETRY_MS);
  }
  function refresh(ids) {
    addDue(ids);
    refreshDue();
  }
  // Requests the rows of derived fixtures again, and the present order of the table.
  async function refreshDue() {
    if (!isRefreshDue || isBusy || isLoading) return;
    if (!shown) { load(); return; }
    isBusy = true;
    isRefreshDue = false;
    clearTimeout(retry);
    const ids = dueIds;
    dueIds = new Set();
    const number = request;
    try {
      const answer = await readRows(ids === null ? grid.ids : [...ids].filter(grid.has), () => number === request);
      if (number === request && !answer) load();
      else if (number === request) {
        complain('');
        grid.update(answer.rows, answer.ids);
        showTotals(answer);
      }
    } catch (error) {
      if (number === request) {
        failRequest(error, ids);
        return;
      }
    }
    finishRequest(number);
  }
  // Returns the rows of the given fixtures and of those that are new among the first ones, and the order of the rows to
  // show. Returns null if the server answers with another table, or nobody waits any more.
  async function readRows(ids, isWanted) {
    const rows = new Map();
    const requestedIds = new Set();
    // A row may be pushed down by as many positions as a page has without leaving the table.
    const limit = Math.min(MAX_ORDERED_IDS, grid.size + PAGE_ROWS);
    for (let batch = ids.slice(0, MAX_IDS_PER_REQUEST); ;) {
      const answer = await ask(tablePath({ offset: 0, limit, fixtures: batch.join(',') || '0' }));
      if (!isWanted() || !isOfShownTable(answer)) return null;
      answer.rows.forEach((row) => rows.set(row.id, row));
      batch.forEach((id) => requestedIds.add(id));
      const order = answer.ids.slice(0, Math.max(PAGE_ROWS, grid.size, answer.ids.findLastIndex(grid.has) + 1));
      batch = [...ids, ...order.filter((id) => !grid.has(id))].filter((id) => !requestedIds.has(id)).slice(0, MAX_IDS_PER_REQUEST);
      if (batch.length) continue;
      const shownIds = new Set(order.filter((id) => grid.has(id) || rows.has(id)));
      return { ...answer, ids: [...shownIds], rows: [...rows.values()].filter(({ id }) => shownIds.has(id)) };
    }
  }

  let pending = 0;
  $('filters').addEventListener('input', ({ target }) => {
    if (target.id === 'market-search') {
      if (keyOf.has(target.value)) chooseMarket(keyOf.get(target.value));
      return;
    }
    clearTimeout(pending);
    const apply = () => {
      if (target.id === 'line') filters.set('line', target.value);
      else if (CONTROLS.includes(target.id)) readControl(target.id);
      else return;
      if (target.id !== 'arrows') { applyFilters(); return; }
      showFilters();
      writeUrl();
      linkDownloads();
      if (shown) grid.redraw(target.value, fixtureQuery());
    };
    if (['search', 'off'].includes(target.id)) pending = setTimeout(apply, SEARCH_DELAY_MS); else apply();
  });
  $('filters').addEventListener('submit', (event) => event.preventDefault());
  const clear = () => {
    [...filters.keys()].filter((name) => !['market', 'line'].includes(name)).forEach((name) => filters.delete(name));
    isCustomTime = false;
    applyFilters();
  };
  $('clear').addEventListener('click', clear);
  $('clear-too').addEventListener('click', clear);
  $('more').addEventListener('click', showMore);
  const observer = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting) && !$('more').hidden) showMore(); }, { rootMargin: '600px' });
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
    const at = mainMarkets.indexOf(chosenMarket());
    const actions = {
      '/': () => { $('more-filters').open = true; $('search').focus(); $('search').select(); },
      j: () => grid.move(1), k: () => grid.move(-1),
      ']': () => chooseMarket(mainMarkets[(at + 1) % mainMarkets.length]), '[': () => chooseMarket(mainMarkets.at(Math.max(at, 0) - 1)),
      f: () => { $('more-filters').open = !$('more-filters').open; },
      '?': toggleHelp,
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  });

  // Fixtures kick off, and moves become older than the arrows' time, without a derivation.
  const tick = () => {
    if (document.hidden) return;
    grid.redrawAged();
    refresh([]);
  };
  showFilters();
  writeUrl();
  await load(firstAnswer);
  news = News(document.documentElement.dataset.token || '', refresh);
  setInterval(() => grid.refreshAges(), 5000);
  setInterval(tick, TICK_MS);
  document.addEventListener('visibilitychange', tick);
  document.documentElement.dataset.ready = 'yes';
}

start().catch((error) => { complain(error.message); throw error; });
