// The parts of every page of the board: theme, time zone, the connection for news, and requests.

const LOST_AFTER_MS = 20000;
const MS = 1000;
let clockOffset = 0; // seconds that the server's clock is ahead of the browser's
const nowS = () => Date.now() / MS + clockOffset;

function complain(words) {
  $('broken').hidden = !words;
  $('broken').textContent = words || '';
}

function Shell(redraw) {
  const root = document.documentElement;
  const theme = $('theme');
  theme.value = kept.get('theme') || '';
  const paint = () => { if (theme.value) root.dataset.theme = theme.value; else delete root.dataset.theme; };
  paint();
  theme.addEventListener('change', () => { kept.set('theme', theme.value); paint(); redraw(); });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => redraw());
  $('zone').value = kept.get('zone') === 'local' ? 'local' : 'UTC';
  useZone($('zone').value);
  $('zone').addEventListener('change', () => { useZone($('zone').value); kept.set('zone', zone); redraw(); });
}

// Requests JSON. A refusal is raised as an Error with the server's text; `field` names a bad parameter.
async function ask(path) {
  const response = await fetch(path, { headers: { accept: 'application/json' } });
  if (response.status === 401) location.assign('/login');
  const answer = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  if (!response.ok) throw Object.assign(new Error(answer.error), { field: answer.field, status: response.status });
  if (answer.now) clockOffset = answer.now - Date.now() / MS;
  return answer;
}

// Calls onNews(ids or null) whenever fixtures were derived since the token. The browser connects again by itself.
function News(token, onNews) {
  let source = null;
  let latest = token;
  let retry = 0;
  function show(on) {
    $('live').className = on ? 'live on' : 'live off';
    if (!on) $('live-text').textContent = 'not connected: prices may be old';
    else if (News.asOf) $('live-text').textContent = `live, as of ${time(News.asOf)}`;
    else $('live-text').textContent = 'live';
  }
  function open() {
    source = new EventSource(`/api/news?since=${encodeURIComponent(latest)}`);
    source.addEventListener('open', () => show(true));
    source.addEventListener('derived', (event) => {
      const news = JSON.parse(event.data);
      latest = news.token;
      onNews(news.fixtures);
    });
    source.addEventListener('error', () => {
      show(false);
      if (source.readyState !== EventSource.CLOSED) return;
      clearTimeout(retry);
      retry = setTimeout(open, 2000);
    });
  }
  open();
  addEventListener('pagehide', () => source.close());
  addEventListener('pageshow', (event) => { if (event.persisted) open(); });
  return { show: () => show(source.readyState === EventSource.OPEN) };
}
