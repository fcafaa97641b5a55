// A tour of the language: what an interpreter of it needs to get right, line by line in the output.
import { area, Shape, counter } from './lib/shapes.mjs';
import * as text from './lib/text.mjs';

class Circle extends Shape {
  #radius;
  static made = 0;
  constructor(radius) { super('circle'); this.#radius = radius; Circle.made++; }
  get size() { return Math.round(area(this.#radius) * 1000) / 1000; }
  static { this.unit = 'cm'; }
  toString() { return `${super.toString()}(${this.#radius}${Circle.unit})`; }
}
print('classes:', String(new Circle(2)), new Circle(3).size, Circle.made, new Circle(1) instanceof Shape);

const adders = [];
for (let i = 0; i < 3; i++) adders.push((n) => n + i);
print('closures:', adders.map((f) => f(10)).join(), counter(), counter(), counter());

function risky(n) {
  try {
    if (n === 0) throw new TypeError('zero', { cause: 'input' });
    if (n === 1) return null.field;
    return 'fine';
  } catch (e) {
    if (e instanceof TypeError && e.cause) return `${e.name}: ${e.message} (${e.cause})`;
    throw e;
  } finally {
    print('finally', n);
  }
}
print('exceptions:', risky(0), risky(2));
try { risky(1); } catch (e) { print('rethrown:', e.name, typeof e.stack); }

const log = 'GET /a?b=1 200\nPOST /résumé 404\nGET /c 500';
print('regexp:', [...log.matchAll(/^(?<verb>[A-Z]+) (\S+) (?<code>\d{3})$/gmu)]
  .map((m) => `${m.groups.verb}:${m.groups.code}`).join(' '));
print('regexp:', 'aBcXyZ'.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`), /(\d+)(?=px)/.exec('12em 34px')[1],
  'x1y22z333'.split(/\d+/).join('|'), /^\p{Lu}\p{Ll}+$/u.test('Émile'), /(?<!\$)\b\d+/.exec('$5 7')[0]);

const tree = JSON.parse('{"a":[1,2.5,-3e2,{"b":null}],"c":"\\u00e9\\n","d":true}');
print('json:', JSON.stringify(tree), JSON.stringify(tree, (k, v) => (k === 'd' ? undefined : v), 1).length);
try { JSON.parse('{"a":}'); } catch (e) { print('json:', e.name); }

let f = 1n;
for (let i = 1n; i <= 60n; i++) f *= i;
print('bigint:', f, f / 10n ** 70n, f % 1000000007n, (-7n) >> 1n, BigInt.asUintN(64, -1n), 0xffn ** 12n);

function* fibonacci() { let [a, b] = [0, 1]; for (;;) { const reset = yield a; [a, b] = reset ? [0, 1] : [b, a + b]; } }
const fib = fibonacci();
print('generators:', Array.from({ length: 12 }, () => fib.next().value).join(), fib.next(true).value);
function* walk(x) { if (Array.isArray(x)) for (const y of x) yield* walk(y); else yield x; }
print('generators:', [...walk([1, [2, [3, [4]], 5]])].join(''));

const { a: [first, ...rest], z = 'default', ...others } = tree;
print('destructuring:', first, rest.length, z, Object.keys(others).join());
print('collections:', [...new Map([[NaN, 1], ['k', 2]]).entries()].join(';'), new Set('mississippi').size,
  [3, 1, 2].toSorted().join(), Object.entries(Object.groupBy([1, 2, 3, 4], (n) => (n % 2 ? 'odd' : 'even'))).join(';'));
print('typed:', new Float32Array([1.1, 2.2]).join(), new Uint8ClampedArray([300, -5, 1.5]).join(),
  new DataView(new Uint8Array([1, 2, 3, 4]).buffer).getUint32(0, true), new Int16Array(4).fill(-1).subarray(1).length);
const proxy = new Proxy({}, { get: (_, name) => `<${String(name)}>`, has: () => true });
print('proxy:', proxy.anything, 'x' in proxy, Reflect.ownKeys({ b: 1, 2: 1, 1: 1 }).join());
print('numbers:', 0.1 + 0.2, (1234.5678).toFixed(2), (255).toString(36), 1e21, -0 === 0, Number('0x1f'), parseFloat('3.14abc'),
  (0.000001234).toString(), (123456789).toExponential(3), Number.MAX_SAFE_INTEGER, 5e-324);
print('strings:', text.title('the quick brown fox'), 'abc'.at(-1), 'ß'.toUpperCase(), '😀'.length, [...'😀é'].length,
  'a\u0301'.normalize('NFC').length, 'x'.padStart(3, '-'), text.reverse('stressed'));
print('dates:', new Date(Date.UTC(2024, 1, 29, 12)).toISOString());
print('symbols:', Symbol('s').toString(), [][Symbol.iterator]().next().done, label());

function label() { outer: for (let i = 0; ; i++) for (let j = 0; j < 5; j++) { if (i * j === 6) break outer; if (j > i) continue outer; if (i > 9) return 'far'; } return 'near'; }

const order = [];
const sleep = (n) => new Promise((resolve) => (n ? Promise.resolve().then(() => sleep(n - 1)).then(resolve) : resolve(n)));
async function task(name, n) { await sleep(n); order.push(name); return name; }
const settled = await Promise.allSettled([task('slow', 5), task('quick', 1), Promise.reject(new Error('no'))]);
print('async:', order.join(), settled.map((s) => s.status).join());
const later = await import('./lib/later.mjs');
print('import:', later.default, later.again, import.meta !== undefined);
