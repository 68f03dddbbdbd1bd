// Reads the page's data (deflated JSON in base64) and formats numbers and instants.

const text = (id) => document.getElementById(id).textContent;

async function unpacked(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Response(stream).json();
}

const THIN = '\u202f';
const count = (n) => (n < 0 ? '?' : String(n).replace(/\B(?=(\d{3})+$)/g, THIN));
const percent = (share, digits = 1) => (share === null || share === undefined ? '–' : (100 * share).toFixed(digits) + THIN + '%');
const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;

let zone = 'UTC';
let forms = {};
function useZone(name) {
  zone = name;
  const timeZone = zone === 'UTC' ? 'UTC' : undefined;
  const form = (options) => new Intl.DateTimeFormat('en-GB', { timeZone, ...options });
  forms = {
    day: form({ weekday: 'short', day: '2-digit', month: 'short' }),
    time: form({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }),
  };
}
useZone('UTC');
const day = (s) => forms.day.format(s * 1000).replace(',', '');
const time = (s) => forms.time.format(s * 1000);
const moment = (s) => `${day(s)} ${time(s)}`;
const utcDate = new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', weekday: 'short', day: '2-digit', month: 'short' });
const date = (s) => utcDate.format(s * 1000).replace(',', '');

function duration(seconds) {
  const minutes = Math.round(Math.abs(seconds) / 60);
  if (minutes < 1) return `${Math.round(Math.abs(seconds))} s`;
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}

// A search ignores case, accents, and letters that only look accented.
const ALIKE = { ø: 'o', ł: 'l', đ: 'd', ð: 'd', þ: 'th', ß: 'ss', æ: 'ae', œ: 'oe', ı: 'i', ħ: 'h' };
const folded = (words) => words.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase().replace(/[øłđðþßæœıħ]/g, (c) => ALIKE[c]);
