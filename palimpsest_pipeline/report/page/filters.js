// The filters. A filter selects fixtures; it never changes a class or a count.

function Filters(data) {
  const { fixtures, tournaments, platforms, classes } = data;
  const n = fixtures.sr_id.length;
  const haystack = fixtures.sr_id.map((id, i) => {
    const t = fixtures.tournament[i];
    return folded(`${fixtures.home_team[i]} \n${fixtures.away_team[i]} \n${tournaments.name[t]} \n${id}`);
  });
  const countries = [...new Set(tournaments.country)].sort((a, b) => (a === null) - (b === null) || String(a).localeCompare(String(b)));
  options($('country'), [['', 'all'], ...countries.map((c, i) => [i, c === null ? 'none given' : c])]);
  options($('platform'), [['', 'any platform'], ...platforms.map((p, i) => [i, p.name])]);

  // Platforms may list a tournament under different countries: the filter finds it under each of them.
  const isIn = (t, country) => tournaments.country[t] === country || tournaments.elsewhere[t].some(([other]) => other === country);

  function chosen() {
    const words = folded($('search').value.trim()).split(/\s+/).filter(Boolean);
    const wantedClass = classes.indexOf($('availability').value);
    const country = $('country').value === '' ? undefined : countries[Number($('country').value)];
    const bit = $('platform').value === '' ? 0 : 1 << Number($('platform').value);
    const started = $('started').checked;
    const found = [];
    for (let i = 0; i < n; i++) {
      if (!started && fixtures.started[i]) continue;
      if (wantedClass >= 0 && fixtures.class[i] !== wantedClass) continue;
      if (country !== undefined && !isIn(fixtures.tournament[i], country)) continue;
      if (bit && !(fixtures.on[i] & bit)) continue;
      if (words.length && !words.every((word) => haystack[i].includes(word))) continue;
      found.push(i);
    }
    const narrowed = words.length > 0 || wantedClass >= 0 || country !== undefined || bit !== 0;
    return { found, started, narrowed };
  }
  return { chosen };
}
