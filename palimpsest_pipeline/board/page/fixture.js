// The page of a fixture: all markets side by side, and the history of one line as charts.

const KICKOFF_SHARE = 0.3; // the kickoff is drawn if it is no further away than this share of the history

function FixturePage() {
  const id = Number(location.pathname.split('/').pop());
  const wanted = new URLSearchParams(location.search);
  // After the # of the address: the filter of the markets, and the query of the table that the link "All fixtures" opens.
  const fragment = new URLSearchParams(location.hash.slice(1));
  const table = new URLSearchParams(fragment.get('table') ?? [...wanted].filter(([, value]) => value));
  let data = null;
  let shownRequest = 0; // number of the request whose answer is `data`
  let lastRequest = 0;
  let retry = 0;
  let charts = [];
  let historyRequest = 0;
  let history = null;
  let news = null;

  const clearCharts = () => { charts.forEach((chart) => chart.remove()); charts = []; };
  const entriesOf = (market) => data.markets.filter((entry) => entry.market === market);

  function readMarketFilter() {
    $('search').value = fragment.get('search') ?? '';
    $('differing').checked = fragment.has('differing');
  }
  function writeUrl() {
    const [market, line, search] = ['market', 'line', 'search'].map((name) => $(name).value);
    if (search) fragment.set('search', search); else fragment.delete('search');
    if ($('differing').checked) fragment.set('differing', 'yes'); else fragment.delete('differing');
    const query = market ? `?${new URLSearchParams({ market, line })}` : '';
    window.history.replaceState(null, '', `/fixture/${id}${query}${fragment.size ? `#${fragment}` : ''}`);
    $('back').href = table.size ? `/?${table}` : '/';
  }

  function showHead() {
    document.title = `${data.home} – ${data.away}`;
    $('teams').textContent = `${data.home} – ${data.away}`;
    const left = data.kickoff - nowS();
    $('facts').textContent = [[data.country, data.tournament].filter(Boolean).join(', '), `kickoff ${moment(data.kickoff)} ${zone}`,
      left > 0 ? `in ${duration(left)}` : 'has begun', `SportRadar ${data.id}`].join(' · ');
    $('begun').hidden = !data.begun;
    $('all-markets').hidden = data.begun; // the present offers of a fixture that has begun are not known
    $('listings').replaceChildren(...data.cells.map((cell, p) => {
      const words = cell.state === 'no_market' ? 'listed' : PLAIN_WORDS[cell.state] || STATE_WORDS[cell.state] || 'listed';
      return make('li', { class: p === 0 ? 'is-home' : null, 'data-state': cell.state }, make('strong', {}, data.platforms[p].name),
        make('span', { class: STATE_WORDS[cell.state] ? `chip ${cell.state}` : 'plain' }, words), ' ',
        cell.unseen ? make('span', { class: 'chip unknown' }, '? not observed') : null,
        cell.answered ? make('span', { class: 'plain' }, ' ', ageElement(cell.answered), ' ago') : null,
        cell.link ? make('a', { href: cell.link, target: '_blank', rel: 'noopener noreferrer' }, ' open ↗') : null);
    }));
  }

  function showMarkets() {
    const { platforms } = data;
    const words = folded($('search').value.trim()).split(/\s+/).filter(Boolean);
    const onlyDiffering = $('differing').checked;
    const table = $('markets');
    table.style.setProperty('--columns', platforms.length);
    table.tHead.replaceChildren(make('tr', {}, make('th', { scope: 'col' }, 'Market'), ...platforms.map(({ name }, p) => make('th', { scope: 'col', class: p === 0 ? 'n is-home' : 'n' }, name))));
    [...table.tBodies].forEach((body) => body.remove());
    let n = 0;
    for (const entry of data.markets) {
      const title = [entry.name, lineWords(entry.line)].filter(Boolean).join(' ');
      if (words.length && !words.every((word) => folded(`${title} ${entry.outcomes.map(({ name }) => name).join(' ')}`).includes(word))) continue;
      if (onlyDiffering && !entry.outcomes.some(({ rank }) => rank === 'b' || rank === 'w')) continue;
      n += 1;
      table.append(make('tbody', {},
        make('tr', { class: 'market' }, make('th', { scope: 'rowgroup' }, make('button', { type: 'button', title: 'show the price history', onclick: () => choose(entry.market, entry.line, true) }, title)),
          ...entry.margins.map((margin, p) => make('td', { class: p === 0 ? 'n is-home' : 'n' }, entry.states[p] && entry.states[p] !== 'offered'
            ? make('span', { class: `chip ${entry.states[p]}` }, STATE_WORDS[entry.states[p]]) : make('span', { class: 'plain' }, margin === null ? '' : percent(margin))))),
        ...entry.outcomes.map(({ name, rank, best, odds }) => {
          return make('tr', {}, make('th', { scope: 'row' }, name), ...odds.map((each, p) => make('td', { class: p === 0 ? 'n is-home' : 'n' },
            each === null ? '' : make('span', { class: ['o', each < 0 ? 'off' : '', platforms[p].key === best ? 'best' : '', p === 0 && rank === 'w' ? 'rank-w' : ''].filter(Boolean).join(' ') }, price(Math.abs(each))))));
        })));
    }
    $('result').textContent = n === data.markets.length ? plural(n, 'market and line', 'markets and lines') : `${count(n)} of ${plural(data.markets.length, 'market and line', 'markets and lines')}`;
  }

  // The values of a line at each instant: [prices that could be backed, prices while they could not].
  function sampled(x, at, values) {
    const on = x.map(() => null);
    const off = x.map(() => null);
    for (let i = 0, k = -1; i < x.length; i++) {
      while (k + 1 < at.length && at[k + 1] <= x[i]) k++;
      if (k < 0 || x[i] > at[at.length - 1] || !values[k]) continue;
      if (values[k] > 0) on[i] = values[k]; else off[i] = -values[k];
    }
    return [on, off];
  }

  function drawCharts() {
    clearCharts();
    const entry = entriesOf($('market').value)[0];
    const outcomes = history.outcomes.filter(({ lines }) => lines.length);
    const instants = outcomes.flatMap(({ lines }) => lines.flatMap(({ at }) => at));
    const span = Math.max(...instants) - Math.min(...instants);
    const showsKickoff = data.begun || (data.kickoff - Math.max(...instants) <= KICKOFF_SHARE * span && data.kickoff >= Math.min(...instants));
    const order = new Map((entry?.outcomes || []).map(({ key }, o) => [key, o]));
    charts = outcomes.sort((a, b) => (order.get(a.key) ?? 99) - (order.get(b.key) ?? 99)).map(({ name, lines }) => {
      const x = [...new Set([...lines.flatMap(({ at }) => at), ...(showsKickoff ? [data.kickoff] : [])])].sort((a, b) => a - b);
      return Chart({
        title: name, x, stepped: true, sync: 'history', format: (v) => v.toFixed(2), marks: showsKickoff ? [{ x: data.kickoff, label: 'kickoff' }] : [],
        lines: lines.map(({ place, at, values }) => {
          const [on, off] = sampled(x, at, values);
          return { ...platformLine(data.platforms, place), values: on, off, ends: at[at.length - 1] };
        }),
      });
    });
    $('charts').replaceChildren(...charts.map(({ figure }) => figure));
    if (!charts.length) $('charts').append(make('p', { class: 'empty' }, 'No prices of this line.'));
    charts.forEach((chart) => chart.draw());
  }

  async function showHistory() {
    const number = ++historyRequest;
    const market = $('market').value;
    writeUrl();
    if (!market) { clearCharts(); $('charts').replaceChildren(make('p', { class: 'empty' }, data.begun ? 'The history has no price of this fixture.' : 'No platform has a price of this fixture.')); return; }
    const query = new URLSearchParams({ market, line: $('line').value });
    for (const suffix of ['csv', 'xlsx', 'sql']) $(`history-${suffix}`).href = `/fixture/${id}/history.${suffix}?${query}`;
    const answer = await ask(`/api/fixture/${id}/history?${query}`);
    if (number !== historyRequest) return;
    history = answer;
    drawCharts();
  }

  function fillLines(line) {
    const entries = entriesOf($('market').value);
    options($('line'), entries.map((entry) => [entry.line, lineWords(entry.line) || 'no line']));
    $('line').disabled = entries.length < 2;
    if (entries.some((entry) => entry.line === line)) $('line').value = line;
  }
  // The link back opens the table with the market and the line that were chosen last.
  function choose(market, line, scroll = false) {
    $('market').value = market;
    fillLines(line);
    table.set('market', market);
    if ($('line').value) table.set('line', $('line').value); else table.delete('line');
    if (fragment.has('table')) fragment.set('table', table);
    if (scroll) $('history-title').scrollIntoView({ block: 'start' });
    showHistory().then(() => complain(''), fail);
  }

  function fail(error) {
    complain(error.message);
    clearTimeout(retry);
    if (isPassing(error)) retry = setTimeout(load, RETRY_MS);
  }
  // Requests the fixture again, and shows it unless a newer answer is shown already. A failed request is repeated.
  async function load() {
    const number = ++lastRequest;
    clearTimeout(retry);
    try {
      const answer = await ask(`/api/fixture/${id}`);
      if (number < shownRequest) return;
      shownRequest = number;
      const isFirst = data === null;
      data = answer;
      News.asOf = Math.max(0, ...data.cells.map(({ answered }) => answered || 0)) || null;
      const market = isFirst ? wanted.get('market') : $('market').value;
      const line = isFirst ? wanted.get('line') : $('line').value;
      const markets = [...new Map(data.markets.map((entry) => [entry.market, entry.name]))];
      options($('market'), markets);
      if (markets.some(([key]) => key === market)) $('market').value = market;
      fillLines(line);
      showHead();
      showMarkets();
      await showHistory();
      if (number === lastRequest) complain('');
      news?.show();
    } catch (error) {
      if (number < shownRequest) return;
      fail(error);
    }
  }

  async function begin() {
    Shell(() => { if (!data) return; showHead(); showMarkets(); redrawCharts(); news?.show(); });
    $('choice').addEventListener('submit', (event) => event.preventDefault());
    $('market-filter').addEventListener('submit', (event) => event.preventDefault());
    $('market').addEventListener('change', () => choose($('market').value, ''));
    $('line').addEventListener('change', () => choose($('market').value, $('line').value));
    $('market-filter').addEventListener('input', () => { if (data) showMarkets(); writeUrl(); });
    addEventListener('hashchange', writeUrl); // the link to the content replaces the part after the #
    addEventListener('keydown', (event) => {
      if (event.key !== '/' || event.target.matches('input:not([type=checkbox]), select')) return;
      event.preventDefault();
      $('search').focus();
    });
    readMarketFilter();
    for (const suffix of ['csv', 'xlsx', 'sql']) $(`markets-${suffix}`).href = `/fixture/${id}/markets.${suffix}`;
    await load();
    news = News(data?.token ?? '', (ids) => { if (ids === null || ids.includes(id)) load(); });
    setInterval(() => {
      refreshAges(document);
      if (data && !data.begun && data.kickoff <= nowS()) load();
    }, 5000);
    document.documentElement.dataset.ready = 'yes';
  }
  return { begin };
}

FixturePage().begin().catch((error) => { complain(error.message); throw error; });
