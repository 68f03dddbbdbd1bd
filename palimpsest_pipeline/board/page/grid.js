// The table: rows by fixture, drawn in pages, and redrawn row by row.

const SOON_S = 1800;

function Grid(choices) {
  const { platforms } = choices;
  const table = $('grid');
  const body = table.tBodies[0];
  const elements = new Map(); // fixture id -> its row on the page
  const rows = new Map(); // fixture id -> its data
  let order = [];
  let spec = { platforms, outcomes: [], arrows: 'cycle', query: '' };

  function drawHead(market) {
    const isLong = market.outcomes.length > 3;
    const labels = () => make('span', { class: isLong ? 'labels long' : 'labels' }, ...market.outcomes.map((label) => make('span', {}, label)));
    table.tHead.replaceChildren(make('tr', {}, make('th', { scope: 'col', class: 'when' }, 'Kickoff'), make('th', { scope: 'col', class: 'who' }, 'Fixture'),
      ...platforms.map(({ name }, p) => make('th', { scope: 'col', class: p === 0 ? 'is-home' : null }, make('span', { class: 'name' }, name, p === 0 ? ' ' : null, p === 0 ? make('span', { class: 'tag' }, 'home') : null), labels()))));
    table.style.setProperty('--n', Math.max(1, Math.min(3, market.outcomes.length)));
    table.style.setProperty('--columns', platforms.length);
  }

  const isSoon = (row) => row.kickoff - nowS() < SOON_S;
  function rowElement(row) {
    const off = row.off === null ? null : make('span', { class: row.off > 0 ? 'diff high' : 'diff low', title: "home's largest difference from the median of the comparable competitors" }, ` · ${row.off > 0 ? '+' : '−'}${percent(Math.abs(row.off))}`);
    return make('tr', { 'data-id': row.id },
      make('th', { scope: 'row', class: isSoon(row) ? 'kick soon' : 'kick' }, make('b', {}, time(row.kickoff)), make('small', {}, day(row.kickoff))),
      make('th', { scope: 'row', class: 'teams' }, make('a', { href: `/fixture/${row.id}${spec.query}` }, `${row.home} – ${row.away}`),
        make('small', {}, [row.country, row.tournament].filter(Boolean).join(', '), off)),
      ...platforms.map((_, p) => cellElement(row, p, spec)));
  }

  function place(id, isFresh) {
    const next = rowElement(rows.get(id));
    const previous = elements.get(id);
    if (previous) {
      const href = previous.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
      previous.replaceWith(next);
      if (href !== null) {
        const links = [...next.querySelectorAll('a')];
        (links.find((link) => link.getAttribute('href') === href) ?? links[0]).focus({ preventScroll: true });
      }
    }
    if (isFresh) next.classList.add('fresh');
    elements.set(id, next);
    return next;
  }

  return {
    get size() { return order.length; },
    get ids() { return order; },
    has: (id) => rows.has(id),
    // Replaces all rows. The focus stays on its fixture, if the fixture is shown again.
    show(answer, arrows, query) {
      const focused = document.activeElement.closest('#grid tbody tr')?.dataset.id;
      spec = { platforms, outcomes: answer.market.outcomes, arrows, query };
      drawHead(answer.market);
      elements.clear();
      rows.clear();
      order = [];
      body.replaceChildren();
      this.append(answer);
      table.hidden = order.length === 0;
      elements.get(Number(focused))?.querySelector('.teams a').focus({ preventScroll: true });
    },
    append(answer) {
      const fragment = document.createDocumentFragment();
      for (const row of answer.rows) {
        if (rows.has(row.id)) continue;
        rows.set(row.id, row);
        order.push(row.id);
        fragment.append(place(row.id, false));
      }
      body.append(fragment);
    },
    // Replaces the rows of derived fixtures, and puts all rows into the order of `ids`. Every id must have a row.
    update(changed, ids) {
      for (const row of changed) {
        const isNew = !rows.has(row.id);
        rows.set(row.id, row);
        place(row.id, !isNew);
      }
      const shown = new Set(ids);
      for (const id of order) {
        if (shown.has(id)) continue;
        elements.get(id).remove();
        elements.delete(id);
        rows.delete(id);
      }
      order = ids;
      let after = null;
      for (const id of order) {
        const element = elements.get(id);
        const expected = after ? after.nextElementSibling : body.firstElementChild;
        if (expected !== element) body.insertBefore(element, expected);
        after = element;
      }
      table.hidden = order.length === 0;
    },
    redraw(arrows = spec.arrows, query = spec.query) {
      spec = { ...spec, arrows, query };
      for (const id of order) place(id, false);
    },
    // Redraws the rows whose look may have changed with the time alone: arrows disappear, and kickoffs come near.
    redrawAged() {
      for (const id of order) {
        const element = elements.get(id);
        if (element.querySelector('.o.up, .o.down') || isSoon(rows.get(id)) !== (element.querySelector('.kick.soon') !== null)) place(id, false);
      }
    },
    move(step) {
      const links = [...body.querySelectorAll('.teams a')];
      const at = links.findIndex((link) => link.closest('tr').contains(document.activeElement));
      const next = links[Math.min(Math.max(at + step, 0), links.length - 1)];
      if (!next) return;
      next.focus();
      next.scrollIntoView({ block: 'nearest' });
    },
    refreshAges: () => refreshAges(body),
  };
}
