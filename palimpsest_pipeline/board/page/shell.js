// The parts of every page of the board: theme, time zone, the connection for news, and requests.

const RETRY_MS = 2000;
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

// Requests JSON. A refusal is raised as an Error with the server's text; `field` names a bad parameter. Its `status` is 0
// when no answer came.
async function ask(path) {
  const response = await fetch(path, { headers: { accept: 'application/json' } })
    .catch(() => { throw Object.assign(new Error('the server does not answer; the page tries again'), { status: 0 }); });
  if (response.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  const answer = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  if (!response.ok) throw Object.assign(new Error(answer.error), { field: answer.field, status: response.status });
  if (answer.now) clockOffset = answer.now - Date.now() / MS;
  return answer;
}
// Whether the same request may succeed later. A refusal stays one.
const isPassing = ({ status }) => status === 0 || status >= 500;

async function askUntilAnswered(path) {
  for (;;) {
    try {
      return await ask(path);
    } catch (error) {
      if (!isPassing(error)) throw error;
      complain(error.message);
      await new Promise((resolve) => { setTimeout(resolve, RETRY_MS); });
    }
  }
}

// Calls onNews(ids or null) whenever fixtures were derived since the token. The browser connects again by itself.
// A hidden page has no connection: browsers allow six to a server over HTTP/1.1, and each tab would hold one.
function News(token, onNews) {
  let source = null;
  let latest = token;
  let retry = 0;
  function show() {
    const isOpen = source?.readyState === EventSource.OPEN;
    $('live').className = isOpen ? 'live on' : 'live off';
    if (!isOpen) $('live-text').textContent = 'not connected: prices may be old';
    else if (News.asOf) $('live-text').textContent = `live, as of ${time(News.asOf)}`;
    else $('live-text').textContent = 'live';
  }
  function close() {
    clearTimeout(retry);
    source?.close();
    source = null;
  }
  function open() {
    close();
    if (document.hidden) return;
    const stream = new EventSource(`/api/news?since=${encodeURIComponent(latest)}`);
    source = stream;
    stream.addEventListener('open', show);
    stream.addEventListener('derived', (event) => {
      const news = JSON.parse(event.data);
      latest = news.token;
      onNews(news.fixtures);
    });
    stream.addEventListener('error', () => {
      if (stream !== source) return;
      show();
      if (stream.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY_MS);
    });
  }
  open();
  document.addEventListener('visibilitychange', () => { if (document.hidden) close(); else open(); });
  addEventListener('pagehide', close);
  addEventListener('pageshow', (event) => { if (event.persisted) open(); });
  return { show };
}
