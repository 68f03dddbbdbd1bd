// Charts of the last days, by cycle and by kickoff date.

function Trends(data) {
  const { cycles, skews, margins, gaps, platforms, markets, buckets } = data;
  const home = platforms[0].name;
  const ofPlatform = (p) => platformLine(platforms, p);
  const add = (spec) => {
    const chart = Chart(spec);
    $('trend-figures').append(chart.figure);
    return chart;
  };

  const carried = cycles.carried.filter(Boolean).length;
  add({
    title: 'Match rate', x: cycles.at, format: (v) => percent(v), least: 0.001, empty: 'No cycle in these days.',
    says: `Of all upcoming fixtures, those that ${home} and a competitor list; of each competitor's, those that ${home} lists too. By cycle.`
      + (carried ? ` In ${plural(carried, 'cycle', 'cycles')} of ${count(cycles.at.length)}, a platform's part is based on an earlier look.` : ''),
    lines: [{ name: 'all fixtures', short: 'all', colour: '--s0', values: cycles.overall, width: 3 }, ...cycles.rate.map((values, k) => ({ ...ofPlatform(k + 1), values }))],
  });
  add({
    title: 'Coverage', x: cycles.at, format: (v) => percent(v), least: 0.001, empty: 'No cycle in these days.', says: `Of ${home}'s upcoming fixtures, those that each competitor lists too; by cycle.`,
    lines: cycles.covered.map((values, k) => ({ ...ofPlatform(k + 1), values })),
  });
  add({
    title: 'Fixtures', x: cycles.at, format: (v) => count(Math.round(v)), fromZero: true, least: 1, empty: 'No cycle in these days.', says: 'Upcoming fixtures by class, by cycle.',
    lines: [['all', 'all', '--s0', 'n_union'], ['matched', 'matched', '--s1', 'n_matched_fixtures'], ['home only', 'home', '--s2', 'n_home_only'],
      ['competitors only', 'comp.', '--s3', 'n_competitor_only'], ['undetermined', 'undet.', '--s5', 'n_undetermined']]
      .map(([name, short, c, column]) => ({ name, short, colour: c, values: cycles[column] })),
  });
  add({
    title: 'Skew', x: skews.at, format: (v) => (v < 1000 ? `${Math.round(v)} ms` : `${(v / 1000).toFixed(1)} s`), fromZero: true, least: Math.max(...skews.p95_ms) >= 1000 ? 100 : 1, empty: 'No full cycle in these days.',
    says: 'Time between the answers of the platforms of a fixture' + (skews.every > 1 ? `, one full cycle in ${skews.every}.` : ', by full cycle.'),
    lines: [{ name: 'median', short: 'median', colour: '--s2', values: skews.p50_ms }, { name: '95th percentile', short: '95th p.', colour: '--s3', values: skews.p95_ms }],
  });

  // A chart with two selects above it, which choose the lines.
  function chosen(spec, first, second, lines) {
    const selects = [first, second].map(({ label, pairs, start }) => {
      const select = make('select', { 'aria-label': label });
      options(select, pairs);
      if (start !== undefined) select.value = start;
      return select;
    });
    const now = () => lines(...selects.map((select) => select.value));
    const chart = add({ ...spec, choices: selects, lines: now() });
    selects.forEach((select) => select.addEventListener('change', () => chart.set({ x: spec.x, lines: now() })));
  }
  const none = (xs) => xs.map(() => null);

  const known = markets.filter((market) => margins.of[market.key]);
  chosen({
    title: 'Margins', x: margins.date, days: true, format: (v) => percent(v), least: 0.001, empty: 'No margins yet: they are computed once an hour.',
    says: 'Mean over fixtures and lines, weighted by duration; by kickoff date and time to kickoff.',
  }, { label: 'Market', pairs: known.map((market) => [market.key, market.name]) }, { label: 'Time to kickoff', pairs: buckets.map((b) => [b, `${b} before kickoff`]), start: buckets[buckets.length - 1] },
  (market, bucket) => platforms.map((_, p) => ({ ...ofPlatform(p), values: (margins.of[market] || {})[bucket]?.[p] || none(margins.date) })));

  const hours = Object.keys(gaps.of).map(Number).sort((a, b) => a - b);
  chosen({
    title: 'Gaps', x: gaps.date, days: true, format: (v) => v.toFixed(v < 10 ? 1 : 0), fromZero: true, least: 0.1, empty: 'No gap counts yet: they are computed once an hour.',
    says: `Markets per fixture that only one of ${home} and the competitor offers; by kickoff date.`,
  }, { label: 'Competitor', pairs: platforms.slice(1).map((p, k) => [k, p.name]) }, { label: 'Hours before kickoff', pairs: hours.map((h) => [h, h ? `${h} h before kickoff` : 'at kickoff']) },
  (competitor, before) => [[`${home} lacks`, 'home −', '--s1', 'n_home_missing'], ['competitor lacks', 'comp. −', '--s3', 'n_platform_missing'],
    [`${home} suspends`, 'home ∥', '--s2', 'n_home_suspended'], ['competitor suspends', 'comp. ∥', '--s4', 'n_platform_suspended'], ['not known', '?', '--s5', 'n_unknown']]
    .map(([name, short, c, column]) => {
      const of = gaps.of[before]?.[competitor];
      return { name, short, colour: c, values: of ? of[column].map((n, i) => (n === null ? null : n / of.n_fixtures[i])) : none(gaps.date) };
    }));
}
