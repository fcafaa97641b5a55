// Numbers in typed arrays, then big ones: an FFT there and back, and digits of pi.
function fft(re, im, inverse) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) { [re[i], re[j]] = [re[j], re[i]]; [im[i], im[j]] = [im[j], im[i]]; }
  }
  for (let len = 2; len <= n; len <<= 1) {
    const angle = ((inverse ? 2 : -2) * Math.PI) / len, wr = Math.cos(angle), wi = Math.sin(angle);
    for (let i = 0; i < n; i += len) {
      let cr = 1, ci = 0;
      for (let k = 0; k < len / 2; k++) {
        const a = i + k, b = a + len / 2;
        const xr = re[b] * cr - im[b] * ci, xi = re[b] * ci + im[b] * cr;
        re[b] = re[a] - xr; im[b] = im[a] - xi;
        re[a] += xr; im[a] += xi;
        [cr, ci] = [cr * wr - ci * wi, cr * wi + ci * wr];
      }
    }
  }
  if (inverse) for (let i = 0; i < n; i++) { re[i] /= n; im[i] /= n; }
}
const n = 1 << 14, re = new Float64Array(n), im = new Float64Array(n);
let x = 1;
for (let i = 0; i < n; i++) { x = (x * 48271) % 2147483647; re[i] = (x % 1000) / 1000; }
const before = re.slice();
fft(re, im, false);
print('power', re[0].toFixed(6), Math.hypot(re[5], im[5]).toFixed(6));
fft(re, im, true);
print('error below 1e-9', before.every((v, i) => Math.abs(v - re[i]) < 1e-9));

function pi(digits) {
  let q = 1n, r = 0n, t = 1n, k = 1n, m = 3n, y = 3n, out = '';
  while (out.length < digits) {
    if (4n * q + r - t < m * t) {
      out += m;
      [q, r, m] = [10n * q, 10n * (r - m * t), (10n * (3n * q + r)) / t - 10n * m];
    } else {
      [q, r, t, k, m, y] = [q * k, (2n * q + r) * y, t * y, k + 1n, (q * (7n * k) + 2n + r * y) / (t * y), y + 2n];
    }
  }
  return out;
}
const digits = pi(700);
print('pi', digits.slice(0, 20), '...', digits.slice(-20));
