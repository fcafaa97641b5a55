// An exception that nobody catches: a message, and exit code 1.
import { Shape } from './lib/shapes.mjs';
print('before', new Shape('square'));
throw new RangeError('out of patience');
