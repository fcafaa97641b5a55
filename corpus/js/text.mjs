// Strings, regular expressions, sorting and JSON over a few megabytes made on the spot.
let x = 42;
const next = (n) => (x = (x * 48271) % 2147483647) % n;
const words = Array.from({ length: 400 }, () => Array.from({ length: 2 + next(8) }, () => String.fromCharCode(97 + next(26))).join(''));
const lines = Array.from({ length: 6000 }, (_, i) => `${i} [${words[next(400)]}] ${words[next(400)]}=${next(10000)}; ${words[next(400)]}@${words[next(400)]}.net`);
const all = lines.join('\n');
const counts = new Map();
for (const [, key, value] of all.matchAll(/ ([a-z]+)=(\d+);/g)) counts.set(key, (counts.get(key) ?? 0) + Number(value));
const top = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 5);
print('top', top.map((t) => t.join(':')).join(' '));
print('mails', (all.match(/[a-z]+@[a-z]+\.net/g) || []).length, all.replace(/([a-z]+)@([a-z]+)/g, '$2 at $1').length);
const records = lines.map((l, i) => ({ i, l, tags: l.split(/\W+/).filter(Boolean) }));
let text = '';
for (let k = 0; k < 4; k++) text = JSON.stringify(JSON.parse(JSON.stringify(records)));
let hash = 0;
for (let i = 0; i < text.length; i++) hash = (hash * 31 + text.charCodeAt(i)) | 0;
print('json', text.length, hash);
const sorted = records.toSorted((a, b) => (a.tags[1] < b.tags[1] ? -1 : a.tags[1] > b.tags[1] ? 1 : b.i - a.i));
print('sorted', sorted[0].i, sorted[3000].i, sorted.at(-1).i);
