// Builds the page from its data and connects its controls.

const DELAY_MS = 60;

function switches(redraw) {
  const root = document.documentElement;
  const theme = $('theme');
  theme.value = kept.get('theme') || '';
  const paint = () => { if (theme.value) root.dataset.theme = theme.value; else delete root.dataset.theme; };
  paint();
  theme.addEventListener('change', () => { kept.set('theme', theme.value); paint(); redrawCharts(); });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redrawCharts);
  $('zone').value = kept.get('zone') === 'local' ? 'local' : 'UTC';
  useZone($('zone').value);
  $('zone').addEventListener('change', () => { useZone($('zone').value); kept.set('zone', zone); redraw(); redrawCharts(); });
  document.querySelector('.switches').hidden = false;
}

async function start() {
  const data = await unpacked(text('data'));
  switches(() => show()); // before anything prints an instant: it sets the time zone
  const filters = Filters(data);
  const table = TournamentTable(data);
  const missing = Missing(data);

  function show() {
    const selection = filters.chosen();
    table.show(selection);
    missing.show(selection);
    document.querySelectorAll('.universe').forEach((part) => { part.hidden = part.dataset.started !== String(Number(selection.started)); });
  }
  const age = () => { $('age').textContent = `(${duration(Date.now() / 1000 - data.asOf)} ago)`; };

  let pending = 0;
  $('filters').addEventListener('input', (event) => {
    clearTimeout(pending);
    if (event.target.id === 'search') pending = setTimeout(show, DELAY_MS); else show();
  });
  $('filters').addEventListener('reset', () => setTimeout(show));
  $('filters').addEventListener('submit', (event) => event.preventDefault());
  show();
  age();
  setInterval(age, 30000);
  document.querySelectorAll('.scripted').forEach((section) => { section.hidden = false; });
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
  Trends(data);
  redrawCharts();
  document.documentElement.dataset.ready = 'yes';
}

start().catch((error) => {
  $('broken').hidden = false;
  $('broken').textContent = typeof DecompressionStream === 'undefined'
    ? 'This browser is too old for this page: it lacks DecompressionStream (available since 2023).'
    : `This page is damaged: ${error.message}`;
  throw error;
});
