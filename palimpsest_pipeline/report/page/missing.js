// The list of fixtures that only competitors list, with the time of their first listing.

function Missing(data) {
  const { fixtures: f, platforms, classes, leads } = data;
  const wanted = classes.indexOf('competitor_only');
  const STEP = 50;
  let rows = [];
  let most = STEP;

  const notes = (i) => (leads[f.sr_id[i]] || []).map(([p, first, censored, days]) => make('span', {},
    `${platforms[p].name} ${censored ? 'has listed it at least since' : 'listed it first'} ${moment(first)}, ${duration(days * 86400)} before kickoff`));

  function draw() {
    $('missing-list').replaceChildren(...rows.slice(0, most).map((i) => eventRow(data, i, { tournament: true, notes: notes(i) })));
    $('missing-result').textContent = plural(rows.length, 'fixture', 'fixtures') + (rows.length > most ? `, the first ${count(most)} shown` : '');
    $('missing-more').hidden = rows.length <= most;
    $('missing-more').textContent = `Show ${count(Math.min(rows.length - most, 4 * STEP))} more`;
  }

  $('missing-more').addEventListener('click', () => { most += 4 * STEP; draw(); });
  return { show: ({ found }) => { rows = found.filter((i) => f.class[i] === wanted); most = STEP; draw(); } };
}
