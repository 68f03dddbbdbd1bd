// Helpers that create elements. Text from outside is inserted as text, never as HTML.

const $ = (id) => document.getElementById(id);

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function options(select, pairs) {
  const chosen = select.value;
  select.replaceChildren(...pairs.map(([value, label]) => make('option', { value }, label)));
  if (pairs.some(([value]) => String(value) === chosen)) select.value = chosen;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// A table with more platforms has no room for their names side by side.
const MANY_PLATFORMS = 6;
const PLATFORM_COLOURS = 8;

// The line of a platform in every chart. Home has a colour of its own. When all other colours are used, they repeat as thinner lines.
const platformLine = (platforms, p) => ({
  name: platforms[p].name, colour: `--p${p && 1 + (p - 1) % (PLATFORM_COLOURS - 1)}`, width: p === 0 ? 3 : p < PLATFORM_COLOURS ? 2 : 1,
});

// Choices are kept in the browser's storage. A browser may refuse that; the page works without.
const kept = {
  get: (name) => { try { return localStorage.getItem(`palimpsest.${name}`); } catch { return null; } },
  set: (name, value) => { try { localStorage.setItem(`palimpsest.${name}`, value); } catch { /* the choice is not kept */ } },
};
