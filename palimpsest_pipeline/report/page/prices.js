// The price movement of one fixture: one chart per outcome, one line per platform.

function Prices(data) {
  const { fixtures: f, platforms, markets, prices, tournaments } = data;
  const shards = [...document.querySelectorAll('script.shard')];
  const read = new Map();
  const shard = (n) => {
    if (!read.has(n)) read.set(n, unpacked(shards[n].textContent));
    return read.get(n);
  };
  const place = new Map(f.sr_id.map((id, i) => [id, i]));
  const marketsOf = (id) => markets.filter((market) => prices.index[market.key] && id in prices.index[market.key]);
  const has = (id) => markets.some((market) => prices.index[market.key] && id in prices.index[market.key]);
  const label = (i) => `${f.home_team[i]} – ${f.away_team[i]} · ${moment(f.kickoff[i])} · #${f.sr_id[i]}`;
  const left = markets.filter((market) => prices.leftOut[market.key]).map((market) => `${market.name}: ${plural(prices.leftOut[market.key], 'fixture', 'fixtures')}`);
  let charts = [];
  let fixture = null;
  let shown = []; // the offers that are drawn: a platform and its instants for each line
  let request = 0;
  let listed = false; // the list of the field is filled when the field first gets the focus

  function fillList() {
    $('price-fixtures').replaceChildren(...f.sr_id.map((id, i) => (has(id) ? make('option', { value: label(i) }) : null)).filter(Boolean));
    listed = true;
  }
  const line = (specifier) => (specifier === '' ? 'only one' : specifier.replaceAll('|', ', ').replaceAll('=', ' '));

  // Writes the texts that contain instants.
  function tell() {
    $('price-room').textContent = `Prices since ${moment(prices.since)}${prices.latest === null ? '' : `, the last look was at ${moment(prices.latest)}`}. Of a market with several lines, those that most platforms price are shown.`
      + (left.length ? ` The fixtures with the latest kickoffs did not fit on the page (${left.join('; ')}).` : '');
    if (listed) fillList();
    if (!shown.length) return;
    const i = place.get(fixture);
    $('price-fixture').value = label(i);
    $('price-result').textContent = `${f.home_team[i]} – ${f.away_team[i]}, ${placeOf(tournaments, f.tournament[i])}, kickoff ${moment(f.kickoff[i])}. Last looks: `
      + shown.map(({ p, at }) => `${platforms[p].name} ${moment(at[at.length - 1])}`).join(', ') + '.' + lacking(i);
  }

  // Sentences about the platforms without a line.
  function lacking(i) {
    const isOneOf = !$('price-line').disabled;
    return platforms.map(({ name }, p) => {
      if (shown.some((offer) => offer.p === p)) return '';
      if (f.on[i] & (1 << p)) return ` ${name} has no price ${isOneOf ? 'on this line' : 'in this market'}.`;
      return f.unknown[i] & (1 << p) ? ` ${name} could not be looked at.` : ` ${name} does not list this fixture.`;
    }).join('');
  }

  function clear() {
    charts.forEach((chart) => chart.remove());
    charts = [];
    shown = [];
  }

  // Shows no fixture. The new request number discards prices that are still being read.
  function refuse(words) {
    request++;
    fixture = null;
    clear();
    [$('price-market'), $('price-line')].forEach((select) => { options(select, []); select.disabled = true; });
    $('price-result').textContent = words;
  }

  // The values of an offer at each instant: [prices that could be backed, last prices while they could not].
  function sampled(x, at, values) {
    const on = x.map(() => null);
    const off = x.map(() => null);
    for (let i = 0, k = -1; i < x.length; i++) {
      while (k + 1 < at.length && at[k + 1] <= x[i]) k++;
      if (k < 0 || k >= at.length - 1 || values[k] === 0) continue;
      if (values[k] > 0) on[i] = values[k] / 1000; else off[i] = -values[k] / 1000;
    }
    return [on, off];
  }

  async function draw() {
    const asked = ++request;
    const market = markets.find((m) => m.key === $('price-market').value);
    const offers = (await shard(prices.index[market.key][fixture]))[fixture];
    if (asked !== request) return;
    const specifiers = [...new Set(offers.map(([specifier]) => specifier))];
    options($('price-line'), specifiers.map((specifier) => [specifier, line(specifier)]));
    $('price-line').disabled = specifiers.length < 2;
    clear();
    shown = offers.filter(([specifier]) => specifier === $('price-line').value).map(([, p, gaps, values]) => {
      let s = 0;
      const at = gaps.map((gap) => (s += gap));
      // An offer that was seen only once gets a line of one minute, so that it is visible.
      return at.length === 1 ? { p, at: [at[0], at[0] + 60], values: values.map(([v]) => [v, v]) } : { p, at, values };
    });
    const x = [...new Set(shown.flatMap(({ at }) => at))].sort((a, b) => a - b);
    tell();
    charts = market.outcomes.map((outcome, o) => {
      const lines = shown.map(({ p, at, values }) => {
        const [on, off] = sampled(x, at, values[o]);
        return { ...platformLine(platforms, p), values: on, off, ends: at[at.length - 1] };
      });
      return { outcome, lines };
    }).filter(({ lines }) => lines.some(({ values, off }) => [...values, ...off].some((v) => v !== null)))
      .map(({ outcome, lines }) => Chart({ title: `${market.name}: ${outcome}`, x, lines, stepped: true, sync: 'prices', format: (v) => v.toFixed(2) }));
    $('price-figures').append(...charts.map(({ figure }) => figure));
    charts.forEach((chart) => chart.draw());
  }

  async function choose(id) {
    if (!has(id)) {
      refuse(place.has(id) ? 'The page has no prices of this fixture.' : 'The page does not have this fixture.');
      return;
    }
    fixture = id;
    const there = marketsOf(id);
    options($('price-market'), there.map((market) => [market.key, market.name]));
    $('price-market').disabled = there.length < 2;
    await draw();
  }

  $('price-fixture').addEventListener('focus', () => { if (!listed) fillList(); });
  $('price-fixture').addEventListener('change', (event) => {
    const written = event.target.value.match(/#(\d+)$/);
    const words = folded(event.target.value.trim());
    const first = words && f.sr_id.findIndex((id, i) => has(id) && folded(label(i)).includes(words));
    if (written) choose(Number(written[1]));
    else if (words && first >= 0) choose(f.sr_id[first]);
    else refuse(words ? 'The page has no prices of such a fixture.' : '');
  });
  $('price-market').addEventListener('change', draw);
  $('price-line').addEventListener('change', draw);

  const priced = f.sr_id.filter(has);
  tell();
  return {
    has,
    choose,
    tell,
    first: () => (priced.length ? choose(priced[0]) : refuse('No prices yet.')),
  };
}
